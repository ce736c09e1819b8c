"""A dataset without pictures gets those of its recipient: the right ones, and nothing that their files say."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from curation.attach import attach_images
from curation.cli import cli
from curation.config import CurationConfig, ExportConfig, PrivacyConfig
from curation.export.dataset import export_dataset
from curation.export.hdf5_shard import read_hdf5
from curation.export.read import ShardReader
from curation.export.switch import manifest_of
from curation.export.verify import verify_dataset
from curation.ingest.terms import TERMS
from curation.run import curate
from gazecapture.console import run_command
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.store import Store
from keyframes.errors import ExitCode, PrivacyError, UsageError

PUBLIC = {1: "0a1b2c3d-first", 2: "4e5f6a7b-second"}


class Place:
    """A store of two published readings, their dataset without pictures, and the pictures as a recipient has them."""

    def __init__(self, root: Path) -> None:
        self.root, self.store = root, Store.open(root / "store")
        self.dataset, self.films = root / "dataset", root / "films"

    def export(self, out: Path, **privacy: Any) -> None:
        config = CurationConfig(
            privacy=PrivacyConfig(originals=False, **privacy),
            export=ExportConfig(keyframe_pictures=False, picture_max_side_px=64),
        )
        export_dataset(self.store, out, reading_ids=self.store.reading_ids(), config=config)

    def rows(self, dataset: Path) -> dict[str, dict[str, Any]]:
        rows = {row["reading_id"]: row for row in ShardReader(dataset).rows()}
        hdf5 = {r["reading_id"]: r for p in dataset.glob("hdf5/*.h5") for r in read_hdf5(p).to_pylist()}
        for reading_id, row in rows.items():
            assert hdf5[reading_id]["images"] == row["images"]
            assert hdf5[reading_id]["image_info"] == row["image_info"]
        return rows


@pytest.fixture(scope="module")
def made(readings: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    films = root / "films" / "files" / "p10"
    films.mkdir(parents=True)
    store, terms = Store.create(root / "store"), TERMS["reflacx"]
    for number, public_id in PUBLIC.items():
        path = readings.picture(films / f"{public_id}.png", seed=number)
        reading = readings.make_reading(number, duration_s=4.0, rate_hz=100.0, picture_path=path)
        reading = readings.with_meta(
            reading, source_format="reflacx", public_patient_id="10000032", provenance={}, **terms.of_reading
        )
        images = reading.table("images")
        place = images.column_names.index("public_dicom_id")
        images = images.set_column(place, images.schema.field(place), [[public_id]])
        store.add(reading.with_tables(images=images), {0: path})
    assert len(curate(store, CurationConfig()).kept) == 2
    Place(root).export(root / "dataset", images="exclude")
    return root


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Place:
    shutil.copytree(made, tmp_path / "place")
    return Place(tmp_path / "place")


def test_what_leaves_without_pictures(place: Place) -> None:
    salt = manifest_of(place.dataset)["picture_salt"]
    assert len(salt) == 32
    for row in place.rows(place.dataset).values():
        (info,) = row["image_info"]
        assert info["public_dicom_id"] in PUBLIC.values()
        assert row["public_patient_id"] == "10000032"
        assert len(info["picture_salted_sha256"]) == 64
        assert (row["images"], info["picture_sha256"], info["picture_phash"]) == ([], None, None)
    place.export(place.root / "laxer", images="exclude", gaze_tier="raw")
    other = {
        i["picture_salted_sha256"] for r in place.rows(place.root / "laxer").values() for i in r["image_info"]
    }
    here = {i["picture_salted_sha256"] for r in place.rows(place.dataset).values() for i in r["image_info"]}
    assert not other & here  # each dataset has a salt of its own


def test_attached_is_as_exported(place: Place) -> None:
    (place.dataset / "notes.txt").write_text("mine")
    assert run_command(cli, ["attach-images", str(place.dataset), str(place.films)]) == ExitCode.OK
    verify_dataset(place.dataset)
    place.export(place.root / "with", images="include")
    expected = place.rows(place.root / "with")
    for reading_id, row in place.rows(place.dataset).items():
        assert row["images"] == expected[reading_id]["images"]
        assert row["image_info"] == expected[reading_id]["image_info"]
        assert str({**row, "config_hash": ""}) == str({**expected[reading_id], "config_hash": ""})
    assert (place.dataset / "notes.txt").read_text() == "mine"
    assert {path.name for path in place.root.iterdir()} == {"store", "films", "dataset", "with"}


def test_another_picture_of_that_name_is_not_taken(place: Place) -> None:
    first = min(place.films.rglob("*.png"))
    other = np.asarray(Image.open(first)).copy()
    other[5, 5] ^= 1
    Image.fromarray(other).save(first)
    summary = attach_images(place.dataset, place.films)
    assert (summary.n_attached, summary.n_missing) == (1, 1)


def test_text_in_the_pixels_is_held_back(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.attach.find_burned_in_text", lambda grey8: [grey8])
    before = manifest_of(place.dataset)
    summary = attach_images(place.dataset, place.films)
    assert (summary.n_attached, len(summary.held_back)) == (0, 2)
    assert manifest_of(place.dataset) == before


def test_a_header_that_says_so_is_held_back(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "curation.attach.load_radiograph", lambda path: replace(load_radiograph(path), burned_in=True)
    )
    summary = attach_images(place.dataset, place.films)
    assert (summary.n_attached, len(summary.held_back)) == (0, 2)


def test_what_the_files_say_stays_out(place: Place) -> None:
    for path in place.films.rglob("*.png"):
        notes = PngInfo()
        notes.add_text("Author", "Quillfeather")
        Image.open(path).save(path, pnginfo=notes)
    attach_images(place.dataset, place.films)
    pictures = [p["bytes"] for row in place.rows(place.dataset).values() for p in row["images"]]
    assert all(Image.open(io.BytesIO(p)).info == {} for p in pictures)
    assert b"Quillfeather" not in b"".join(p.read_bytes() for p in place.dataset.rglob("*") if p.is_file())


def test_the_scan_keeps_the_dataset_as_it_was(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {p: p.read_bytes() for p in place.dataset.rglob("*") if p.is_file()}
    passed_on = next(place.films.rglob("*.png")).read_bytes()
    notes = PngInfo()
    notes.add_text("Author", "Quillfeather")
    with_notes = io.BytesIO()
    Image.open(io.BytesIO(passed_on)).save(with_notes, "PNG", pnginfo=notes)
    monkeypatch.setattr("curation.attach.encode_png", lambda _: with_notes.getvalue())
    with pytest.raises(PrivacyError):
        attach_images(place.dataset, place.films)
    assert {p: p.read_bytes() for p in place.dataset.rglob("*") if p.is_file()} == before
    assert {path.name for path in place.root.iterdir()} == {"store", "films", "dataset"}


def test_a_dataset_with_pictures_lacks_none(place: Place) -> None:
    place.export(place.root / "with", images="include")
    with pytest.raises(UsageError, match="no salted hashes"):
        attach_images(place.root / "with", place.films)
    with pytest.raises(UsageError, match="no folder"):
        attach_images(place.dataset, place.root / "absent")
