"""Shards read from first to last row, beside a copy, bare pyarrow, Hugging Face streaming, WebDataset."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
from export_data import Row, copy, least_s, mb_per_s, rows, write_parquet

from curation.export.read import BATCH_ROWS, ShardReader

ROUNDS = 3
WEBDATASET = Path(__file__).with_name("export_webdataset.py")
READ_TARGET, STREAMING_TARGET, WEBDATASET_TARGET = 0.9, 2.0, 4.0


def measure(folder: Path, n_rows: int, webdataset_python: Path | None) -> Iterator[Row]:
    """Give the rows of reading from first to last row."""
    shard = write_parquet(folder, list(rows(n_rows)))
    shard.read_bytes()
    size = shard.stat().st_size
    taken_s = least_s(
        {
            "copy": lambda: copy(shard, folder / "copied"),
            "reader": lambda: _drain(ShardReader(folder).tables()),
            "pyarrow": lambda: _bare(shard),
            "streaming": lambda: _streamed(shard),
        },
        ROUNDS,
    )
    share = taken_s["copy"] / taken_s["reader"]
    yield Row(
        measure="sequential read, warm: all columns as Arrow tables",
        target=f">= {READ_TARGET} x copy",
        measured=f"{share:.2f} x copy ({mb_per_s(size, taken_s['reader'])})",
        met=share >= READ_TARGET,
    )
    bare = taken_s["copy"] / taken_s["pyarrow"]
    yield Row(measure="  bare pyarrow, the same batches", measured=f"{bare:.2f} x copy")
    times = taken_s["streaming"] / taken_s["reader"]
    yield Row(
        measure="  Hugging Face streaming, as Arrow, the same shard",
        target=f">= {STREAMING_TARGET} x it",
        measured=f"{times:.1f} x ({mb_per_s(size, taken_s['streaming'])})",
        met=times >= STREAMING_TARGET,
    )
    yield from _webdataset(folder, shard, n_rows, webdataset_python, size / taken_s["reader"])


def _webdataset(
    folder: Path, shard: Path, n_rows: int, python: Path | None, ours_bytes_per_s: float
) -> Iterator[Row]:
    """Let another Python write the same rows as a tar, and read it."""
    measure = "  WebDataset, the same rows in a tar"
    target = f">= {WEBDATASET_TARGET} x it"
    if python is None:
        yield Row(measure=measure, target=target, measured="absent: --webdataset-python is not given")
        return
    plain = folder / "plain"
    plain.mkdir()
    with pq.ParquetFile(shard) as file:
        rest = [name for name in file.schema_arrow.names if name not in {"images", "keyframes"}]
        texts = [json.dumps(row) for batch in file.iter_batches(columns=rest) for row in batch.to_pylist()]
    (plain / "rows.jsonl").write_text("\n".join(texts))
    done = subprocess.run(
        [str(python), str(WEBDATASET), str(plain), str(n_rows)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        yield Row(measure=measure, target=target, measured=f"absent: {last}", met=False)
        return
    found = json.loads(done.stdout.splitlines()[-1])
    theirs = found["bytes"] / found["s"]
    times = ours_bytes_per_s / theirs
    yield Row(
        measure=measure,
        target=target,
        measured=f"{times:.1f} x ({theirs / 1e6:.0f} MB/s, {found['version']})",
        met=times >= WEBDATASET_TARGET,
    )


def _bare(shard: Path) -> None:
    with pq.ParquetFile(shard) as file:
        _drain(file.iter_batches(batch_size=BATCH_ROWS))


def _streamed(shard: Path) -> None:
    from datasets import load_dataset

    found = load_dataset("parquet", data_files=str(shard), split="train", streaming=True)
    _drain(found.with_format("arrow").iter(batch_size=BATCH_ROWS))


def _drain(parts: object) -> None:
    for _ in parts:  # type: ignore[attr-defined]
        pass
