"""In which numbers a model is told where a box is.

Rows have boxes in px of the stored matrix. Every model family wants others, and a wrong guess trains without an error
(the most repeated question of their issue threads, QwenLM/Qwen3-VL 721 and 866 among them):

=========  ==============================================  ====================
frame      numbers                                         families
=========  ==============================================  ====================
pixels     px of the picture as the record has it
norm1000   0 to 1000 along each side                       Qwen2-VL, Qwen3-VL
resized    px of the picture as the processor resizes it   Qwen2.5-VL
quarter    px of the matrix divided by 4                   GazeX
=========  ==============================================  ====================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["FAMILIES", "BoxFrame", "ResizeLimits", "ShownSize", "from_frame", "smart_resize", "to_frame"]

BoxFrame = Literal["pixels", "norm1000", "resized", "quarter"]
FAMILIES = MappingProxyType(
    {"qwen2-vl": "norm1000", "qwen2.5-vl": "resized", "qwen3-vl": "norm1000", "gazex": "quarter"}
)
"""Model family -> the frame it was trained with."""
NORM = 1000.0
QUARTER = 4.0
MAX_ASPECT = 200.0
"""Qwen's processors refuse a picture that is longer than that many times its width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeLimits:
    """What Qwen's image processor resizes by: both sides multiples of ``factor``, the area within limits, px."""

    factor: int = 28
    """Qwen2-VL and Qwen2.5-VL: 14 px patches, merged two by two. Qwen3-VL: 32."""
    min_pixels: int = 56 * 56
    max_pixels: int = 28 * 28 * 1280
    """Defaults of Qwen2VLImageProcessor in transformers 5.23."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSize:
    """A picture's size as stored and as a record has it, px."""

    matrix_width_px: int
    matrix_height_px: int
    width_px: int
    height_px: int


def smart_resize(width_px: int, height_px: int, limits: ResizeLimits) -> tuple[int, int]:
    """Return width and height after Qwen's resize. Raises ValueError for a picture that its processor refuses.

    Source: ``smart_resize`` of transformers 5.23, models/qwen2_vl/image_processing_qwen2_vl.py.
    """
    if max(width_px, height_px) / min(width_px, height_px) > MAX_ASPECT:
        raise ValueError(f"a picture of {width_px} x {height_px} px is too long for the processor")
    factor = limits.factor
    # A side that rounds to nothing makes the area 0, so the picture grows.
    width, height = (round(side / factor) * factor for side in (width_px, height_px))
    if width * height > limits.max_pixels:
        shrink = math.sqrt(width_px * height_px / limits.max_pixels)
        width, height = (
            max(factor, math.floor(side / shrink / factor) * factor) for side in (width_px, height_px)
        )
    elif width * height < limits.min_pixels:
        grow = math.sqrt(limits.min_pixels / (width_px * height_px))
        width, height = (math.ceil(side * grow / factor) * factor for side in (width_px, height_px))
    return width, height


def to_frame(
    coordinates: Sequence[float], frame: BoxFrame, size: ShownSize, limits: ResizeLimits
) -> tuple[float, ...]:
    """Return x, y, x, y ... in px of the matrix as numbers of ``frame``, not rounded."""
    scale = _scale(frame, size, limits)
    return tuple(value * scale[place % 2] for place, value in enumerate(coordinates))


def from_frame(
    coordinates: Sequence[float], frame: BoxFrame, size: ShownSize, limits: ResizeLimits
) -> tuple[float, ...]:
    """Return x, y, x, y ... of ``frame``, as a model answers, in px of the matrix."""
    scale = _scale(frame, size, limits)
    return tuple(value / scale[place % 2] for place, value in enumerate(coordinates))


def _scale(frame: BoxFrame, size: ShownSize, limits: ResizeLimits) -> tuple[float, float]:
    """Return numbers of the frame per px of the matrix, along x and y."""
    if frame == "quarter":
        return 1 / QUARTER, 1 / QUARTER
    if frame == "norm1000":
        target: tuple[float, float] = (NORM, NORM)
    elif frame == "resized":
        target = smart_resize(size.width_px, size.height_px, limits)
    else:
        target = (size.width_px, size.height_px)
    return target[0] / size.matrix_width_px, target[1] / size.matrix_height_px
