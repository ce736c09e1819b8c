"""A small dataset of generated readings in both formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.export.hdf5_shard import Hdf5ShardWriter
from curation.export.pictures import encode_png
from curation.export.shards import RowBatches
from tests.shard_rows import PICTURE_PX, bare_row, full_row, write_shards

SPLITS = ("train", "train", "train", "validate", "test")


def write_both(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as Parquet and HDF5 shards, one file per split and format."""
    write_shards(folder, rows)
    (folder / "hdf5").mkdir()
    for split in sorted({row["split"] for row in rows}):
        writer = RowBatches(Hdf5ShardWriter(folder / "hdf5" / f"{split}-00000-of-00001.h5"))
        for row in rows:
            if row["split"] == split:
                writer.add(row)
        writer.close()
    return folder


def reading(number: int, split: str = "train") -> dict[str, Any]:
    """Return a reading whose fixations belong to its sentences, with two findings that people call so."""
    row = full_row(number, split=split, n_images=1)
    grey = np.full((PICTURE_PX[1], PICTURE_PX[0]), 90, np.uint8)
    grey[10 * number : 10 * number + 40, 50:90] = 230  # so that a small model can tell readings apart
    row["images"][0]["bytes"] = encode_png(grey)
    frames = iter(row["keyframes"])
    fixations = []
    for fixation in row["fixations"]:
        frame = next(f for f in frames if f["kind"] == "cluster")
        frame["fixation_indexes"] = [fixation["event_index"]]
        fixations.append({**fixation, "sentence_ids": [frame["sentence_id"]]})
    labels = ("Cardiomegaly", "Pleural Effusion", "Pneumothorax")
    findings = [
        {
            **f,
            "label": label,
            "finding_id": f"f{place}",
            "box": [20.0 * number, 30.0, 200.0, 300.0 + 10 * place],
        }
        for place, (f, label) in enumerate(zip(row["findings"], labels, strict=True))
    ]
    return {**row, "fixations": fixations, "findings": findings}


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five readings of as many patients, and one without anything."""
    rows = [reading(number, split) for number, split in enumerate(SPLITS, start=1)]
    return write_both(tmp_path_factory.mktemp("trainer") / "dataset", [*rows, bare_row(9)])
