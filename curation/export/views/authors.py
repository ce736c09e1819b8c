"""View ``authors``: JSON lists and mp4 as the GazeX authors' training reads them (LLaMA-Factory, template qwen2_vl).

Pictures and frames are a quarter of the matrix in size and boxes are px of them (``box_q``), the wording is that of the
published scripts unless the options say otherwise. Their names for files are kept, but for those of clips, which would
tell the order of what is shuffled.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from curation.export.clips import write_clip
from curation.export.read import ShardReader
from curation.export.tasks import TaskRecord
from curation.export.views.examples import SPLIT_NAMES, Examples, PictureFolder
from curation.export.views.protocol import ViewResult
from curation.view_settings import AuthorsOptions
from gazecapture.files import as_tool_error, make_private_folder, write_json_atomically

__all__ = ["AuthorsView"]

_LIST_NAME = "eye_tracking_training_dataset"
NAME_DIGITS = 20


class AuthorsView:
    """See the module."""

    name = "authors"
    version = "2"

    def write(self, reader: ShardReader, folder: Path, options: AuthorsOptions) -> ViewResult:
        """See `View.write`. Raises UsageError where PyAV is not installed."""
        examples = Examples(reader, options)
        pictures = PictureFolder(folder, "image_jpg")
        info = {}
        for split in examples.splits:
            name = _LIST_NAME if split == "train" else f"{_LIST_NAME}_{SPLIT_NAMES[split]}"
            path = folder / f"{name}.json"
            n_written = 0
            media: set[str] = set()
            try:
                with path.open("w", encoding="utf-8") as handle:
                    for n_written, (_, record) in enumerate(examples.of(split), start=1):
                        content = _content(record, examples, pictures, folder, options)
                        media |= content.keys()
                        handle.write("[\n" if n_written == 1 else ",\n")
                        handle.write(json.dumps(content, ensure_ascii=False))
                    handle.write("\n]\n")
                if not n_written:  # a list of nothing is an error to the loader
                    path.unlink()
            except OSError as error:
                raise as_tool_error(error, path, "writing a view") from error
            if n_written:
                info[name] = _entry(path.name, sorted(media))
        write_json_atomically(folder / "dataset_info.json", info)
        return examples.result()


def _content(
    record: TaskRecord, examples: Examples, pictures: PictureFolder, folder: Path, options: AuthorsOptions
) -> dict[str, Any]:
    content: dict[str, Any] = {
        "messages": [
            {"role": "user", "content": examples.text(record, record.prompt)},
            {"role": "assistant", "content": examples.text(record, record.answer)},
        ]
    }
    if record.video:
        content["videos"] = [_clip(record, folder, options)]
    if record.images:
        content["images"] = [pictures.put(image) for image in record.images]
    return content


def _clip(record: TaskRecord, folder: Path, options: AuthorsOptions) -> str:
    names = "\n".join(frame.name for frame in record.video)
    path = f"data/{hashlib.sha256(names.encode()).hexdigest()[:NAME_DIGITS]}.mp4"
    target = folder / path
    if not target.exists():
        make_private_folder(target.parent)
        write_clip(target, [frame.content for frame in record.video], options.codec)
    return path


def _entry(file_name: str, columns: list[str]) -> dict[str, Any]:
    return {
        "file_name": file_name,
        "formatting": "sharegpt",
        "columns": {column: column for column in columns},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
        },
    }
