"""What every shard writer must do; both run the same tests, and one reader reads what they wrote."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curation.export.hdf5_shard import PICTURE_CHUNK_BYTES, Hdf5ShardWriter
from curation.export.parquet_shard import ParquetShardWriter
from curation.export.read import ShardReader
from curation.export.schema import PICTURE, SHARD
from curation.export.shards import RowBatches, ShardWriter

STEM = "train-00000-of-00001"
TEXTS = ("", "clear", "größer als 3 µm", "肺は清明", "a\0b\0", "line\nline", "🫁")
NUMBERS = (0.0, -0.0, 1.5, math.nan, math.inf, -math.inf, 5e-324)


def parquet(folder: Path) -> ShardWriter:
    (folder / "readings").mkdir(parents=True)
    return ParquetShardWriter(
        folder / "readings" / f"{STEM}.parquet", row_group_bytes=1 << 20, row_group_rows=7
    )


def hdf5(folder: Path) -> ShardWriter:
    (folder / "hdf5").mkdir(parents=True)
    return Hdf5ShardWriter(folder / "hdf5" / f"{STEM}.h5")


WRITERS: dict[str, Callable[[Path], ShardWriter]] = {"parquet": parquet, "hdf5": hdf5}


@pytest.fixture(params=WRITERS)
def writer_of(request: pytest.FixtureRequest) -> Callable[[Path], ShardWriter]:
    return WRITERS[request.param]


def cell(kind: pa.DataType, rng: random.Random) -> Any:
    """Return any value that a field of this type can hold, null included."""
    if kind == PICTURE:
        return {"bytes": rng.randbytes(rng.randrange(1, 300)), "path": "x.png"}
    if rng.random() < 0.2:
        return None
    if pa.types.is_struct(kind):
        return {member.name: cell(member.type, rng) for member in kind}
    if pa.types.is_list(kind):
        return [cell(kind.value_type, rng) for _ in range(rng.randrange(3))]
    if pa.types.is_string(kind):
        return rng.choice(TEXTS)
    if pa.types.is_boolean(kind):
        return rng.random() < 0.5
    if pa.types.is_floating(kind):
        return rng.choice(NUMBERS)
    return rng.choice((0, (1 << kind.bit_width - 1) - 1, -(1 << kind.bit_width - 1)))


def any_row(rng: random.Random) -> dict[str, Any]:
    row = {field.name: cell(field.type, rng) for field in SHARD}
    return row | {"images": row["images"] or [], "keyframes": [k for k in row["keyframes"] or [] if k]}


def plain_row(**changes: Any) -> dict[str, Any]:
    return dict.fromkeys(SHARD.names) | {"reading_id": "a1", "images": [], "keyframes": []} | changes


def write(writer: ShardWriter, rows: list[dict[str, Any]]) -> None:
    with RowBatches(writer) as batches:
        for row in rows:
            batches.add(row)


def read(folder: Path) -> list[dict[str, Any]]:
    return list(ShardReader(folder).rows())


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return type(a) is type(b) and bool(a == b)


CASES: dict[str, list[dict[str, Any]]] = {
    "no row": [],
    "all null": [plain_row()],
    "no lists, null members": [
        plain_row(images=None, keyframes=None),
        plain_row(images=[None, {"bytes": b"a", "path": None}, {"bytes": None, "path": "x"}, {}]),
        plain_row(keyframes=[None, {}, {"order": 1}, {"picture": {}}, {"picture": {"bytes": b"b"}}]),
        plain_row(images=[{"bytes": b"", "path": ""}], keyframes=None),
    ],
    "huge text": [plain_row(text="clear " * 180_000), plain_row(text="short")],
    "huge picture": [
        plain_row(images=[{"bytes": random.Random(0).randbytes(3_000_000), "path": "a.png"}]),
        plain_row(images=[{"bytes": b"\0", "path": "b.png"}]),
    ],
    "many rows": [plain_row(reading_id=f"r{n}", reading_number=n) for n in range(300)],
    **{f"seed {seed}": [any_row(random.Random(100 * seed + n)) for n in range(9)] for seed in range(4)},
}


@pytest.mark.parametrize("case", CASES)
def test_what_was_written_is_read(
    writer_of: Callable[[Path], ShardWriter], tmp_path: Path, case: str
) -> None:
    rows = CASES[case]
    write(writer_of(tmp_path), rows)
    found = read(tmp_path)
    expected = pa.Table.from_pylist(rows, schema=SHARD).to_pylist()
    assert len(found) == len(expected)
    for row, wanted in zip(found, expected, strict=True):
        for name in SHARD.names:
            assert same(row[name], wanted[name]), name


@pytest.mark.parametrize("case", ["many rows", "seed 1"])
def test_same_rows_same_bytes(writer_of: Callable[[Path], ShardWriter], tmp_path: Path, case: str) -> None:
    written = []
    for name in ("a", "b"):
        write(writer_of(tmp_path / name), CASES[case])
        written.append(next(p for p in (tmp_path / name).rglob("*") if p.is_file()).read_bytes())
    assert written[0] == written[1]


def test_pictures_may_end_anywhere_in_a_chunk_and_in_a_batch(
    writer_of: Callable[[Path], ShardWriter], tmp_path: Path
) -> None:
    chunk = PICTURE_CHUNK_BYTES
    sizes = (chunk - 1, 1, chunk, 0, 2 * chunk + 1, chunk - 1, 5, 3 * chunk)
    rows = [plain_row(images=[{"bytes": random.Random(n).randbytes(n), "path": "a.png"}]) for n in sizes]
    writer = writer_of(tmp_path)
    for row in rows:
        writer.write(pa.Table.from_pylist([row], schema=SHARD))
    writer.close()
    assert [row["images"] for row in read(tmp_path)] == [row["images"] for row in rows]
