"""``gaze.csv`` and ``fixations.csv`` of REFLACX as tables ``gaze`` and ``display``.

Times are s since the start of the audio, positions integer px of the image, angular resolution image px per degree,
zoom included. Where a sample was on the screen follows from the rectangle of the image that was shown, and where.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.ingest.csv_files import CODE, malformed, read_columns
from keyframes.errors import GeometryError, TimestampError
from keyframes.geometry import Affine
from keyframes.reading import DISPLAY

__all__ = ["SCREEN_PX", "ReflacxGaze", "read_gaze"]

SCREEN_PX = (3840, 2160)
VIEWPORT = (660.0, 0.0, 3180.0, 2160.0)
"""Screen px; margins of 660 px at both sides hold the buttons."""
BUTTONS = (10.0, 933.0, 650.0, 1122.0)
"""Screen px."""
MAX_TIME_S = 86_400.0
"""A larger number is no time in s since the start of an audio file."""
RATES_HZ = (20.0, 4000.0)
"""Beyond these the times are not in s."""
MAX_POSITION_PX = 1e6
"""A position farther away is no gaze."""
MAX_DISPLAY_CHANGES = 20_000
"""A reader who zooms without a break makes some hundred."""

_SHOWN = ("xmin_shown_from_image", "ymin_shown_from_image", "xmax_shown_from_image", "ymax_shown_from_image")
_SCREEN = tuple(f"{side}_in_screen_coordinates" for side in ("xmin", "ymin", "xmax", "ymax"))
_WINDOW = ("window_level", "window_width")
_PER_DEG = tuple(f"angular_resolution_{axis}_pixels_per_degree" for axis in "xy")
_COLUMNS = (
    "timestamp_sample", "x_position", "y_position", "pupil_area_normalized", *_PER_DEG, *_WINDOW, *_SHOWN, *_SCREEN,
)  # fmt: skip

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReflacxGaze:
    """The gaze of one reading."""

    gaze: pa.Table
    """``keyframes.reading.GAZE``; ``source_fixation`` beyond it: row of ``fixations.csv``, null outside of all.
    Positions off the viewport are kept, as published, but lie on no image."""
    display: pa.Table
    """``keyframes.reading.DISPLAY``; ``window_*_share`` beyond it: of the stored values' whole range."""
    end_ns: int
    """Of the last sample."""
    facts: Mapping[str, str]
    """What was measured of the file, for the provenance."""


def read_gaze(path: Path, fixations: Path | None, *, width_px: int, height_px: int) -> ReflacxGaze:
    """Read the gaze of one reading.

    Raises SchemaError where a column or a number is off, TimestampError where times are absent or not in s,
    GeometryError where the rectangles that were shown are not those of an image of this size.
    """
    columns = read_columns(path, _COLUMNS)
    t_ns, rate_hz = _times(columns["timestamp_sample"], path)
    n = t_ns.size
    x, y = columns["x_position"], columns["y_position"]
    seen = (np.abs(x) < MAX_POSITION_PX) & (np.abs(y) < MAX_POSITION_PX)
    x, y = np.where(seen, x + 0.5, np.nan), np.where(seen, y + 0.5, np.nan)
    per_deg = [np.where((v > 0) & (v < MAX_POSITION_PX), v, np.nan) for v in (columns[c] for c in _PER_DEG)]
    view = _View.of(columns, width_px, height_px, path)
    x_screen, y_screen = view.to_screen(x, y)
    on_panel = _inside(BUTTONS, x_screen, y_screen)
    in_viewport = seen.copy()
    if np.isfinite(x_screen).any():  # else nothing is known of the screen
        in_viewport &= _inside(VIEWPORT, x_screen, y_screen) & ~on_panel
    unmeasured = pa.array(np.full(n, np.nan))
    source_fixation, n_fixations = _fixations(fixations, t_ns)
    gaze = pa.table(
        {
            "t_ns": t_ns,
            "x_screen_px": x_screen,
            "y_screen_px": y_screen,
            **{
                f"{eye}_{name}": unmeasured
                for eye in ("left", "right")
                for name in ("x_screen_px", "y_screen_px", "pupil")
            },
            "x_image_px": x,
            "y_image_px": y,
            "px_per_deg_x": per_deg[0],
            "px_per_deg_y": per_deg[1],
            "pupil": np.where(
                np.isfinite(columns["pupil_area_normalized"]), columns["pupil_area_normalized"], np.nan
            ),
            "valid": seen,
            "combined_by": pa.array(["device"] * n, pa.string()),
            "pupil_unit": pa.array(["normalised"] * n, pa.string()),
            "source": pa.array(["imported"] * n, pa.string()),
            "viewport_id": pa.array(np.zeros(n, np.int16), mask=~in_viewport),
            "image_index": pa.array(np.zeros(n, np.int16), mask=~in_viewport),
            "on_panel": on_panel,
            "source_fixation": source_fixation,
        }
    )
    facts = {
        "n_source_fixations": str(n_fixations),
        "effective_rate_hz": f"{rate_hz:.6g}",
        "shown_rect_off_share": f"{view.off_share:.4f}",
        "screen_px_per_deg_x": f"{_median(per_deg[0] * view.screen_px_per_image_px_x):.4g}",
        "screen_px_per_deg_y": f"{_median(per_deg[1] * view.screen_px_per_image_px_y):.4g}",
    }
    end_ns = int(t_ns.max()) if n else 0
    return ReflacxGaze(gaze=gaze, display=view.display(columns, t_ns, path), end_ns=end_ns, facts=facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """What part of the image was shown where, at each sample; a rectangle of no area is NaN."""

    shown: FloatArray
    """(n, 4), image px."""
    screen: FloatArray
    """(n, 4), screen px."""
    off_share: float
    """Of the known rectangles, those that reach beyond the image."""

    @classmethod
    def of(cls, columns: Mapping[str, FloatArray], width_px: int, height_px: int, path: Path) -> _View:
        both = np.column_stack([_filled(columns[name]) for name in (*_SHOWN, *_SCREEN)])
        widths, heights = both[:, 2::4] - both[:, 0::4], both[:, 3::4] - both[:, 1::4]
        with np.errstate(invalid="ignore"):
            known = (
                (widths > 0) & (heights > 0) & (np.abs(both).max(axis=1) < MAX_POSITION_PX)[:, None]
            ).all(axis=1)
        both[~known] = np.nan
        inside = (
            (both[:, :2] >= -1).all(axis=1) & (both[:, 2] <= width_px + 1) & (both[:, 3] <= height_px + 1)
        )
        off_share = float((~inside[known]).mean()) if known.any() else 0.0
        if off_share > 0.5:
            raise GeometryError(
                f"{off_share:.0%} of the rectangles shown reach beyond the image of {width_px} x {height_px} px",
                hint="The gaze is of another image, or its size in the metadata is wrong.",
                path=path,
                code=CODE,
            )
        return cls(shown=both[:, :4], screen=both[:, 4:], off_share=off_share)

    @property
    def screen_px_per_image_px_x(self) -> FloatArray:
        return (self.screen[:, 2] - self.screen[:, 0]) / (self.shown[:, 2] - self.shown[:, 0])

    @property
    def screen_px_per_image_px_y(self) -> FloatArray:
        return (self.screen[:, 3] - self.screen[:, 1]) / (self.shown[:, 3] - self.shown[:, 1])

    def to_screen(self, x_image_px: FloatArray, y_image_px: FloatArray) -> tuple[FloatArray, FloatArray]:
        return (
            (x_image_px - self.shown[:, 0]) * self.screen_px_per_image_px_x + self.screen[:, 0],
            (y_image_px - self.shown[:, 1]) * self.screen_px_per_image_px_y + self.screen[:, 1],
        )

    def display(self, columns: Mapping[str, FloatArray], t_ns: NDArray[np.int64], path: Path) -> pa.Table:
        """Return a row for each change of what was shown, where or how."""
        window = np.column_stack([_filled(columns[name]) for name in _WINDOW])
        state = np.column_stack([self.shown, self.screen, window])
        known = np.flatnonzero(np.isfinite(self.shown[:, 0]))
        changed = known[:1]
        if known.size:
            differs = ((state[known[1:]] != state[known[:-1]]) & np.isfinite(state[known[1:]])).any(axis=1)
            changed = np.append(changed, known[1:][differs])
        if changed.size > MAX_DISPLAY_CHANGES:
            malformed(f"the display changes {changed.size} times", path)
        extra = [pa.field(f"window_{name}_share", pa.float64()) for name in ("center", "width")]
        schema = pa.schema([*DISPLAY, *extra])
        rows = []
        for at in changed.tolist():
            shown, screen = self.shown[at].tolist(), self.screen[at].tolist()
            rows.append(
                {
                    "t_ns": int(t_ns[at]),
                    "viewport_id": 0,
                    "inverted": False,
                    "panels": [{"name": "buttons", "rect": list(BUTTONS)}],
                    "image_index": 0,
                    "affine": list(Affine.from_rects(tuple(screen), tuple(shown)).coefficients),
                    "source_rect": shown,
                    "dest_rect": screen,
                    "viewport_rect": list(VIEWPORT),
                    "window_center_share": window[at, 0],
                    "window_width_share": window[at, 1],
                }
            )
        return pa.Table.from_pylist(rows, schema=schema)


def _times(t_s: FloatArray, path: Path) -> tuple[NDArray[np.int64], float]:
    """Return (n,) ns, and the rate in Hz."""
    if not t_s.size:
        malformed("it holds no sample", path)
    if not (np.abs(t_s) <= MAX_TIME_S).all():
        raise TimestampError(
            "a sample's time is absent, or beyond a day: s since the start of the audio are expected",
            path=path,
            code=CODE,
        )
    t_ns = np.rint(t_s * 1e9).astype(np.int64)
    steps = np.diff(t_ns)
    steps = steps[steps > 0]
    rate_hz = 1e9 / float(np.median(steps)) if steps.size else 0.0
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise TimestampError(f"{rate_hz:.4g} samples per s: are the times in s?", path=path, code=CODE)
    return t_ns, rate_hz


def _fixations(path: Path | None, t_ns: NDArray[np.int64]) -> tuple[pa.Array, int]:
    """Return the fixation, by its row in the source, that each sample is in, and the number of fixations."""
    number = np.full(t_ns.size, -1, np.int32)
    n_fixations = 0
    if path is not None:
        names = ("timestamp_start_fixation", "timestamp_end_fixation")
        start, end = read_columns(path, names).values()
        if not ((np.abs(start) <= MAX_TIME_S) & (end >= start) & (end <= MAX_TIME_S)).all():
            raise TimestampError("a fixation's start or end is absent or impossible", path=path, code=CODE)
        n_fixations = start.size
        order = np.argsort(t_ns, kind="stable")
        low = np.searchsorted(t_ns[order], np.rint(start * 1e9))
        high = np.searchsorted(t_ns[order], np.rint(end * 1e9), side="right")
        for place in range(n_fixations):
            number[order[low[place] : high[place]]] = place
    return pa.array(number, mask=number < 0), n_fixations


def _filled(values: FloatArray) -> FloatArray:
    """Return the values with each gap filled from before it: what is shown stays while the eye is lost."""
    known = np.isfinite(values)
    if not known.any():
        return np.full(values.size, np.nan)
    place = np.maximum.accumulate(np.where(known, np.arange(values.size), int(np.argmax(known))))
    return values[place]


def _inside(rect: tuple[float, float, float, float], x: FloatArray, y: FloatArray) -> NDArray[np.bool_]:
    x0, y0, x1, y1 = rect
    return np.asarray((x >= x0) & (x < x1) & (y >= y0) & (y < y1))


def _median(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")
