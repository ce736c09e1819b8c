"""DICOM segmentations: written, read back, and refused where they are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from gazecapture.radiograph.annotations.dicom_seg import DicomSegmentations, write_dicom_seg
from gazecapture.radiograph.annotations.source import AnnotationSource
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.film import Film
from gazecapture.radiograph.phantom import make_phantom
from gazecapture.radiograph.phantom_dicom import write_dicom
from keyframes.errors import GazeToolError, ImageError
from keyframes.regions.bitmap import Bitmap
from keyframes.regions.region_map import Region, RegionMap

WIDTH, HEIGHT = 176, 214
PHANTOM = make_phantom(2, size_px=(WIDTH, HEIGHT))


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dicom(
        PHANTOM, tmp_path_factory.mktemp("film") / "film.dcm", patient_id="SYN2", study_uid_seed=2
    )


def overlapping() -> RegionMap:
    """A mask of two parts with a hole, and a box across it."""
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[10:60, 20:70] = True
    mask[30:40, 30:40] = False
    mask[100:110, 90:95] = True
    grid = Bitmap.from_mask(mask)
    assert grid is not None
    regions = {"ring": Region.from_bitmap("ring", grid), "box": Region.from_box("box", (40, 40, 100, 120))}
    return RegionMap.build(
        width_px=WIDTH, height_px=HEIGHT, regions=regions, provider="manual", confidence=1.0
    )


def film_of(picture: Path) -> Film:
    radiograph = load_radiograph(picture)
    return Film(width_px=WIDTH, height_px=HEIGHT, ids=frozenset({radiograph.sop_uid}))


def test_overlapping_segments_come_back_to_the_pixel(picture: Path, tmp_path: Path) -> None:
    write_dicom_seg(overlapping(), picture, tmp_path / "seg.dcm")
    found = DicomSegmentations(AnnotationSource(format="dicom-seg", path=tmp_path / "seg.dcm"))(
        film_of(picture)
    )
    assert found is not None
    for name, region in overlapping().regions.items():
        drawn = region.on_grid(width_px=WIDTH, height_px=HEIGHT)
        assert (found.regions[name].on_grid(width_px=WIDTH, height_px=HEIGHT) == drawn).all(), name


def test_labels_are_renamed_and_refer_to_the_picture(picture: Path, tmp_path: Path) -> None:
    write_dicom_seg(overlapping(), picture, tmp_path / "seg.dcm")
    header = pydicom.dcmread(tmp_path / "seg.dcm")
    source = pydicom.dcmread(picture)
    assert header.StudyInstanceUID == source.StudyInstanceUID
    assert header.SeriesInstanceUID != source.SeriesInstanceUID
    assert {s.SegmentAlgorithmType for s in header.SegmentSequence} == {"MANUAL"}
    names = {"ring": "left lung", "box": "left lung"}
    reader = DicomSegmentations(AnnotationSource(format="dicom-seg", path=tmp_path / "seg.dcm", names=names))
    found = reader(film_of(picture))
    assert found is not None
    both = np.logical_or.reduce(
        [r.on_grid(width_px=WIDTH, height_px=HEIGHT) for r in overlapping().regions.values()]
    )
    assert found.regions["left lung"].area_px2 == both.sum(), "segments of one name are one region"


def test_a_picture_without_patient_or_spacing_is_segmented_too(picture: Path, tmp_path: Path) -> None:
    bare = pydicom.dcmread(picture)
    for keyword in (
        "PatientID",
        "PatientName",
        "StudyDate",
        "StudyTime",
        "PixelSpacing",
        "ImagerPixelSpacing",
    ):
        if keyword in bare:
            delattr(bare, keyword)
    bare.save_as(tmp_path / "bare.dcm")
    write_dicom_seg(overlapping(), tmp_path / "bare.dcm", tmp_path / "seg.dcm")
    source = AnnotationSource(format="dicom-seg", path=tmp_path / "seg.dcm")
    assert DicomSegmentations(source)(film_of(picture)) is not None


def test_only_the_map_s_own_dicom_picture_is_segmented(picture: Path, tmp_path: Path) -> None:
    wrong = RegionMap.build(
        width_px=WIDTH + 1, height_px=HEIGHT, regions=overlapping().regions, provider="manual", confidence=1.0
    )
    with pytest.raises(ImageError, match=f"map of 2 regions {WIDTH + 1} x {HEIGHT}"):
        write_dicom_seg(wrong, picture, tmp_path / "seg.dcm")
    (tmp_path / "text.dcm").write_text("no picture")
    with pytest.raises(ImageError, match="no DICOM picture"):
        write_dicom_seg(overlapping(), tmp_path / "text.dcm", tmp_path / "seg.dcm")
    assert not (tmp_path / "seg.dcm").exists()


def test_a_picture_is_no_segmentation_and_a_torn_one_is_said_to_be(picture: Path, tmp_path: Path) -> None:
    with pytest.raises(GazeToolError, match="no DICOM segmentation"):
        DicomSegmentations(AnnotationSource(format="dicom-seg", path=picture))
    path = tmp_path / "seg.dcm"
    write_dicom_seg(overlapping(), picture, path)
    whole = path.read_bytes()
    film = film_of(picture)
    for share in (0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        try:
            assert DicomSegmentations(AnnotationSource(format="dicom-seg", path=path))(film) is None
        except GazeToolError as error:
            code = error.code
            assert code == "GT-ANNOTATION"
