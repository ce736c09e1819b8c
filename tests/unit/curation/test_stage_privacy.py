"""Stage ``privacy``: what holds a reading back, and what a reviewer's decision changes."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow.parquet as pq
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont

from curation.config import CurationConfig, PrivacyConfig
from curation.export.dataset import export_dataset
from curation.run import curate
from gazecapture.radiograph.phantom import make_phantom
from gazecapture.radiograph.phantom_dicom import write_dicom
from gazecapture.store import DECISIONS_FILE, Store


@pytest.fixture
def store(tmp_path: Path, readings: ModuleType) -> Store:
    """One reading whose film has a name in its pixels."""
    root = tmp_path / "store"
    path = readings.picture(tmp_path / "film.png", seed=3)
    with Image.open(path) as clean:
        film = clean.convert("L")
    ImageDraw.Draw(film).text((8, 8), "DOE JANE", fill=255, font=ImageFont.load_default(20))
    film.save(path)
    made: Store = readings.make_store(root)
    made.add(readings.make_reading(1, picture_path=path), {0: path})
    return made


def decide(store: Store, value: object) -> None:
    line = {"kind": "burned_in", "target": 0, "value": value}
    with (store.folder(store.reading_ids()[0]) / DECISIONS_FILE).open("a") as handle:
        handle.write(json.dumps(line) + "\n")


def test_text_in_the_pixels_holds_a_reading_back_until_a_person_looked(store: Store, tmp_path: Path) -> None:
    summary = curate(store, CurationConfig())
    (held,) = summary.held_back.values()
    assert "GT-BURNED-IN" in str(held)
    assert "DOE" not in str(held)

    decide(store, "ok")
    assert curate(store, CurationConfig()).held_back == {}

    decide(store, [[0, 0, 10_000, 10_000]])
    summary = curate(store, CurationConfig())
    assert (summary.held_back, summary.kept) == ({}, store.reading_ids())
    out = tmp_path / "out"
    export_dataset(store, out, reading_ids=store.reading_ids(), config=CurationConfig())
    (original,) = (out / "images").iterdir()
    with Image.open(original) as shown:
        assert np.asarray(shown).max() == 0
    (shard,) = (out / "readings").iterdir()
    (row,) = pq.read_table(shard).to_pylist()
    for picture in (*row["images"], *(frame["picture"] for frame in row["keyframes"] if frame["picture"])):
        (tmp_path / "p.png").write_bytes(picture["bytes"])
        with Image.open(tmp_path / "p.png") as shown:
            assert np.asarray(shown.convert("L")).max() == 0


def test_a_header_that_says_so_holds_back_a_film_with_clean_pixels(
    readings: ModuleType, tmp_path: Path
) -> None:
    store = readings.make_store(tmp_path / "store")
    for number, said in ((1, "YES"), (2, "NO")):
        path = tmp_path / f"{number}.dcm"
        write_dicom(
            make_phantom(number, size_px=(160, 192)), path, patient_id=f"SYN{number}", study_uid_seed=number
        )
        film = pydicom.dcmread(path)
        film.BurnedInAnnotation = said
        film.save_as(path)
        store.add(readings.make_reading(number, duration_s=2.0, picture_path=path), {0: path})
    summary = curate(store, CurationConfig())
    ((held, reason),) = summary.held_back.items()
    assert "GT-BURNED-IN" in str(reason)
    assert store.meta(held).reading_number == 1
    line = {"kind": "burned_in", "target": 0, "value": "ok"}
    (store.folder(held) / DECISIONS_FILE).write_text(json.dumps(line) + "\n")
    assert curate(store, CurationConfig()).held_back == {}


def test_without_pictures_there_is_nothing_to_look_at(store: Store) -> None:
    assert curate(store, CurationConfig(privacy=PrivacyConfig(images="exclude"))).held_back == {}


@pytest.mark.parametrize("value", ["maybe", [], [[1, 2, 3]], [[5, 5, 5, 9]], {"a": 1}])
def test_a_decision_that_says_nothing_holds_nothing_open(store: Store, value: object) -> None:
    decide(store, value)
    summary = curate(store, CurationConfig())
    assert summary.kept == []
    assert "GT-DECISION" in str(summary.failed)
