"""What the trainer reads of a shard, and what it refuses."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from examples.gazex.config import Config
from examples.gazex.data.pictures import PictureAt, PictureStore, fitted, open_pictures
from examples.gazex.data.prepare import load_split, refuse_shared_patients
from examples.gazex.data.rows import light_rows, shards
from examples.gazex.errors import TrainerError
from tests.unit.gazex.conftest import reading, write_both


def test_both_formats_give_the_same_rows(dataset: Path) -> None:
    parquet, hdf5 = (list(light_rows(shards(dataset, form, "train"))) for form in ("parquet", "hdf5"))
    assert len(parquet) == 4
    for a, b in zip(parquet, hdf5, strict=True):
        assert json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)  # NaN equals itself as text
        assert (a.shard, a.row) == (b.shard, b.row)
    assert parquet[0]["keyframes"][0]["has_picture"] is True


def test_both_formats_give_the_same_pictures_as_the_shard_holds(dataset: Path) -> None:
    paths = [shards(dataset, form, "train")[0] for form in ("parquet", "hdf5")]
    stored = pq.read_table(paths[0]).to_pylist()
    sources = [open_pictures(path) for path in paths]
    for row in (2, 0, 1):
        for kind, wanted in (
            ("image", [stored[row]["images"][0]["bytes"]]),
            ("keyframe", [k["picture"]["bytes"] for k in stored[row]["keyframes"]]),
        ):
            for place, content in enumerate(wanted):
                at = PictureAt(0, row, kind, place)  # type: ignore[arg-type]
                assert [source.read(at) for source in sources] == [content, content]


def test_a_picture_is_small_enough_and_of_whole_patches() -> None:
    grey = Image.fromarray(np.arange(200 * 300, dtype=np.uint32).astype(np.uint8).reshape(300, 200))
    small = fitted(grey, 20_000, 28)
    assert small.size <= 20_000
    assert [side % 28 for side in small.shape] == [0, 0]
    assert abs(small.shape[0] / small.shape[1] - 1.5) < 0.3


def test_the_store_keeps_no_more_than_its_limit_and_travels_to_a_worker(dataset: Path) -> None:
    store = PictureStore(shards(dataset, "hdf5", "train"), cache_mb=0)
    at = PictureAt(0, 0, "image", 0)
    first = store.get(at, 28 * 28, 28)
    assert store._kept == {}
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(store)).get(at, 28 * 28, 28), first)  # noqa: S301


def test_a_shard_without_a_column_is_named(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "readings").mkdir()
    path = tmp_path / "readings" / "train-00000-of-00001.parquet"
    pq.write_table(pq.read_table(shards(dataset, "parquet", "train")[0]).drop_columns(["trajectory"]), path)
    with pytest.raises(
        TrainerError, match=r"train-00000-of-00001.parquet has no column 'trajectory'"
    ) as caught:
        list(light_rows([path]))
    assert caught.value.code == "GX-COLUMN"


@pytest.mark.parametrize("form", ["parquet", "hdf5"])
def test_a_cut_off_shard_is_named(dataset: Path, tmp_path: Path, form: str) -> None:
    source = shards(dataset, form, "train")[0]  # type: ignore[arg-type]
    path = tmp_path / source.name
    path.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    with pytest.raises(TrainerError, match=source.name) as caught:
        list(light_rows([path]))
    assert caught.value.code == "GX-SHARD"


def test_a_later_format_among_known_ones_is_refused_by_name(dataset: Path, tmp_path: Path) -> None:
    known = shards(dataset, "parquet", "train")[0]
    path = tmp_path / "train-00001-of-00002.parquet"
    pq.write_table(pq.read_table(known).replace_schema_metadata({"schema_version": "2.0"}), path)
    with pytest.raises(TrainerError, match=r"train-00001.*2\.0") as caught:
        list(light_rows([known, path]))
    assert caught.value.code == "GX-NEWER-SHARD"


def test_a_split_that_is_not_there_is_named(dataset: Path) -> None:
    with pytest.raises(TrainerError, match="nowhere") as caught:
        shards(dataset, "hdf5", "nowhere")
    assert caught.value.code == "GX-NO-SHARDS"


def test_a_split_without_examples_is_refused(dataset: Path) -> None:
    config = Config().with_changes(tasks={"weights": {"vqa": 1.0, "presence": 0.0}})
    empty = write_both(dataset.parent / "empty", [{**reading(1), "qa": []}])
    try:
        with pytest.raises(TrainerError, match="gives no example") as caught:
            load_split([empty], "train", config)
        assert caught.value.code == "GX-EMPTY"
    finally:
        shutil.rmtree(empty)


def test_a_picture_that_is_none_is_named(tmp_path: Path) -> None:
    row = reading(1)
    row["images"][0]["bytes"] = b"no picture"
    folder = write_both(tmp_path / "dataset", [row])
    store = PictureStore(shards(folder, "hdf5", "train"))
    with pytest.raises(TrainerError, match=r"row 0: image 0") as caught:
        store.get(PictureAt(0, 0, "image", 0), 1000, 28)
    assert caught.value.code == "GX-PICTURE"


@pytest.mark.parametrize("column", ["patient_key", "public_patient_id"])
def test_a_test_patient_in_a_training_shard_of_any_dataset_is_refused(
    dataset: Path, tmp_path: Path, column: str
) -> None:
    refuse_shared_patients([dataset], Config())
    leaked = {**reading(11), "patient_key": None, column: "the same"}
    held = {**reading(12, "test"), "patient_key": None, column: "the same"}
    one, other = write_both(tmp_path / "a", [leaked]), write_both(tmp_path / "b", [held])
    with pytest.raises(TrainerError, match=leaked["reading_id"]) as caught:
        refuse_shared_patients([dataset, one, other], Config())
    assert caught.value.code == "GX-LEAK"
    assert "the same" not in str(caught.value)


def test_pictures_are_what_people_see(dataset: Path) -> None:
    row = pq.read_table(shards(dataset, "parquet", "test")[0]).to_pylist()[0]
    shown = PictureStore(shards(dataset, "hdf5", "test")).get(PictureAt(0, 0, "image", 0), 10**6, 4)
    with Image.open(io.BytesIO(row["images"][0]["bytes"])) as picture:
        np.testing.assert_array_equal(shown, np.asarray(picture))
