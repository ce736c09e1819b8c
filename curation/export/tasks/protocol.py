"""What a task is: one file, one function from a reading to its examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from curation.export.tasks.prompts import PromptSet
from curation.export.tasks.reading import TaskReading
from curation.export.tasks.record import LeftOut, Shown, TaskRecord

__all__ = ["Task", "make_record"]


class Task(Protocol):
    """Makes the examples of one kind; what cannot be made comes as `LeftOut`."""

    def __call__(self, reading: TaskReading, prompts: PromptSet) -> Iterator[TaskRecord | LeftOut]:
        """Give the examples of one reading, the same ones in the same order every time."""
        ...


def make_record(
    reading: TaskReading,
    prompts: PromptSet,
    task: str,
    *,
    number: str | int | None = None,
    images: tuple[Shown, ...] = (),
    video: tuple[Shown, ...] = (),
    type: str | None = None,  # as the column of `qa` is called
    source: str | None = None,
    **fields: Any,
) -> TaskRecord:
    """Render one example. ``fields`` are what its template may use, beside n_images, n_frames and indication."""
    prompt, answer = prompts.render(
        task,
        {**fields, "n_images": len(images), "n_frames": len(video), "indication": reading.indication},
    )
    suffix = "" if number is None else f"-{number}"
    return TaskRecord(
        record_id=f"{reading.reading_id}-{task}{suffix}",
        task=task,
        reading_id=reading.reading_id,
        images=images,
        video=video,
        prompt=prompt,
        answer=answer,
        type=type,
        source=source,
    )
