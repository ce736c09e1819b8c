from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curation.export import hdf5_shard, shards
from curation.export.hdf5_shard import Hdf5ShardWriter, read_hdf5
from curation.export.parquet_shard import ParquetShardWriter, read_parquet
from curation.export.pictures import encode_png, shrink
from curation.export.schema import SHARD, SHARD_SCHEMA_VERSION
from curation.export.shards import RowBatches
from keyframes.errors import SchemaError

GREY = np.arange(63, dtype=np.uint8).reshape(9, 7)
PNG = encode_png(GREY)


def write(folder: Path, rows: list[dict[str, Any]], stem: str = "train-00000-of-00001") -> tuple[Path, Path]:
    parquet, hdf5 = folder / f"{stem}.parquet", folder / f"{stem}.h5"
    writers = ParquetShardWriter(parquet, row_group_bytes=1 << 20, row_group_rows=2), Hdf5ShardWriter(hdf5)
    with RowBatches(*writers) as batches:
        for row in rows:
            batches.add(row)
    return parquet, hdf5


def load(parquet: Path) -> pa.Table:
    return pa.Table.from_batches(
        list(read_parquet(parquet)), SHARD.with_metadata(pq.read_schema(parquet).metadata)
    )


def minimal_row(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(SHARD.names)
    return (
        row | {"reading_id": "a1", "images": [{"bytes": PNG, "path": "a1_0.png"}], "keyframes": []} | changes
    )


def test_same_rows_same_bytes(tmp_path: Path) -> None:
    rows = [minimal_row(reading_id=str(i), text="clear " * i) for i in range(40)]
    first, second = write(tmp_path, rows, "a"), write(tmp_path, rows, "b")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_a_shard_has_no_statistics(tmp_path: Path) -> None:
    """They would repeat the least and the greatest cell of every column."""
    parquet, _ = write(tmp_path, [minimal_row(text="clear"), minimal_row(text="opaque")])
    about = pq.read_metadata(parquet)
    groups = [about.row_group(i) for i in range(about.num_row_groups)]
    assert not any(g.column(i).is_stats_set for g in groups for i in range(about.num_columns))


def test_an_hdf5_shard_that_grew_in_parts_holds_what_one_written_at_once_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        minimal_row(
            reading_id=str(i), text="clear " * i, words=[{"t_start_ns": i, "word": "clear"}] * (i % 3)
        )
        for i in range(9)
    ]
    _, whole = write(tmp_path, rows, "whole")
    monkeypatch.setattr(shards, "BATCH_BYTES", 2 * shards.ROW_BYTES)
    monkeypatch.setattr(hdf5_shard, "PENDING_BYTES", 1)
    _, grown = write(tmp_path, rows, "grown")
    assert read_hdf5(grown).equals(read_hdf5(whole))
    with h5py.File(grown) as parts, h5py.File(whole) as one:
        fields: list[str] = []
        one.visititems(lambda name, item: fields.append(name) if isinstance(item, h5py.Group) else None)
        assert one["text"].attrs["kind"] == "string"
        assert all(parts[name].attrs["kind"] == one[name].attrs["kind"] for name in fields)
        assert one["reading_number/valid"].id.get_create_plist().get_layout() == h5py.h5d.COMPACT


def test_picture_bytes_are_stored_as_they_are_and_nothing_has_statistics(tmp_path: Path) -> None:
    parquet, _ = write(tmp_path, [minimal_row()])
    group = pq.ParquetFile(parquet).metadata.row_group(0)
    columns = [group.column(i) for i in range(group.num_columns)]
    assert {c.compression for c in columns if c.path_in_schema.endswith(".bytes")} == {"UNCOMPRESSED"}
    assert {c.compression for c in columns if not c.path_in_schema.endswith(".bytes")} == {"ZSTD"}
    assert not any(c.is_stats_set for c in columns)
    assert PNG in parquet.read_bytes()


def test_row_groups_close_at_either_limit(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with RowBatches(ParquetShardWriter(path, row_group_bytes=3 * len(PNG), row_group_rows=100)) as rows:
        for _ in range(7):
            rows.add(minimal_row())
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [3, 3, 1]


class Seen:
    """A writer that keeps what it is given."""

    def __init__(self) -> None:
        self.tables: list[pa.Table] = []
        self.is_closed = False

    def write(self, rows: pa.Table) -> None:
        self.tables.append(rows)

    def close(self) -> None:
        self.is_closed = True


def test_rows_become_columns_once_for_all_writers_and_never_many_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shards, "BATCH_BYTES", 3 * (shards.ROW_BYTES + shards.MEMBER_BYTES + len(PNG)))
    one, other = Seen(), Seen()
    with shards.RowBatches(one, other) as rows:
        for _ in range(7):
            rows.add(minimal_row())
        rows.add(minimal_row(words=[{"word": "clear"}] * 1_000))  # a long reading weighs more
        rows.add(minimal_row())
    assert [table.num_rows for table in one.tables] == [3, 3, 2, 1]
    assert all(a is b for a, b in zip(one.tables, other.tables, strict=True))
    assert one.is_closed
    assert other.is_closed


def test_every_writer_is_closed_when_one_fails() -> None:
    class Full(Seen):
        def write(self, rows: pa.Table) -> None:
            raise OSError

    one, other = Full(), Seen()
    with pytest.raises(OSError), shards.RowBatches(one, other) as rows:
        rows.add(minimal_row())
    assert one.is_closed
    assert other.is_closed


def test_a_newer_major_version_is_refused(tmp_path: Path) -> None:
    parquet, hdf5 = write(tmp_path, [minimal_row()])
    table = load(parquet).replace_schema_metadata({"schema_version": "2.0"})
    pq.write_table(table, parquet)
    with h5py.File(hdf5, "r+") as file:
        file.attrs["schema_version"] = "2.0"
    with pytest.raises(SchemaError, match=r"shard format 2\.0"):
        list(read_parquet(parquet))
    with pytest.raises(SchemaError, match=r"shard format 2\.0"):
        read_hdf5(hdf5)
    script = Path(__file__).resolve().parents[3] / "examples" / "read_shards.py"
    (tmp_path / "readings").mkdir()
    parquet.rename(tmp_path / "readings" / parquet.name)
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "shard format 2.0" in done.stderr


def test_damaged_offsets_give_an_error_and_no_nonsense(tmp_path: Path) -> None:
    _, hdf5 = write(tmp_path, [minimal_row(text="clear")])
    with h5py.File(hdf5, "r+") as file:
        file["text/offsets"][1] = 400
    with pytest.raises(SchemaError, match="offsets of '/text'"):
        read_hdf5(hdf5)


def test_shrink_keeps_shape_and_never_enlarges() -> None:
    assert shrink(np.zeros((2000, 1000), np.uint8), 1024).shape == (1024, 512)
    assert shrink(GREY, 1024) is GREY


def test_png_is_grey_lossless_and_bare() -> None:
    with Image.open(io.BytesIO(PNG)) as picture:
        assert picture.mode == "L"
        assert picture.info == {}
        np.testing.assert_array_equal(np.asarray(picture), GREY)


def test_the_version_goes_up_with_the_columns() -> None:
    digest = hashlib.sha256(str(SHARD).encode()).hexdigest()[:16]
    assert (SHARD_SCHEMA_VERSION, digest) == ("1.4", "395d4d2003f268d6"), (
        "columns changed: raise SHARD_SCHEMA_VERSION too"
    )
