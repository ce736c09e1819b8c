"""View ``swift``: messages with ``<bbox>`` for every box and the boxes beside them, as ms-swift reads them.

It turns ``objects`` into the numbers that the model wants, once it has the size that the picture is resized to, so one
view serves all models. Videos are lists of frame paths from the view's folder, in which ms-swift must be started: it
does not join ``ROOT_IMAGE_DIR`` to frames in a list (``template/base.py`` of 4.6.0).
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.export.box_frames import to_frame
from curation.export.read import ShardReader
from curation.export.schema import PICTURE
from curation.export.tasks import Place, TaskRecord, places_in, written
from curation.export.views.examples import SPLIT_NAMES, Examples, PictureFolder
from curation.export.views.protocol import ViewResult
from curation.export.views.tables import TableWriter
from curation.view_settings import SwiftOptions

__all__ = ["SwiftView"]

_SCHEMA = pa.schema(
    [
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("images", pa.list_(PICTURE)),
        ("videos", pa.list_(pa.list_(pa.string()))),
        (
            "objects",
            pa.struct(
                [
                    ("ref", pa.list_(pa.string())),
                    ("bbox", pa.list_(pa.list_(pa.float64()))),
                    ("bbox_type", pa.string()),
                    ("image_id", pa.list_(pa.int32())),
                ]
            ),
        ),
        ("record_id", pa.string()),
        ("reading_id", pa.string()),
        ("task", pa.string()),
        ("type", pa.string()),
        ("source", pa.string()),
    ]
)


class SwiftView:
    """See the module."""

    name = "swift"
    version = "2"

    def write(self, reader: ShardReader, folder: Path, options: SwiftOptions) -> ViewResult:
        """See `View.write`."""
        examples = Examples(reader, options)
        frames = PictureFolder(folder, "frames")
        for split in examples.splits:
            with ExitStack() as stack:
                tables: dict[str, TableWriter] = {}
                for task, record in examples.of(split):
                    if task not in tables:
                        tables[task] = stack.enter_context(
                            TableWriter(
                                folder / "data" / task,
                                SPLIT_NAMES[split],
                                _SCHEMA,
                                rows_per_file=options.rows_per_file,
                                with_features=False,
                            )
                        )
                    tables[task].add(_row(task, record, frames, options))
        return examples.result()


def _row(task: str, record: TaskRecord, frames: PictureFolder, options: SwiftOptions) -> dict[str, Any]:
    places = [*places_in(record.prompt), *places_in(record.answer)]
    return {
        "messages": [
            {"role": "user", "content": written(record.prompt, _placeholder)},
            {"role": "assistant", "content": written(record.answer, _placeholder)},
        ],
        "images": [{"bytes": image.content, "path": image.name} for image in record.images],
        "videos": [[frames.put(frame) for frame in record.video]] if record.video else [],
        "objects": {
            "ref": [],
            "bbox": [_pixels(place, record, options) for place in places],
            "bbox_type": "real",
            "image_id": [place.image for place in places],
        },
        "record_id": record.record_id,
        "reading_id": record.reading_id,
        "task": task,
        "type": record.type,
        "source": record.source,
    }


def _placeholder(_place: Place) -> str:
    return "<bbox>"


def _pixels(place: Place, record: TaskRecord, options: SwiftOptions) -> list[float]:
    """Return a box in px of the picture, not rounded."""
    size = record.images[place.image].size
    return list(to_frame(place.box, options.box_frame, size, options.resize_limits))
