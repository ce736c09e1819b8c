"""One table from stored values to grey levels: modality, VOI, polarity, 8 bit.

DICOM defines the three steps per pixel; done once over all values that can be stored and then indexed, they give
the same grey levels in a hundredth of the time. Knows no files.

Source: DICOM PS3.3 C.11.1 (modality), C.11.2 (VOI), C.11.6.1.2 (presentation LUT shape).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gazecapture.radiograph.presets import Preset
from keyframes.errors import UsageError

__all__ = [
    "LookupTable",
    "Lut",
    "ModalityTransform",
    "Tone",
    "auto_preset",
    "lut_presets",
    "to_grey8",
    "window_share",
]

VoiFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]

WHITE = 255
"""Largest grey level of the 8-bit picture."""
TIE_NUDGE = 1e-9
"""Grey levels; windows put values exactly halfway between two levels, and rounding noise must not choose."""
ACTIVE_SHARES = (0.1, 0.9)
"""Output shares of a LUT between which its equivalent window is laid: its toe and shoulder would make the window
far wider, and the first drag would wash the picture out."""
MIN_LINEAR_WIDTH = 1.0
"""Narrowest LINEAR window, modality units; PS3.3 C.11.2.1.2.1."""
MIN_WIDTH = 1e-6
"""Narrowest other window, modality units; PS3.3 asks for more than 0."""
SIGMOID_LIMIT = 500.0
"""Exponent beyond which the sigmoid is 0 or 1 in double precision; keeps exp from overflowing."""
AUTO_PERCENTILES = (0.5, 99.5)
"""Percent of the pixels inside the border that the automatic window leaves dark and bright."""
RIM_SHARE = 0.5
"""A value that fills more than this share of the outermost pixels is border (collimator, padding)."""
MIN_INSIDE_SHARE = 0.05
"""Where dropping the border would leave fewer pixels than this, nothing is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupTable:
    """Grey level by stored value: ``values[stored - offset]``."""

    values: NDArray[np.uint8]
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lut:
    """A table as DICOM stores it; inputs beyond its ends take the first or last entry (PS3.3 C.11.1.1)."""

    first: int
    """Input that the first entry is for."""
    entries: NDArray[np.uint16]
    bits: int
    """Bits per entry: the output spans 0 ... 2**bits - 1."""

    def apply(self, values: ArrayLike) -> NDArray[np.uint16]:
        """Return the entry of each input; fractions are dropped."""
        place = np.floor(np.asarray(values, np.float64) - self.first)
        looked_up: NDArray[np.uint16] = self.entries[
            np.clip(place, 0, self.entries.size - 1).astype(np.int64)
        ]
        return looked_up

    @property
    def span(self) -> int:
        """Largest output that the entries' bits allow; more where the entries themselves exceed it."""
        return int(max((1 << self.bits) - 1, self.entries.max(), 1))

    def equivalent_window(self) -> tuple[float, float]:
        """Return (centre, width) of the LINEAR window that follows the LUT's steep part."""
        output = self.entries.astype(np.float64)
        low, high = output.min(), output.max()
        if output.size < 2 or high <= low:
            return self.first + output.size / 2, float(max(output.size, MIN_LINEAR_WIDTH))
        share = (output - low) / (high - low)
        if share[-1] < share[0]:
            share = 1 - share
        rising = np.maximum.accumulate(share)
        at = [float(np.argmax(rising >= wanted)) for wanted in ACTIVE_SHARES]
        width = max((at[1] - at[0]) / (ACTIVE_SHARES[1] - ACTIVE_SHARES[0]), MIN_LINEAR_WIDTH)
        return self.first + (at[0] + at[1]) / 2, width


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalityTransform:
    """Stored values to modality values: a table, or slope and intercept."""

    slope: float = 1.0
    intercept: float = 0.0
    lut: Lut | None = None

    def apply(self, stored: ArrayLike) -> NDArray[np.float64]:
        """Return modality values."""
        if self.lut is not None:
            return self.lut.apply(stored).astype(np.float64)
        return np.asarray(stored, np.float64) * self.slope + self.intercept


def window_share(
    values: NDArray[np.float64], center: float, width: float, function: VoiFunction
) -> NDArray[np.float64]:
    """Return each modality value's place in a window, 0 (darkest) to 1.

    Source: PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID), C.11.2.1.3.2 (LINEAR_EXACT).
    """
    if function == "SIGMOID":
        exponent = np.clip(-4 * (values - center) / max(width, MIN_WIDTH), -SIGMOID_LIMIT, SIGMOID_LIMIT)
        return np.asarray(1 / (1 + np.exp(exponent)), np.float64)
    if function == "LINEAR":
        center, width = center - 0.5, max(width, MIN_LINEAR_WIDTH) - 1
    if width <= MIN_WIDTH:
        return (values > center).astype(np.float64)
    return np.clip((values - center) / width + 0.5, 0, 1)


def to_grey8(share: ArrayLike) -> NDArray[np.uint8]:
    """Return 8-bit grey levels of shares 0 ... 1, rounded to the nearest, halves upwards."""
    grey: NDArray[np.uint8] = np.floor(np.asarray(share, np.float64) * WHITE + (0.5 + TIE_NUDGE)).astype(
        np.uint8
    )
    return grey


@dataclass(frozen=True, kw_only=True, eq=False)
class Tone:
    """How one image's stored values may be shown."""

    lowest: int
    """Least value that its bits can store; the tables' offset."""
    highest: int
    modality: ModalityTransform
    voi_luts: tuple[Lut, ...] = ()
    presets: tuple[Preset, ...] = ()
    base_inverted: bool = False

    @cached_property
    def modality_values(self) -> NDArray[np.float64]:
        """Modality value of every value that can be stored."""
        return self.modality.apply(np.arange(self.lowest, self.highest + 1))

    def lookup(
        self,
        *,
        center: float | None = None,
        width: float | None = None,
        voi: str | None = None,
        preset_id: str | None = None,
        inverted: bool | None = None,
    ) -> LookupTable:
        """Return the table for a window or a preset; without any, for the file's default.

        center, width : modality units; ``voi`` LUT ignores them, without them the preset's own are taken.
        voi           : LUT, LINEAR, LINEAR_EXACT or SIGMOID; the preset's, or LINEAR, where it is not given.
        inverted      : light and dark swapped against the stored values; the file's polarity where not given.

        Raises UsageError for a preset or function that the image does not have.
        """
        preset = self._preset(preset_id, center)
        function = voi or (preset.voi if preset is not None else "LINEAR")
        if function == "LUT":
            lut = self._voi_lut(preset)
            share = lut.apply(self.modality_values) / lut.span
        else:
            middle = center if center is not None else preset.center if preset is not None else 0.0
            span = width if width is not None else preset.width if preset is not None else 1.0
            if not (math.isfinite(middle) and math.isfinite(span)):
                raise UsageError(f"window {middle} / {span} is not a pair of finite numbers")
            share = window_share(self.modality_values, middle, span, _function(function))
        grey = to_grey8(share)
        if self.base_inverted if inverted is None else inverted:
            grey = WHITE - grey
        grey.setflags(write=False)
        return LookupTable(values=grey, offset=self.lowest)

    def _preset(self, preset_id: str | None, center: float | None) -> Preset | None:
        if preset_id is None:
            return self.presets[0] if center is None and self.presets else None
        for preset in self.presets:
            if preset.preset_id == preset_id:
                return preset
        known = ", ".join(p.preset_id for p in self.presets)
        raise UsageError(f"the image has no preset {preset_id!r} (it has: {known})")

    def _voi_lut(self, preset: Preset | None) -> Lut:
        number = 0
        if preset is not None and preset.voi == "LUT":
            number = int(preset.preset_id.partition(":")[2])
        if number >= len(self.voi_luts):
            raise UsageError(f"the image has {len(self.voi_luts)} VOI LUTs, there is no number {number}")
        return self.voi_luts[number]


def _function(name: str) -> VoiFunction:
    match name:
        case "LINEAR" | "LINEAR_EXACT" | "SIGMOID":
            return name
        case _:
            raise UsageError(f"unknown VOI function {name!r}; known are LUT, LINEAR, LINEAR_EXACT, SIGMOID")


def auto_preset(stored: NDArray[Any], tone: Tone) -> Preset:
    """Return the window from percentile 0.5 to 99.5 of the modality values inside the border.

    stored : (h, w) integers between ``tone.lowest`` and ``tone.highest``.
    """
    counts = np.bincount(
        (stored.ravel().astype(np.int64) - tone.lowest), minlength=tone.highest - tone.lowest + 1
    )
    rim = np.concatenate([stored[0], stored[-1], stored[:, 0], stored[:, -1]]).astype(np.int64) - tone.lowest
    common = int(np.bincount(rim).argmax())
    inside = counts.sum() - counts[common]
    if np.count_nonzero(rim == common) > RIM_SHARE * rim.size and inside > MIN_INSIDE_SHARE * stored.size:
        counts[common] = 0
    order = np.argsort(tone.modality_values, kind="stable")
    reached = np.cumsum(counts[order])
    low, high = (
        float(tone.modality_values[order[np.searchsorted(reached, reached[-1] * p / 100)]])
        for p in AUTO_PERCENTILES
    )
    middle = (low + high) / 2
    if high - low < MIN_LINEAR_WIDTH:
        return Preset(
            preset_id="auto", name="auto", center=middle, width=max(high - low, MIN_WIDTH), voi="LINEAR_EXACT"
        )
    return Preset(preset_id="auto", name="auto", center=middle + 0.5, width=high - low + 1, voi="LINEAR")


def lut_presets(luts: Sequence[Lut], names: Sequence[str]) -> tuple[Preset, ...]:
    """Return a preset per VOI LUT, with its equivalent window."""
    presets = []
    for number, (lut, name) in enumerate(zip(luts, names, strict=True)):
        center, width = lut.equivalent_window()
        presets.append(Preset(preset_id=f"lut:{number}", name=name, center=center, width=width, voi="LUT"))
    return tuple(presets)
