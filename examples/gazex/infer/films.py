"""A radiograph out of a file of its own: DICOM, PNG or JPEG, as the grey 8-bit picture that the shards would hold.

Nothing but pixels is taken from a file: no DICOM attribute reaches a model, a page or an error message.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from examples.gazex.errors import TrainerError

__all__ = ["Film", "open_film"]

LONGEST_PX = 1024
"""Longer side of a shard's picture where its export left the default: what a model was trained on."""
WITHOUT_WINDOW = (0.5, 99.5)
"""Percentiles that become black and white where a DICOM file says nothing about its display."""
DICOM_MARK, DICOM_MARK_AT = b"DICM", 128
"""What every DICOM file holds after its preamble (PS3.10, 7.1)."""

Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """One radiograph; ``width_px`` and ``height_px`` are of the file's own matrix, ``picture`` may be smaller."""

    name: str
    kind: Literal["dicom", "picture"]
    sha256: str
    width_px: int
    height_px: int
    picture: Image.Image


def open_film(path: Path) -> Film:
    """Read a film. Raises TrainerError: GX-IMAGE where it cannot be read, GX-PYDICOM where pydicom is needed."""
    try:
        content = path.read_bytes()
        is_dicom = content[DICOM_MARK_AT : DICOM_MARK_AT + len(DICOM_MARK)] == DICOM_MARK
        grey = _dicom(path) if is_dicom else _picture(path)
    except TrainerError:
        raise
    except Exception as error:  # decoders of broken files raise anything
        raise TrainerError(
            f"{path.name} cannot be read as a radiograph ({type(error).__name__})",
            code="GX-IMAGE",
            hint="Give a DICOM, PNG or JPEG file that holds one grey picture.",
        ) from None
    height, width = grey.shape
    factor = min(1.0, LONGEST_PX / max(height, width))
    picture = Image.fromarray(grey)
    if factor < 1:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        picture = picture.resize(size, Image.Resampling.BOX)
    return Film(
        name=path.stem,
        kind="dicom" if is_dicom else "picture",
        sha256=hashlib.sha256(content).hexdigest(),
        width_px=width,
        height_px=height,
        picture=picture,
    )


def _picture(path: Path) -> Grey:
    with Image.open(path) as opened:
        upright = ImageOps.exif_transpose(opened)
        if upright.mode.startswith("I"):
            # 16 bits rarely use their whole range: the darkest px becomes black, the brightest white.
            return _levels(np.asarray(upright, np.float64))
        return np.asarray(upright.convert("L"))


def _dicom(path: Path) -> Grey:
    try:
        import pydicom
        from pydicom.pixels.processing import apply_modality_lut, apply_voi
    except ImportError:
        raise TrainerError(
            f"{path.name} is a DICOM file and pydicom is not installed",
            code="GX-PYDICOM",
            hint="pip install pydicom, or give the radiograph as PNG or JPEG.",
        ) from None
    dataset = pydicom.dcmread(path)
    stored = dataset.pixel_array
    if int(dataset.get("SamplesPerPixel", 1)) != 1:
        raise TrainerError(
            f"{path.name} is a colour picture", code="GX-IMAGE", hint="Give a grey radiograph."
        )
    if stored.ndim == 3:  # several frames: the first
        stored = stored[0]
    values = np.asarray(apply_modality_lut(stored, dataset), np.float64)
    if dataset.get("VOILUTSequence"):
        shown = np.asarray(apply_voi(values.astype(stored.dtype), dataset), np.float64)
        bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        grey = _levels(shown, 0.0, 2.0**bits - 1)
    elif dataset.get("WindowCenter") is not None:
        grey = _windowed(values, dataset)
    else:
        low, high = np.percentile(values, WITHOUT_WINDOW)
        grey = _levels(values, float(low), float(high))
    # Where it is there, the shape says how values become light (PS3.3 C.11.6.1.2).
    shape = dataset.get("PresentationLUTShape")
    inverse = shape == "INVERSE" if shape else dataset.PhotometricInterpretation == "MONOCHROME1"
    return 255 - grey if inverse else grey


def _windowed(values: NDArray[np.float64], dataset: Any) -> Grey:
    """Apply the first window (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    centre, width = (float(np.atleast_1d(dataset[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
    match str(dataset.get("VOILUTFunction", "LINEAR")):
        case "SIGMOID":
            share = 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -500, 500)))
            return _levels(share, 0.0, 1.0)
        case "LINEAR_EXACT":
            return _levels(values, centre - width / 2, centre + width / 2)
        case _:
            half = max(width - 1, 1e-6) / 2
            return _levels(values, centre - 0.5 - half, centre - 0.5 + half)


def _levels(values: NDArray[np.float64], black: float | None = None, white: float | None = None) -> Grey:
    """Return grey levels; without limits the darkest value is black, the brightest white."""
    black = float(values.min()) if black is None else black
    white = float(values.max()) if white is None else white
    share = (values - black) / max(white - black, 1e-9)
    grey: Grey = np.round(255 * np.clip(share, 0, 1)).astype(np.uint8)
    return grey
