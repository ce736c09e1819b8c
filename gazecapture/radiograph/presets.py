"""A file's own ways to be shown, as the viewer and the display journal name them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ImageView", "Preset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One of a file's own ways to be shown: a VOI LUT, or a window with its function."""

    preset_id: str
    """``lut:0``, ``window:0`` or ``auto``; the number is the item's place in the file."""
    name: str
    center: float
    """Of the window, or of the equivalent window where the preset is a LUT; modality units."""
    width: float
    voi: str
    """LUT, LINEAR, LINEAR_EXACT or SIGMOID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageView:
    """What the viewer model must know of an image: its size and its presets, the file's default first."""

    image_index: int
    width_px: int
    height_px: int
    presets: tuple[Preset, ...]
    base_inverted: bool = False
    """Polarity asks for inversion (MONOCHROME1); the journal's ``inverted`` is this XOR the reader's key."""
