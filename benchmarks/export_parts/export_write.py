"""Shards written, both formats, beside a raw copy of as many bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from export_data import Row, copy, encoded_bytes, least_s, mb_per_s, rows, synced, write_hdf5, write_parquet

ROUNDS = 3
TARGET = 0.35


def measure(folder: Path, n_rows: int) -> Iterator[Row]:
    """Give the share of a copy's speed that each format is written with, encoded bytes given."""
    given = list(rows(n_rows))
    raw = folder / "raw"
    raw.write_bytes(os.urandom(encoded_bytes(n_rows)))
    written_s = least_s(
        {
            "copy": lambda: copy(raw, folder / "copied"),
            "parquet": lambda: synced(write_parquet(folder, given)),
            "hdf5": lambda: synced(write_hdf5(folder, given)),
        },
        ROUNDS,
    )
    for name in ("parquet", "hdf5"):
        share = written_s["copy"] / written_s[name]
        yield Row(
            measure=f"shard write, {name}, encoded bytes given",
            target=f">= {TARGET} x copy",
            measured=f"{share:.2f} x copy ({mb_per_s(raw.stat().st_size, written_s[name])})",
            met=share >= TARGET,
        )
