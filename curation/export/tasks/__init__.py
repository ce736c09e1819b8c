"""Training examples made of a shard's rows, one file per task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from curation.export.tasks.boxes_from_sentence import boxes_from_sentence
from curation.export.tasks.finding_from_clip import finding_from_clip
from curation.export.tasks.grounded_report import grounded_report
from curation.export.tasks.order import finding_order, global_order
from curation.export.tasks.prompts import PlaceWriter, PromptSet, load_prompts
from curation.export.tasks.protocol import Task
from curation.export.tasks.reading import TaskReading
from curation.export.tasks.record import LeftOut, Place, Shown, TaskRecord, Text, places_in, written
from curation.export.tasks.report_from_gaze import report_from_gaze
from curation.export.tasks.report_from_image import report_from_image
from curation.export.tasks.vqa import vqa
from curation.view_settings import TaskOptions

__all__ = [
    "TASKS",
    "LeftOut",
    "Place",
    "PlaceWriter",
    "PromptSet",
    "Shown",
    "TaskReading",
    "TaskRecord",
    "Text",
    "load_prompts",
    "places_in",
    "records_of",
    "written",
]

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "report_from_gaze": report_from_gaze,
        "report_from_image": report_from_image,
        "finding_from_clip": finding_from_clip,
        "boxes_from_sentence": boxes_from_sentence,
        "global_order": global_order,
        "finding_order": finding_order,
        "grounded_report": grounded_report,
        "vqa": vqa,
    }
)
"""By name; the first six are those of GazeX (GTM-1, GTM-2, GTM-3, FVP, SDA global and local)."""


def records_of(row: Mapping[str, Any], options: TaskOptions) -> Iterator[tuple[str, TaskRecord | LeftOut]]:
    """Give the examples of a row, each with the name of its task, and what could not be made."""
    reading = TaskReading(row, options)
    prompts = load_prompts(options.template)
    for name in options.tasks:
        for record in TASKS[name](reading, prompts):
            yield name, record
