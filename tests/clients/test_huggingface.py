"""The shards as a stranger opens them: Hugging Face datasets, torch, and our reader that imports none of our code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import pytest
import torch

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
