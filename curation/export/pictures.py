"""Pictures as the shards carry them: 8-bit grey PNG, default VOI and polarity, no metadata."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Box", "encode_png", "masked", "salted_sha256", "shrink"]

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in px, half-open."""

PNG_LEVEL = 1
"""Level 6 takes 2.3 times as long as level 1 for 6 % fewer bytes on radiographs of 512 px; encoding is the
slowest part of an export."""


def shrink(grey8: NDArray[np.uint8], longest_px: int) -> NDArray[np.uint8]:
    """Return the picture with its longer side at most ``longest_px``; a smaller one is returned as it is."""
    height, width = grey8.shape
    factor = longest_px / max(height, width)
    if factor >= 1.0:
        return grey8
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(grey8).resize(size, Image.Resampling.BOX), np.uint8)


def masked(pixels: NDArray[Any], boxes: Sequence[Box], *, fill: int) -> NDArray[Any]:
    """Return the picture with its boxes filled; without boxes the picture itself. Boxes are cut at its edges."""
    if not boxes:
        return pixels
    covered = pixels.copy()
    for x0, y0, x1, y1 in boxes:
        covered[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = fill
    return covered


def salted_sha256(grey8: NDArray[np.uint8], salt: str) -> str:
    """Return the hash by which somebody who has the picture too can tell that it is the one, and nobody else can.

    It is taken over the decoded pixels at full size, so that another encoding of the same film is recognised.
    """
    size = f"{salt} {grey8.shape[1]} {grey8.shape[0]} ".encode()
    return hashlib.sha256(size + np.ascontiguousarray(grey8).tobytes()).hexdigest()


def encode_png(grey8: NDArray[np.uint8]) -> bytes:
    """Return the picture as PNG bytes, the same for the same pixels."""
    buffer = io.BytesIO()
    Image.fromarray(grey8).save(buffer, format="PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()
