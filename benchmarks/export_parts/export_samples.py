"""Rows of gaze per second into samples/: the eight columns that the target was measured with, and all 26 of ours.

The eight are time, six coordinates and validity (33 bytes raw); the 26 of a tracker that measures everything are 80
bytes, 14 columns of noisy floats among them. The codec takes the noise of both at the same bytes per second, so the
wider rows come more slowly, and the target in rows is about the eight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from export_data import Row, copy, least_s, mb_per_s, synced
from numpy.typing import NDArray

from curation.export.samples import SAMPLES, SamplesWriter

N_ROWS = 5_000_000
ROUNDS = 3
TARGET_ROWS_PER_S = 10e6
SIZE_TARGET = 0.45
RATE_HZ, FIXATION_ROWS = 1000, 300
PLAIN = pa.schema(
    [
        SAMPLES.field("t_ns"),
        *((f"c{place}", pa.float32()) for place in range(6)),
        SAMPLES.field("valid"),
    ]
)


def measure(folder: Path) -> Iterator[Row]:
    """Give rows per second, fsync included, and the size beside the same numbers raw."""
    layouts = {f"{len(PLAIN)} columns": _plain(), f"all {len(SAMPLES)} columns": _full()}
    raw = folder / "raw"
    raw.write_bytes(bytes(_raw_bytes(PLAIN) * N_ROWS))
    work: dict[str, Callable[[], object]] = {
        name: _writing(folder / f"{i}.parquet", t) for i, (name, t) in enumerate(layouts.items())
    }
    taken_s = least_s(work | {"copy": lambda: copy(raw, folder / "copied")}, ROUNDS)
    for place, (name, table) in enumerate(layouts.items()):
        rate = N_ROWS / taken_s[name]
        share = (folder / f"{place}.parquet").stat().st_size / (_raw_bytes(table.schema) * N_ROWS)
        judged = table.schema.equals(PLAIN)
        yield Row(
            measure=f"samples write, {name}",
            target=f">= {TARGET_ROWS_PER_S / 1e6:.0f} M rows/s" if judged else "",
            measured=f"{rate / 1e6:.1f} M rows/s, {mb_per_s(_raw_bytes(table.schema) * N_ROWS, taken_s[name])} raw "
            f"({mb_per_s(raw.stat().st_size, taken_s['copy'])} copied)",
            met=rate >= TARGET_ROWS_PER_S if judged else None,
        )
        yield Row(
            measure=f"  size, {name}",
            target=f"<= {SIZE_TARGET} x raw",
            measured=f"{share:.2f} x raw",
            met=share <= SIZE_TARGET,
        )


def _writing(path: Path, table: pa.Table) -> Callable[[], object]:
    def write() -> None:
        with SamplesWriter(path, table.schema) as writer:
            writer.write(table)
        synced(path)

    return write


def _gaze(seed: int) -> NDArray[Any]:
    """Return one coordinate that stays for 300 ms, jumps, and is noisy, in steps of 0.01 px."""
    rng = np.random.default_rng(seed)
    places = np.repeat(rng.uniform(0, 2000, N_ROWS // FIXATION_ROWS + 1), FIXATION_ROWS)[:N_ROWS]
    return np.round(places + rng.normal(0, 3, N_ROWS), 2).astype(np.float32)


def _times() -> NDArray[Any]:
    return np.arange(N_ROWS, dtype=np.int64) * (1_000_000_000 // RATE_HZ)


def _plain() -> pa.Table:
    columns = [_times(), *(_gaze(seed) for seed in range(6)), np.ones(N_ROWS, np.bool_)]
    return pa.table([pa.array(column) for column in columns], schema=PLAIN)


def _full() -> pa.Table:
    """Return samples of a binocular tracker: every column is filled."""
    made = []
    words = {"event_kind": "fixation", "source": "live", "combined_by": "mean_of_valid", "pupil_unit": "mm"}
    for place, field in enumerate(SAMPLES):
        kind = field.type
        if pa.types.is_dictionary(kind):
            word = words.get(field.name, "0123456789abcdef")
            made.append(pa.DictionaryArray.from_arrays(np.zeros(N_ROWS, np.int8), [word]))
        elif pa.types.is_boolean(kind):
            made.append(pa.array(np.ones(N_ROWS, np.bool_)))
        elif pa.types.is_floating(kind):
            made.append(pa.array(_gaze(place)))
        elif field.name == "t_ns":
            made.append(pa.array(_times()))
        else:
            steps = np.arange(N_ROWS) // FIXATION_ROWS if field.name == "event_index" else np.zeros(N_ROWS)
            made.append(pa.array(steps.astype(kind.to_pandas_dtype())))
    return pa.table(made, schema=SAMPLES)


def _raw_bytes(schema: pa.Schema) -> int:
    """Return the bytes of one row as bare numbers; a label and a bool are one byte each."""
    return sum(1 if pa.types.is_dictionary(f.type) else max(f.type.bit_width // 8, 1) for f in schema)
