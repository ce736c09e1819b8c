"""View ``llamafactory``: ``dataset_info.json`` and a folder of Parquet per task and split, as LLaMA-Factory reads them.

Pictures are in the tables, key-frame videos are lists of paths: its loader joins them to ``media_dir``, which is
``dataset_dir`` unless given, and cannot take frames as bytes (``_find_medias`` in data/converter.py). A folder of
data must hold files of one kind, so dataset_info.json and the frames lie beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from curation.export.read import ShardReader
from curation.export.schema import PICTURE
from curation.export.views.examples import SPLIT_NAMES, Examples, PictureFolder
from curation.export.views.protocol import ViewResult
from curation.export.views.tables import TableWriter
from curation.view_settings import LlamafactoryOptions
from gazecapture.files import write_json_atomically

__all__ = ["LlamafactoryView"]

_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_PLAIN = {"record_id": pa.string(), "reading_id": pa.string(), "type": pa.string(), "source": pa.string()}
_COLUMNS: Mapping[str, pa.DataType] = MappingProxyType(
    {"messages": _MESSAGES, "images": pa.list_(PICTURE), "videos": pa.list_(pa.list_(pa.string()))}
)
_MEDIA: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "report_from_gaze": ("images", "videos"),
        "finding_from_clip": ("images", "videos"),
        "global_order": ("images", "videos"),
        "finding_order": ("videos",),
    }
)
"""What a task shows; the others show images. A column that is always empty would be an error to the loader."""


class LlamafactoryView:
    """See the module."""

    name = "llamafactory"
    version = "2"

    def write(self, reader: ShardReader, folder: Path, options: LlamafactoryOptions) -> ViewResult:
        """See `View.write`."""
        examples = Examples(reader, options)
        frames = PictureFolder(folder, "frames")
        info: dict[str, Any] = {}
        for split in examples.splits:
            with ExitStack() as stack:
                tables: dict[str, TableWriter] = {}
                for task, record in examples.of(split):
                    if task not in tables:
                        name = f"{task}_{SPLIT_NAMES[split]}"
                        writer = TableWriter(
                            folder / "data" / name,
                            "part",
                            _schema(task),
                            rows_per_file=options.rows_per_file,
                            with_features=False,
                        )
                        tables[task] = stack.enter_context(writer)
                        info[f"gaze_{name}"] = _entry(task, f"data/{name}")
                    tables[task].add(
                        {
                            "record_id": record.record_id,
                            "reading_id": record.reading_id,
                            "type": record.type,
                            "source": record.source,
                            "messages": [
                                {"role": "user", "content": examples.text(record, record.prompt)},
                                {"role": "assistant", "content": examples.text(record, record.answer)},
                            ],
                            "images": [{"bytes": i.content, "path": i.name} for i in record.images],
                            "videos": [[frames.put(frame) for frame in record.video]],
                        }
                    )
        write_json_atomically(folder / "dataset_info.json", info)
        return examples.result()


def _media(task: str) -> tuple[str, ...]:
    return _MEDIA.get(task, ("images",))


def _schema(task: str) -> pa.Schema:
    return pa.schema([*_PLAIN.items(), *((name, _COLUMNS[name]) for name in ("messages", *_media(task)))])


def _entry(task: str, path: str) -> dict[str, Any]:
    return {
        "file_name": path,
        "formatting": "sharegpt",
        "columns": {name: name for name in ("messages", *_media(task))},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    }
