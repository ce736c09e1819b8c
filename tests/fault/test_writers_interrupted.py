"""Writers of an export on a disk that fills up, and killed half-way: an error of ours, and nothing half is read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.export.read import ShardReader
from keyframes.errors import SchemaError

PATIENCE_S = 300.0
N_ROUNDS = 60
"""After which every writer has written something and is in the middle."""
WRITERS = """
import sys
from pathlib import Path

import pyarrow as pa

from curation.export import shards
from curation.export.hdf5_shard import Hdf5ShardWriter
from curation.export.originals import write_original
from curation.export.parquet_shard import ParquetShardWriter
from curation.export.schema import SHARD
from curation.export.samples import EVENT_ROWS, SAMPLES, SamplesWriter
from curation.export.shards import RowBatches
from curation.export.tables import TablesWriter
from tests.shard_rows import full_row

shards.BATCH_BYTES = 1 << 18
ROW = pa.Table.from_pylist([full_row(1)], schema=SHARD).to_pylist()[0]
ROW["images"][0]["bytes"] = bytes(range(256)) * 200


def shard(writer):
    with RowBatches(writer) as rows:
        while True:
            rows.add(ROW)
            yield


def gaze(path, schema):
    def cells(field):
        if pa.types.is_dictionary(field.type):
            return pa.array(["x"] * 1_000).dictionary_encode().cast(field.type)
        return pa.array([n % 2 for n in range(1_000)]).cast(field.type)

    table = pa.table([cells(field) for field in schema], schema=schema)
    with SamplesWriter(path, schema) as writer:
        while True:
            writer.write(table)
            yield


def tables(folder):
    with TablesWriter(folder) as writer:
        while True:
            writer.add(ROW)
            yield


def original(folder):
    import numpy as np
    from PIL import Image

    Image.fromarray(np.random.default_rng(0).integers(0, 256, (600, 600), np.uint8)).save(folder / "film.png")
    while True:
        write_original(folder / "film.png", folder / "copy", patient="p", pseudonym=lambda *parts: "0")
        yield


def started(folder):
    for name in ("readings", "hdf5"):
        (folder / name).mkdir()
    stem = "train-00000-of-00001"
    return {
        "parquet": lambda: shard(
            ParquetShardWriter(folder / "readings" / f"{stem}.parquet", row_group_bytes=1 << 18, row_group_rows=9)
        ),
        "hdf5": lambda: shard(Hdf5ShardWriter(folder / "hdf5" / f"{stem}.h5")),
        "samples": lambda: gaze(folder / "samples.parquet", SAMPLES),
        "events": lambda: gaze(folder / "events.parquet", EVENT_ROWS),
        "tables": lambda: tables(folder / "tables"),
        "original": lambda: original(folder),
    }
"""
FULL_DISK = """
import json, resource, signal
from keyframes.errors import GazeToolError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writers = started(Path(sys.argv[1]))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
said = {}
for name, begin in writers.items():
    for limit in (1_000, 100_000):
        try:
            work = None
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            work = begin()
            if name == "original":
                next(work)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            for _ in range(400):
                next(work)
            work.close()
            said.setdefault(name, []).append("nothing")
        except GazeToolError as error:
            said.setdefault(name, []).append(error.code)
        except BaseException as error:
            said.setdefault(name, []).append(repr(error))
print(json.dumps(said))
"""
KILLED = """
works = [begin() for name, begin in started(Path(sys.argv[1])).items()]
n = 0
while True:
    for work in works:
        next(work)
    n += 1
    print(n, flush=True)
"""


def child(code: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITERS + code, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
def test_a_full_disk_is_an_error_of_ours_in_every_writer(tmp_path: Path) -> None:
    out, err = child(FULL_DISK, tmp_path).communicate(timeout=PATIENCE_S)
    assert err == "", "no library prints, or crashes at the end"
    said = json.loads(out)
    assert len(said) == 6
    assert {name: codes for name, codes in said.items() if set(codes) - {"GT-OS", "GT-DISK-FULL"}} == {}


def test_nothing_half_is_taken_for_whole_after_a_kill(tmp_path: Path) -> None:
    process = child(KILLED, tmp_path)
    try:
        assert process.stdout is not None
        assert any(int(line) == N_ROUNDS for line in process.stdout), "it ended before it could be killed"
    finally:
        process.kill()
        process.communicate()
    with pytest.raises((SchemaError, pa.ArrowInvalid)):
        list(ShardReader(tmp_path).rows(["reading_id"]))
    assert (tmp_path / "readings" / "train-00000-of-00001.parquet").stat().st_size > 0
    (tmp_path / "readings" / "train-00000-of-00001.parquet").unlink()
    with pytest.raises(SchemaError):
        list(ShardReader(tmp_path).rows(["reading_id"]))
    for name in ("samples", "events"):
        with pytest.raises(pa.ArrowInvalid):
            pq.read_metadata(tmp_path / f"{name}.parquet")
    assert not list(tmp_path.glob("copy*")) or (tmp_path / "copy.png").read_bytes().endswith(
        b"IEND\xaeB`\x82"
    )
    assert not (tmp_path / "tables" / "codebook.csv").exists(), "it comes when the tables are whole"
