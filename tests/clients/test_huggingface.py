"""Shards and view as a stranger opens them: Hugging Face datasets, torch, our reader that imports none of our code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import pytest
import torch
from huggingface_hub import DatasetCard

from curation.export.read import ShardReader
from curation.export.views import ViewResult, view_named
from curation.view_settings import HuggingfaceOptions
from tests.shard_rows import PICTURE_PX, varied_rows, write_shards

if TYPE_CHECKING:
    from tests.conftest import SmallDataset

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def rows(small_dataset: SmallDataset, tmp_path_factory: pytest.TempPathFactory) -> Any:
    files = sorted(map(str, (small_dataset.dataset / "readings").glob("*.parquet")))
    cache = str(tmp_path_factory.mktemp("cache"))
    return datasets.load_dataset("parquet", data_files=files, cache_dir=cache, split="train")


def test_pictures_are_pictures(rows: Any) -> None:
    assert len(rows) == 4
    for row in rows:
        info = row["image_info"]
        assert len(row["images"]) == len(info) >= 1
        for picture, facts in zip(row["images"], info, strict=True):
            assert picture.mode == "L"
            assert picture.size == (facts["picture_width_px"], facts["picture_height_px"])
            assert (facts["matrix_width_px"], facts["matrix_height_px"]) == (640, 768)
            assert picture.getextrema()[1] - picture.getextrema()[0] > 100
        drawn = [frame["picture"] for frame in row["keyframes"] if frame["box"]]
        assert drawn
        assert all(picture.size == (640, 768) for picture in drawn)


def test_boxes_lie_on_their_picture(rows: Any) -> None:
    for row in rows:
        boxes = [frame["box"] for frame in row["keyframes"] if frame["box"]]
        assert boxes
        for x0, y0, x1, y1 in boxes:
            assert 0 <= x0 < x1 <= 640
            assert 0 <= y0 < y1 <= 768


def test_torch_takes_the_columns(rows: Any) -> None:
    shaped = rows.select_columns(["duration_ns", "reading_number"]).with_format("torch")
    loader = torch.utils.data.DataLoader(shaped, batch_size=2)
    batches = list(loader)
    assert [tuple(batch["duration_ns"].shape) for batch in batches] == [(2,), (2,)]


def test_the_dataset_card_names_the_files(small_dataset: SmallDataset, tmp_path: Path) -> None:
    loaded = datasets.load_dataset(str(small_dataset.dataset), cache_dir=str(tmp_path))
    assert sum(len(split) for split in loaded.values()) == 4


def test_our_reader_needs_none_of_our_packages(small_dataset: SmallDataset, tmp_path: Path) -> None:
    script = REPOSITORY / "examples" / "read_shards.py"
    blocker = (
        "import sys, runpy\n"
        "for name in ('keyframes', 'gazecapture', 'curation'): sys.modules[name] = None\n"
        f"sys.argv = ['read_shards', {str(small_dataset.dataset)!r}, '--pictures', {str(tmp_path)!r}]\n"
        f"runpy.run_path({str(script)!r}, run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", blocker], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "both formats hold the same rows" in done.stdout
    assert len(done.stdout.splitlines()) == 9
    assert any(tmp_path.glob("*_k000.png"))


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ViewResult]:
    """View ``huggingface`` of rows of every kind, two to a file."""
    folder = tmp_path_factory.mktemp("view")
    shards = write_shards(tmp_path_factory.mktemp("rows") / "dataset", varied_rows())
    options = HuggingfaceOptions(rows_per_file=2)
    return folder, view_named("huggingface").write(ShardReader(shards), folder, options)


@pytest.fixture(scope="module")
def opened(view: tuple[Path, ViewResult], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every configuration that the card names, opened by the folder's name."""
    folder, cache = str(view[0]), str(tmp_path_factory.mktemp("cache"))
    names = datasets.get_dataset_config_names(folder, cache_dir=cache)
    return {name: datasets.load_dataset(folder, name, cache_dir=cache) for name in names}


def test_the_view_opens_by_its_folder_with_every_row_in_its_split(
    view: tuple[Path, ViewResult], opened: dict[str, Any]
) -> None:
    assert sorted(opened) == ["examples", "keyframes", "readings"]
    rows = varied_rows()
    for stem, split in (("train", "train"), ("validation", "validate"), ("test", "test")):
        ids = [row["reading_id"] for row in rows if row["split"] == split]
        assert opened["readings"][stem]["reading_id"] == ids
    assert sum(len(split) for config in opened.values() for split in config.values()) == view[1].n_records
    drawn = [frame for row in rows for frame in row["keyframes"] if frame["picture"]]
    assert sum(len(split) for split in opened["keyframes"].values()) == len(drawn) > 0


def test_pictures_of_the_view_are_pictures(opened: dict[str, Any]) -> None:
    picture = datasets.Image()
    assert opened["readings"]["train"].features["images"] == datasets.List(picture)
    assert opened["keyframes"]["train"].features["picture"] == picture
    for name in ("images", "frames"):
        assert opened["examples"]["train"].features[name] == datasets.List(picture)
    for row in opened["examples"]["train"]:
        assert row["prompt"].count("<image>") == len(row["images"])
        assert row["prompt"].count("<video>") == bool(row["frames"])
        assert {(shown.mode, shown.size) for shown in (*row["images"], *row["frames"])} == {("L", PICTURE_PX)}
    first = opened["readings"]["train"][0]
    assert [shown.size for shown in first["images"]] == [PICTURE_PX]
    assert first["findings"][0]["box"] == [50.0, 60.0, 380.0, 450.0]
    frame = opened["keyframes"]["train"][0]
    assert frame["picture"].size == PICTURE_PX
    assert frame["sentence"] == "the heart is enlarged ."


def test_the_card_of_the_view_is_one(view: tuple[Path, ViewResult], opened: dict[str, Any]) -> None:
    card = DatasetCard.load(view[0] / "README.md")
    facts = card.data.to_dict()
    assert facts["license"] == "other"
    named = {
        config["config_name"]: {entry["split"] for entry in config["data_files"]}
        for config in facts["configs"]
    }
    assert named == {name: set(config) for name, config in opened.items()}
    assert "not for diagnosis" in card.text
