"""An EGD-CXR reading's gaze: shares of the screen, on an image that was letterboxed to fill it.

``BPOG*`` is the device's point of each sample, ``FPOG*`` the fixation's that it belongs to, and ``X_ORIGINAL``,
``Y_ORIGINAL`` are the authors' own image px of the latter: negative, not NaN, where it is off the image. Gaze is taken
from the samples; the authors' px serve to check the image's size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.ingest.csv_files import number_of
from curation.ingest.egd_tables import CODE
from gazecapture.trackers.recording import going_up
from keyframes.errors import GeometryError, TimestampError
from keyframes.geometry import Affine, map_gaze
from keyframes.reading import DISPLAY

__all__ = ["SCREEN_PX", "EgdGaze", "Letterbox", "read_gaze"]

SCREEN_PX = (1920, 1080)
MAX_TIME_S = 86_400.0
MAX_SHARE = 10.0
"""Screens away from the middle; a position farther away is no gaze."""
MAX_OUT_OF_ORDER = 0.1
"""Share of samples whose time does not go up; beyond it the time restarts inside an image, and nobody knows why."""
RATES_HZ = (10.0, 1000.0)
"""The device makes 60 samples per s. Beyond these the times are not in s."""
MIN_SPREAD_PX = 100.0
"""Screen px over which fixations must be spread for the image's size to follow from them."""
MIN_POSITIONS = 20
MAX_OFF_PX = 2.0
"""Image px between the authors' positions and ours; they cut to whole px."""
MAX_OFF_SHARE = 0.05
MAX_SIZE_OFF = 0.02
"""Share by which the picture's size may differ from what positions say; rounding makes less."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterbox:
    """How the image lay on the screen."""

    left_px: float
    top_px: float
    right_px: float
    bottom_px: float

    @classmethod
    def of(cls, row: Mapping[str, str], path: Path) -> Letterbox:
        """Read the pads of a row of the master sheet. Raises GeometryError where they leave no image."""
        left, top, right, bottom = (
            number_of(row, f"image_{side}_pad", path, code=CODE)
            for side in ("left", "top", "right", "bottom")
        )
        box = cls(left_px=left, top_px=top, right_px=SCREEN_PX[0] - right, bottom_px=SCREEN_PX[1] - bottom)
        if min(left, top, right, bottom) < 0 or box.width_px < 1 or box.height_px < 1:
            raise GeometryError("the pads around the image leave nothing of it", path=path, code=CODE)
        return box

    @property
    def width_px(self) -> float:
        """Screen px."""
        return self.right_px - self.left_px

    @property
    def height_px(self) -> float:
        """Screen px."""
        return self.bottom_px - self.top_px

    def display(self, width_px: int, height_px: int, issues: Counter[str]) -> pa.Table:
        """Return table ``display`` for an image of this size; an odd side was padded by one pixel."""
        padded = width_px + width_px % 2, height_px + height_px % 2
        issues["GI-PADDED-ODD"] += padded != (width_px, height_px)
        source = (0.0, 0.0, float(padded[0]), float(padded[1]))
        dest = (self.left_px, self.top_px, self.right_px, self.bottom_px)
        aspect = (self.width_px / padded[0]) / (self.height_px / padded[1])
        issues["GI-ASPECT"] += abs(aspect - 1) > MAX_SIZE_OFF
        row = {
            "t_ns": 0,
            "viewport_id": 0,
            "inverted": False,
            "panels": [],
            "image_index": 0,
            "affine": list(Affine.from_rects(dest, source).coefficients),
            "source_rect": list(source),
            "dest_rect": list(dest),
            "viewport_rect": [0.0, 0.0, float(SCREEN_PX[0]), float(SCREEN_PX[1])],
        }
        return pa.Table.from_pylist([row], schema=DISPLAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class EgdGaze:
    """The samples of one reading, in time order, all arrays (n,); lost is NaN."""

    t_ns: NDArray[np.int64]
    x_screen_px: FloatArray
    y_screen_px: FloatArray
    x_fixation_screen_px: FloatArray
    y_fixation_screen_px: FloatArray
    left_pupil_mm: FloatArray
    right_pupil_mm: FloatArray
    fixation: NDArray[np.int64]
    """The device's number; -1 outside of a fixation."""
    x_published_px: FloatArray
    """Image px; NaN off the image."""
    y_published_px: FloatArray
    count: FloatArray

    def size_px(self, box: Letterbox) -> tuple[float, float] | None:
        """Return the image's padded size as the authors' positions say, None where they are too few or too near."""
        sides = []
        for shown, start, on_screen, published in (
            (box.width_px, box.left_px, self.x_fixation_screen_px, self.x_published_px),
            (box.height_px, box.top_px, self.y_fixation_screen_px, self.y_published_px),
        ):
            known = np.isfinite(on_screen) & np.isfinite(published)
            at = on_screen[known] - start
            if at.size < MIN_POSITIONS or np.ptp(at) < MIN_SPREAD_PX:
                return None
            sides.append(float(np.polyfit(at, published[known], 1)[0]) * shown)
        return (sides[0], sides[1]) if min(sides) >= 1 else None

    @property
    def rate_hz(self) -> float | None:
        """As the times say; None below two samples."""
        return float(1e9 / np.median(np.diff(self.t_ns))) if self.t_ns.size > 1 else None

    @property
    def n_expected(self) -> int | None:
        """How many samples the device counted; None where its count is none."""
        if not np.isfinite(self.count).all() or not (np.diff(self.count) > 0).all():
            return None
        n = int(self.count[-1] - self.count[0]) + 1
        return n if n <= 2 * self.t_ns.size else None

    def table(self, shown: pa.Table, fixations: Sequence[int] | None, issues: Counter[str]) -> pa.Table:
        """Return table ``gaze``.

        ``source_fixation`` beyond its schema: row among the reading's of ``fixations.csv``, null outside of all;
        ``x/y_fixation_screen_px``: the device's own fixation point.
        """
        n = self.t_ns.size
        mapped = map_gaze(self.t_ns, self.x_screen_px, self.y_screen_px, shown)
        affine = Affine(*shown.column("affine")[0].as_py())
        x, y = affine.apply(self.x_fixation_screen_px, self.y_fixation_screen_px)
        known = np.isfinite(x) & np.isfinite(self.x_published_px) & np.isfinite(self.y_published_px)
        off = np.maximum(np.abs(x - self.x_published_px), np.abs(y - self.y_published_px))[known]
        issues["GI-POSITION-MISMATCH"] += bool(off.size and (off > MAX_OFF_PX).mean() > MAX_OFF_SHARE)
        place = {number: k for k, number in enumerate(fixations or ())}
        source = np.array([place.get(int(number), -1) for number in self.fixation], np.int32)
        if fixations is not None:
            issues["GI-FIXATION-UNKNOWN"] += len(
                set(self.fixation[(source < 0) & (self.fixation >= 0)].tolist())
            )
        nothing = np.full(n, np.nan)
        pupils = np.vstack([self.left_pupil_mm, self.right_pupil_mm])
        n_pupils = np.isfinite(pupils).sum(axis=0)
        total = np.where(np.isfinite(pupils), pupils, 0.0).sum(axis=0)
        return pa.table(
            {
                "t_ns": self.t_ns,
                "x_screen_px": self.x_screen_px,
                "y_screen_px": self.y_screen_px,
                **{f"{eye}_{axis}_screen_px": nothing for eye in ("left", "right") for axis in "xy"},
                "left_pupil": self.left_pupil_mm,
                "right_pupil": self.right_pupil_mm,
                "x_image_px": mapped.x_image_px,
                "y_image_px": mapped.y_image_px,
                "px_per_deg_x": nothing,
                "px_per_deg_y": nothing,
                "pupil": np.divide(total, n_pupils, out=np.full(n, np.nan), where=n_pupils > 0),
                "valid": np.isfinite(self.x_screen_px),
                "combined_by": pa.repeat("device", n),
                "pupil_unit": pa.repeat("mm", n),
                "source": pa.repeat("imported", n),
                "viewport_id": pa.array(mapped.viewport_id, mask=mapped.viewport_id < 0),
                "image_index": pa.array(mapped.image_index, mask=mapped.image_index < 0),
                "source_fixation": pa.array(source, mask=source < 0),
                "x_fixation_screen_px": self.x_fixation_screen_px,
                "y_fixation_screen_px": self.y_fixation_screen_px,
            }
        )


def read_gaze(
    columns: Mapping[str, FloatArray], rows: NDArray[np.intp], path: Path, issues: Counter[str]
) -> EgdGaze:
    """Take one image's samples. Raises TimestampError where times are absent, not in s, or restart."""
    c = {name: values[rows] for name, values in columns.items()}
    t_s = c["Time (in secs)"]
    if not (np.abs(t_s) <= MAX_TIME_S).all():
        raise TimestampError(
            "a sample's time is absent, or beyond a day: s since image on are expected", path=path, code=CODE
        )
    t_ns = np.rint(t_s * 1e9).astype(np.int64)
    good = going_up(t_ns)
    n_off = int((~good).sum())
    if n_off > MAX_OUT_OF_ORDER * t_ns.size:
        raise TimestampError(
            f"the times of {n_off} of {t_ns.size} samples do not go up", path=path, code=CODE
        )
    issues["GI-TIME-ORDER"] += n_off
    c, t_ns = {name: values[good] for name, values in c.items()}, t_ns[good]
    rate_hz = 1e9 / float(np.median(np.diff(t_ns))) if t_ns.size > 1 else RATES_HZ[0]
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise TimestampError(f"{rate_hz:.4g} samples per s: are the times in s?", path=path, code=CODE)
    fixation = _on_screen(c, "FPOG")
    sample = _on_screen(c, "BPOG")
    in_fixation = np.isfinite(fixation[0]) & (np.abs(c["FPOGID"]) < 2**31)
    on_image = (
        (c["X_ORIGINAL"] >= 0) & (c["Y_ORIGINAL"] >= 0) & (c["X_ORIGINAL"] < 1e6) & (c["Y_ORIGINAL"] < 1e6)
    )
    return EgdGaze(
        t_ns=t_ns,
        x_screen_px=sample[0],
        y_screen_px=sample[1],
        x_fixation_screen_px=fixation[0],
        y_fixation_screen_px=fixation[1],
        left_pupil_mm=_pupil(c, "LPMM"),
        right_pupil_mm=_pupil(c, "RPMM"),
        fixation=np.where(in_fixation, np.nan_to_num(np.where(in_fixation, c["FPOGID"], -1)), -1).astype(
            np.int64
        ),
        x_published_px=np.where(on_image, c["X_ORIGINAL"] + 0.5, np.nan),
        y_published_px=np.where(on_image, c["Y_ORIGINAL"] + 0.5, np.nan),
        count=c["CNT"],
    )


def _on_screen(c: Mapping[str, FloatArray], name: str) -> tuple[FloatArray, FloatArray]:
    """Return screen px of a point that is given in shares of the screen."""
    x, y = c[f"{name}X"], c[f"{name}Y"]
    seen = (c[f"{name}V"] == 1) & (np.abs(x) < MAX_SHARE) & (np.abs(y) < MAX_SHARE)
    return np.where(seen, x * SCREEN_PX[0], np.nan), np.where(seen, y * SCREEN_PX[1], np.nan)


def _pupil(c: Mapping[str, FloatArray], name: str) -> FloatArray:
    seen = (c[f"{name}V"] == 1) & (c[name] > 0) & (c[name] < 1e3)
    return np.where(seen, c[name], np.nan)
