"""Sources that are small and unpack to much: a code in their place, in a process that may not take a gigabyte."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.memory import MEMORY_VARIABLE
from gazecapture.session.segment import END_OF_STREAM, RECORD
from tests.contract.test_ingesters import SOURCES
from tests.unit.curation.readings import fill_store

LIMIT_GIB = 1
GROWTH_MIB = 420
"""What reading all of them may add; each unpacks to more than the limit."""
READ = """
import json, resource, sys
from pathlib import Path
from curation.memory import limit_memory, memory_limit_bytes
limit_memory(memory_limit_bytes())
from curation.config import CurationConfig
from curation.ingest.into_store import INGESTERS
from curation.run import curate
from curation.stages.quality import QUALITY_STAGE
from gazecapture.store import Store
from keyframes.errors import GazeToolError
found = {}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name, path, ingester in json.loads(sys.argv[1]):
    found[name] = []
    try:
        for unit in INGESTERS[ingester].find(Path(path)):
            for item in INGESTERS[ingester].readings(unit, key=bytes(32)):
                found[name].append("read" if item.error is None else item.error.code)
    except GazeToolError as error:
        found[name].append(error.code)
growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
summary = curate(Store.open(Path(sys.argv[2])), CurationConfig(), stages=(QUALITY_STAGE,))
print(json.dumps({"found": found, "mib": growth, "failed": [f.code for f in summary.failed],
                  "kept": len(summary.kept)}))
"""


def packed(path: Path, head: bytes, piece: bytes, n_pieces: int) -> None:
    """Write a gzip file of ``head`` and then so many pieces, each a member that is packed once."""
    path.write_bytes(gzip.compress(head, 1) + gzip.compress(piece, 1) * n_pieces)


def endless_line(root: Path) -> None:
    """A line of 1.2 GB in MIMIC-CXR's table of pictures."""
    path = next(root.rglob("mimic-cxr-2.0.0-metadata.csv.gz"))
    packed(path, gzip.decompress(path.read_bytes()).splitlines(keepends=True)[0], b"x" * (1 << 24), 75)


def endless_member(root: Path) -> None:
    """A string of 400 MB in a list of questions; it stands on the disk as it is, with holes for most of it."""
    path = next(root.rglob("train.json"))
    path.write_bytes(b'[{"question": "')
    with path.open("r+b") as file:
        file.seek(400 << 20)
        file.write(b'"}]')


def endless_table(root: Path) -> None:
    """1.2 GB of rows in what BIDS keeps of an eye."""
    path = next(root.rglob("*physio.tsv.gz"))
    packed(path, b"", b"0.0\t1.0\t2.0\t3.0\n" * 1_000_000, 75)


def many_samples(root: Path) -> None:
    """A chunk of an XDF file whose count says that it holds 2**31 - 1 samples."""
    path = next(root.rglob("*.xdf"))
    content = path.read_bytes()
    made, at = content[:4], 4
    while at < len(content):
        n = content[at]
        tag = at + 1 + n
        end = tag + int.from_bytes(content[at + 1 : tag], "little")
        body = content[tag:end]
        if body[:2] == b"\x03\0":
            samples = body[7 + body[6] :]
            body = body[:6] + b"\x04" + (2**31 - 1).to_bytes(4, "little") + samples
        made += b"\x04" + len(body).to_bytes(4, "little") + body
        at = end
    path.write_bytes(made)


def large_message(root: Path) -> None:
    """A journal of gaze with a packed column that says it unpacks to a terabyte; its checksums are right."""
    path = next(root.rglob("streams/*/00000.arrows"))
    with pa.ipc.open_stream(path) as reader:
        schema = reader.schema
    n_rows = 5_000
    columns = {field.name: np.zeros(n_rows, field.type.to_pandas_dtype()) for field in schema}
    batch = pa.RecordBatch.from_pydict(columns, schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(batch)
    reader = pa.ipc.MessageReader.open_stream(sink.getvalue())
    first, second = (reader.read_next_message().serialize().to_pybytes() for _ in range(2))
    size = (8 * n_rows).to_bytes(8, "little")
    assert size in second
    second = second.replace(size, (1 << 40).to_bytes(8, "little"))
    path.write_bytes(first + second + END_OF_STREAM)
    places = ((0, first), (len(first), second))
    path.with_suffix(".crc").write_bytes(b"".join(RECORD.pack(at, len(m), zlib.crc32(m)) for at, m in places))


BOMBS: dict[str, tuple[str, Callable[[Path], None]]] = {
    make.__name__: (ingester, make)
    for ingester, make in (
        ("mimic-cxr", endless_line),
        ("mimic-cxr-vqa", endless_member),
        ("bids", endless_table),
        ("xdf", many_samples),
        ("session", large_message),
    )
}


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a process of its own with a limit makes of all of them."""
    asked = []
    for name, (ingester, spoil) in BOMBS.items():
        root = tmp_path_factory.mktemp(name)
        source = SOURCES[ingester](root)
        spoil(root)
        asked.append((name, str(source.path), ingester))
    store = fill_store(tmp_path_factory.mktemp("bombed") / "store", 2, duration_s=2.0)
    words = store.folder(store.reading_ids()[0]) / "words.parquet"
    table = pq.read_table(words).slice(0, 1)
    bomb = pa.DictionaryArray.from_arrays(pa.array(np.zeros(2_000, np.int32)), pa.array(["x" * (10 << 20)]))
    table = pa.concat_tables([table] * 2_000).set_column(table.column_names.index("word"), "word", bomb)
    pq.write_table(table, words, compression="zstd", store_schema=False)
    assert words.stat().st_size < 1 << 20
    done = subprocess.run(
        [sys.executable, "-c", READ, json.dumps(asked), str(store.root)],
        env=os.environ | {MEMORY_VARIABLE: str(LIMIT_GIB)},
        capture_output=True,
        text=True,
        check=False,
    )
    shutil.rmtree(store.root)
    assert done.returncode == 0, done.stderr
    content: dict[str, object] = json.loads(done.stdout)
    return content


@pytest.mark.parametrize("name", list(BOMBS))
def test_a_source_that_unpacks_to_more_than_there_is_gets_a_code(
    name: str, looked: dict[str, object]
) -> None:
    found = looked["found"]
    assert isinstance(found, dict)
    codes = [code for code in found[name] if code != "read"]
    # A message of a journal that cannot be read is left out and noted (GI-JOURNAL-DAMAGED), as one torn by a crash is.
    assert codes or name == "large_message"
    assert found[name]
    assert all(code.startswith("GT-") and code != "GT-INTERNAL" for code in codes), codes


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a watching thread ends the process")
def test_memory_is_bounded(looked: dict[str, object]) -> None:
    assert isinstance(looked["mib"], float)
    assert looked["mib"] < GROWTH_MIB


def test_a_reading_of_the_store_that_is_a_bomb_fails_alone(looked: dict[str, object]) -> None:
    assert looked["failed"] in (["GT-MEMORY"], ["GT-SCHEMA"])
    assert looked["kept"] == 1
