"""Reading shards again: columns, splits, older minors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.export.hdf5_shard import Hdf5ShardWriter
from curation.export.parquet_shard import ParquetShardWriter
from curation.export.pictures import encode_png
from curation.export.read import ShardReader
from curation.export.schema import SHARD
from curation.export.shards import RowBatches
from keyframes.errors import SchemaError, UsageError
from tests.unit.curation.test_shards import GREY

PNG = encode_png(GREY)
INFO = {"image_index": 0, "picture_phash": -5, "role": "current"}
FIXATIONS = [{"event_index": 4, "finding_ids_by_box": ["f1", "f2"]}, {"event_index": 5}]


def row(number: int, split: str = "train") -> dict[str, Any]:
    return dict.fromkeys(SHARD.names) | {
        "reading_id": f"r{number}",
        "split": split,
        "tracker": None if number % 2 else {"model": "M"},
        "images": [{"bytes": PNG, "path": "x.png"}],
        "image_info": [INFO],
        "keyframes": [],
        "fixations": None if number == 1 else FIXATIONS[: number % 3],
    }


@pytest.fixture(params=["parquet", "hdf5"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    for split, numbers in (("test", [0, 1]), ("train", [2, 3, 4, 5, 6])):
        if request.param == "parquet":
            (tmp_path / "readings").mkdir(exist_ok=True)
            path = tmp_path / "readings" / f"{split}-00000-of-00001.parquet"
            writer: Any = ParquetShardWriter(path, row_group_bytes=1 << 20, row_group_rows=3)
        else:
            (tmp_path / "hdf5").mkdir(exist_ok=True)
            writer = Hdf5ShardWriter(tmp_path / "hdf5" / f"{split}-00000-of-00001.h5")
        with RowBatches(writer) as rows:
            for number in numbers:
                rows.add(row(number, split))
    return tmp_path


def test_all_rows_come_in_the_order_of_the_splits(dataset: Path) -> None:
    reader = ShardReader(dataset)
    assert reader.splits == ["train", "test"]
    expected = pa.Table.from_pylist(
        [row(n) for n in (2, 3, 4, 5, 6)] + [row(n, "test") for n in (0, 1)], schema=SHARD
    )
    tables = list(reader.tables(batch_rows=2))
    assert all(table.num_rows <= 2 and table.schema.equals(SHARD) for table in tables)
    assert pa.concat_tables(tables).equals(expected)
    assert [r["reading_id"] for r in reader.rows(["reading_id"], split="test")] == ["r0", "r1"]


def test_members_are_read_alone(dataset: Path) -> None:
    places = ["fixations[].finding_ids_by_box", "tracker.model", "image_info[].picture_phash", "reading_id"]
    rows = list(ShardReader(dataset).rows(places, split="train"))
    assert rows[0] == {
        "reading_id": "r2",
        "tracker": {"model": "M"},
        "image_info": [{"picture_phash": -5}],
        "fixations": [{"finding_ids_by_box": ["f1", "f2"]}, {"finding_ids_by_box": None}],
    }
    assert rows[1]["tracker"] is None
    assert rows[1]["fixations"] == []


@pytest.mark.parametrize("place", ["nothing", "tracker.nothing", "fixations[].nothing", "text.x"])
def test_an_unknown_place_is_refused(dataset: Path, place: str) -> None:
    with pytest.raises(UsageError):
        list(ShardReader(dataset).rows([place]))


def test_a_shard_of_an_older_minor_is_null_where_it_had_no_column(dataset: Path) -> None:
    for path in ShardReader(dataset).shards:
        if path.suffix == ".h5":
            with h5py.File(path, "r+") as file:
                del file["sex"], file["image_info/items/picture_phash"]
        else:
            table = pq.read_table(path).drop_columns(["sex"])
            infos = [[{"image_index": 0, "role": "current"}]] * table.num_rows
            place = table.column_names.index("image_info")
            metadata = table.schema.metadata
            pq.write_table(
                table.set_column(place, "image_info", [infos]).replace_schema_metadata(metadata), path
            )
    for found in ShardReader(dataset).rows(["sex", "image_info", "fixations"]):
        assert found["sex"] is None
        assert found["image_info"][0]["picture_phash"] is None
        assert found["image_info"][0]["role"] == "current"


def test_a_folder_without_shards_and_a_broken_shard(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no shards"):
        ShardReader(tmp_path / "absent")
    path = ShardReader(dataset).shards[0]
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SchemaError):
        list(ShardReader(dataset).rows())
