"""De-identified originals: a new DICOM object built from an allow-list of what display and geometry need.

Source: DICOM PS3.15 Annex E (basic profile); an allow-list, since deny-lists leak (explanations of windows and
LUTs, overlays, private groups, file meta).
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable
from pathlib import Path

import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID

from gazecapture.files import as_tool_error
from gazecapture.radiograph.decode import load_radiograph
from keyframes.errors import ImageError

__all__ = ["write_original"]

KEPT = (
    "SOPClassUID", "Modality", "PresentationIntentType", "ViewPosition", "PatientOrientation", "ImageLaterality",
    "BodyPartExamined", "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PixelSpacing", "ImagerPixelSpacing",
    "EstimatedRadiographicMagnificationFactor", "PixelAspectRatio", "PresentationLUTShape", "RescaleIntercept",
    "RescaleSlope", "RescaleType", "WindowCenter", "WindowWidth", "VOILUTFunction", "PixelIntensityRelationship",
    "PixelIntensityRelationshipSign", "LossyImageCompression", "LossyImageCompressionRatio",
    "LossyImageCompressionMethod", "SmallestImagePixelValue", "LargestImagePixelValue", "PixelData",
)  # fmt: skip
"""Attributes carried over as they are: none holds text that a person typed."""
KEPT_LUTS = ("ModalityLUTSequence", "VOILUTSequence")
KEPT_OF_A_LUT = ("LUTDescriptor", "ModalityLUTType", "LUTData")
EMPTY = (
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientBirthDate", "PatientSex", "StudyID",
    "SeriesNumber", "InstanceNumber", "Manufacturer", "Laterality", "AcquisitionDate", "AcquisitionTime",
)  # fmt: skip
"""Type 2 attributes: there, without a value."""
METHOD = "allow-list of display and geometry attributes; ids by keyed hash"
METHOD_CODE = ("113100", "DCM", "Basic Application Confidentiality Profile")


def write_original(source: Path, target_stem: Path, *, patient: str, pseudonym: Callable[..., str]) -> Path:
    """Write a de-identified copy of a picture and return its path.

    A DICOM file becomes a new DICOM object with the same pixel bytes; any other picture its bare grey pixels as PNG.

    patient   : pseudonym that takes the place of name and id.
    pseudonym : keyed hash; gives new UIDs, the same for the same old ones.
    """
    if source.suffix.lower() != ".dcm":
        grey = load_radiograph(source).grey8()
        content = io.BytesIO()
        Image.fromarray(grey).save(content, format="PNG")
        return _put(content, target_stem.with_suffix(".png"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning quotes the header value it is about
        return _write_dicom(source, target_stem.with_suffix(".dcm"), patient, pseudonym)


def _write_dicom(source: Path, target: Path, patient: str, pseudonym: Callable[..., str]) -> Path:
    try:
        old = pydicom.dcmread(source)
    except (OSError, pydicom.errors.InvalidDicomError) as error:
        raise ImageError("a stored picture is no longer readable DICOM", path=target) from error
    new = Dataset()
    for keyword in KEPT:
        if keyword in old:
            new.add(old[keyword])
    for keyword in KEPT_LUTS:
        if keyword in old:
            setattr(new, keyword, DicomSequence([_lut(item) for item in old[keyword].value]))
    for keyword in EMPTY:
        setattr(new, keyword, "" if keyword not in {"SeriesNumber", "InstanceNumber"} else None)

    def new_uid(kind: str, uid: str) -> UID:
        digest = hashlib.sha256(pseudonym(kind, uid or str(source.name)).encode()).hexdigest()
        return UID(f"2.25.{int(digest[:30], 16)}")

    new.PatientName = new.PatientID = patient
    new.StudyInstanceUID = new_uid("study", str(old.get("StudyInstanceUID", "")))
    new.SeriesInstanceUID = new_uid("series", str(old.get("SeriesInstanceUID", "")))
    new.SOPInstanceUID = new_uid("instance", str(old.get("SOPInstanceUID", "")))
    new.PatientIdentityRemoved = "YES"
    new.DeidentificationMethod = METHOD
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = METHOD_CODE
    new.DeidentificationMethodCodeSequence = DicomSequence([code])
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = new.get("SOPClassUID", UID("1.2.840.10008.5.1.4.1.1.1"))
    meta.MediaStorageSOPInstanceUID = new.SOPInstanceUID
    meta.TransferSyntaxUID = old.file_meta.TransferSyntaxUID
    new.file_meta = meta
    content = io.BytesIO()
    new.save_as(content, enforce_file_format=True)
    return _put(content, target)


def _put(content: io.BytesIO, target: Path) -> Path:
    """Write from memory: where a disk is full, pydicom says so in an error that no longer has its number."""
    try:
        target.write_bytes(content.getbuffer())
    except OSError as error:
        raise as_tool_error(error, target, "writing a picture") from error
    return target


def _lut(item: Dataset) -> Dataset:
    kept = Dataset()
    for keyword in KEPT_OF_A_LUT:
        if keyword in item:
            kept.add(item[keyword])
    return kept
