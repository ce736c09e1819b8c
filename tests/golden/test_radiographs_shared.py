"""Every radiograph of the shared data: it decodes as pydicom has it pixel by pixel, or gives one clear line."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi, apply_windowing

from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.image import Radiograph
from gazecapture.radiograph.lookup import to_grey8, window_share
from keyframes.errors import ImageError

pytestmark = pytest.mark.shared

UNDECODABLE = "RG3_JPLY_mono1_jpeg_extended12.dcm"
DICOM = (
    "CR-MONO1-10-chest.dcm", "CR-ModalitySequenceLUT_mono1.dcm", "ErrorDx_DX_knee_voilutseq.dcm",
    "GH133_MG_sigmoid_voilutseq.dcm", "RG1_J2KI_chest_mono1_j2k_lossy.dcm", "RG1_JLSN_chest_mono1_jpegls_near.dcm",
    "RG2_J2KR_hip_mono2_j2k_lossless.dcm", "RG2_UNC_raw.dcm", "RG3_J2KR_mono1_j2k_lossless.dcm",
    "RG3_JLSL_mono1_jpegls_lossless.dcm", "RG3_JPLL_mono1_jpeg_lossless_sv1.dcm", "RG3_RLE_mono1_rle.dcm",
    "RG3_UNC_raw.dcm", "RG3_derived_explicit_big_endian.dcm", "derived_nih_CR_chest_fake_mono1_jpeg8.dcm",
    "derived_nih_CR_chest_mono2_jpeg8.dcm", "mlut_18.dcm", "pydicom_CR1_6154_16x16.dcm", "vlut_04.dcm",
)  # fmt: skip


@pytest.fixture(scope="module")
def radiographs(shared: Path) -> Path:
    return shared / "data" / "radiographs"


def test_the_list_of_files_is_complete(radiographs: Path) -> None:
    assert {f.name for f in (radiographs / "dicom").iterdir()} == {*DICOM, UNDECODABLE}


@pytest.mark.parametrize("name", DICOM)
def test_every_preset_equals_pydicoms_pixelwise_result(radiographs: Path, name: str) -> None:
    path = radiographs / "dicom" / name
    got = load_radiograph(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = pydicom.dcmread(path)
        np.testing.assert_array_equal(got.stored, header.pixel_array)
        modality = apply_modality_lut(header.pixel_array, header)
        for preset in got.presets:
            if preset.preset_id == "auto":
                share = window_share(modality.astype(np.float64), preset.center, preset.width, "LINEAR")
            else:
                share = pixelwise_share(header, modality, preset.preset_id)
            expected = to_grey8(share)
            inverted = header.PhotometricInterpretation == "MONOCHROME1"
            expected = 255 - expected if inverted else expected
            np.testing.assert_array_equal(got.grey8(preset_id=preset.preset_id), expected)
    np.testing.assert_array_equal(got.grey8(), got.grey8(preset_id=got.presets[0].preset_id))


def pixelwise_share(header: Dataset, modality: NDArray[np.generic], preset_id: str) -> NDArray[np.float64]:
    kind, _, number = preset_id.partition(":")
    if kind == "lut":
        bits = header.VOILUTSequence[int(number)].LUTDescriptor[2]
        return np.asarray(apply_voi(modality, header, int(number)) / ((1 << bits) - 1), np.float64)
    shown = apply_windowing(modality, header, int(number))
    low, high = 0.0, float((1 << header.BitsStored) - 1)
    if header.get("ModalityLUTSequence"):
        high = float((1 << header.ModalityLUTSequence[0].LUTDescriptor[2]) - 1)
    if header.get("RescaleSlope") is not None:
        low, high = (v * float(header.RescaleSlope) + float(header.RescaleIntercept) for v in (low, high))
    return np.asarray((shown - low) / (high - low), np.float64)


def test_undecodable_file_gives_one_clear_line(radiographs: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"), pytest.raises(ImageError, match="compression cannot be decoded") as caught:
        load_radiograph(radiographs / "dicom" / UNDECODABLE)
    assert "JPEG Extended" in caught.value.one_line()
    assert "\n" not in caught.value.one_line()
    assert not caplog.records


def test_one_image_in_six_encodings(radiographs: Path) -> None:
    films = [load_radiograph(radiographs / "dicom" / name) for name in DICOM if name.startswith("RG3_")]
    assert len(films) == 6
    for film in films[1:]:
        np.testing.assert_array_equal(film.stored, films[0].stored)
        np.testing.assert_array_equal(film.grey8(), films[0].grey8())


def test_traps_of_single_files(radiographs: Path) -> None:
    def film(name: str) -> Radiograph:
        return load_radiograph(radiographs / "dicom" / name)

    zero_spacing = film("RG1_J2KI_chest_mono1_j2k_lossy.dcm")
    assert (zero_spacing.spacing_x_mm, zero_spacing.spacing_kind) == (None, "unknown")
    knee = film("ErrorDx_DX_knee_voilutseq.dcm")
    assert [p.preset_id for p in knee.presets] == [
        "lut:0",
        "lut:1",
        "lut:2",
        "window:0",
        "window:1",
        "window:2",
        "auto",
    ]
    assert (knee.spacing_kind, knee.spacing_x_mm) == ("pixel", 0.187817)
    breast = film("GH133_MG_sigmoid_voilutseq.dcm")
    assert [p.voi for p in breast.presets] == ["LUT"] * 3 + ["SIGMOID"] * 3 + ["LINEAR"]
    assert film("mlut_18.dcm").stored.min() < 0
    right, wrong = (
        film("derived_nih_CR_chest_mono2_jpeg8.dcm"),
        film("derived_nih_CR_chest_fake_mono1_jpeg8.dcm"),
    )
    np.testing.assert_array_equal(right.grey8(), 255 - wrong.grey8())


def test_dragging_from_a_lut_does_not_jump(radiographs: Path) -> None:
    for name in ("ErrorDx_DX_knee_voilutseq.dcm", "GH133_MG_sigmoid_voilutseq.dcm"):
        film = load_radiograph(radiographs / "dicom" / name)
        for preset in film.presets[:3]:
            table = film.lookup(center=preset.center, width=preset.width, voi="LINEAR").values
            before, after = film.grey8(preset_id=preset.preset_id), table[film.stored]
            assert abs(before.astype(float).mean() - after.astype(float).mean()) < 12


def test_pictures_are_shown_as_they_are(radiographs: Path) -> None:
    files = [*(radiographs / "png").glob("*.png"), *(radiographs / "cxr_mask_pairs" / "images").iterdir()]
    assert len(files) == 15
    for file in files:
        got = load_radiograph(file)
        with Image.open(file) as picture:
            expected = np.asarray(picture.convert("L"))
        np.testing.assert_array_equal(got.grey8(), expected)
