"""What the parts of benchmarks/export.py measure on: generated rows, and the copy that they are compared with."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curation.export.hdf5_shard import Hdf5ShardWriter
from curation.export.parquet_shard import ParquetShardWriter
from curation.export.schema import SHARD, SHARD_SCHEMA_VERSION
from curation.export.shards import RowBatches

PICTURE_BYTES = 79_000
"""Of one encoded picture of 512 px."""
KEYFRAMES_PER_READING = 10
FIXATIONS_PER_READING = 30
WORDS_PER_READING = 40
SENTENCES_PER_READING = 5
STEM = "train-00000-of-00001"
COPY_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured figure; a row without a target is a peer's, or explains another one."""

    measure: str
    measured: str
    target: str = ""
    met: bool | None = None

    def line(self) -> str:
        """Return the row as the table shows it."""
        verdict = {None: "      ", True: "met   ", False: "MISSED"}[self.met]
        return f"{verdict} | {self.measure:<52} | {self.target:<22} | {self.measured}"

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON-ready values."""
        return asdict(self)


def pictures(n: int = 64) -> list[bytes]:
    """Return bytes that stand for encoded pictures: writers and readers never look into them."""
    rng = np.random.default_rng(0)
    return [rng.bytes(PICTURE_BYTES) for _ in range(n)]


def rows(n: int) -> Iterator[dict[str, Any]]:
    """Give shard rows with one picture and ten key frames each, and as much gaze as a reading of 10 s."""
    encoded = pictures()
    for number in range(n):
        yield _row(number, encoded)


def _row(number: int, encoded: list[bytes]) -> dict[str, Any]:
    sentences = [f"{number:08x}{place:08x}" for place in range(SENTENCES_PER_READING)]
    return dict.fromkeys(SHARD.names) | {
        "reading_id": f"{number:016x}",
        "schema_version": SHARD_SCHEMA_VERSION,
        "split": "train",
        "synthetic": True,
        "text": "the lungs are clear . " * SENTENCES_PER_READING,
        "images": [{"bytes": encoded[number % len(encoded)], "path": "a.png"}],
        "image_info": [{"image_index": 0, "matrix_width_px": 2048, "matrix_height_px": 2500}],
        "words": [
            {"t_start_ns": place, "t_end_ns": place + 1, "word": "clear", "confidence": 0.5, "supported": True}
            for place in range(WORDS_PER_READING)
        ],
        "sentences": [
            {"sentence_id": one, "text": "the lungs are clear .", "t_start_ns": 0, "t_end_ns": 1, "finding_ids": ["f"]}
            for one in sentences
        ],
        "fixations": [
            {"event_index": place, "t_start_ns": place, "t_end_ns": place + 1, "duration_s": 0.2, "image_index": 0,
             "x_image_px": 10.5 * place, "y_image_px": 9.25 * place, "region": "left lung", "letter": "B",
             "sentence_ids": sentences[:1], "finding_ids_by_sentence": [], "finding_ids_by_box": []}
            for place in range(FIXATIONS_PER_READING)
        ],
        "saccades": [
            {"event_index": place, "t_start_ns": place, "t_end_ns": place + 1, "amplitude_deg": 4.5}
            for place in range(FIXATIONS_PER_READING)
        ],
        "keyframes": [
            {"keyframe_index": place, "order": place, "kind": "cluster", "status": "ok",
             "sentence_id": sentences[place % SENTENCES_PER_READING], "image_index": 0, "t_start_ns": 1, "t_end_ns": 2,
             "dwell_s": 0.5, "profile": "toolkit", "box": [1.0 * place, 2.0, 300.5, 400.25], "centroid": [1.0, 2.0],
             "region": "left lung", "letter": "B", "fixation_indexes": [1, 2, 3],
             "picture": {"bytes": encoded[(number + place) % len(encoded)], "path": "k.png"}}
            for place in range(KEYFRAMES_PER_READING)
        ],
    }  # fmt: skip


def encoded_bytes(n_rows: int) -> int:
    """Return how many bytes of pictures ``n_rows`` rows hold."""
    return n_rows * (1 + KEYFRAMES_PER_READING) * PICTURE_BYTES


def least_s(work: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the least wall time of each, all of them in turn in every round."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, one in work.items():
            began = time.perf_counter()
            one()
            times[name].append(time.perf_counter() - began)
    return {name: min(found) for name, found in times.items()}


def synced(path: Path) -> None:
    """Wait until a file is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def copy(source: Path, target: Path) -> None:
    """Copy a file by reading and writing blocks, and wait until it is on the disk."""
    with source.open("rb") as given, target.open("wb") as taken:
        shutil.copyfileobj(given, taken, COPY_BLOCK_BYTES)
        taken.flush()
        os.fsync(taken.fileno())


def mb_per_s(n_bytes: int, seconds: float) -> str:
    """Return a rate as text."""
    return f"{n_bytes / seconds / 1e6:.0f} MB/s"


def write_parquet(folder: Path, given: list[dict[str, Any]]) -> Path:
    """Write a dataset's one Parquet shard, with the limits that the settings have by default."""
    path = folder / "readings" / f"{STEM}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    with RowBatches(ParquetShardWriter(path, row_group_bytes=32 << 20, row_group_rows=128)) as batches:
        for row in given:
            batches.add(row)
    return path


def write_hdf5(folder: Path, given: list[dict[str, Any]]) -> Path:
    """Write a dataset's one HDF5 shard."""
    path = folder / "hdf5" / f"{STEM}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    with RowBatches(Hdf5ShardWriter(path)) as batches:
        for row in given:
            batches.add(row)
    return path
