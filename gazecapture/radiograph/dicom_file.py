"""DICOM radiographs: stored values and what their display and geometry need from the header."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.filereader import read_partial
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from gazecapture.radiograph.codestream import claimed_size
from gazecapture.radiograph.image import MAX_PIXELS, Radiograph
from gazecapture.radiograph.lookup import Lut, ModalityTransform, Tone, auto_preset, lut_presets
from gazecapture.radiograph.presets import Preset
from keyframes.errors import ImageError

__all__ = ["decode"]

MAX_BITS = 16
"""Of a stored value; a table of more would be as large as the picture."""
MAX_INFLATED_BYTES = 1 << 29
"""Of a deflated data set; a few kB can claim to unpack to any size."""
MAX_ELEMENTS = 20_000
"""Attributes on the top level; radiographs have some hundred."""
META_BYTES = 4096
"""File meta lies within so many bytes."""
MAX_LABEL_LETTERS = 32
"""Of a preset's name, from free text in the header."""
MARK_END = 132
META_LENGTH_TAG = b"\x02\x00\x00\x00"
META_LENGTH_END = 144
"""Byte after preamble, mark and the element that gives the file meta group's length (PS3.10 section 7.1)."""
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_VIEW_OF_CODE = {
    "399348003": "AP", "R-10206": "AP", "272479007": "PA", "R-10214": "PA", "399173006": "LL", "R-10236": "LL",
    "399198007": "RL", "R-10232": "RL",
}  # fmt: skip
"""SNOMED CT and RT codes of context group 4010."""
_STANDARD_UIDS = "1.2.840.10008."
"""What DICOM itself names so is no one's id."""
_ID_NAMES = (
    "PatientID", "AccessionNumber", "StudyID", "DeviceSerialNumber", "DetectorID", "CassetteID", "PlateID", "GantryID",
    "AdmissionID", "ServiceEpisodeID", "RequestedProcedureID", "ScheduledProcedureStepID", "PerformedProcedureStepID",
    "FillerOrderNumberImagingServiceRequest", "PlacerOrderNumberImagingServiceRequest", "DeviceUID",
    "PatientTelephoneNumbers", "OtherPatientIDs",
)  # fmt: skip
_PLACE_NAMES = (
    "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "StationName", "RequestingService",
    "IssuerOfPatientID", "ResponsibleOrganization",
)  # fmt: skip


def decode(content: bytes) -> Radiograph:
    """Decode a DICOM file's content. Raises ImageError, or whatever the decoders raise on damaged input."""
    start = _data_set_start(content)
    _refuse_inflation(content, start)
    header = _read(content, start)
    if "TransferSyntaxUID" not in header.file_meta:
        header.file_meta.TransferSyntaxUID = _guessed_syntax(header)
    bits, signed = _refuse_unreadable(header)
    stored = _cut_stray_bits(_pixels(header), bits, signed)
    stored.setflags(write=False)
    tone = _tone(header, stored, bits, signed)
    spacing_x, spacing_y, kind = _spacing(header)
    return Radiograph(
        stored=stored,
        tone=tone,
        suffix=".dcm",
        spacing_x_mm=spacing_x,
        spacing_y_mm=spacing_y,
        spacing_kind=kind,
        view_position=_view(header),
        body_part="BREAST"
        if _text(header, "Modality") == "MG"
        else _text(header, "BodyPartExamined").upper(),
        burned_in=_text(header, "BurnedInAnnotation").upper() == "YES",
        patient_id=_text(header, "PatientID"),
        study_uid=_text(header, "StudyInstanceUID"),
        sop_uid=_text(header, "SOPInstanceUID"),
        names=frozenset(_values_of(header, _is_name)),
        ids=frozenset(_values_of(header, _is_id)),
    )


def _data_set_start(content: bytes) -> int:
    """Return the byte after preamble and file meta; 0 for a file without them."""
    if content[MARK_END - 4 : MARK_END] != b"DICM":
        return 0
    if content[MARK_END : MARK_END + 4] != META_LENGTH_TAG:
        return MARK_END
    return META_LENGTH_END + int.from_bytes(content[META_LENGTH_END - 4 : META_LENGTH_END], "little")


def _read(content: bytes, start: int) -> Dataset:
    """Parse the data set; a file of many empty elements is given up early."""
    if content[start : start + 2] == b"\0\0":
        # Group 0 is for network commands; zeros would be parsed as an endless row of them.
        raise ImageError("its header is damaged", hint="Copy it again from its source.")
    n_elements = 0

    def too_many(*_: object) -> bool:
        nonlocal n_elements
        n_elements += 1
        if n_elements > MAX_ELEMENTS:
            raise ImageError(f"has more than {MAX_ELEMENTS} attributes", hint="Is it a radiograph?")
        return False

    return read_partial(io.BytesIO(content), stop_when=too_many, force=True)


def _refuse_inflation(content: bytes, start: int) -> None:
    """Raise ImageError where a deflated data set would unpack to more than any radiograph has."""
    if DeflatedExplicitVRLittleEndian.encode() not in content[:META_BYTES]:
        return
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    piece, left = content[start:], MAX_INFLATED_BYTES
    while piece and left > 0:
        left -= len(unpacker.decompress(piece, 1 << 24))
        piece = unpacker.unconsumed_tail
    if left <= 0:
        raise ImageError(f"unpacks to more than {MAX_INFLATED_BYTES} bytes", hint="Is it a radiograph?")


def _guessed_syntax(header: Dataset) -> UID:
    """Return how a file without file meta was found to be written."""
    implicit, little_endian = header.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian


def _refuse_unreadable(header: Dataset) -> tuple[int, bool]:
    """Return (bits stored, signed). Raises ImageError for what is no single grey picture of sensible size."""
    if "PixelData" not in header:
        raise ImageError("a DICOM object without a picture", hint="Is it a report or a presentation state?")
    rows, columns = _whole(header, "Rows", 0), _whole(header, "Columns", 0)
    if rows <= 0 or columns <= 0:
        raise ImageError(f"claims {columns} x {rows} pixels", hint="Copy it again from its source.")
    if rows * columns > MAX_PIXELS:
        raise ImageError(
            f"claims {columns} x {rows} pixels, at most {MAX_PIXELS} are decoded", hint="Is it a radiograph?"
        )
    frames = _whole(header, "NumberOfFrames", 1)
    if frames > 1:
        raise ImageError(f"holds {frames} frames, one is needed", hint="Only plain radiographs are read.")
    kind = _text(header, "PhotometricInterpretation").upper()
    if _whole(header, "SamplesPerPixel", 1) != 1 or kind not in {"MONOCHROME1", "MONOCHROME2"}:
        raise ImageError("a colour picture, grey is needed", hint="Only plain radiographs are read.")
    allocated = _whole(header, "BitsAllocated", 0)
    bits = _whole(header, "BitsStored", allocated)
    if not 1 <= bits <= min(MAX_BITS, allocated):
        raise ImageError(
            f"stores {bits} of {allocated} bits per pixel, 1 to {MAX_BITS} are read",
            hint="Only plain radiographs are read.",
        )
    syntax = header.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        claim = claimed_size(next(generate_frames(header.PixelData, number_of_frames=1), b""))
        if claim is not None and claim != (columns, rows, 1):
            raise ImageError(
                f"its compressed picture claims {claim[0]} x {claim[1]} pixels of {claim[2]} samples, its header "
                f"{columns} x {rows} of 1",
                hint="Copy it again from its source.",
            )
    return bits, _whole(header, "PixelRepresentation", 0) == 1


def _pixels(header: Dataset) -> NDArray[Any]:
    syntax = header.file_meta.TransferSyntaxUID
    try:
        pixels: NDArray[Any] = header.pixel_array
    except (RuntimeError, NotImplementedError, AttributeError, ValueError) as error:
        if not syntax.is_encapsulated:
            raise ImageError(
                f"its pixel data do not fit its header ({type(error).__name__})",
                hint="The file may be cut short: copy it again from its source.",
            ) from None
        raise ImageError(
            f"its compression cannot be decoded here ({syntax.name})",
            hint="Convert it, for example with `gdcmconv --raw` or `dcmdjpeg`, or leave it out.",
        ) from None
    return pixels


def _cut_stray_bits(pixels: NDArray[Any], bits: int, signed: bool) -> NDArray[Any]:
    """Drop bits above BitsStored: old objects keep overlays there."""
    lowest, highest = _range(bits, signed)
    pixels = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
    if pixels.min() >= lowest and pixels.max() <= highest:
        return pixels
    low_bits = pixels.astype(np.int32) & ((1 << bits) - 1)
    if signed:
        low_bits -= (low_bits >> (bits - 1)) << bits
    return low_bits.astype(pixels.dtype)


def _range(bits: int, signed: bool) -> tuple[int, int]:
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def _tone(header: Dataset, stored: NDArray[Any], bits: int, signed: bool) -> Tone:
    lowest, highest = _range(bits, signed)
    modality = _modality(header, signed)
    shape = _text(header, "PresentationLUTShape").upper()
    inverted = (
        shape == "INVERSE" if shape else _text(header, "PhotometricInterpretation").upper() == "MONOCHROME1"
    )
    values = modality.apply([lowest, highest])
    luts, names = _voi_luts(header, signed_input=bool(values.min() < 0))
    bare = Tone(lowest=lowest, highest=highest, modality=modality)
    presets = (*lut_presets(luts, names), *_windows(header), auto_preset(stored, bare))
    return Tone(
        lowest=lowest,
        highest=highest,
        modality=modality,
        voi_luts=tuple(luts),
        presets=presets,
        base_inverted=inverted,
    )


def _modality(header: Dataset, signed: bool) -> ModalityTransform:
    for item in header.get("ModalityLUTSequence") or []:
        lut = _lut(header, item, signed)
        if lut is not None:
            return ModalityTransform(lut=lut)
    slope, intercept = _number(header, "RescaleSlope"), _number(header, "RescaleIntercept")
    if slope is None or intercept is None or slope == 0:
        return ModalityTransform()
    return ModalityTransform(slope=slope, intercept=intercept)


def _voi_luts(header: Dataset, *, signed_input: bool) -> tuple[list[Lut], list[str]]:
    luts, names = [], []
    for number, item in enumerate(header.get("VOILUTSequence") or []):
        lut = _lut(header, item, signed_input)
        if lut is not None:
            luts.append(lut)
            names.append(_label(item.get("LUTExplanation"), f"LUT {number + 1}"))
    return luts, names


def _lut(header: Dataset, item: Dataset, signed_input: bool) -> Lut | None:
    """Return one item of a LUT sequence; None where it is not whole.

    Source: PS3.3 C.11.1.1.1: 0 entries mean 65536, the first input is signed where the inputs are.
    """
    try:
        n_entries, first, bits = (int(v) for v in item.LUTDescriptor)
        content = item.LUTData
    except (AttributeError, TypeError, ValueError):
        return None
    n_entries = n_entries or 1 << 16
    if signed_input and first >= 1 << 15:
        first -= 1 << 16
    if isinstance(content, bytes):
        order = "<" if header.file_meta.TransferSyntaxUID.is_little_endian else ">"
        kind = f"{order}u2" if len(content) >= 2 * n_entries else "u1"
        entries = np.frombuffer(
            content[: len(content) // np.dtype(kind).itemsize * np.dtype(kind).itemsize], kind
        )
    else:
        entries = np.atleast_1d(np.asarray(content, np.int64)) & 0xFFFF
    entries = entries[:n_entries].astype(np.uint16)
    if entries.size == 0 or not 1 <= bits <= MAX_BITS:
        return None
    entries.setflags(write=False)
    return Lut(first=first, entries=entries, bits=bits)


def _windows(header: Dataset) -> Iterator[Preset]:
    centers, widths = _numbers(header, "WindowCenter"), _numbers(header, "WindowWidth")
    labels = header.get("WindowCenterWidthExplanation") or []
    labels = [labels] if isinstance(labels, str) else list(labels)
    function = _text(header, "VOILUTFunction").upper().replace(" ", "_")
    function = function if function in _FUNCTIONS else "LINEAR"
    smallest = 1.0 if function == "LINEAR" else 0.0
    for number, (center, width) in enumerate(zip(centers, widths, strict=False)):
        if not math.isfinite(center) or not math.isfinite(width) or width < smallest or width <= 0:
            continue
        label = _label(labels[number] if number < len(labels) else None, f"window {number + 1}")
        yield Preset(preset_id=f"window:{number}", name=label, center=center, width=width, voi=function)


def _spacing(header: Dataset) -> tuple[float | None, float | None, str]:
    """Return (x mm, y mm, kind). DICOM gives rows first, which is y.

    Source: PS3.3 10.7.1.3: pixel spacing equal to the imager's was not corrected for magnification.
    """
    pixel, imager = (_positive_pair(header, name) for name in ("PixelSpacing", "ImagerPixelSpacing"))
    if pixel is not None and pixel != imager:
        return pixel[1], pixel[0], "pixel"
    if imager is not None:
        return imager[1], imager[0], "detector"
    return None, None, "unknown"


def _positive_pair(header: Dataset, name: str) -> tuple[float, float] | None:
    values = _numbers(header, name)
    if len(values) != 2 or not all(math.isfinite(v) and v > 0 for v in values):
        return None
    return values[0], values[1]


def _view(header: Dataset) -> str:
    """Return the view position, or what the view's code stands for."""
    view = _text(header, "ViewPosition").upper()
    codes = [_text(item, "CodeValue") for item in header.get("ViewCodeSequence") or []]
    return view or next((_VIEW_OF_CODE[code] for code in codes if code in _VIEW_OF_CODE), "")


def _values_of(header: Dataset, wanted: Callable[[DataElement], bool]) -> Iterator[str]:
    """Yield the values of the wanted elements at any depth; of a name each of its spellings."""
    for element in header.iterall():
        if wanted(element):
            values = element.value if element.VM > 1 else [element.value]
            for value in values:
                yield from (part.strip() for part in str(value or "").split("=") if part.strip())


def _is_name(element: DataElement) -> bool:
    return element.VR == "PN" or element.keyword in _PLACE_NAMES


def _is_id(element: DataElement) -> bool:
    if element.VR == "UI":
        return not str(element.value or "").startswith(_STANDARD_UIDS)
    return element.keyword in _ID_NAMES


def _text(header: Dataset, name: str) -> str:
    value = header.get(name)
    return "" if value is None else str(value).strip()


def _label(value: object, otherwise: str) -> str:
    text = "".join(c for c in str(value or "") if c.isprintable()).strip()[:MAX_LABEL_LETTERS]
    return text or otherwise


def _whole(header: Dataset, name: str, otherwise: int) -> int:
    value = header.get(name)
    try:
        return otherwise if value is None or value == "" else int(value)
    except (TypeError, ValueError):
        raise ImageError(
            f"its attribute {name} is no number", hint="Copy it again from its source."
        ) from None


def _numbers(header: Dataset, name: str) -> list[float]:
    value = header.get(name)
    if value is None or value == "":
        return []
    try:
        return [
            float(v)
            for v in (value if isinstance(value, (list, tuple)) or hasattr(value, "append") else [value])
        ]
    except (TypeError, ValueError):
        return []


def _number(header: Dataset, name: str) -> float | None:
    values = _numbers(header, name)
    return values[0] if values and math.isfinite(values[0]) else None
