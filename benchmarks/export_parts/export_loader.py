"""Decoded pictures per second out of four loader workers, beside the same workers decoding bytes they hold already."""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from export_data import STEM, Row
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from curation.export.parquet_shard import ParquetShardWriter
from curation.export.pictures import encode_png
from curation.export.schema import SHARD
from curation.export.shards import RowBatches
from examples.gazex.data import ReadingStream, ResumableLoader
from gazecapture.radiograph.phantom import make_phantom

SIDE_PX = 768
N_ROWS, N_DIFFERENT = 1024, 12
N_WORKERS, BATCH = 4, 8
ROUNDS = 3
TARGET = 0.9


class Decoding(Dataset[dict[str, Any]]):
    """The rows in memory: what is left of loading is decoding and handing over."""

    def __init__(self, encoded: list[bytes]) -> None:
        self.encoded = encoded

    def __len__(self) -> int:
        return N_ROWS

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"images": [{"bytes": self.encoded[index % len(self.encoded)]}]}


def measure(folder: Path) -> Iterator[Row]:
    """Give pictures per second from the first batch on: starting workers is left out."""
    encoded = [_png(seed) for seed in range(N_DIFFERENT)]
    path = folder / "readings" / f"{STEM}.parquet"
    path.parent.mkdir()
    writer = RowBatches(ParquetShardWriter(path, row_group_bytes=32 << 20, row_group_rows=64))
    for number in range(N_ROWS):
        picture = {"bytes": encoded[number % N_DIFFERENT], "path": "a.png"}
        writer.add(
            dict.fromkeys(SHARD.names)
            | {"reading_id": f"{number:016x}", "images": [picture], "keyframes": []}
        )
    writer.close()
    # It advises against more workers than processors; the figure is about four.
    warnings.filterwarnings("ignore", "This DataLoader will create")
    ours, bare = [], []
    for _ in range(ROUNDS):
        bare.append(
            _rate(DataLoader(Decoding(encoded), batch_size=BATCH, num_workers=N_WORKERS, collate_fn=decoded))
        )
        stream = ReadingStream(folder, columns=["reading_id", "images"])
        ours.append(
            _rate(ResumableLoader(stream, batch_size=BATCH, num_workers=N_WORKERS, collate_fn=decoded))
        )
    share = max(ours) / max(bare)
    kib = sum(map(len, encoded)) / N_DIFFERENT / 1024
    yield Row(
        measure=f"loader, {N_WORKERS} workers, decoded {SIDE_PX} px pictures",
        target=f">= {TARGET} x decode only",
        measured=f"{share:.2f} x ({max(ours):.0f} of {max(bare):.0f} pictures/s, PNG of {kib:.0f} KiB)",
        met=share >= TARGET,
    )


def decoded(rows: list[dict[str, Any]]) -> torch.Tensor:
    """Return a batch of pictures."""
    return torch.stack([torch.from_numpy(_pixels(row["images"][0]["bytes"])) for row in rows])


def _pixels(encoded: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(encoded)) as picture:
        return np.array(picture)


def _png(seed: int) -> bytes:
    pixels = make_phantom(seed, size_px=(SIDE_PX, SIDE_PX)).pixels.astype(np.float64)
    low, high = float(pixels.min()), float(pixels.max())
    return encode_png(((pixels - low) / (high - low) * 255).astype(np.uint8))


def _rate(batches: Iterable[torch.Tensor]) -> float:
    each = iter(batches)
    next(each)
    began = time.perf_counter()
    n = sum(len(batch) for batch in each)
    return n / (time.perf_counter() - began)
