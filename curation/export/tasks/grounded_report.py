"""Grounded report with inspection trajectory: what was looked at in which order, then the report, sentence by box."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from curation.export.tasks.prompts import PromptSet
from curation.export.tasks.protocol import make_record
from curation.export.tasks.reading import TaskReading, sentence_text
from curation.export.tasks.record import LeftOut, Place, TaskRecord

__all__ = ["grounded_report"]


def grounded_report(reading: TaskReading, prompts: PromptSet) -> Iterator[TaskRecord | LeftOut]:
    """See the module. A sentence's boxes are those of the findings that it names, else where the gaze was."""
    if not reading.images:
        yield LeftOut("no picture")
        return
    if not reading.sentences:
        yield LeftOut("no words")
        return
    sentences = [
        {"text": sentence_text(sentence["text"]), "places": _places(reading, sentence)}
        for sentence in reading.sentences.values()
    ]
    if not any(sentence["places"] for sentence in sentences):
        yield LeftOut("no box of any sentence on the picture")
        return
    yield make_record(
        reading,
        prompts,
        "grounded_report",
        images=reading.images,
        sentences=sentences,
        inspection=_inspection(reading),
    )


def _places(reading: TaskReading, sentence: dict[str, Any]) -> list[Place]:
    named = [
        finding
        for finding in reading.row["findings"] or ()
        if finding["present"]
        and (
            finding["finding_id"] in (sentence["finding_ids"] or ())
            or sentence["sentence_id"] in (finding["sentence_ids"] or ())
        )
    ]
    marked = [place for f in named if (place := reading.place(f, "finding", f["label"]))]
    _, observation = reading.places(sentence["sentence_id"])
    return marked or ([observation] if observation else [])


def _inspection(reading: TaskReading) -> list[dict[str, str]]:
    """Return letter and region of the visits in order; visits of one region in a row are one."""
    shown = {image.image_index for image in reading.images}
    visits = [
        (visit["letter"], visit["region"])
        for visit in sorted(reading.row["trajectory"] or (), key=lambda visit: int(visit["order"]))
        if visit["image_index"] in shown
    ]
    return [{"letter": letter, "region": region} for (letter, region), _ in groupby(visits)]
