"""Decoding of synthetic files: what the picture is, and one clear line where there is none."""

from __future__ import annotations

import io
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    generate_uid,
)

from gazecapture.radiograph import dicom_file
from gazecapture.radiograph.codestream import claimed_size
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.image import MAX_PIXELS
from gazecapture.radiograph.lookup import to_grey8
from keyframes.errors import ImageError

Pixels = NDArray[Any]


def ramp(bits: int = 12, *, signed: bool = False) -> Pixels:
    """Return a picture in which every value that the bits can store occurs."""
    low = -(1 << (bits - 1)) if signed else 0
    values = np.arange(low, low + (1 << bits))
    width = 1 << (bits // 2)
    return values.reshape(-1, width).astype(np.int16 if signed else np.uint16)


def dataset(pixels: Pixels, *, bits: int = 12, **attributes: Any) -> Dataset:
    """Return a minimal CR object around ``pixels``; attributes by keyword, None removes one."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.SOPClassUID = ComputedRadiographyImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID, data.StudyInstanceUID = "CANARY^PATIENT", "CANARY-ID-1", generate_uid()
    data.Modality = "CR"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = pixels.shape[:2]
    data.BitsAllocated = pixels.dtype.itemsize * 8
    data.BitsStored, data.HighBit = bits, bits - 1
    data.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    data.PixelData = pixels.tobytes()
    data["PixelData"].VR = "OB" if data.BitsAllocated == 8 else "OW"
    for keyword, value in attributes.items():
        if value is None:
            delattr(data, keyword)
        else:
            setattr(data, keyword, value)
    return data


def lut_item(descriptor: tuple[int, int, int], entries: Pixels, explanation: str = "") -> Dataset:
    """Return one item of a LUT sequence."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [descriptor[0], descriptor[1] & 0xFFFF, descriptor[2]])
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    if explanation:
        item.LUTExplanation = explanation
    return item


def save(data: Dataset, path: Path) -> Path:
    """Write ``data`` and return ``path``."""
    pydicom.dcmwrite(path, data, enforce_file_format=True)
    return path


def sequence(*items: Dataset) -> DicomSequence:
    """Return a DICOM sequence."""
    return DicomSequence(list(items))


def refused(path: Path) -> ImageError:
    with pytest.raises(ImageError) as caught:
        load_radiograph(path)
    line = caught.value.one_line()
    assert "\n" not in line
    assert "CANARY" not in line
    assert str(path) in line
    return caught.value


def test_stored_values_window_and_geometry(tmp_path: Path) -> None:
    data = dataset(
        ramp(), WindowCenter=[2048, 1000], WindowWidth=[4096, 500],
        WindowCenterWidthExplanation=["NORMAL", "HARDER"], ViewPosition="PA", PixelSpacing=[0.2, 0.1],
        ImagerPixelSpacing=[0.22, 0.11], InstitutionName="CANARY HOSPITAL", OperatorsName=["A^B", "C^D"],
    )  # fmt: skip
    got = load_radiograph(save(data, tmp_path / "x.dcm"))
    assert (got.width_px, got.height_px) == (64, 64)
    np.testing.assert_array_equal(got.stored, ramp())
    assert not got.stored.flags.writeable
    assert [p.preset_id for p in got.presets] == ["window:0", "window:1", "auto"]
    assert [p.name for p in got.presets[:2]] == ["NORMAL", "HARDER"]
    assert (got.spacing_x_mm, got.spacing_y_mm, got.spacing_kind) == (0.1, 0.2, "pixel")
    assert (got.view_position, got.suffix, got.base_inverted, got.burned_in) == ("PA", ".dcm", False, False)
    assert got.patient_id == "CANARY-ID-1"
    assert got.names == {"CANARY^PATIENT", "CANARY HOSPITAL", "A^B", "C^D"}
    assert "CANARY" not in repr(got)
    grey = got.grey8()
    assert grey.dtype == np.uint8
    assert grey[0, 0] == 0
    assert grey[-1, -1] == 255
    view = got.view(1)
    assert (view.image_index, view.width_px, view.height_px, view.presets) == (1, 64, 64, got.presets)


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME1", None, True), ("MONOCHROME2", None, False), ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME2", "INVERSE", True), ("MONOCHROME1", "IDENTITY", False), ("MONOCHROME2", "IDENTITY", False),
    ],
)  # fmt: skip
def test_polarity_inverts_once_at_most(
    tmp_path: Path, photometric: str, shape: str | None, inverted: bool
) -> None:
    changes: dict[str, Any] = {"PhotometricInterpretation": photometric}
    if shape:
        changes["PresentationLUTShape"] = shape
    got = load_radiograph(save(dataset(ramp(), **changes), tmp_path / "x.dcm"))
    assert got.base_inverted is inverted
    assert got.grey8()[0, 0] == (255 if inverted else 0)
    np.testing.assert_array_equal(got.grey8(inverted=not inverted), 255 - got.grey8())


CASES: dict[str, dict[str, Any]] = {
    "linear": {"WindowCenter": 700.5, "WindowWidth": 333},
    "ties": {"WindowCenter": 300, "WindowWidth": 511},
    "exact": {"WindowCenter": 100, "WindowWidth": 1000, "VOILUTFunction": "LINEAR_EXACT"},
    "sigmoid": {"WindowCenter": 2000, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"},
    "rescaled": {"RescaleSlope": 0.684, "RescaleIntercept": -200, "WindowCenter": 800, "WindowWidth": 1600},
    "falling": {"RescaleSlope": -1, "RescaleIntercept": 4095, "WindowCenter": 2000, "WindowWidth": 3000},
    "voi lut": {
        "VOILUTSequence": sequence(
            lut_item((300, 1000, 12), np.linspace(0, 4095, 300) ** 2 / 4095),
            lut_item((4096, 0, 16), np.arange(4096) * 16),
        )
    },
    "modality lut": {
        "ModalityLUTSequence": sequence(lut_item((4096, 0, 16), np.arange(4096) ** 2 // 256)),
        "WindowCenter": 30000, "WindowWidth": 40000,
    },
}  # fmt: skip


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("case", sorted(CASES))
def test_table_equals_pydicoms_pixelwise_result(tmp_path: Path, case: str, signed: bool) -> None:
    data = dataset(ramp(signed=signed), **CASES[case])
    path = save(data, tmp_path / "x.dcm")
    got = load_radiograph(path)
    again = pydicom.dcmread(path)
    n = len(CASES[case].get("VOILUTSequence", [0]))
    for index in range(n):
        expected = to_grey8(pixelwise_share(again, index))
        preset = got.presets[index].preset_id
        np.testing.assert_array_equal(got.grey8(preset_id=preset), expected)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_every_depth_equals_pydicoms_pixelwise_result(
    tmp_path: Path, bits: int, signed: bool, function: str
) -> None:
    middle = 0 if signed else 1 << (bits - 1)
    pixels = ramp(bits, signed=signed).astype({8: "b", 16: "h"}[bits] if signed else {8: "B", 16: "H"}[bits])
    data = dataset(
        pixels, bits=bits, BitsAllocated=bits, WindowCenter=middle + 3, WindowWidth=(1 << bits) // 3,
        VOILUTFunction=function, PhotometricInterpretation="MONOCHROME1",
    )  # fmt: skip
    path = save(data, tmp_path / "x.dcm")
    expected = 255 - to_grey8(pixelwise_share(pydicom.dcmread(path), 0))
    np.testing.assert_array_equal(load_radiograph(path).grey8(), expected)


def pixelwise_share(data: Dataset, index: int) -> Any:
    """Return pydicom's result, scaled by the range that the standard gives its last step."""
    shown = apply_voi_lut(apply_modality_lut(data.pixel_array, data), data, index).astype(np.float64)
    if data.get("VOILUTSequence"):
        return shown / ((1 << data.VOILUTSequence[index].LUTDescriptor[2]) - 1)
    low, high = (0.0, float((1 << data.BitsStored) - 1))
    if data.get("ModalityLUTSequence"):
        high = float((1 << data.ModalityLUTSequence[0].LUTDescriptor[2]) - 1)
    elif data.PixelRepresentation:
        half = 1 << (data.BitsStored - 1)
        low, high = -float(half), float(half - 1)
    if "RescaleSlope" in data:
        slope, intercept = float(data.RescaleSlope), float(data.RescaleIntercept)
        low, high = low * slope + intercept, high * slope + intercept
    return (shown - low) / (high - low)


@pytest.mark.parametrize("signed", [False, True])
def test_bits_beyond_bits_stored_are_cut_off(tmp_path: Path, signed: bool) -> None:
    clean = ramp(signed=signed)
    dirty = (clean.astype(np.uint16) & 0x0FFF) | np.uint16(0x5000)
    data = dataset(dirty.astype(clean.dtype))
    got = load_radiograph(save(data, tmp_path / "x.dcm"))
    np.testing.assert_array_equal(got.stored, clean)
    assert got.stored.dtype == clean.dtype


def test_presets_that_no_display_can_show_are_left_out(tmp_path: Path) -> None:
    data = dataset(ramp(), WindowCenter=[5, 6, 7], WindowWidth=[0, -3, 8])
    got = load_radiograph(save(data, tmp_path / "x.dcm"))
    assert [p.preset_id for p in got.presets] == ["window:2", "auto"]


@pytest.mark.parametrize(
    ("pixel", "imager", "expected"),
    [
        (None, [0.3, 0.2], (0.2, 0.3, "detector")), ([0.3, 0.2], [0.3, 0.2], (0.2, 0.3, "detector")),
        ([0.3, 0.2], None, (0.2, 0.3, "pixel")), ([0, 0], None, (None, None, "unknown")),
        ([0, 0], [0.1, 0.1], (0.1, 0.1, "detector")), (None, None, (None, None, "unknown")),
    ],
)  # fmt: skip
def test_spacing(
    tmp_path: Path, pixel: list[float] | None, imager: list[float] | None, expected: tuple[object, ...]
) -> None:
    changes: dict[str, Any] = {
        k: v for k, v in (("PixelSpacing", pixel), ("ImagerPixelSpacing", imager)) if v is not None
    }
    got = load_radiograph(save(dataset(ramp(), **changes), tmp_path / "x.dcm"))
    assert (got.spacing_x_mm, got.spacing_y_mm, got.spacing_kind) == expected


def test_header_values_reach_neither_log_nor_warnings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    path = save(dataset(ramp(), StudyInstanceUID="1.22.333.4444.5"), tmp_path / "x.dcm")
    path.write_bytes(path.read_bytes().replace(b"1.22.333.4444.5", b"CANARY.333.44.5"))
    with caplog.at_level("DEBUG"):
        load_radiograph(path)
        assert not caplog.records
        assert not recwarn.list
        # What would be told without the muting; and it is over after the decode.
        with pytest.warns(UserWarning, match="CANARY"):
            str(pydicom.dcmread(path).StudyInstanceUID)
        assert any("CANARY" in record.getMessage() for record in caplog.records)


def test_view_from_its_code_and_burned_in_flag(tmp_path: Path) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "272479007", "SCT", "postero-anterior"
    data = dataset(ramp(), ViewCodeSequence=sequence(code), BurnedInAnnotation="YES")
    got = load_radiograph(save(data, tmp_path / "x.dcm"))
    assert (got.view_position, got.burned_in) == ("PA", True)


def test_file_without_preamble_is_read(tmp_path: Path) -> None:
    data = dataset(ramp(), WindowCenter=2048, WindowWidth=4096)
    whole = io.BytesIO()
    pydicom.dcmwrite(whole, data, enforce_file_format=True)
    meta_end = 144 + int.from_bytes(whole.getvalue()[140:144], "little")
    path = tmp_path / "bare.dcm"
    path.write_bytes(whole.getvalue()[meta_end:])
    np.testing.assert_array_equal(load_radiograph(path).stored, ramp())


def test_run_length_encoded(tmp_path: Path) -> None:
    data = dataset(ramp())
    data.compress(RLELossless)
    np.testing.assert_array_equal(load_radiograph(save(data, tmp_path / "x.dcm")).stored, ramp())


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_raster(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"x.{kind.lower()}"
    Image.fromarray(ramp()).save(path, format=kind)
    got = load_radiograph(path)
    np.testing.assert_array_equal(got.stored, ramp())
    assert got.stored.dtype == np.uint16
    assert [p.preset_id for p in got.presets] == ["auto"]
    assert got.suffix == (".png" if kind == "PNG" else ".tif")
    assert got.spacing_kind == "unknown"


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_8_bit_raster_is_shown_as_it_is(tmp_path: Path, kind: str) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(grey).save(tmp_path / "x", format=kind)
    got = load_radiograph(tmp_path / "x")
    np.testing.assert_array_equal(got.grey8(), grey)
    assert [p.preset_id for p in got.presets] == ["window:0", "auto"]


def test_colour_raster_becomes_luminance(tmp_path: Path) -> None:
    colour = np.zeros((4, 4, 3), np.uint8)
    colour[..., 1] = 100
    Image.fromarray(colour).save(tmp_path / "x.png")
    assert set(load_radiograph(tmp_path / "x.png").stored.ravel().tolist()) == {59}


def test_white_is_zero_16_bit_tiff_is_inverted(tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / "x.tif", tiffinfo={262: 0})
    got = load_radiograph(tmp_path / "x.tif")
    assert got.base_inverted
    assert got.grey8()[0, 0] == 255


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    Image.new("L", (8, 8), 7).save(tmp_path / "x.dcm", format="PNG")
    assert load_radiograph(tmp_path / "x.dcm").suffix == ".png"


def test_absent_empty_folder_and_foreign_files(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "absent.dcm").message
    (tmp_path / "empty.dcm").touch()
    assert "empty" in refused(tmp_path / "empty.dcm").message
    (tmp_path / "folder.dcm").mkdir()
    assert "not a file" in refused(tmp_path / "folder.dcm").message
    (tmp_path / "x.dcm").write_text("CANARY this is a letter about a patient" * 20)
    assert "neither DICOM" in refused(tmp_path / "x.dcm").message


def test_a_million_empty_attributes_are_given_up_early(tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(bytes(128) + b"DICM" + b"\x08\x00\x08\x00\0\0\0\0" * 1_000_000)
    assert "attributes" in refused(path).message
    path.write_bytes(bytes(128) + b"DICM" + bytes(50_000_000))
    assert "damaged" in refused(path).message


WRONG: dict[str, dict[str, Any]] = {
    "frames": {"NumberOfFrames": 3},
    "colour": {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3},
    "palette": {"PhotometricInterpretation": "PALETTE COLOR"},
    "zero rows": {"Rows": 0},
    "no rows": {"Rows": None},
    "no pixels": {"PixelData": None},
    "huge": {"Rows": 65535, "Columns": 65535},
    "too many bits": {"BitsStored": 32, "BitsAllocated": 32},
    "no bits": {"BitsStored": 0},
    "longer than the data": {"Rows": 640},
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_what_is_no_plain_radiograph_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    data = dataset(ramp(), **WRONG[case])
    tracemalloc.start()
    refused(save(data, tmp_path / "x.dcm"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


def test_codestream_that_claims_more_than_the_header_is_refused(tmp_path: Path) -> None:
    start = b"\xff\xd8\xff\xc0\x00\x0b\x08" + (60000).to_bytes(2, "big") * 2 + b"\x01\x01\x11\x00"
    data = dataset(np.zeros((8, 8), np.uint8), bits=8)
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    data.PixelData = encapsulate([start + b"\xff\xda" + b"\0" * 50])
    data["PixelData"].is_undefined_length = True
    error = refused(save(data, tmp_path / "x.dcm"))
    assert "60000 x 60000" in error.message


def test_deflated_bomb_is_refused_without_unpacking_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicom_file, "MAX_INFLATED_BYTES", 1 << 25)
    whole = io.BytesIO()
    pydicom.dcmwrite(whole, dataset(ramp()), enforce_file_format=True)
    head = whole.getvalue()
    meta = bytearray(head[: 144 + int.from_bytes(head[140:144], "little")])
    at = meta.index(b"1.2.840.10008.1.2.1\0")
    # The deflated syntax' UID is two characters longer.
    meta[at : at + 20] = b"1.2.840.10008.1.2.1.99"
    meta[at - 2 : at] = (22).to_bytes(2, "little")
    meta[140:144] = (int.from_bytes(meta[140:144], "little") + 2).to_bytes(4, "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = b"".join(packer.compress(bytes(1 << 24)) for _ in range(4)) + packer.flush()
    path = tmp_path / "x.dcm"
    path.write_bytes(bytes(meta) + body)
    assert path.stat().st_size < 200_000
    assert "unpacks" in refused(path).message


def test_raster_that_claims_gigapixels_is_refused_without_allocating(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("L", (4, 4)).save(buffer, format="PNG")
    content = bytearray(buffer.getvalue())
    content[16:24] = (100_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path = tmp_path / "x.png"
    path.write_bytes(content)
    tracemalloc.start()
    assert str(MAX_PIXELS) in refused(path).message
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_several_pages_are_refused(tmp_path: Path) -> None:
    pages = [Image.new("L", (8, 8), v) for v in (1, 2)]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    assert "2 pictures" in refused(tmp_path / "x.tif").message


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), max_size=6),
    kind=st.sampled_from(["dcm", "rle", "png", "jpg"]),
)
def test_damage_gives_a_picture_or_one_clear_line(
    tmp_path: Path, cut: float, flips: list[tuple[float, int]], kind: str
) -> None:
    path = tmp_path / f"x.{kind}"
    if kind in {"dcm", "rle"}:
        data = dataset(ramp(8)[:, :11].astype(np.uint16), WindowCenter=100, WindowWidth=50)
        if kind == "rle":
            data.compress(RLELossless)
        save(data, path)
    else:
        Image.fromarray(ramp(8).astype(np.uint8)).save(path, format={"png": "PNG", "jpg": "JPEG"}[kind])
    content = bytearray(path.read_bytes())
    for place, mask in flips:
        content[int(place * (len(content) - 1))] ^= mask
    path.write_bytes(content[: max(1, int(cut * len(content)))] if cut < 0.9 else content)
    told = ""
    try:
        assert load_radiograph(path).grey8().ndim == 2
    except ImageError as error:
        told = error.one_line()
    assert "CANARY" not in told


def test_size_claims_of_code_streams() -> None:
    siz = b"\xff\x4f\xff\x51\x00\x29\x00\x00" + b"".join(v.to_bytes(4, "big") for v in (110, 220, 10, 20))
    siz += bytes(16) + (3).to_bytes(2, "big")
    assert claimed_size(siz) == (100, 200, 3)
    assert claimed_size(bytes(4) + b"jP  " + bytes(20) + siz) == (100, 200, 3)
    jpeg_ls = b"\xff\xd8\xff\xf7\x00\x0b\x0c\x00\x10\x00\x20\x01"
    assert claimed_size(jpeg_ls) == (32, 16, 1)
    assert claimed_size(b"\xff\xd8\xff\xe0\x00\x04ab" + jpeg_ls[2:]) == (32, 16, 1)
    for nothing in (b"", b"\xff\xd8", b"\xff\xd8\x00\x00\x00", siz[:20], b"RLE"):
        assert claimed_size(nothing) is None
