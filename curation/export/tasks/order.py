"""Order of shuffled key frames: of the whole reading (its holistic frames), or of one sentence."""

from __future__ import annotations

from collections.abc import Iterator

from curation.export.tasks.prompts import PromptSet
from curation.export.tasks.protocol import make_record
from curation.export.tasks.reading import TaskReading, sentence_text
from curation.export.tasks.record import LeftOut, TaskRecord

__all__ = ["finding_order", "global_order"]

MIN_FRAMES = 3
"""No sequence is shown in its own order (`keyframes.derived`), so of two frames the answer would always be the same."""


def global_order(reading: TaskReading, prompts: PromptSet) -> Iterator[TaskRecord | LeftOut]:
    """Give the holistic frames of a reading, shuffled, with the picture; the answer has the report as well."""
    if not reading.images:
        yield LeftOut("no picture")
    elif not reading.report:
        yield LeftOut("no words")
    else:
        yield from _orders(reading, prompts, "global_order", "overview")


def finding_order(reading: TaskReading, prompts: PromptSet) -> Iterator[TaskRecord | LeftOut]:
    """Give the frames of each sentence, shuffled, without the picture."""
    if not reading.images:
        yield LeftOut("no picture")
    elif not reading.sentences:
        yield LeftOut("no words")
    else:
        yield from _orders(reading, prompts, "finding_order", "sentence")


def _orders(reading: TaskReading, prompts: PromptSet, task: str, kind: str) -> Iterator[TaskRecord | LeftOut]:
    clips = reading.clips(kind)
    if not clips:
        yield LeftOut("no key frame on the picture")
    for number, (clip_id, frames) in enumerate(clips):
        if len(frames) < MIN_FRAMES:
            yield LeftOut("too few frames for an order that is not known")
            continue
        if len({reading.frames[index].name for index in frames}) < len(frames):
            yield LeftOut("frames that look the same have no order")
            continue
        sentence = reading.sentences.get(clip_id.partition(":")[2], {}).get("text", "")
        for shuffle in reading.shuffles(clip_id):
            yield make_record(
                reading,
                prompts,
                task,
                number=f"{number}-{shuffle['shuffle']}",
                images=reading.images if task == "global_order" else (),
                video=tuple(reading.frames[index] for index in shuffle["keyframe_indexes"]),
                order=prompts.order_answer(shuffle["shown_order"], shuffle["inverse_order"]),
                report=sentence_text(reading.report),
                report_as_dictated=reading.report,
                sentence=sentence_text(sentence),
            )
