"""PNG, JPEG and TIFF radiographs: grey of 8 or 16 bit, colour as its luminance."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gazecapture.radiograph.image import MAX_PIXELS, Radiograph
from gazecapture.radiograph.lookup import ModalityTransform, Tone, auto_preset
from gazecapture.radiograph.presets import Preset
from keyframes.errors import ImageError

__all__ = ["decode", "is_raster"]

_KINDS = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif"}
_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*")
_GREY_8 = frozenset({"L", "1"})
_COLOUR = frozenset({"RGB", "RGBA", "LA", "PA", "P", "La", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"})
_PHOTOMETRIC = 262
"""TIFF tag; 0 means that the least value is white."""


def is_raster(content: bytes) -> bool:
    """Say whether the content starts as one of the kinds that are read."""
    return content.startswith(_STARTS)


def decode(content: bytes) -> Radiograph:
    """Decode a PNG, JPEG or TIFF picture. Raises ImageError, or what Pillow raises on damaged input."""
    try:
        with Image.open(io.BytesIO(content), formats=tuple(_KINDS)) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise ImageError(
                    f"claims {width} x {height} pixels, at most {MAX_PIXELS} are decoded",
                    hint="Is it a radiograph?",
                )
            if getattr(picture, "n_frames", 1) > 1:
                raise ImageError(
                    f"holds {getattr(picture, 'n_frames', 0)} pictures, one is needed",
                    hint="Save each picture as a file of its own.",
                )
            suffix = _KINDS[str(picture.format)]
            tags: Any = getattr(picture, "tag_v2", {})
            stored = _grey(picture)
            # Pillow turns 8-bit pictures of this kind round, deeper ones it leaves.
            inverted = tags.get(_PHOTOMETRIC) == 0 and stored.dtype == np.uint16
    except Image.DecompressionBombError:
        raise ImageError(
            f"claims far more than the {MAX_PIXELS} pixels that are decoded", hint="Is it a radiograph?"
        ) from None
    stored.setflags(write=False)
    highest = int(np.iinfo(stored.dtype).max)
    bare = Tone(lowest=0, highest=highest, modality=ModalityTransform(), base_inverted=inverted)
    presets: tuple[Preset, ...] = (auto_preset(stored, bare),)
    if stored.dtype == np.uint8:
        # Whoever made an 8-bit picture chose its window; it is shown as it is, the automatic window is on offer.
        presets = (
            Preset(preset_id="window:0", name="as stored", center=128, width=256, voi="LINEAR"),
            *presets,
        )
    tone = replace(bare, presets=presets)
    return Radiograph(stored=stored, tone=tone, suffix=suffix)


def _grey(picture: Image.Image) -> NDArray[Any]:
    """Return (h, w) uint8 or uint16."""
    mode = picture.mode
    if mode.startswith("I;16"):
        return np.asarray(picture).astype(np.uint16)
    if mode == "I":
        values = np.asarray(picture)
        if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
            raise ImageError("holds values of more than 16 bit", hint="Save it as 16-bit grey.")
        return values.astype(np.uint16)
    if mode in _GREY_8 or mode in _COLOUR:
        return np.array(picture.convert("RGB").convert("L") if mode in _COLOUR else picture.convert("L"))
    raise ImageError(f"has pixels of kind {mode!r}", hint="Save it as 8-bit or 16-bit grey.")
