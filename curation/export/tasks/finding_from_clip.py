"""Finding from clip: the key frames of one sentence, and the picture; the answer is the sentence."""

from __future__ import annotations

from collections.abc import Iterator

from curation.export.tasks.prompts import PromptSet
from curation.export.tasks.protocol import make_record
from curation.export.tasks.reading import TaskReading, sentence_text
from curation.export.tasks.record import LeftOut, TaskRecord

__all__ = ["finding_from_clip"]


def finding_from_clip(reading: TaskReading, prompts: PromptSet) -> Iterator[TaskRecord | LeftOut]:
    """See the module."""
    if not reading.images:
        yield LeftOut("no picture")
        return
    clips = {clip_id.partition(":")[2]: frames for clip_id, frames in reading.clips("sentence")}
    if not reading.sentences:
        yield LeftOut("no words")
    for number, (sentence_id, sentence) in enumerate(reading.sentences.items()):
        if sentence_id not in clips:
            yield LeftOut("no key frame of the sentence on the picture")
            continue
        yield make_record(
            reading,
            prompts,
            "finding_from_clip",
            number=number,
            images=reading.images,
            video=tuple(reading.frames[index] for index in clips[sentence_id]),
            sentence=sentence_text(sentence["text"]),
            sentence_as_dictated=sentence["text"],
        )
