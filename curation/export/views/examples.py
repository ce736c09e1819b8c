"""The examples of a dataset for one view, each reading booked as written or left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from curation.export.read import ShardReader
from curation.export.tasks import (
    LeftOut,
    Place,
    PlaceWriter,
    Shown,
    TaskRecord,
    Text,
    load_prompts,
    records_of,
    written,
)
from curation.export.views.protocol import ViewResult
from curation.view_settings import TaskOptions
from gazecapture.files import as_tool_error, make_private_folder

__all__ = ["SPLIT_NAMES", "Examples", "PictureFolder", "without_media_tags"]

SPLIT_NAMES = {"train": "train", "validate": "validation", "test": "test"}
"""As Hugging Face and the trainers call them."""
_MEDIA_TAGS = re.compile(r"<(?:image|video)>")


class Examples:
    """Makes the examples, split by split, and keeps count. Memory holds one reading."""

    def __init__(self, reader: ShardReader, options: TaskOptions) -> None:
        self._reader, self._options = reader, options
        self._n_readings = self._n_records = 0
        self._left_out: Counter[str] = Counter()
        self._records_left_out: Counter[str] = Counter()
        self._write = PlaceWriter(
            syntax=load_prompts(options.template).syntax,
            frame=options.box_frame,
            limits=options.resize_limits,
        )

    @property
    def splits(self) -> list[str]:
        """The splits that have readings."""
        return self._reader.splits

    def of(self, split: str) -> Iterator[tuple[str, TaskRecord]]:
        """Give task and example, of all readings of a split."""
        for row in self._reader.rows(split=split, batch_rows=1):
            reasons: Counter[str] = Counter()
            n_made = 0
            for task, record in records_of(row, self._options):
                if isinstance(record, LeftOut):
                    reasons[f"{task}: {record.reason}"] += 1
                else:
                    n_made += 1
                    yield task, record
            self._n_records += n_made
            if n_made:
                self._n_readings += 1
                self._records_left_out += reasons
            else:
                whys = {reason.partition(": ")[2] for reason in reasons}
                self._left_out[whys.pop() if len(whys) == 1 else "no task fits"] += 1

    def text(self, record: TaskRecord, text: Text) -> str:
        """Return a text of a record with its boxes in the view's numbers."""

        def write(place: Place) -> str:
            return self._write(place, record.images[place.image].size)

        return written(text, write)

    def result(self) -> ViewResult:
        """Return what became of the readings, once all splits are through."""
        return ViewResult(
            n_readings=self._n_readings,
            n_records=self._n_records,
            left_out=dict(sorted(self._left_out.items())),
            records_left_out=dict(sorted(self._records_left_out.items())),
        )


class PictureFolder:
    """Pictures as files, each content once, under names that tell nothing of what they are."""

    def __init__(self, view: Path, name: str) -> None:
        self._view, self._name = view, name

    def put(self, shown: Shown) -> str:
        """Write a picture unless it is there; return its path within the view."""
        path = f"{self._name}/{shown.name[:2]}/{shown.name}"
        target = self._view / path
        if not target.exists():
            make_private_folder(target.parent)
            try:
                target.write_bytes(shown.content)
            except OSError as error:
                raise as_tool_error(error, target, "writing a view") from error
        return path


def without_media_tags(text: str) -> str:
    """Return a prompt without ``<image>`` and ``<video>``, for trainers that put the pictures in themselves."""
    return _MEDIA_TAGS.sub("", text).strip()
