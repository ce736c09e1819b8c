"""De-identified originals: a new DICOM object built from an allow-list of what display and geometry need.

Source: DICOM PS3.15 Annex E (basic profile); an allow-list, since deny-lists leak (explanations of windows and
LUTs, overlays, private groups, file meta).
"""

from __future__ import annotations

import hashlib
import io
import math
import struct
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from curation.export.dicom_terms import (
    KEPT_NUMBERS,
    KEPT_TERMS,
    MAMMOGRAPHY_VIEWS,
    REGION_CODES,
    SECONDARY_CAPTURE,
    SOP_CLASSES,
    UNKNOWN_VIEW,
)
from curation.export.pictures import Box, encode_png, masked
from gazecapture.files import as_tool_error
from gazecapture.radiograph.decode import load_radiograph
from keyframes.errors import ImageError

__all__ = ["write_original"]

KEPT_LUTS = ("ModalityLUTSequence", "VOILUTSequence")
EMPTY = (
    "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientBirthDate", "PatientSex", "StudyID",
    "SeriesNumber", "InstanceNumber", "Manufacturer", "AcquisitionDate", "AcquisitionTime",
)  # fmt: skip
"""Type 2 attributes: there, without a value."""
METHOD = "allow-list of display and geometry attributes; ids by keyed hash"
DIGITAL_XRAY = SOP_CLASSES - {SECONDARY_CAPTURE, "1.2.840.10008.5.1.4.1.1.1"}
METHOD_CODES = (
    ("113100", "DCM", "Basic Application Confidentiality Profile"),
    ("113107", "DCM", "Retain Longitudinal Temporal Information Modified Dates Option"),
)
"""PS3.16 CID 7050."""
SHIFT_DAYS = (30, 3650)
"""By how much a patient's dates are moved into the past; a multiple of no week, month or year."""


def write_original(
    source: Path,
    target_stem: Path,
    *,
    patient: str,
    pseudonym: Callable[..., str],
    masks: Sequence[Box] = (),
) -> Path:
    """Write a de-identified copy of a picture and return its path.

    A DICOM file becomes a new DICOM object with the same pixel values, uncompressed; any other picture its bare grey
    pixels as PNG.

    patient   : pseudonym that takes the place of name and id. The date of the study is moved by days that depend on it
                and the key, so that the intervals between a patient's studies stay; no other date or time is kept.
    pseudonym : keyed hash; gives new UIDs, the same for the same old ones.
    masks     : boxes that become black.
    """
    if source.suffix.lower() != ".dcm":
        grey = masked(load_radiograph(source).grey8(), masks, fill=0)
        return _put(target_stem.with_suffix(".png"), encode_png(grey))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning quotes the header value it is about
        return _write_dicom(source, target_stem.with_suffix(".dcm"), patient, pseudonym, masks)


def _write_dicom(
    source: Path, target: Path, patient: str, pseudonym: Callable[..., str], masks: Sequence[Box]
) -> Path:
    try:
        old = pydicom.dcmread(source)
    except (OSError, pydicom.errors.InvalidDicomError) as error:
        raise ImageError("a stored picture is no longer readable DICOM", path=target) from error
    new = _of_defined_values(old)
    for keyword in KEPT_LUTS:
        if keyword in old:
            setattr(new, keyword, DicomSequence([_lut(item) for item in old[keyword].value]))
    sop_class = str(old.get("SOPClassUID", ""))
    new.SOPClassUID = UID(sop_class if sop_class in SOP_CLASSES else SECONDARY_CAPTURE)
    pixels = _with_pixels(old, new, target, masks)
    _complete(old, new)
    for keyword in EMPTY:
        setattr(new, keyword, "" if keyword not in {"SeriesNumber", "InstanceNumber"} else None)

    def new_uid(kind: str, uid: str) -> UID:
        digest = hashlib.sha256(pseudonym(kind, uid or str(source.name)).encode()).hexdigest()
        return UID(f"2.25.{int(digest[:30], 16)}")

    new.PatientName = new.PatientID = patient
    new.StudyInstanceUID = new_uid("study", str(old.get("StudyInstanceUID", "")))
    new.SeriesInstanceUID = new_uid("series", str(old.get("SeriesInstanceUID", "")))
    new.SOPInstanceUID = new_uid("instance", str(old.get("SOPInstanceUID", "")))
    new.StudyDate = _shifted(str(old.get("StudyDate", "")), pseudonym("days", patient))
    new.LongitudinalTemporalInformationModified = "MODIFIED" if new.StudyDate else "REMOVED"
    new.PatientIdentityRemoved = "YES"
    new.DeidentificationMethod = METHOD
    new.DeidentificationMethodCodeSequence = DicomSequence([_code(*code) for code in METHOD_CODES])
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = new.SOPClassUID
    meta.MediaStorageSOPInstanceUID = new.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    new.file_meta = meta
    header = io.BytesIO()
    new.save_as(header, enforce_file_format=True)
    # The pixels are the last attribute (PS3.5, 7.1.2: OB and OW have a length of four bytes), and go to the file as
    # they are: pydicom would copy them several times.
    content = pixels.reshape(-1).view(np.uint8).data
    odd = len(content) % 2
    kind = b"OW" if pixels.dtype.itemsize > 1 else b"OB"
    before = struct.pack("<HH2sHI", 0x7FE0, 0x0010, kind, 0, len(content) + odd)
    return _put(target, header.getbuffer(), before, content, b"\0" * odd)


def _shifted(date: str, digits: str) -> str:
    """Return a date (YYYYMMDD) moved into the past; empty for what is none. digits: hex, of the patient."""
    least, most = SHIFT_DAYS
    days = timedelta(days=least + int(digits, 16) % (most - least + 1))
    try:
        return (datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC) - days).strftime("%Y%m%d").zfill(8)
    except (ValueError, OverflowError):
        return ""


def _put(target: Path, *parts: bytes | memoryview) -> Path:
    """Write from memory: where a disk is full, pydicom says so in an error that no longer has its number."""
    try:
        with target.open("wb", buffering=0) as handle:
            for part in parts:
                rest = memoryview(part)
                while rest:
                    rest = rest[handle.write(rest) :]
    except OSError as error:
        raise as_tool_error(error, target, "writing a picture") from error
    return target


def _of_defined_values(old: Dataset) -> Dataset:
    """Return the attributes whose values are numbers or defined terms."""
    new = Dataset()
    for keyword in KEPT_NUMBERS:
        if keyword in old and _are_numbers(old[keyword]):
            new.add(old[keyword])
    for keyword, terms in KEPT_TERMS.items():
        if keyword == "ImageType" and keyword in old:
            kinds = [str(value) for value in _values(old[keyword])][:2]
            new.ImageType = kinds if len(kinds) == 2 and terms.issuperset(kinds) else ["DERIVED", "PRIMARY"]
        elif keyword in old and all(str(value) in terms for value in _values(old[keyword])):
            new.add(old[keyword])
    return new


def _complete(old: Dataset, new: Dataset) -> None:
    """Give the attributes that the object's own class demands: empty where that is allowed (type 2), else a value.

    Source: DICOM PS3.3 C.7.6.1, C.8.6.1, C.8.11.3, C.8.11.4, C.8.11.5, C.8.11.7.
    """
    if "PatientOrientation" not in new:
        new.PatientOrientation = None
    if new.SOPClassUID == SECONDARY_CAPTURE and "ConversionType" not in new:
        new.ConversionType = "DI"
    if str(new.SOPClassUID) not in DIGITAL_XRAY:
        return
    if "ImageType" not in new:
        new.ImageType = ["DERIVED", "PRIMARY"]
    # What says otherwise, or looks otherwise, does not come this far.
    new.BurnedInAnnotation = "NO"
    for keyword in ("DetectorType", "PositionerType"):
        if keyword not in new:
            setattr(new, keyword, "")
    new.AcquisitionContextSequence = DicomSequence([])
    if new.get("Modality") == "MG":
        new.BodyPartExamined = "BREAST"
    region = REGION_CODES.get(str(new.get("BodyPartExamined", "")))
    new.AnatomicRegionSequence = DicomSequence([_code(*region)] if region else [])
    if region is None and "BodyPartExamined" in new:
        del new.BodyPartExamined
    if new.get("Modality") != "MG":
        return
    new.PositionerType, new.OrganExposed = "MAMMOGRAPHIC", "BREAST"
    codes = [str(item.get("CodeValue", "")) for item in old.get("ViewCodeSequence") or []]
    named = (str(new.get("ViewPosition", "")), *codes)
    view = next((MAMMOGRAPHY_VIEWS[name] for name in named if name in MAMMOGRAPHY_VIEWS), UNKNOWN_VIEW)
    item = _code(*view)
    item.ViewModifierCodeSequence = DicomSequence([])
    new.ViewCodeSequence = DicomSequence([item])


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _with_pixels(old: Dataset, new: Dataset, target: Path, masks: Sequence[Box]) -> NDArray[Any]:
    """Return the pixels as bare numbers, in little-endian order, and describe them in the new header.

    A compressed stream has room for comments, and so has a file's tail.

    Old files keep an overlay in the bits above the picture's; the decoder clears those.
    """
    try:
        pixels = old.pixel_array
    except Exception as error:  # decoders raise what they like
        raise ImageError("a stored picture can no longer be decoded", path=target) from error
    signed = np.issubdtype(pixels.dtype, np.signedinteger)
    if masks:
        dark = pixels.max() if str(old.PhotometricInterpretation) == "MONOCHROME1" else pixels.min()
        pixels = masked(pixels, masks, fill=int(dark))
    little = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    if pixels.ndim != 2:
        raise ImageError(
            f"a stored picture has {pixels.ndim} dimensions, expected one grey plane", path=target
        )
    new.Rows, new.Columns = pixels.shape
    new.SamplesPerPixel = 1
    new.BitsAllocated = 8 * pixels.dtype.itemsize
    new.PixelRepresentation = int(signed)
    return little


def _values(element: DataElement) -> list[Any]:
    if element.value is None or element.value == "":
        return []
    return list(element.value) if element.VM > 1 else [element.value]


def _are_numbers(element: DataElement) -> bool:
    try:
        return all(math.isfinite(float(value)) for value in _values(element))
    except (TypeError, ValueError):
        return False


def _lut(item: Dataset) -> Dataset:
    """Return a look-up table without its explanation."""
    kept = Dataset()
    for keyword in ("LUTDescriptor", "LUTData"):
        if keyword in item:
            kept.add(item[keyword])
    if str(item.get("ModalityLUTType", "")) in KEPT_TERMS["ModalityLUTType"]:
        kept.ModalityLUTType = item.ModalityLUTType
    return kept
