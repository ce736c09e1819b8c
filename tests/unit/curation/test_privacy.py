from __future__ import annotations

import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID, ComputedRadiographyImageStorage, ExplicitVRLittleEndian

from curation.export.dicom_terms import KEPT_TERMS, UNKNOWN_VIEW
from curation.export.originals import write_original
from curation.export.scan import scan_output
from curation.privacy import REDACTED, Identifiers, Redactor
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.phantom import make_phantom
from gazecapture.radiograph.phantom_dicom import write_dicom
from gazecapture.store import KeyedHash, Store
from keyframes.errors import ImageError

CANARY = "ZZCANARY"
TEXT_KEYWORDS = (
    "PatientComments", "StudyDescription", "SeriesDescription", "ImageComments", "OperatorsName", "InstitutionName",
    "StationName", "DeviceSerialNumber", "ProtocolName", "RequestedProcedureDescription", "AccessionNumber",
    "AdditionalPatientHistory", "DerivationDescription", "FilterMaterial", "AcquisitionDeviceProcessingDescription",
    "DetectorID", "CassetteID", "PlateID", "ReferringPhysicianName", "WindowCenterWidthExplanation",
)  # fmt: skip


def canary_film(path: Path) -> Path:
    """Write a radiograph with a marker in every place that is known to leak."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.SourceApplicationEntityTitle = CANARY
    film = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    film.SOPClassUID, film.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3.4"
    film.StudyInstanceUID, film.SeriesInstanceUID = "1.2.3.987654", "1.2.3.6"
    film.PatientName, film.PatientID, film.PatientBirthDate = f"{CANARY}^JANE", f"{CANARY}-4711", "19010101"
    for keyword in TEXT_KEYWORDS:
        setattr(film, keyword, CANARY)
    inner = Dataset()
    inner.ScheduledProcedureStepDescription = CANARY
    inner.RequestAttributesSequence = Sequence(
        [_with(Dataset(), "ScheduledProcedureStepDescription", CANARY)]
    )
    film.RequestAttributesSequence = Sequence([inner])
    lut = Dataset()
    lut.LUTDescriptor, lut.LUTData, lut.LUTExplanation = [256, 0, 8], list(range(256)), CANARY
    lut["LUTDescriptor"].VR = lut["LUTData"].VR = "US"
    film.VOILUTSequence = Sequence([lut])
    film.private_block(0x0011, f"{CANARY} block", create=True).add_new(1, "LO", CANARY)
    film.add_new(0x60000022, "LO", CANARY)
    film.Modality, film.Rows, film.Columns = "CR", 8, 8
    film.SamplesPerPixel, film.PhotometricInterpretation = 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 8, 8, 7, 0
    film.PixelSpacing, film.WindowCenter, film.WindowWidth = [0.2, 0.2], 128, 256
    film.PixelData = bytes(range(64))
    film.save_as(path, enforce_file_format=True)
    return path


def _with(dataset: Dataset, keyword: str, value: str) -> Dataset:
    setattr(dataset, keyword, value)
    return dataset


def test_no_marker_survives_in_an_original(tmp_path: Path) -> None:
    source = canary_film(tmp_path / "film.dcm")
    assert CANARY.encode() in source.read_bytes()
    out = write_original(source, tmp_path / "abc_0", patient="p1", pseudonym=KeyedHash(b"k" * 32))
    content = out.read_bytes()
    for marker in (CANARY, "JANE", "4711", "19010101", "1.2.3."):
        assert marker.encode() not in content
    film = pydicom.dcmread(out)
    assert CANARY not in str(film)
    assert (film.PatientName, film.PatientID, film.PatientIdentityRemoved) == ("p1", "p1", "YES")
    assert [code.CodeValue for code in film.DeidentificationMethodCodeSequence] == ["113100", "113107"]
    assert film.file_meta.MediaStorageSOPInstanceUID == film.SOPInstanceUID != "1.2.3.4"
    np.testing.assert_array_equal(film.pixel_array, pydicom.dcmread(source).pixel_array)
    np.testing.assert_array_equal(load_radiograph(out).grey8(), load_radiograph(source).grey8())


@pytest.mark.parametrize("keyword", sorted(KEPT_TERMS))
def test_no_marker_survives_where_only_terms_belong(tmp_path: Path, keyword: str) -> None:
    source = canary_film(tmp_path / "film.dcm")
    film = pydicom.dcmread(source)
    if keyword not in {"PhotometricInterpretation", "PresentationLUTShape", "VOILUTFunction", "Modality"}:
        setattr(film, keyword, [CANARY, CANARY] if keyword == "ImageType" else CANARY)
    film.PixelData += CANARY.encode()
    film.save_as(source)
    assert CANARY.encode() in source.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom tells of the bytes behind the pixels
        out = write_original(source, tmp_path / "abc_0", patient="p1", pseudonym=KeyedHash(b"k" * 32))
    assert CANARY.encode() not in out.read_bytes()


@pytest.mark.parametrize(
    "keyword", ["PixelSpacing", "RescaleSlope", "WindowCenter", "LargestImagePixelValue"]
)
def test_no_marker_survives_where_only_numbers_belong(tmp_path: Path, keyword: str) -> None:
    """A file may give an attribute another kind of value than the standard has for it."""
    source = canary_film(tmp_path / "film.dcm")
    film = pydicom.dcmread(source)
    film.pop(keyword, None)
    film.add_new(Tag(keyword), "LO", CANARY)
    film.save_as(source)
    out = write_original(source, tmp_path / "abc_0", patient="p1", pseudonym=KeyedHash(b"k" * 32))
    assert CANARY.encode() not in out.read_bytes()


def test_an_overlay_in_the_pixels_unused_bits_is_cut(tmp_path: Path) -> None:
    source = canary_film(tmp_path / "film.dcm")
    film = pydicom.dcmread(source)
    film.BitsAllocated, film.BitsStored, film.HighBit = 16, 12, 11
    film.PixelData = np.full((8, 8), 0xF123, "<u2").tobytes()
    film.save_as(source)
    out = write_original(source, tmp_path / "abc_0", patient="p1", pseudonym=KeyedHash(b"k" * 32))
    assert (pydicom.dcmread(out).pixel_array == 0x123).all()


@pytest.mark.parametrize(("photometric", "dark"), [("MONOCHROME2", 0), ("MONOCHROME1", 63)])
def test_masked_boxes_of_a_dicom_film_are_dark(tmp_path: Path, photometric: str, dark: int) -> None:
    source = canary_film(tmp_path / "film.dcm")
    film = pydicom.dcmread(source)
    film.PhotometricInterpretation = photometric
    film.save_as(source)
    boxes = [(1, 2, 4, 5), (6, 6, 99, 99)]
    out = write_original(
        source, tmp_path / "abc_0", patient="p1", pseudonym=KeyedHash(b"k" * 32), masks=boxes
    )
    expected = np.arange(64, dtype=np.uint8).reshape(8, 8)
    expected[2:5, 1:4] = expected[6:, 6:] = dark
    np.testing.assert_array_equal(pydicom.dcmread(out).pixel_array, expected)


def test_an_id_is_another_in_every_store(tmp_path: Path) -> None:
    here, there = (Store.create(tmp_path / name) for name in ("here", "there"))
    assert here.keyed_hash("patient", "MRN-1") != there.keyed_hash("patient", "MRN-1")
    assert here.keyed_hash("patient", "MRN-1") == Store.open(here.root).keyed_hash("patient", "MRN-1")


def errors_of(path: Path) -> list[str]:
    """Return what a validator of DICOM objects calls an error."""
    validator = shutil.which("dciodvfy")
    assert validator, "Debian's dicom3tools is missing: see system-packages.txt"
    told = subprocess.run([validator, str(path)], capture_output=True, text=True, check=False).stderr
    return [line for line in told.splitlines() if line.startswith("Error")]


def dated(source: Path, target: Path) -> Path:
    """Write a copy of a film with a study's date and time, and those that follow from it."""
    film = pydicom.dcmread(source)
    film.StudyDate = film.SeriesDate = film.AcquisitionDate = film.ContentDate = "20240229"
    film.StudyTime = film.SeriesTime = film.AcquisitionTime = film.ContentTime = "143205.123"
    film.save_as(target)
    return target


def no_new_error(source: Path, out: Path) -> None:
    """Write an original; check that its date is shifted and that a validator finds no error that its source lacked."""
    written = write_original(source, out, patient="p1", pseudonym=KeyedHash(b"k" * 32))
    new = pydicom.dcmread(written)
    assert new.LongitudinalTemporalInformationModified == "MODIFIED"
    assert "19140305" <= new.StudyDate <= "20240130"
    assert set(errors_of(written)) <= set(errors_of(source)), source.name


def film_of_class(sop_class: str, folder: Path) -> Path:
    """Write a generated film as one of a class: 1 computed, 1.1 digital, 1.2 mammography, 7 secondary capture."""
    phantom = make_phantom(5, size_px=(160, 192))
    source = write_dicom(phantom, folder / "film.dcm", patient_id="SYN1", study_uid_seed=5)
    film = pydicom.dcmread(dated(source, source))
    if sop_class != "1.1":
        film.SOPClassUID = film.file_meta.MediaStorageSOPClassUID = UID(
            f"1.2.840.10008.5.1.4.1.1.{sop_class}"
        )
        film.Modality = {"1": "CR", "1.2": "MG", "7": "OT"}[sop_class]
    film.save_as(source)
    return source


@pytest.mark.parametrize(("sop_class", "inverted"), [("1", False), ("1.1", True), ("7", True)])
def test_a_validator_finds_no_new_error(tmp_path: Path, sop_class: str, inverted: bool) -> None:
    source = film_of_class(sop_class, tmp_path)
    film = pydicom.dcmread(source)
    if inverted:
        film.PhotometricInterpretation, film.PresentationLUTShape = "MONOCHROME1", "INVERSE"
        film.PixelData = (4095 - film.pixel_array).tobytes()
    film.save_as(source)
    if sop_class == "1.1":
        assert errors_of(source) == []
    no_new_error(source, tmp_path / "abc_0")


@pytest.mark.parametrize(
    ("position", "code", "scheme", "kept"),
    [
        ("", "399368009", "SCT", "399368009"),
        ("", "R-1024A", "SRT", "399192008"),
        ("LMO", "QZXWVK", "99LAB", "399099002"),
        ("", "QZXWVK", "99LAB", UNKNOWN_VIEW[0]),
        ("QZXWVK", None, "", UNKNOWN_VIEW[0]),
    ],
)
def test_a_mammogram_has_the_code_of_its_view_or_says_that_it_is_unknown(
    tmp_path: Path, position: str, code: str | None, scheme: str, kept: str
) -> None:
    source = film_of_class("1.2", tmp_path)
    film = pydicom.dcmread(source)
    film.ViewPosition = position
    (view,) = film.ViewCodeSequence
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = code, scheme, "a view"
    if code is None:
        del film.ViewCodeSequence
    film.save_as(source)
    no_new_error(source, tmp_path / "abc_0")
    (view,) = pydicom.dcmread(tmp_path / "abc_0.dcm").ViewCodeSequence
    assert (view.CodeValue, view.CodingSchemeDesignator) == (kept, "SCT")
    assert b"QZXWVK" not in (tmp_path / "abc_0.dcm").read_bytes()
    assert not any("View" in error for error in errors_of(tmp_path / "abc_0.dcm"))


@pytest.mark.shared
def test_a_validator_finds_no_new_error_in_real_films(tmp_path: Path, shared: Path) -> None:
    seen = 0
    for film in sorted((shared / "data" / "radiographs").rglob("*.dcm")):
        source = tmp_path / f"{film.stem}_source.dcm"
        source.write_bytes(film.read_bytes())
        try:
            load_radiograph(source)
        except ImageError:
            continue  # such a film never gets into a store
        no_new_error(dated(source, source), tmp_path / film.stem)
        seen += 1
    assert seen >= 10


def test_an_original_is_the_same_each_time_and_uids_stay_related(tmp_path: Path) -> None:
    source = canary_film(tmp_path / "film.dcm")
    first, second = (
        write_original(source, tmp_path / name, patient="p1", pseudonym=KeyedHash(b"k" * 32))
        for name in ("a", "b")
    )
    assert first.read_bytes() == second.read_bytes()
    other = write_original(source, tmp_path / "c", patient="p1", pseudonym=KeyedHash(b"j" * 32))
    assert pydicom.dcmread(other).StudyInstanceUID != pydicom.dcmread(first).StudyInstanceUID
    lateral = canary_film(tmp_path / "lateral.dcm")
    film = pydicom.dcmread(lateral)
    film.SOPInstanceUID = "1.2.3.5"
    film.save_as(lateral)
    of_the_study = write_original(lateral, tmp_path / "d", patient="p1", pseudonym=KeyedHash(b"k" * 32))
    assert pydicom.dcmread(of_the_study).StudyInstanceUID == pydicom.dcmread(first).StudyInstanceUID
    assert pydicom.dcmread(of_the_study).SOPInstanceUID != pydicom.dcmread(first).SOPInstanceUID


def test_a_png_loses_its_metadata(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("Author", CANARY)
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "film.png", pnginfo=info)
    out = write_original(tmp_path / "film.png", tmp_path / "x_0", patient="p", pseudonym=KeyedHash(b"k" * 32))
    assert CANARY.encode() not in out.read_bytes()


NAMES = Redactor(identifiers=Identifiers(names=frozenset({"DOE^JANE MARY", "Hôpital Saint-Xaver", "LI^X"})))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jane has a clear left lung .", f"{REDACTED} has a clear left lung ."),
        ("doe, jane: no effusion", f"{REDACTED}, {REDACTED}: no effusion"),
        ("as in Saint-Xavers films", f"as in {REDACTED} films"),  # one letter too many
        ("Ja ne Doe", f"{REDACTED} {REDACTED} {REDACTED}"),  # split
        ("the liver and lingula are normal", "the liver and lingula are normal"),
        ("", ""),
    ],
)
def test_names_are_taken_out_of_texts(text: str, expected: str) -> None:
    assert NAMES(text) == expected
    assert NAMES.count_in(text) == expected.count(REDACTED)


@given(st.text(max_size=60))
def test_redacting_twice_changes_nothing_and_no_names_redact_nothing(text: str) -> None:
    once = NAMES(text)
    assert NAMES(once) == once
    assert Redactor()(text) == text


def test_the_scan_finds_what_must_not_be_there(tmp_path: Path) -> None:
    film = canary_film(tmp_path / "film.dcm")
    identifiers = {"r1": Identifiers.of([load_radiograph(film)])}
    out = tmp_path / "out"
    out.mkdir()
    (out / "README.md").write_text("clean")
    assert scan_output(out, identifiers, ["/home/somebody/store"]) == []
    (out / "README.md").write_text("made in /home/somebody/store")
    (out / "x.dcm").write_bytes(film.read_bytes())
    (out / f"{CANARY}-4711.txt").write_text(f"{CANARY}-4711")
    hits = scan_output(out, identifiers, ["/home/somebody/store"])
    assert hits == [
        "README.md: a path or key of this computer",
        "a .txt file: an identifier in its name",
        "a .txt file: an identifier",
        "x.dcm: an identifier",
    ]


def test_a_phantoms_name_is_no_name(tmp_path: Path) -> None:
    film = write_dicom(
        make_phantom(5, size_px=(160, 192)), tmp_path / "f.dcm", patient_id="SYN1", study_uid_seed=5
    )
    identifiers = Identifiers.of([load_radiograph(film)])
    assert Redactor(identifiers=identifiers)("synthetic gaze on a phantom") == "synthetic gaze on a phantom"


def test_a_uid_is_sought_as_a_whole(tmp_path: Path) -> None:
    identifiers = {"r": Identifiers(ids=frozenset({"1.2.3.4.5.6"}))}
    (tmp_path / "table.txt").write_text("values [0, 1, 2, 3, 4, 5, 6, 7] and 1.2.3.4.5.67")
    assert scan_output(tmp_path, identifiers, []) == []
    (tmp_path / "table.txt").write_text("study=1.2.3.4.5.6;")
    assert scan_output(tmp_path, identifiers, []) == ["table.txt: an identifier"]
