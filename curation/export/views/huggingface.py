"""View ``huggingface``: plain Parquet that `datasets` opens by the folder's name, with a card and named configurations.

``readings`` has one row per reading, ``keyframes`` one per key frame that has a picture, ``examples`` one per question
and answer with the pictures that ``<image>`` and ``<video>`` in the prompt stand for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.export.read import ShardReader
from curation.export.schema import PICTURE, SHARD
from curation.export.tasks import TaskRecord
from curation.export.views.examples import SPLIT_NAMES, Examples
from curation.export.views.protocol import ViewResult
from curation.export.views.tables import TableWriter
from curation.view_settings import HuggingfaceOptions
from gazecapture.files import write_bytes_atomically

__all__ = ["HuggingfaceView"]

_READINGS = pa.schema([field for field in SHARD if field.name not in {"keyframes", "words"}])
_KEYFRAMES = pa.schema(
    [
        ("reading_id", pa.string()),
        ("picture", PICTURE),
        ("keyframe_index", pa.int32()),
        ("order", pa.int32()),
        ("kind", pa.string()),
        ("image_index", pa.int16()),
        ("sentence_id", pa.string()),
        ("sentence", pa.string()),
        ("box", pa.list_(pa.float64())),
        ("centroid", pa.list_(pa.float64())),
        ("region", pa.string()),
        ("letter", pa.string()),
        ("dwell_s", pa.float64()),
    ]
)
_EXAMPLES = pa.schema(
    [
        ("record_id", pa.string()),
        ("reading_id", pa.string()),
        ("task", pa.string()),
        ("type", pa.string()),
        ("source", pa.string()),
        ("prompt", pa.string()),
        ("answer", pa.string()),
        ("images", pa.list_(PICTURE)),
        ("frames", pa.list_(PICTURE)),
    ]
)


class HuggingfaceView:
    """See the module."""

    name = "huggingface"
    version = "2"

    def write(self, reader: ShardReader, folder: Path, options: HuggingfaceOptions) -> ViewResult:
        """See `View.write`."""
        n_readings = n_records = 0
        counts: dict[str, dict[str, int]] = {"readings": {}, "keyframes": {}, "examples": {}}
        for split in reader.splits:
            stem = SPLIT_NAMES[split]
            with (
                self._table(folder, "readings", stem, _READINGS, options) as readings,
                self._table(folder, "keyframes", stem, _KEYFRAMES, options) as keyframes,
            ):
                for row in reader.rows(split=split, batch_rows=1):
                    readings.add({name: row[name] for name in _READINGS.names})
                    for frame in _frames(row):
                        keyframes.add(frame)
            counts["readings"][stem], counts["keyframes"][stem] = readings.n_rows, keyframes.n_rows
            n_readings += readings.n_rows
            n_records += readings.n_rows + keyframes.n_rows
        examples = Examples(reader, options)
        for split in examples.splits:
            stem = SPLIT_NAMES[split]
            with self._table(folder, "examples", stem, _EXAMPLES, options) as table:
                for task, record in examples.of(split):
                    table.add(_example(task, record, examples))
            counts["examples"][stem] = table.n_rows
        write_bytes_atomically(folder / "README.md", _card(counts).encode())
        made = examples.result()
        return ViewResult(
            n_readings=n_readings,
            n_records=n_records + made.n_records,
            records_left_out={
                **made.records_left_out,
                **{f"examples: {reason}": n for reason, n in made.left_out.items()},
            },
        )

    def _table(
        self, folder: Path, name: str, stem: str, schema: pa.Schema, options: HuggingfaceOptions
    ) -> TableWriter:
        return TableWriter(folder / name, stem, schema, rows_per_file=options.rows_per_file)


def _example(task: str, record: TaskRecord, examples: Examples) -> dict[str, Any]:
    return {
        "record_id": record.record_id,
        "reading_id": record.reading_id,
        "task": task,
        "type": record.type,
        "source": record.source,
        "prompt": examples.text(record, record.prompt),
        "answer": examples.text(record, record.answer),
        "images": [{"bytes": shown.content, "path": shown.name} for shown in record.images],
        "frames": [{"bytes": shown.content, "path": shown.name} for shown in record.video],
    }


def _frames(row: dict[str, Any]) -> list[dict[str, Any]]:
    sentences = {sentence["sentence_id"]: sentence["text"] for sentence in row["sentences"]}
    return [
        {
            **{name: frame.get(name) for name in _KEYFRAMES.names},
            "reading_id": row["reading_id"],
            "sentence": sentences.get(frame["sentence_id"]),
        }
        for frame in row["keyframes"]
        if frame["picture"]
    ]


def _card(counts: dict[str, dict[str, int]]) -> str:
    configs = ""
    for name, by_split in counts.items():
        files = "".join(
            f"  - split: {split}\n    path: {name}/{split}-*.parquet\n" for split, n in by_split.items() if n
        )
        if files:
            configs += f"- config_name: {name}\n  data_files:\n{files}"
    rows = "\n".join(
        f"| `{name}` | {split} | {n} |" for name, by_split in counts.items() for split, n in by_split.items()
    )
    return f"""---
license: other
task_categories:
- image-to-text
- visual-question-answering
tags:
- eye-tracking
- radiology
configs:
{configs}---

# Readings with gaze and key frames

Research use only, not for diagnosis. Gaze identifies people: treat every row as personal data of its reader.

    datasets.load_dataset("PATH OF THIS FOLDER", "readings")

| configuration | split | rows |
|---|---|---|
{rows}

Boxes are half-open `[x0, y0, x1, y1]` in px of the stored matrix (`image_info.matrix_width_px`), whatever size the
pictures have; times are ns since image on.
"""
