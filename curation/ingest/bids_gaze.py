"""The recordings of a BIDS reading, one per eye, as table ``gaze``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.ingest.bids_files import Physio, Presentation
from keyframes.errors import TimestampError
from keyframes.eyes import combine_eyes

__all__ = ["Recording", "gaze_table", "pupil_unit"]

FloatArray = NDArray[np.float64]
_UNITS_S: Final[Mapping[str, float]] = {
    "s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "milliseconds": 1e-3, "us": 1e-6, "microseconds": 1e-6,
    "ns": 1e-9, "nanoseconds": 1e-9,
}  # fmt: skip
_UNITS_MM: Final[Mapping[str, float]] = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
_PIXELS: Final = frozenset({"pixel", "pixels", "px"})
_MAX_POSITION_PX: Final = 1e6
_SCALE_TOLERANCE: Final = 3.0
"""Between the steps of a table and its sampling rate; units of time differ by 1000."""
MAX_TIME_S: Final = 86_400.0 * 11
"""Of a reading; as in its decisions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One eye."""

    about: Physio
    columns: Mapping[str, FloatArray]

    @property
    def eye(self) -> str:
        """left, right or cyclopean."""
        return self.about.RecordedEye


def pupil_unit(about: Physio) -> str:
    """Return the pupil's unit as `keyframes.reading.GAZE` has it."""
    said = about.pupil_size.Description.lower()
    if "pupil_size" not in about.Columns:
        return "none"
    if "relative" in said:
        return "normalised"
    if about.pupil_size.Units == "mm":
        return "mm"
    return {(True, False): "area_au", (False, True): "diameter_au"}.get(
        ("area" in said, "diameter" in said), "none"
    )


def gaze_table(
    recordings: Sequence[Recording],
    screen: Presentation,
    image_indexes: Sequence[int],
    combined_by: str,
    source: str,
    unit: str,
    issues: Counter[str],
) -> pa.Table:
    """Return table ``gaze``: the combined recording, else one made of both eyes, else the one eye.

    combined_by, source, unit : what the dataset says; empty: what its recordings tell.
    Gaze that is not on the screen, or in a unit that cannot be one, is kept as ``x/y_scene_px`` (GI-SCENE-UNMAPPED).
    Raises TimestampError where times are absent or impossible.
    """
    by_eye = {recording.eye: recording for recording in reversed(recordings)}
    main = by_eye.get("cyclopean") or by_eye.get("left") or by_eye.get("right") or recordings[0]
    t_s = _times(main, issues)
    kept = main.columns.get("recorded", np.ones(t_s.size)) != 0
    t_ns = np.rint(t_s[kept] * 1e9).astype(np.int64)
    grows = (
        np.concatenate([[True], np.diff(np.maximum.accumulate(t_ns)) > 0])
        if t_ns.size
        else np.ones(0, np.bool_)
    )
    issues["GI-TIME-ORDER"] += int((~grows).sum())
    rows = np.flatnonzero(kept)[grows]
    t_ns = t_ns[grows]
    taken = _Taken(main, rows)
    x, y, on_screen = _on_screen(taken, screen, issues)
    eyes = {
        eye: _Taken(one, _matched(one, main, rows, issues))
        for eye, one in by_eye.items()
        if eye in ("left", "right")
    }
    points = {eye: _on_screen(one, screen, Counter())[:2] for eye, one in eyes.items()}
    rule = np.full(t_ns.size, combined_by or "device", object)
    if main.eye in ("left", "right"):
        rule[:] = combined_by or main.eye
        if len(eyes) == 2 and not combined_by:
            both = combine_eyes(*points["left"], *points["right"])
            x, y = both.x_px, both.y_px
            rule[:] = "mean_of_valid"
    nan = np.full(t_ns.size, np.nan)
    image = taken("image_index")
    x_image, y_image = _pair(taken("x_image_px"), taken("y_image_px"))
    is_on = np.isin(image, list(image_indexes)) & np.isfinite(x_image)
    pupil = _positive(taken("pupil_size"))
    seen = np.isfinite(x) | np.isfinite(x_image)
    valid = taken("valid")
    columns: dict[str, Any] = {
        "t_ns": t_ns, "x_screen_px": x if on_screen else nan, "y_screen_px": y if on_screen else nan,
    }  # fmt: skip
    for eye in ("left", "right"):
        px, py = points.get(eye, (nan, nan)) if on_screen else (nan, nan)
        size = _positive(eyes[eye]("pupil_size")) if eye in eyes else nan
        columns |= {f"{eye}_x_screen_px": px, f"{eye}_y_screen_px": py, f"{eye}_pupil": size}
    columns |= {
        "x_image_px": x_image, "y_image_px": y_image,
        "px_per_deg_x": _positive(taken("image_px_per_deg_x")), "px_per_deg_y": _positive(taken("image_px_per_deg_y")),
        "pupil": pupil,
        "valid": np.where(np.isfinite(valid), valid != 0, seen) & (seen if on_screen else np.isfinite(x_image)),
        "combined_by": pa.array(rule.tolist(), pa.string()),
        "pupil_unit": pa.array([unit or pupil_unit(main.about)] * t_ns.size, pa.string()),
        "source": pa.array([source or "imported"] * t_ns.size, pa.string()),
        "image_index": _integers(image, is_on), "viewport_id": _integers(taken("viewport_id")),
        "eye_distance_mm": pa.array(_positive(taken("eye_distance_mm")), from_pandas=True),
    }  # fmt: skip
    for eye, one in eyes.items():
        if "valid" in one.recording.columns:
            said = one("valid")
            columns[f"{eye}_valid"] = pa.array(said != 0, mask=~np.isfinite(said))
    if not on_screen:
        issues["GI-SCENE-UNMAPPED"] += 1
        columns |= {"x_scene_px": x, "y_scene_px": y}
    return pa.table(columns)


@dataclass(frozen=True, slots=True)
class _Taken:
    """Rows of a recording's columns; -1 is a row that it does not have."""

    recording: Recording
    rows: NDArray[np.int64]

    def __call__(self, name: str) -> FloatArray:
        values = self.recording.columns.get(name)
        if values is None or not values.size:
            return np.full(self.rows.size, np.nan)
        return np.where(self.rows >= 0, values[self.rows], np.nan)


def _times(one: Recording, issues: Counter[str]) -> FloatArray:
    """Return (n,) s on the clock of the task: `StartTime` is the first sample's."""
    stamps = one.columns["timestamp"]
    if not stamps.size or not np.isfinite(stamps).all():
        raise TimestampError("a sample's time is absent", hint="Copy it again.", code="GT-BIDS")
    about = one.about
    factor = _UNITS_S.get(about.timestamp.Units.strip().lower())
    steps = np.diff(stamps)
    step = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    fits = [unit for unit in (1.0, 1e-3, 1e-6, 1e-9) if step and _fits(step * unit * about.SamplingFrequency)]
    if fits and factor not in fits:
        issues["GI-BIDS-TIME-UNIT"] += 1
        factor = fits[0]
    if factor is None:
        factor = 1.0
        issues["GI-BIDS-TIME-UNIT"] += 1
    if factor == 1.0 and abs(stamps[0] - about.StartTime) < 1e-6:
        times = stamps  # to the ns as written
    else:
        times = (stamps - stamps[0]) * factor + about.StartTime
    if np.abs(times).max() > MAX_TIME_S:
        raise TimestampError(
            "a sample's time is beyond eleven days", hint="Are the times in s?", code="GT-BIDS"
        )
    return np.asarray(times)


def _fits(steps_per_interval: float) -> bool:
    return 1 / _SCALE_TOLERANCE < steps_per_interval < _SCALE_TOLERANCE


def _on_screen(
    taken: _Taken, screen: Presentation, issues: Counter[str]
) -> tuple[FloatArray, FloatArray, bool]:
    """Return positions in px from the screen's top left corner, and whether they are on the screen at all."""
    x, y = _pair(taken("x_coordinate"), taken("y_coordinate"))
    about = taken.recording.about
    units = {about.x_coordinate.Units.strip().lower(), about.y_coordinate.Units.strip().lower()}
    size, resolution = screen.ScreenSize, screen.ScreenResolution
    if about.SampleCoordinateSystem != "gaze-on-screen":
        return x, y, False
    if not units <= _PIXELS:
        (unit, *others) = units
        if others or unit not in _UNITS_MM or size is None or resolution is None or min(size) <= 0:
            issues["GI-BIDS-UNITS"] += 1
            return x, y, False
        x = x * (_UNITS_MM[unit] / 1000 / size[0] * resolution[0])
        y = y * (_UNITS_MM[unit] / 1000 / size[1] * resolution[1])
    vertical, horizontal = (word.strip().lower() for word in screen.ScreenOrigin)
    if (vertical, horizontal) != ("top", "left"):
        issues["GI-BIDS-ORIGIN"] += 1
        known = {"top": 0.0, "left": 0.0, "center": 0.5, "centre": 0.5, "bottom": 1.0, "right": 1.0}
        if vertical not in known or horizontal not in known or resolution is None:
            return x, y, False
        # Only from the bottom does y grow upward; from the middle it is taken to grow downward, as in a picture.
        y = resolution[1] - y if vertical == "bottom" else y + known[vertical] * resolution[1]
        x = resolution[0] - x if horizontal == "right" else x + known[horizontal] * resolution[0]
    return x, y, True


def _matched(
    one: Recording, main: Recording, rows: NDArray[np.int64], issues: Counter[str]
) -> NDArray[np.int64]:
    """Return the row of ``one`` at the time of each row of ``main``, -1 where there is none."""
    ours, theirs = main.columns["timestamp"][rows], one.columns["timestamp"]
    if theirs.size == main.columns["timestamp"].size and np.array_equal(theirs[rows], ours):
        return rows
    order = np.argsort(theirs, kind="stable")
    place = np.clip(np.searchsorted(theirs[order], ours), 0, max(0, theirs.size - 1))
    found = order[place] if theirs.size else np.full(rows.size, -1)
    matched = np.where(theirs[found] == ours, found, -1) if theirs.size else found
    issues["GI-BIDS-EYES"] += bool((matched < 0).any())
    return matched


def _pair(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    both = (np.abs(x) < _MAX_POSITION_PX) & (np.abs(y) < _MAX_POSITION_PX)
    return np.where(both, x, np.nan), np.where(both, y, np.nan)


def _positive(values: FloatArray) -> FloatArray:
    return np.where(values > 0, values, np.nan)


def _integers(values: FloatArray, known: NDArray[np.bool_] | None = None) -> pa.Array:
    small = (values >= 0) & (values < 32_000)
    known = small if known is None else small & known
    return pa.array(np.where(known, values, 0).astype(np.int16), mask=~known)
