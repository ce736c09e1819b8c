"""The demo's studies: worklist, pictures, truth; and a user's own files with damaged ones among them."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from gazecapture.demo.studies import PLAN, write_demo_studies, write_user_studies
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.phantom import make_phantom
from gazecapture.session.schema import TruthLesion
from gazecapture.worklist import load_worklist
from keyframes.errors import ImageError, UsageError
from keyframes.regions.region_map import RegionMap

SIZE = (176, 214)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_three_studies_with_prior_device_and_negatives(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    worklist = write_demo_studies(
        tmp_path, seed=7, size_px=SIZE, progress=lambda done, total: steps.append((done, total))
    )
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    studies = load_worklist(worklist)
    assert [s.study_id for s in studies] == ["S001", "S002", "S003"]
    assert all(s.synthetic and s.indication and s.arm == "plain" for s in studies)
    assert sum("prior" in [i.role for i in s.images] for s in studies) == 1
    present = {le.label for s in studies for le in s.truth if le.present}
    assert len(present) >= 5
    assert "Support Devices" in present
    assert any(not le.present for s in studies for le in s.truth)
    patients = set()
    for study in studies:
        anatomy = json.loads((tmp_path / "ground_truth" / f"{study.study_id}.anatomy.json").read_bytes())
        assert anatomy["study_id"] == study.study_id
        assert sorted(anatomy["images"]) == [str(i) for i in range(len(study.images))]
        assert TypeAdapter(tuple[TruthLesion, ...]).validate_python(anatomy["lesions"]) == study.truth
        for index, image in enumerate(study.images):
            radiograph = load_radiograph(image.path)
            region_map = RegionMap.from_dict(anatomy["images"][str(index)])
            assert (radiograph.width_px, radiograph.height_px) == SIZE
            assert (region_map.width_px, region_map.height_px) == SIZE
            patients.add((study.study_id, radiograph.patient_id))
            assert radiograph.patient_id.startswith("SYN")
    # Current and prior are one patient; studies are different ones.
    assert len(patients) == len(studies)
    with_device = json.loads((tmp_path / "ground_truth" / "S001.anatomy.json").read_bytes())
    assert "device" in with_device["images"]["0"]["regions"]


def test_same_seed_same_bytes_and_findings_can_be_given(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_demo_studies(tmp_path / name, n_studies=1, seed=3, size_px=(88, 107), findings=[["Edema"]])
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    write_demo_studies(tmp_path / "c", n_studies=1, seed=4, size_px=(88, 107), findings=[["Edema"]])
    assert contents(tmp_path / "a") != contents(tmp_path / "c")
    (study,) = load_worklist(tmp_path / "a" / "worklist.csv")
    assert {le.label for le in study.truth if le.present} == {"Edema"}


def test_plan_repeats_with_other_bodies(tmp_path: Path) -> None:
    n = len(PLAN) + 1
    worklist = write_demo_studies(tmp_path, n_studies=n, size_px=(64, 78))
    studies = load_worklist(worklist)
    assert len(studies) == n
    assert {le.label for le in studies[0].truth if le.present} == {
        le.label for le in studies[-1].truth if le.present
    }
    assert studies[0].images[0].path.read_bytes() != studies[-1].images[0].path.read_bytes()


@pytest.mark.parametrize("wrong", [{"n_studies": 0}, {"n_studies": 2, "findings": [["Edema"]]}])
def test_impossible_requests_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        write_demo_studies(tmp_path, **wrong)  # type: ignore[arg-type]


def test_users_files_stay_where_they_are_and_bad_ones_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images, out = tmp_path / "mine", tmp_path / "out"
    (images / "deep").mkdir(parents=True)
    grey = (make_phantom(2, size_px=(176, 214)).pixels >> 4).astype(np.uint8)
    Image.fromarray(grey).save(images / "film10.png")
    Image.fromarray(grey).save(images / "film9.jpg")
    Image.fromarray(grey.astype(np.uint16) * 256).save(images / "deep" / "film.tif")
    Image.fromarray((grey > 99).astype(np.uint8) * 255).save(images / "mask.png")
    (images / "letter.dcm").write_text("no picture")
    (images / "notes.txt").write_text("not looked at")
    steps: list[tuple[int, int]] = []
    with caplog.at_level(logging.WARNING):
        worklist = write_user_studies(images, out, progress=lambda done, total: steps.append((done, total)))
    studies = load_worklist(worklist)
    assert [s.images[0].path.name for s in studies] == ["film.tif", "film9.jpg", "film10.png"]
    assert not any(s.synthetic or s.truth for s in studies)
    assert steps[-1] == (5, 5)
    with (out / "left_out.csv").open(newline="") as handle:
        left_out = {Path(row["file"]).name: row["reason"] for row in csv.DictReader(handle)}
    assert sorted(left_out) == ["letter.dcm", "mask.png"]
    assert "mask" in left_out["mask.png"]
    assert len([r for r in caplog.records if "left out" in r.getMessage()]) == 2
    anatomy = json.loads((out / "ground_truth" / "S001.anatomy.json").read_bytes())
    assert anatomy["lesions"] == []
    assert RegionMap.from_dict(anatomy["images"]["0"]).regions
    # Files below the worklist are given relative to it, so that the folder can be moved.
    worklist = write_user_studies(images, tmp_path, limit=2)
    assert len(load_worklist(worklist)) == 2
    assert "mine/deep/film.tif" in worklist.read_text()


def test_folder_without_any_radiograph(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        write_user_studies(tmp_path / "absent", tmp_path / "out")
    (tmp_path / "mine").mkdir()
    with pytest.raises(ImageError, match="no radiograph was found"):
        write_user_studies(tmp_path / "mine", tmp_path / "out")
    (tmp_path / "mine" / "x.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(ImageError, match="none of 1 files could be decoded"):
        write_user_studies(tmp_path / "mine", tmp_path / "out")
