"""From a sender's channels to screen px, NaN and validity per eye and combined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gazecapture.profiles.model import ChannelRule, Profile
from gazecapture.session.schema import StreamChannel, StreamInfo
from keyframes.errors import GeometryError, SchemaError
from keyframes.eyes import combine_eyes
from keyframes.geometry import Display

__all__ = ["NormalisedGaze", "normalise", "sample_identities"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_PIXELS = {"", "px", "pixel", "pixels"}
_NORMALISED = {"normalized", "normalised", "norm", "screencoords", "adcs"}
_SECONDS = {"": 1.0, "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "milliseconds": 1e-3,
            "us": 1e-6, "microseconds": 1e-6, "ns": 1e-9, "nanoseconds": 1e-9}  # fmt: skip
_PUPIL_UNITS = {"mm": "mm", "millimeters": "mm", "millimetres": "mm", "m": "mm", "area": "area_au", "px": "px",
                "pixel": "px", "pixels": "px", "normalized": "normalised", "normalised": "normalised"}  # fmt: skip
_TRUE = 0.5
"""A flag above this is set; senders write 0 and 1."""
_MM_PER_M = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalisedGaze:
    """Gaze of n samples; all arrays (n,). Screen px, lost gaze NaN, an eye that the sender lacks all NaN."""

    left_x_screen_px: FloatArray
    left_y_screen_px: FloatArray
    left_pupil: FloatArray
    left_valid: BoolArray
    right_x_screen_px: FloatArray
    right_y_screen_px: FloatArray
    right_pupil: FloatArray
    right_valid: BoolArray
    x_screen_px: FloatArray
    """NaN throughout for gaze of a scene camera, which nobody has mapped to the screen yet; so are both eyes then."""
    y_screen_px: FloatArray
    pupil: FloatArray
    """Mean of the pupils seen."""
    valid: BoolArray
    """There is a place on the screen."""
    combined_by: str
    """mean_of_valid (of two eyes), left or right (the only one), device (the sender's own point)."""
    pupil_unit: str
    """mm, px (of the eye camera), diameter_au, area_au, normalised, none."""
    frame_number: NDArray[np.int64] | None
    """The device's count; -1 where a sample has none. None where the sender does not count."""
    device_time_s: FloatArray | None
    x_scene_px: FloatArray | None = None
    """In the picture of the scene camera, lost gaze NaN; None for a sender that gives places on the screen."""
    y_scene_px: FloatArray | None = None


def normalise(profile: Profile, info: StreamInfo, table: pa.Table, display: Display | None) -> NormalisedGaze:
    """Read n samples of a stream by its profile.

    Parameters
    ----------
    table   : the stream's journal, with a column for each of the stream's channels.
    display : needed where the sender gives shares of the display instead of px.

    Raises GeometryError where that, or the size of a scene camera, is absent, SchemaError where a channel has a unit
    or column unknown here.
    """
    reader = _Reader(profile, info, table, display)
    left, right, both = reader.eye("left"), reader.eye("right"), reader.eye("both")
    n = table.num_rows
    if both is not None:
        x, y, valid, rule = both.x, both.y, both.valid, "device"
    elif left is not None and right is not None:
        combined = combine_eyes(left.x, left.y, right.x, right.y)
        x, y, valid, rule = combined.x_px, combined.y_px, combined.valid, "mean_of_valid"
    else:
        only = left or right
        if only is None:
            raise SchemaError(f"profile {profile.name!r} finds no x and y in stream {info.name!r}")
        x, y, valid, rule = only.x, only.y, only.valid, "right" if left is None else "left"
    empty = _Eye(x=_nan(n), y=_nan(n), valid=np.zeros(n, np.bool_))
    left, right = left or empty, right or empty
    x_scene = y_scene = None
    if profile.frame == "scene":
        x_scene, y_scene = x, y
        left = right = empty
        x, y, valid = empty.x, empty.y, empty.valid
    pupils = {eye: reader.pupil(eye) for eye in ("left", "right", "both")}
    known = [p for p in pupils.values() if p is not None]
    seen = known if pupils["both"] is None else [pupils["both"]]
    frame_number, device_time_s = reader.identities()
    return NormalisedGaze(
        left_x_screen_px=left.x,
        left_y_screen_px=left.y,
        left_pupil=_nan(n) if pupils["left"] is None else pupils["left"],
        left_valid=left.valid,
        right_x_screen_px=right.x,
        right_y_screen_px=right.y,
        right_pupil=_nan(n) if pupils["right"] is None else pupils["right"],
        right_valid=right.valid,
        x_screen_px=x,
        y_screen_px=y,
        pupil=_nan(n) if not seen else _mean(seen[0], seen[-1]),
        valid=valid,
        combined_by=rule,
        pupil_unit=reader.pupil_unit() if known else "none",
        frame_number=frame_number,
        device_time_s=device_time_s,
        x_scene_px=x_scene,
        y_scene_px=y_scene,
    )


def sample_identities(
    profile: Profile, info: StreamInfo, table: pa.Table
) -> tuple[NDArray[np.int64] | None, FloatArray | None]:
    """Return ``frame_number`` and ``device_time_s`` as of `normalise`, which tell samples from repeats of them."""
    return _Reader(profile, info, table, None).identities()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Eye:
    x: FloatArray
    y: FloatArray
    valid: BoolArray


class _Reader:
    """Reads fields of one stream."""

    def __init__(self, profile: Profile, info: StreamInfo, table: pa.Table, display: Display | None) -> None:
        self._profile = profile
        self._info = info
        self._table = table
        self._display = display

    def eye(self, eye: str) -> _Eye | None:
        """Return one eye's gaze, or None where the sender does not have it."""
        found_x, found_y = self._find("x", eye), self._find("y", eye)
        if found_x is None or found_y is None:
            return None
        raw_x, raw_y = self._sent(*found_x), self._sent(*found_y)
        valid = np.isfinite(raw_x) & np.isfinite(raw_y)
        for marker in self._profile.missing.position:
            valid &= ~((raw_x == marker) & (raw_y == marker))
        limit = self._profile.missing.confidence_at_most
        confidence = self._find("confidence", eye) or self._find("confidence", "both")
        if limit is not None and confidence is not None:
            valid &= self._values(*confidence) > limit
        flag = self._find("valid", eye)
        if flag is not None:
            valid &= self._values(*flag) > _TRUE
        x, y = (
            self._pixels(self._values(*found), *found, axis=axis)
            for found, axis in ((found_x, "x"), (found_y, "y"))
        )
        return _Eye(x=np.where(valid, x, np.nan), y=np.where(valid, y, np.nan), valid=valid)

    def pupil(self, eye: str) -> FloatArray | None:
        """Return one eye's pupil, or None where the sender does not have it."""
        found = self._find("pupil", eye)
        if found is None:
            return None
        values = self._values(*found)
        if found[0].unit.strip().casefold() == "m":
            values = values * _MM_PER_M
        lost = np.isin(self._sent(*found), self._profile.missing.pupil)
        flag = self._find("pupil_valid", eye)
        if flag is not None:
            lost |= ~(self._values(*flag) > _TRUE)
        return np.where(lost, np.nan, values)

    def pupil_unit(self) -> str:
        """Return the unit of the pupil columns; what is not named is a diameter in arbitrary units."""
        units = {
            _PUPIL_UNITS.get((rule.unit or channel.unit).strip().casefold(), "diameter_au")
            for _, channel, rule in self._profile.channels(self._info, "pupil")
        }
        if len(units) > 1:
            raise SchemaError(f"stream {self._info.name!r} gives pupils in different units: {sorted(units)}")
        return units.pop()

    def field(self, field: str, units: dict[str, float] | None = None) -> FloatArray | None:
        """Return a field that no eye owns, or None."""
        found = next(iter(self._profile.channels(self._info, field)), None)
        if found is None:
            return None
        _, channel, rule = found
        values = self._values(channel, rule)
        if units is None:
            return values
        unit = (rule.unit or channel.unit).strip().casefold()
        if unit not in units:
            raise SchemaError(f"channel {channel.label!r}: unknown unit {unit!r}")
        return values * units[unit]

    def identities(self) -> tuple[NDArray[np.int64] | None, FloatArray | None]:
        """Return the device's count and its time, each where the sender gives it."""
        frame = self.field("frame_number")
        count = None
        if frame is not None:
            count = np.where(np.isfinite(frame), np.nan_to_num(frame), -1).astype(np.int64)
        return count, self.field("device_time", _SECONDS)

    def _find(self, field: str, eye: str) -> tuple[StreamChannel, ChannelRule] | None:
        for found_eye, channel, rule in self._profile.channels(self._info, field):
            if found_eye == eye:
                return channel, rule
        return None

    def _values(self, channel: StreamChannel, rule: ChannelRule) -> FloatArray:
        return self._sent(channel, rule) * rule.scale

    def _sent(self, channel: StreamChannel, _rule: ChannelRule) -> FloatArray:
        if channel.column not in self._table.column_names:
            raise SchemaError(f"the journal of stream {self._info.name!r} lacks column {channel.column!r}")
        values = self._table.column(channel.column).cast(pa.float64(), safe=False)
        return np.asarray(values.to_numpy(), np.float64)

    def _pixels(self, raw: FloatArray, channel: StreamChannel, rule: ChannelRule, *, axis: str) -> FloatArray:
        unit = (rule.unit or channel.unit).strip().casefold()
        if unit in _PIXELS:
            if not rule.y_up:
                return raw
            return self._size(axis, channel) - raw
        if unit in _NORMALISED:
            return (1.0 - raw if rule.y_up else raw) * self._size(axis, channel)
        raise SchemaError(
            f"channel {channel.label!r}: positions in {unit!r} cannot be put on the screen",
            hint="Expected pixels or normalized; a profile file can say the unit.",
        )

    def _size(self, axis: str, channel: StreamChannel) -> int:
        if self._profile.frame == "scene":
            scene = self._profile.scene
            if scene is None:
                raise GeometryError(
                    f"channel {channel.label!r} is relative to a scene camera whose size is unknown",
                    hint="Give [scene] width_px and height_px in a profile file.",
                    code="GT-NO-SCENE-SIZE",
                )
            return scene.width_px if axis == "x" else scene.height_px
        if self._display is None:
            raise GeometryError(
                f"channel {channel.label!r} is relative to a display whose size is unknown",
                hint="Give the display's width_px and height_px in the session.",
                code="GT-NO-DISPLAY",
            )
        return self._display.width_px if axis == "x" else self._display.height_px


def _nan(n: int) -> FloatArray:
    return np.full(n, np.nan)


def _mean(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the mean of what is finite, NaN where neither is."""
    values = np.vstack([first, second])
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    total = np.where(finite, values, 0.0).sum(axis=0)
    mean: FloatArray = np.divide(total, count, out=_nan(first.size), where=count > 0)
    return mean
