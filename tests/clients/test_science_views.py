"""The views of eye-movement research as their real readers open them."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlcroissant
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from curation.config import CurationConfig, PrivacyConfig
from curation.export.dataset import export_dataset
from curation.export.read import ShardReader
from curation.export.switch import MANIFEST
from curation.export.tables import TABLES
from curation.export.views import view_named
from curation.export.views.bids import LOST
from curation.view_settings import GazesearchOptions
from gazecapture.store import Store
from tests.shard_rows import MATRIX_PX, fixation, full_row, write_shards

if TYPE_CHECKING:
    from tests.conftest import SmallDataset

OF_ITS_LIBRARIES = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
"""What mlcroissant's own libraries say to it."""
VALIDATOR = Path(sysconfig.get_path("scripts")) / "bids-validator-deno"


@pytest.fixture(scope="module")
def dataset(small_dataset: SmallDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw samples, no pictures, the views of this file."""
    out = tmp_path_factory.mktemp("science") / "dataset"
    store = Store.open(small_dataset.store)
    config = CurationConfig(privacy=PrivacyConfig(gaze_tier="raw", images="exclude"))
    export_dataset(
        store,
        out,
        reading_ids=store.reading_ids(),
        config=config,
        views=["bids", "gazesearch", "pymovements"],
    )
    return out


def bids_errors(folder: Path) -> list[dict[str, Any]]:
    done = subprocess.run([VALIDATOR, folder, "--json"], capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert found["summary"]["totalFiles"] > 0
    return [issue for issue in found["issues"]["issues"] if issue["severity"] == "error"]


def test_the_bids_validator_finds_no_error(dataset: Path) -> None:
    assert bids_errors(dataset / "views" / "bids") == []


def test_the_bids_validator_would_find_one(dataset: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(dataset / "views" / "bids", tmp_path / "bids"))
    sidecar = next(broken.rglob("*_physio.json"))
    content = json.loads(sidecar.read_bytes())
    del content["RecordedEye"]
    sidecar.write_text(json.dumps(content))
    assert bids_errors(broken)


def test_bids_holds_every_sample_and_event(dataset: Path) -> None:
    folder = dataset / "views" / "bids"
    described = json.loads((folder / "dataset_description.json").read_bytes())
    assert described["LostFields"] == list(LOST)
    trials = sorted(folder.rglob("*_events.json"))
    assert len(trials) == 4
    for trial in trials:
        reading_id = json.loads(trial.read_bytes())["Reading"]["reading_id"]
        stem = str(trial).removesuffix("_events.json")
        sidecar = json.loads(Path(f"{stem}_recording-eye1_physio.json").read_bytes())
        with gzip.open(f"{stem}_recording-eye1_physio.tsv.gz") as handle:
            rows = pd.read_csv(handle, sep="\t", names=sidecar["Columns"], na_values=["n/a"])
        assert Path(f"{stem}_recording-eye1_physio.tsv.gz").read_bytes()[4:8] == bytes(4), "no time stamp"
        samples = pq.read_table(dataset / "samples" / f"{reading_id}.parquet")
        kept = rows[rows["recorded"] == 1]
        np.testing.assert_allclose(kept["timestamp"] * 1e9, samples.column("t_ns").to_numpy(), atol=0.5)
        np.testing.assert_allclose(kept["x_coordinate"], samples.column("x_screen_px").to_numpy(), atol=6e-4)
        assert rows[rows["recorded"] == 0]["x_coordinate"].isna().all()
        steps_s = np.diff(rows["timestamp"])
        assert steps_s.max() < 1.6 / sidecar["SamplingFrequency"]
        with gzip.open(f"{stem}_recording-eye1_physioevents.tsv.gz", "rt") as text:
            events = [line.split("\t") for line in text]
        table = pq.read_table(dataset / "events" / f"{reading_id}.parquet")
        kinds = [e[2] if e[2] != "n/a" else e[4].strip() for e in events]
        assert kinds == table.column("kind").to_pylist()


def test_gazesearch_records_are_those_of_the_rows(dataset: Path) -> None:
    records = json.loads((dataset / "views" / "gazesearch" / "scanpaths.json").read_bytes())
    assert {record["subject"] for record in records} == {1, 2}
    assert any(record["condition"] == "present" for record in records)
    for record in records:
        assert record["length"] == len(record["X"]) == len(record["Y"]) == len(record["T"]) > 0
        assert 0 <= min(record["X"]) <= max(record["X"]) <= 224
        assert 0.01 < np.mean(record["T"]) < 5
        assert record["split"] in {"train", "valid", "test"}
        x, y, width, height = record["bbox"]
        inside = [
            x <= a < x + width and y <= b < y + height for a, b in zip(record["X"], record["Y"], strict=True)
        ]
        if record["condition"] == "present":
            assert record["fixOnTarget"] == any(inside)
            assert width > 0 < height


@OF_ITS_LIBRARIES
def test_mlcroissant_takes_the_description_and_reads_the_tables(dataset: Path) -> None:
    described = mlcroissant.Dataset(str(dataset / "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    listed = {file["path"]: file["sha256"] for file in json.loads((dataset / MANIFEST).read_bytes())["files"]}
    content = json.loads((dataset / "croissant.json").read_bytes())
    assert {file["contentUrl"]: file["sha256"] for file in content["distribution"]}.items() <= listed.items()
    assert "open" in content["conditionsOfAccess"]
    for table in TABLES:
        records = list(described.records(table.name))
        frame = pd.read_csv(dataset / "tables" / f"{table.name}.csv")
        assert len(records) == len(frame) > 0
        assert set(records[0]) == {f"{table.name}/{column}" for column in frame.columns}


@OF_ITS_LIBRARIES
def test_mlcroissant_would_find_an_error(dataset: Path, tmp_path: Path) -> None:
    content = json.loads((dataset / "croissant.json").read_bytes())
    del content["distribution"][0]["contentUrl"]
    (tmp_path / "croissant.json").write_text(json.dumps(content))
    with pytest.raises(mlcroissant.ValidationError):
        mlcroissant.Dataset(str(tmp_path / "croissant.json"))


PUBLISHED = {
    "name": str, "subject": int, "task": str, "condition": str, "bbox": list, "X": list, "Y": list, "T": list,
    "length": int, "fixOnTarget": bool, "correct": int, "split": str,
}  # fmt: skip
"""Fields of GazeSearch, which are those of COCO-Search18."""
FIXATIONS = [(200.0, 240.0, 0.25), (100.5, 60.0, 0.4), (399.0, 479.0, 0.1)]
"""x and y in px of the matrix, s. The first lies in the middle of it."""


@pytest.mark.parametrize(("frame", "grid_px"), [("grid224", (224, 224)), ("matrix", MATRIX_PX)])
def test_scanpaths_as_code_for_the_published_layout_reads_them(
    frame: str, grid_px: tuple[int, int], tmp_path: Path
) -> None:
    rows = [full_row(1), full_row(2, split="validate"), full_row(3, split="test")]
    for row in rows:
        row["fixations"] = [
            {**fixation(place, place * 10**9, (x, y)), "duration_s": t_s}
            for place, (x, y, t_s) in enumerate(FIXATIONS)
        ]
        row["findings"][0]["box"] = [80.0, 48.0, 240.0, 144.0]
    shards = write_shards(tmp_path / "dataset", rows)
    (tmp_path / "view").mkdir()
    options = GazesearchOptions.model_validate({"frame": frame})
    view_named("gazesearch").write(ShardReader(shards), tmp_path / "view", options)
    records = json.loads((tmp_path / "view" / "scanpaths.json").read_bytes())
    assert {record["split"] for record in records} == {"train", "valid", "test"}
    assert {record["condition"] for record in records} == {"present"}
    for record in records:
        assert {name: type(record[name]) for name in PUBLISHED} == PUBLISHED
        assert record.keys() - PUBLISHED.keys() == {"reading_id"}
        assert (tmp_path / "view" / "images" / record["name"]).is_file()
        assert record["length"] == len(FIXATIONS)
        for name, side, matrix in (("X", 0, MATRIX_PX[0]), ("Y", 1, MATRIX_PX[1])):
            expected = [at[side] * grid_px[side] / matrix for at in FIXATIONS]
            assert record[name] == pytest.approx(expected, abs=5e-4)
        assert record["T"] == [t_s for _, _, t_s in FIXATIONS]
    first = next(record for record in records if record["task"] == "cardiomegaly")
    x, y, width, height = (
        v * m / g for v, m, g in zip(first["bbox"], MATRIX_PX * 2, grid_px * 2, strict=True)
    )
    assert (x, y, width, height) == pytest.approx((80, 48, 160, 96), abs=2e-3)
    assert first["fixOnTarget"] is True
