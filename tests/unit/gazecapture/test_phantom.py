"""Phantoms: the same seed gives the same film, what is drawn is seen where the truth says, DICOM is whole."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.phantom import Phantom, make_phantom, write_dicom
from gazecapture.radiograph.phantom_findings import CATALOGUE, NO_FINDING
from keyframes.errors import UsageError

SIZE = (220, 268)
WITH_BOX = [label for label, entry in CATALOGUE.items() if entry.has_box]
LOCATIONS = {
    *(f"{side} {name}" for side in ("right", "left") for name in (
        "lung", "upper lung zone", "mid lung zone", "lower lung zone", "apical zone", "hilar structures",
        "costophrenic angle", "hemidiaphragm", "clavicle", "cardiophrenic angle", "cardiac silhouette",
        "upper abdomen",
    )),
    "trachea", "carina", "spine", "mediastinum", "upper mediastinum", "aortic arch", "descending aorta", "svc",
    "right atrium", "cavoatrial junction", "cardiac silhouette", "abdomen",
}  # fmt: skip


@cache
def phantom(seed: int, *findings: str) -> Phantom:
    return make_phantom(seed, findings=findings, size_px=SIZE)


def mean_in(picture: NDArray[np.float64], box: tuple[float, float, float, float]) -> float:
    x0, y0, x1, y1 = (round(v) for v in box)
    return float(picture[max(0, y0) : y1, max(0, x0) : x1].mean())


def region_mean(one: Phantom, name: str) -> float:
    region = one.region_map.regions[name]
    x0, y0, x1, y1 = region.box
    x, y = np.meshgrid(np.arange(int(x0), int(x1)) + 0.5, np.arange(int(y0), int(y1)) + 0.5)
    inside = region.contains(x, y)
    rows, columns = (
        np.minimum(y[inside].astype(int), SIZE[1] - 1),
        np.minimum(x[inside].astype(int), SIZE[0] - 1),
    )
    return float(one.pixels[rows, columns].mean())


def test_same_seed_same_film_other_seed_another() -> None:
    again = make_phantom(1, findings=["Lung Lesion"], size_px=SIZE)
    first = phantom(1, "Lung Lesion")
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert first.lesions == again.lesions
    assert first.region_map.to_dict() == again.region_map.to_dict()
    assert (first.pixels != phantom(2, "Lung Lesion").pixels).mean() > 0.3


def test_pixels_are_twelve_bit_and_use_the_range() -> None:
    one = phantom(3)
    assert one.pixels.shape == (SIZE[1], SIZE[0])
    assert one.pixels.dtype == np.uint16
    assert one.pixels.max() < 4096
    assert np.percentile(one.pixels, 99) - np.percentile(one.pixels, 1) > 2000
    assert not one.pixels.flags.writeable
    assert one.spacing_mm == pytest.approx(1.6, abs=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_the_film_looks_like_a_chest(seed: int) -> None:
    one = phantom(seed)
    lungs = [region_mean(one, f"{side} mid lung zone") for side in ("right", "left")]
    for dense in ("cardiac silhouette", "spine", "right upper abdomen", "aortic arch"):
        assert region_mean(one, dense) > max(lungs) + 400
    boxes = {name: region.box for name, region in one.region_map.regions.items()}
    # The patient's right is on the picture's left; the heart reaches further to the left.
    assert boxes["right lung"][2] < boxes["left lung"][0]
    middle = (boxes["spine"][0] + boxes["spine"][2]) / 2
    heart = boxes["cardiac silhouette"]
    assert heart[2] - middle > middle - heart[0]
    thorax = boxes["left lung"][2] - boxes["right lung"][0]
    assert 0.35 < (heart[2] - heart[0]) / thorax < 0.5
    assert boxes["carina"][1] > boxes["aortic arch"][1]
    assert boxes["left hilar structures"][1] < boxes["right hilar structures"][1]


def test_every_location_has_a_region_inside_the_picture() -> None:
    one = phantom(5, "Support Devices")
    assert set(one.region_map.regions) == LOCATIONS | {"device"}
    assert len(LOCATIONS) == 36
    assert (one.region_map.provider, one.region_map.confidence) == ("truth", 1.0)
    for region in one.region_map.regions.values():
        x0, y0, x1, y1 = region.box
        assert 0 <= x0 < x1 <= SIZE[0], region.name
        assert 0 <= y0 < y1 <= SIZE[1], region.name
        assert region.area_px2 > 20, region.name
    assert "device" not in phantom(5).region_map.regions


@pytest.mark.parametrize("label", WITH_BOX)
def test_a_finding_changes_the_film_in_its_box_more_than_elsewhere(label: str) -> None:
    seed = 11
    with_it, without = phantom(seed, label), phantom(seed)
    (lesion,) = [le for le in with_it.lesions if le.present]
    assert lesion.label == label
    assert lesion.box is not None
    x0, y0, x1, y1 = lesion.box
    assert 0 <= x0 < x1 <= SIZE[0]
    assert 0 <= y0 < y1 <= SIZE[1]
    change = np.abs(with_it.pixels.astype(np.float64) - without.pixels)
    outside = change.copy()
    outside[round(y0) : round(y1), round(x0) : round(x1)] = np.nan
    assert mean_in(change, lesion.box) > 2 * np.nanmean(outside)
    assert mean_in(change, lesion.box) > 25


def test_big_heart_and_effusion_are_what_their_names_say() -> None:
    big = phantom(6, "Cardiomegaly")
    boxes = {name: region.box for name, region in big.region_map.regions.items()}
    heart, thorax = boxes["cardiac silhouette"], boxes["left lung"][2] - boxes["right lung"][0]
    assert (heart[2] - heart[0]) / thorax > 0.5
    wet, dry = phantom(7, "Pleural Effusion"), phantom(7)
    (lesion,) = [le for le in wet.lesions if le.present]
    assert lesion.box is not None
    assert mean_in(wet.pixels.astype(float), lesion.box) > mean_in(dry.pixels.astype(float), lesion.box) + 200


def test_prior_shows_the_same_body_in_another_stand() -> None:
    now = make_phantom(20, findings=["Consolidation"], size_px=SIZE, anatomy_seed=8)
    before = make_phantom(21, size_px=SIZE, anatomy_seed=8)
    other = make_phantom(22, size_px=SIZE, anatomy_seed=9)

    def heart(one: Phantom) -> float:
        x0, _, x1, _ = one.region_map.regions["cardiac silhouette"].box
        return x1 - x0

    assert heart(now) == pytest.approx(heart(before), abs=1.5)
    assert now.region_map.regions["spine"].box != before.region_map.regions["spine"].box
    assert (heart(other), other.region_map.regions["carina"].box[1]) != pytest.approx(
        (heart(now), now.region_map.regions["carina"].box[1]), abs=0.5
    )


def test_truth_has_negatives_that_do_not_contradict() -> None:
    one = phantom(9, "Consolidation", "Pleural Effusion")
    present = {le.label for le in one.lesions if le.present}
    absent = {le.label for le in one.lesions if not le.present}
    assert present == {"Consolidation", "Pleural Effusion"}
    assert len(absent) == 4
    assert not absent & {"Lung Opacity", "Pneumonia", "Atelectasis", NO_FINDING}
    assert all(le.box is None for le in one.lesions if not le.present)
    assert len({le.finding_id for le in one.lesions}) == len(one.lesions)
    assert {label for label, there in one.labels.items() if there} == present
    normal = [le for le in phantom(9).lesions if le.present]
    assert [(le.label, le.box) for le in normal] == [(NO_FINDING, None)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"findings": ["Cold"]}, {"findings": [NO_FINDING, "Edema"]}, {"size_px": (10, 10)},
        {"size_px": (100_000, 500)}, {"view": "LL"},
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        make_phantom(1, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(512, 512), (300, 200), (128, 400)])
def test_any_shape_of_film_can_be_drawn(size: tuple[int, int]) -> None:
    one = make_phantom(4, findings=["Pneumothorax"], size_px=size, view="AP")
    assert one.pixels.shape == (size[1], size[0])
    assert (one.region_map.width_px, one.region_map.height_px) == size


def test_catalogue_speaks_without_side_or_letter() -> None:
    assert len(WITH_BOX) >= 8
    for entry in CATALOGUE.values():
        assert entry.region_names
        assert set(entry.region_names) <= LOCATIONS | {"device"}
        for sentence in (*entry.positive_sentences, entry.negative_sentence):
            assert sentence.endswith(".")
            assert not {"right", "left", "phantom", "synthetic"} & set(sentence.lower().rstrip(".").split())


def test_dicom_round_trip(tmp_path: Path) -> None:
    one = phantom(5, "Support Devices")
    path = write_dicom(one, tmp_path / "x.dcm", patient_id="SYN01", study_uid_seed=5)
    got = load_radiograph(path)
    np.testing.assert_array_equal(got.stored, one.pixels)
    assert (got.view_position, got.spacing_kind, got.base_inverted) == ("PA", "detector", False)
    assert got.spacing_x_mm == pytest.approx(one.spacing_mm, rel=1e-5)
    assert got.patient_id == "SYN01"
    assert [p.preset_id for p in got.presets] == ["window:0", "window:1", "auto"]
    header = pydicom.dcmread(path)
    assert str(header.PatientName) == "PHANTOM^SYNTHETIC"
    assert "SYNTHETIC" in header.ImageComments
    assert header.StudyInstanceUID.startswith("2.25.")
    assert header.StudyInstanceUID.is_valid
    lungs = got.grey8()[SIZE[1] // 2, SIZE[0] // 4]
    assert 20 < lungs < 180


def test_dicom_bytes_depend_on_the_seed_alone(tmp_path: Path) -> None:
    one = phantom(5, "Support Devices")
    files = [
        write_dicom(one, tmp_path / f"{i}.dcm", patient_id="SYN01", study_uid_seed=seed).read_bytes()
        for i, seed in enumerate((5, 5, 6))
    ]
    assert files[0] == files[1]
    assert files[0] != files[2]
    with pytest.raises(UsageError):
        write_dicom(one, tmp_path / "x.dcm", patient_id="1234", study_uid_seed=5)


def test_an_independent_validator_finds_no_error(tmp_path: Path) -> None:
    """dciodvfy of dicom3tools, one of the system packages that the tests are set up with."""
    validator = shutil.which("dciodvfy")
    assert validator is not None, "install dicom3tools (system-packages.txt)"
    for view in ("PA", "AP"):
        one = make_phantom(3, size_px=(128, 156), view=view)
        path = write_dicom(one, tmp_path / f"{view}.dcm", patient_id="SYN7", study_uid_seed=7)
        said = subprocess.run([validator, path], capture_output=True, text=True, check=False, timeout=300)
        assert "Error" not in said.stderr + said.stdout
        assert "DXImageForPresentation" in said.stderr + said.stdout
