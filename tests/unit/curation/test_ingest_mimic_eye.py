"""MIMIC-Eye's two parts are read as the datasets that they came from, under its own terms."""

from __future__ import annotations

import shutil
from pathlib import Path

from curation.ingest.egd import EgdIngester
from curation.ingest.into_store import INGESTERS, ingest
from curation.ingest.mimic_eye import MimicEyeIngester
from curation.ingest.reflacx import ReflacxIngester
from gazecapture.store import Store
from tests.egd_fixture import FILMS, write_folder
from tests.mimic_eye_fixture import write_patients
from tests.reflacx_fixture import write_tree

KEY = b"k" * 32


def test_each_reading_is_that_of_its_own_dataset(tmp_path: Path) -> None:
    patients = write_patients(tmp_path / "mimic-eye")
    ours = MimicEyeIngester()
    found = {item.label: item for unit in ours.find(patients) for item in ours.readings(unit, key=KEY)}
    originals = (
        (ReflacxIngester(), write_tree(tmp_path / "reflacx"), "REFLACX"),
        (EgdIngester(), write_folder(tmp_path / "egd", FILMS), "EyeGaze"),
    )
    n_seen = 0
    for ingester, folder, part in originals:
        for item in (i for unit in ingester.find(folder) for i in ingester.readings(unit, key=KEY)):
            one = found[item.label].reading
            assert one is not None, found[item.label].error
            assert item.reading is not None
            assert one.meta.reading_id == item.reading.meta.reading_id
            assert one.meta.source_format == "mimic-eye"
            assert one.meta.source_licence.startswith("PhysioNet Restricted")
            assert one.meta.provenance["part"] == part
            assert one.meta.study_arm == item.reading.meta.study_arm
            assert len(found[item.label].images) == 1
            for name in ("display", "words", "truth", "images"):
                assert one.table(name).to_pylist() == item.reading.table(name).to_pylist(), name
            labels = [
                {row["label"]: row["rating"] for row in reading.table("findings").to_pylist()}
                for reading in (one, item.reading)
            ]
            assert labels[0] == labels[1]
            n_seen += 1
    assert n_seen == len(found) == 5


def test_pictures_of_another_folder(tmp_path: Path) -> None:
    patients = write_patients(tmp_path / "mimic-eye")
    films = shutil.move(patients / "patient_90000011" / "CXR-JPG", tmp_path / "films")
    (unit,) = (u for u in MimicEyeIngester().find(patients) if u.name == "patient_90000011")
    assert [len(i.images) for i in MimicEyeIngester().readings(unit, key=KEY)] == [0]
    with_films = MimicEyeIngester().with_images(Path(films))
    assert [len(i.images) for i in with_films.readings(unit, key=KEY)] == [1]


def test_progress_goes_by_readings_where_they_can_be_counted(tmp_path: Path) -> None:
    seen: list[tuple[int, int, int]] = []
    folder = write_folder(tmp_path / "egd")
    (folder / "images" / f"{FILMS[0].file}.jpg").write_bytes(b"no picture")
    store = Store.create(tmp_path / "store")
    ingester = INGESTERS["egd"]
    ingest(store, ingester, ingester.find(folder), progress=lambda *counts: seen.append(counts))
    assert seen == [(0, 2, 0), (1, 2, 1), (2, 2, 1)]
