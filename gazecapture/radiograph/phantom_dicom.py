"""A phantom as a DICOM object: Digital X-Ray for presentation, complete, and saying that it is synthetic.

Source: DICOM PS3.3 A.26 (DX IOD) and PS3.10 section 7. Same input, same bytes: UIDs come from the seed, dates are
fixed.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from gazecapture.files import write_bytes_atomically
from gazecapture.radiograph.phantom_film import BITS_STORED, WINDOW
from gazecapture.radiograph.synthetic import SYNTHETIC_NAME, SYNTHETIC_NOTE
from keyframes.errors import UsageError

if TYPE_CHECKING:
    from gazecapture.radiograph.phantom import Phantom

__all__ = ["write_dicom"]

DATE, TIME = "20200101", "120000"
"""Fixed, so that the same seed gives the same bytes."""
ID_PREFIX = "SYN"
_VIEW_CODES = {
    "PA": ("272479007", "postero-anterior"),
    "AP": ("399348003", "antero-posterior"),
}
"""SNOMED CT codes of context group 4010."""


def write_dicom(
    phantom: Phantom,
    path: Path,
    *,
    patient_id: str,
    study_uid_seed: str | int,
    view_position: str | None = None,
    series_number: int = 1,
    study_date: str = DATE,
) -> Path:
    """Write ``phantom`` to ``path`` and return it.

    patient_id     : must begin with SYN. study_uid_seed : what all UIDs are made from, with ``series_number``.
    view_position  : the phantom's own where not given. study_date : YYYYMMDD.

    Raises UsageError for an id that does not begin with SYN, and what writing a file raises.
    """
    if not patient_id.startswith(ID_PREFIX):
        raise UsageError(f"a phantom's patient id must begin with {ID_PREFIX}", code="GT-PHANTOM")
    view = view_position or phantom.view
    seed = f"{study_uid_seed}"
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    data.file_meta.MediaStorageSOPInstanceUID = _uid(seed, f"instance {series_number}")
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.ImplementationClassUID = _uid("gazecapture", "implementation")
    data.file_meta.ImplementationVersionName = "GAZECAPTURE"
    _study(data, patient_id, seed, study_date)
    _series(data, seed, series_number)
    _image(data, phantom, view, seed, series_number, study_date)
    _pixels(data, phantom)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, data, enforce_file_format=True)
    write_bytes_atomically(path, buffer.getvalue())
    return path


def _uid(seed: str, kind: str) -> UID:
    """Return a UID below 2.25, from a hash of the seed; PS3.5 B.2."""
    digest = hashlib.sha256(f"gazecapture phantom\0{seed}\0{kind}".encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")


def _study(data: Dataset, patient_id: str, seed: str, study_date: str) -> None:
    data.PatientName = SYNTHETIC_NAME
    data.PatientID = patient_id
    data.PatientBirthDate = ""
    data.PatientSex = "O"
    data.PatientComments = SYNTHETIC_NOTE
    data.StudyInstanceUID = _uid(seed, "study")
    data.StudyDate, data.StudyTime = study_date, TIME
    data.StudyID = "1"
    data.AccessionNumber = ""
    data.ReferringPhysicianName = ""
    data.StudyDescription = "Synthetic chest phantom"


def _series(data: Dataset, seed: str, series_number: int) -> None:
    data.Modality = "DX"
    data.PresentationIntentType = "FOR PRESENTATION"
    data.SeriesInstanceUID = _uid(seed, f"series {series_number}")
    data.SeriesNumber = series_number
    data.SeriesDescription = "Synthetic chest phantom"
    data.BodyPartExamined = "CHEST"
    data.Manufacturer = "gazecapture"
    data.ManufacturerModelName = "procedural phantom"
    data.SoftwareVersions = "1"


def _code(value: str, meaning: str, scheme: str = "SCT") -> DicomSequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return DicomSequence([item])


def _image(
    data: Dataset, phantom: Phantom, view: str, seed: str, series_number: int, study_date: str
) -> None:
    data.SOPClassUID = DigitalXRayImageStorageForPresentation
    data.SOPInstanceUID = _uid(seed, f"instance {series_number}")
    data.InstanceNumber = 1
    data.ContentDate = data.AcquisitionDate = study_date
    data.ContentTime = data.AcquisitionTime = TIME
    data.ImageType = ["DERIVED", "PRIMARY", ""]
    data.DerivationDescription = SYNTHETIC_NOTE
    data.ImageComments = SYNTHETIC_NOTE
    data.BurnedInAnnotation = "NO"
    data.LossyImageCompression = "00"
    data.ImageLaterality = "U"
    data.AnatomicRegionSequence = _code("816094009", "Chest")
    data.ViewPosition = view
    if view in _VIEW_CODES:
        data.ViewCodeSequence = _code(*_VIEW_CODES[view])
    # Patient's right on the picture's left, feet down.
    data.PatientOrientation = ["L", "F"]
    data.AcquisitionContextSequence = DicomSequence([])
    data.DetectorType = ""
    data.PositionerType = ""
    spacing = f"{phantom.spacing_mm:.6f}"
    data.ImagerPixelSpacing = data.PixelSpacing = [spacing, spacing]
    data.PixelIntensityRelationship = "LOG"
    data.PixelIntensityRelationshipSign = -1
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = "0", "1", "US"
    data.PresentationLUTShape = "IDENTITY"
    center, width = WINDOW
    data.WindowCenter, data.WindowWidth = (
        [f"{center:g}", f"{center + 150:g}"],
        [f"{width:g}", f"{width * 0.7:g}"],
    )
    data.WindowCenterWidthExplanation = ["NORMAL", "HARDER"]


def _pixels(data: Dataset, phantom: Phantom) -> None:
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.Rows, data.Columns = phantom.pixels.shape
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, BITS_STORED, BITS_STORED - 1
    data.PixelRepresentation = 0
    data.PixelData = phantom.pixels.astype("<u2").tobytes()
