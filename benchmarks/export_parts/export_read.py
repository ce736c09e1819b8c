"""Shards read from first to last, beside a copy, bare pyarrow, Hugging Face streaming and WebDataset.

Whole rows come as Arrow tables of all columns. Records are one key frame each (picture of 79 kB, box, text) as Python
values: every peer holds the same records with the same bytes and gives one dict for each.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from export_data import KEYFRAMES_PER_READING, Row, copy, least_s, mb_per_s, rows, write_hdf5, write_parquet

from curation.export.read import BATCH_ROWS, ShardReader
from examples.gazex.data import KeyFrameDataset
from examples.gazex.data.shards import Form

ROUNDS = 5
PEER_ROW_GROUP_ROWS = 100
"""As `datasets` wrote tables with pictures when its streaming was measured for the target."""
WEBDATASET = Path(__file__).with_name("export_webdataset.py")
READ_TARGET, STREAMING_TARGET, WEBDATASET_TARGET = 0.9, 2.0, 4.0
FORMS: tuple[Form, ...] = ("parquet", "hdf5")


def measure(folder: Path, n_rows: int, webdataset_python: Path | None) -> Iterator[Row]:
    """Give the rows of reading from first to last row, and from first to last record."""
    given = list(rows(n_rows))
    shard = write_parquet(folder, given)
    write_hdf5(folder, given).read_bytes()
    shard.read_bytes()
    yield from _whole_rows(folder, shard)
    yield from _records(folder, n_rows * KEYFRAMES_PER_READING, webdataset_python)


def _whole_rows(folder: Path, shard: Path) -> Iterator[Row]:
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


def _records(folder: Path, n_records: int, webdataset_python: Path | None) -> Iterator[Row]:
    """Let everybody read the same records; ours are opened anew every time, which takes part of it."""
    flat, tar = folder / "records.parquet", folder / "records.tar"
    _write_flat(folder, flat)
    readers: dict[str, Callable[[], float]] = {
        form: partial(_timed, partial(_listed, folder, form)) for form in FORMS
    }
    readers["streaming"] = lambda: _timed(lambda: _drain(_stream(flat)))
    missing = "--webdataset-python is not given"
    if webdataset_python is not None:
        _write_plain(folder)
        try:
            version = _peer(webdataset_python, "write", folder, tar)["version"]
            tar.read_bytes()
            readers["webdataset"] = lambda: float(_peer(webdataset_python, "read", folder, tar)["s"])
        except subprocess.CalledProcessError as error:
            missing = (error.stderr.strip().splitlines() or ["no output"])[-1]
    found: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(ROUNDS):
        for name, read in readers.items():
            found[name].append(n_records / read())
    rates = {name: max(measured) for name, measured in found.items()}
    ours = min(rates[form] for form in FORMS)
    for form in FORMS:
        yield Row(
            measure=f"sequential read, warm: key frames, {form}", measured=f"{rates[form]:,.0f} records/s"
        )
    times = ours / rates["streaming"]
    yield Row(
        measure="  Hugging Face streaming, the same records",
        target=f">= {STREAMING_TARGET} x it",
        measured=f"{times:.1f} x ({rates['streaming']:,.0f} records/s)",
        met=times >= STREAMING_TARGET,
    )
    measure, target = "  WebDataset, the same records in a tar", f">= {WEBDATASET_TARGET} x it"
    if "webdataset" not in rates:
        yield Row(measure=measure, target=target, measured=f"absent: {missing}")
        return
    times = ours / rates["webdataset"]
    yield Row(
        measure=measure,
        target=target,
        measured=f"{times:.1f} x ({rates['webdataset']:,.0f} records/s, {version})",
        met=times >= WEBDATASET_TARGET,
    )


def _listed(folder: Path, form: Form) -> None:
    frames = KeyFrameDataset(folder, form=form)
    for place in range(len(frames)):
        frames[place]


def _write_flat(folder: Path, path: Path) -> None:
    frames = KeyFrameDataset(folder)
    codecs = {"reading_id": "zstd", "sentence_id": "zstd", "text": "zstd", "box": "zstd", "picture": "none"}
    with pq.ParquetWriter(path, _table(frames, 0).schema, compression=codecs, use_dictionary=False) as writer:
        for first in range(0, len(frames), PEER_ROW_GROUP_ROWS):
            writer.write_table(_table(frames, first))
    path.read_bytes()


def _table(frames: KeyFrameDataset, first: int) -> pa.Table:
    some = [frames[place] for place in range(first, min(first + PEER_ROW_GROUP_ROWS, len(frames)))]
    return pa.Table.from_pylist([{**one, "box": one["box"].tolist()} for one in some])


def _write_plain(folder: Path) -> None:
    """Write the records as a file of lines and one of pictures, for a Python that knows nothing of ours."""
    frames = KeyFrameDataset(folder)
    with (folder / "records.jsonl").open("w") as texts, (folder / "pictures.bin").open("wb") as pictures:
        for place in range(len(frames)):
            one = frames[place]
            pictures.write(one.pop("picture"))
            texts.write(json.dumps({**one, "box": one["box"].tolist()}) + "\n")


def _peer(python: Path, mode: str, folder: Path, tar: Path) -> dict[str, str]:
    command = [str(python), str(WEBDATASET), mode, str(folder), str(tar)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _bare(shard: Path) -> None:
    with pq.ParquetFile(shard) as file:
        _drain(file.iter_batches(batch_size=BATCH_ROWS))


def _streamed(shard: Path) -> None:
    _drain(_stream(shard).with_format("arrow").iter(batch_size=BATCH_ROWS))


def _stream(path: Path):  # type: ignore[no-untyped-def]  # `datasets` is typed by what it is given
    from datasets import load_dataset

    return load_dataset("parquet", data_files=str(path), split="train", streaming=True)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _drain(parts: object) -> None:
    for _ in parts:  # type: ignore[attr-defined]
        pass
