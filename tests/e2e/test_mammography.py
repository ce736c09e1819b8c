"""Nothing is about chests: mammograms from a session to shards and report, with settings alone."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curation.cli import cli
from curation.config import load_config
from curation.plan import plan_reading
from curation.report.hints import DASH
from curation.report.view import view_of
from curation.stages import STAGES
from gazecapture.console import run_command
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.film import Film
from gazecapture.radiograph.regions import from_atlas
from gazecapture.store import Store
from keyframes.errors import ExitCode
from keyframes.regions.schemes import load_scheme

READINGS = Path(__file__).parents[1] / "unit" / "curation" / "readings.py"
SCHEME = load_scheme("mammo-v1")
VALUES = {1: "breast", 2: "fibroglandular tissue", 3: "pectoral muscle", 4: "nipple"}
LABELS = """
[regions]
scheme = "{scheme}"
[[regions.annotations]]
format = "label-map"
path = "labels"
names = {{ 1 = "breast", 2 = "fibroglandular tissue", 3 = "pectoral muscle", 4 = "nipple" }}
"""
QUICK = """
[export]
formats = ["parquet"]
[privacy]
originals = false
"""
OWN = """
name = "two-sides-v1"
title = "Gland and the rest"
outside = { name = "elsewhere", letter = "Z" }
letters = [{ letter = "Z", title = "elsewhere" }, { letter = "Y", title = "gland" }]
[[groups]]
name = "gland"
regions = [{ name = "fibroglandular tissue", letter = "Y" }]
"""


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("synthetic_readings_for_mammography", READINGS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def draw(width: int, height: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A synthetic oblique view and its label map: the breast bulges from the left edge, the muscle is in a corner."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    breast = (x / (0.9 * width)) ** 2 + ((y - 0.5 * height) / (0.48 * height)) ** 2 < 1
    gland = (x / (0.7 * width)) ** 2 + ((y - 0.5 * height) / (0.3 * height)) ** 2 < 1
    muscle = x / (0.4 * width) + y / (0.5 * height) < 1
    nipple = np.hypot(x - 0.88 * width, y - 0.5 * height) < 0.05 * width
    labels = np.zeros((height, width), np.uint8)
    grey = np.full((height, width), 6.0)
    for value, part, level in ((1, breast, 70), (2, gland, 150), (3, muscle, 180), (4, nipple, 200)):
        labels[part], grey[part] = value, level
    noise = np.random.default_rng(0).normal(0, 3, grey.shape)
    return np.clip(grey + noise, 0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def work(generator: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of two readings of one mammogram, and label maps; tests copy it."""
    folder = tmp_path_factory.mktemp("mammography")
    session = generator.write_session(folder / "sessions")
    (chest,) = (session / "images").iterdir()
    grey, labels = draw(generator.WIDTH_PX, generator.HEIGHT_PX)
    Image.fromarray(grey).save(folder / "film.png")
    sha256 = hashlib.sha256((folder / "film.png").read_bytes()).hexdigest()
    (folder / "film.png").rename(session / "images" / f"{sha256}.png")
    info = (session / "session.json").read_text().replace(chest.stem, sha256).replace('"PA"', '"MLO"')
    (session / "session.json").write_text(info)
    chest.unlink()
    (folder / "labels").mkdir()
    Image.fromarray(labels).save(folder / "labels" / f"{sha256}.png")
    arguments = ["ingest", str(folder / "sessions"), "--format", "session", "--store", str(folder / "store")]
    assert run_command(cli, arguments) == ExitCode.OK
    return folder


def run(work: Path, tmp_path: Path, settings: str) -> list[dict[str, Any]]:
    """Curate a copy of the store with these settings and return the rows of its dataset."""
    folder = Path(shutil.copytree(work, tmp_path / "work"))
    (folder / "settings.toml").write_text(settings + QUICK)
    for name in ("store", "out"):
        assert not (folder / name / "dataset.json").exists()
    command = [
        "run",
        "--store",
        folder / "store",
        "--out",
        folder / "out",
        "-c",
        folder / "settings.toml",
        "-j",
        "1",
    ]
    assert run_command(cli, [str(part) for part in command]) == ExitCode.OK
    rows = [
        row
        for path in sorted((folder / "out").glob("**/*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]
    assert len(rows) == 2
    return rows


def test_a_mammogram_is_read_by_its_own_regions_and_letters(work: Path, tmp_path: Path) -> None:
    rows = run(work, tmp_path, LABELS.format(scheme="mammo-v1"))
    letters = [letter for letter, _ in SCHEME.letters]
    for row in rows:
        assert row["region_scheme"] == "mammo-v1"
        assert {r["region"]: r["letter"] for r in row["regions"]} == {
            name: SCHEME.letter_of(name) for name in VALUES.values()
        }
        assert {(r["provider"], r["confidence"]) for r in row["regions"]} == {("imported", 0.9)}
        visited = [visit["letter"] for visit in row["trajectory"]]
        assert set(visited) <= set(letters)
        assert {"G", "O"} & set(visited)
        assert {f["region"] for f in row["fixations"] if f["region"]} <= set(SCHEME.regions)
        assert any(frame["region"] in SCHEME.regions for frame in row["keyframes"])
    store = tmp_path / "work" / "store"
    for stage in store.glob("*/stages/regions"):
        assert set(pq.read_table(stage / "event_regions.parquet")["scheme"].to_pylist()) == {"mammo-v1"}
    report = tmp_path / "report.html"
    command = ["report", "--dataset", tmp_path / "work" / "out", "--out", report]
    assert run_command(cli, [str(part) for part in command]) == ExitCode.OK
    assert "mammo-v1" in report.read_text()
    assert view_of(rows[0]).letter_names == SCHEME.letters, "in the scheme's reading order"


def test_without_a_provider_that_knows_breasts_there_are_no_regions(work: Path, tmp_path: Path) -> None:
    rows = run(work, tmp_path, "")  # not even where the scheme is left at its default
    for row in rows:
        assert row["regions"] == []
        assert {f["letter"] for f in row["fixations"]} <= {None}
        assert row["trajectory"] == []
    assert view_of(rows[0]).letter_names == ((DASH, "no regions"),)


def test_a_scheme_of_the_user_s_own_is_found_beside_the_settings(work: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with_scheme = Path(shutil.copytree(work, tmp_path / "a" / "source"))
    (with_scheme / "own.toml").write_text(OWN)
    rows = run(with_scheme, tmp_path / "a", LABELS.format(scheme="own.toml"))
    for row in rows:
        assert row["region_scheme"] == "two-sides-v1"
        assert {f["letter"] for f in row["fixations"] if f["letter"]} <= {"Y", "Z"}
    folder = tmp_path / "a" / "work"
    assert str(tmp_path).encode() not in b"".join(p.read_bytes() for p in (folder / "out").glob("*.json"))
    config = load_config(folder / "settings.toml")
    store = Store.open(folder / "store")
    reading_id = store.reading_ids()[0]
    assert plan_reading(store, reading_id, config, stages=STAGES).todo == ()
    (folder / "own.toml").write_text(OWN.replace('letter = "Y" }]', 'letter = "Z" }]'))
    (first, *_) = plan_reading(store, reading_id, config, stages=STAGES).todo
    assert (first.stage, first.reason) == ("regions", "settings changed: scheme_hash")


@pytest.mark.shared
def test_a_real_mammogram_is_no_chest(shared: Path) -> None:
    radiograph = load_radiograph(shared / "data" / "radiographs" / "dicom" / "GH133_MG_sigmoid_voilutseq.dcm")
    assert radiograph.body_part == "BREAST"
    film = Film(
        width_px=radiograph.width_px,
        height_px=radiograph.height_px,
        grey8=radiograph.grey8(),
        body_part=radiograph.body_part,
    )
    assert from_atlas(film) is None
