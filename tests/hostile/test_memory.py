"""No file takes all memory: what it asks for beyond the limit is refused, in workers too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.engines.processes import ProcessEngine
from curation.engines.protocol import StopAsked
from curation.export.schema import SHARD_SCHEMA_VERSION
from curation.memory import MEMORY_VARIABLE, memory_limit_bytes

ROWS, VALUE_BYTES = 2_000, 10 << 20
"""20 GB in 6 kB: a dictionary of one value, named by every row."""
READ = """
import sys
from pathlib import Path
from curation.memory import limit_memory, memory_limit_bytes
limit_memory(memory_limit_bytes())
from curation.export.contents import rows_in
from curation.export.read import ShardReader
from keyframes.errors import SchemaError
for read in (lambda: list(ShardReader(Path(sys.argv[1])).tables()), lambda: rows_in(Path(sys.argv[1]))):
    try:
        read()
    except SchemaError as error:
        print(error.code)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a watching thread ends the process")
def test_a_parquet_bomb_is_refused_within_the_limit(tmp_path: Path) -> None:
    (tmp_path / "readings").mkdir()
    value = pa.DictionaryArray.from_arrays(pa.array(np.zeros(ROWS, np.int32)), pa.array(["x" * VALUE_BYTES]))
    table = pa.table({"reading_id": value, "reader_code": value, "config_hash": value, "text": value})
    path = tmp_path / "readings" / "train-00000-of-00001.parquet"
    with pq.ParquetWriter(path, table.schema, compression="zstd", store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"schema_version": SHARD_SCHEMA_VERSION})
    assert path.stat().st_size < 100_000
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)],
        env=os.environ | {MEMORY_VARIABLE: "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["GT-SCHEMA", "GT-SCHEMA"]


def take(n_bytes: int, _stop: StopAsked) -> str:
    try:
        return f"{np.zeros(n_bytes, np.uint8).nbytes} bytes"
    except MemoryError:
        return "refused"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a watching thread ends the process")
def test_a_worker_gets_no_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MEMORY_VARIABLE, "0.5")
    done = {d.item: d.result for d in ProcessEngine(1).run(take, [1 << 20, 1 << 30])}
    assert done == {1 << 20: f"{1 << 20} bytes", 1 << 30: "refused"}


@pytest.mark.parametrize(("text", "limit"), [("2", 2 << 30), ("0", None), ("much", 4 << 30), ("-1", None)])
def test_the_limit_that_is_asked_for(text: str, limit: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MEMORY_VARIABLE, text)
    assert memory_limit_bytes() == limit
