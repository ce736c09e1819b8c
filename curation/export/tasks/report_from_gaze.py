"""Report from gaze video: the key frames of a reading in order, and the picture; the answer is the report."""

from __future__ import annotations

from collections.abc import Iterator

from curation.export.tasks.prompts import PromptSet
from curation.export.tasks.protocol import make_record
from curation.export.tasks.reading import TaskReading, sentence_text
from curation.export.tasks.record import LeftOut, TaskRecord

__all__ = ["report_from_gaze"]


def report_from_gaze(reading: TaskReading, prompts: PromptSet) -> Iterator[TaskRecord | LeftOut]:
    """See the module."""
    if not reading.images:
        yield LeftOut("no picture")
    elif not reading.report:
        yield LeftOut("no words")
    elif not reading.frames:
        yield LeftOut("no key frame on the picture")
    else:
        yield make_record(
            reading,
            prompts,
            "report_from_gaze",
            images=reading.images,
            video=tuple(reading.frames.values()),
            report=sentence_text(reading.report),
            report_as_dictated=reading.report,
        )
