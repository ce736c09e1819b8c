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
from curation.export.switch import MANIFEST
from curation.export.tables import TABLES
from curation.export.views.bids import LOST
from gazecapture.store import Store

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
