"""How far off and how steady the gaze was at the points of a validation."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gazecapture.screen.angles import screen_angles_deg
from gazecapture.screen.targets import Target
from keyframes.geometry import Display
from keyframes.quality import accuracy_deg, bcea_deg2, rms_s2s_deg, sd_deg

__all__ = [
    "EYES",
    "EyeSamples",
    "EyeSummary",
    "Light",
    "PointMeasure",
    "light_of",
    "measure_point",
    "summarise",
]

EYES = ("left", "right", "both")
"""`both` is the gaze that the tracker, or the rule of intake, makes of the two."""
GREEN_MEAN_DEG, GREEN_MAX_DEG = 0.5, 1.0
"""Degrees: what the maker of EyeLink recommends for adults."""
AMBER_MEAN_DEG, AMBER_MAX_DEG = 1.0, 1.5
"""Degrees: the same maker's bound of a good calibration; above it one calibrates again."""


class Light(enum.StrEnum):
    """What a validation says: go on, go on with care, calibrate again, or nothing for want of degrees."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class EyeSamples:
    """Gaze of n samples in screen px by eye, in time order; NaN where an eye is lost."""

    t_ns: NDArray[np.int64]
    """(n,) session clock."""
    x_screen_px: Mapping[str, NDArray[np.float64]]
    """(n,) by eye of `EYES`; an eye that the tracker does not give is absent."""
    y_screen_px: Mapping[str, NDArray[np.float64]]

    @classmethod
    def join(cls, parts: Sequence[EyeSamples]) -> EyeSamples:
        """Put samples behind one another; eyes that not all parts have are left out."""
        if not parts:
            return cls(t_ns=np.empty(0, np.int64), x_screen_px={}, y_screen_px={})
        eyes = [eye for eye in EYES if all(eye in part.x_screen_px for part in parts)]
        return cls(
            t_ns=np.concatenate([part.t_ns for part in parts]),
            x_screen_px={eye: np.concatenate([part.x_screen_px[eye] for part in parts]) for eye in eyes},
            y_screen_px={eye: np.concatenate([part.y_screen_px[eye] for part in parts]) for eye in eyes},
        )

    def between(self, start_ns: int, end_ns: int) -> EyeSamples:
        """Return the samples with ``start_ns <= t_ns < end_ns``."""
        part = slice(*np.searchsorted(self.t_ns, [start_ns, end_ns]))
        return EyeSamples(
            t_ns=self.t_ns[part],
            x_screen_px={eye: values[part] for eye, values in self.x_screen_px.items()},
            y_screen_px={eye: values[part] for eye, values in self.y_screen_px.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PointMeasure:
    """One eye at one point. Degrees are NaN without screen size and distance, and where the eye was lost."""

    target: Target
    eye: str
    n_samples: int
    """Received, lost ones among them."""
    loss_share: float
    """Of the samples that the tracker should have given; 1 where none came."""
    gaze_x_screen_px: float
    """Median; NaN where the eye was lost."""
    gaze_y_screen_px: float
    offset_x_deg: float
    """Gaze minus target."""
    offset_y_deg: float
    accuracy_deg: float
    rms_s2s_deg: float
    sd_deg: float
    bcea_deg2: float

    @property
    def offset_screen_px(self) -> tuple[float, float]:
        """Gaze minus target, in screen px."""
        return (
            self.gaze_x_screen_px - self.target.x_screen_px,
            self.gaze_y_screen_px - self.target.y_screen_px,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EyeSummary:
    """One eye over all points of a validation; means leave out points at which the eye was lost."""

    eye: str
    n_points: int
    """Points at which the eye was seen."""
    accuracy_deg: float
    accuracy_max_deg: float
    rms_s2s_deg: float
    sd_deg: float
    bcea_deg2: float
    loss_share: float
    """Over all points, those without the eye among them."""
    offset_x_screen_px: float
    offset_y_screen_px: float
    offset_x_deg: float
    offset_y_deg: float
    light: Light


def measure_point(
    target: Target, samples: EyeSamples, display: Display, *, n_expected: int
) -> tuple[PointMeasure, ...]:
    """Measure every eye that the samples have at one point.

    samples    : of the time in which the reader looked at the point.
    n_expected : samples that the tracker should have given in that time; what never came counts as lost.
    """
    return tuple(
        _measured(target, eye, samples, display, n_expected) for eye in EYES if eye in samples.x_screen_px
    )


def _measured(
    target: Target, eye: str, samples: EyeSamples, display: Display, n_expected: int
) -> PointMeasure:
    x, y = samples.x_screen_px[eye], samples.y_screen_px[eye]
    seen = np.isfinite(x) & np.isfinite(y)
    n, n_lost = x.size, int(np.count_nonzero(~seen))
    n_due = max(n, n_expected)
    gaze_x = float(np.median(x[seen])) if seen.any() else np.nan
    gaze_y = float(np.median(y[seen])) if seen.any() else np.nan
    degrees = dict.fromkeys(
        ("offset_x_deg", "offset_y_deg", "accuracy_deg", "rms_s2s_deg", "sd_deg", "bcea_deg2"), np.nan
    )
    if display.knows_degrees:
        x_deg, y_deg = screen_angles_deg(display, x, y)
        (gaze_x_deg, target_x_deg), (gaze_y_deg, target_y_deg) = screen_angles_deg(
            display, [gaze_x, target.x_screen_px], [gaze_y, target.y_screen_px]
        )
        degrees = {
            "offset_x_deg": float(gaze_x_deg - target_x_deg),
            "offset_y_deg": float(gaze_y_deg - target_y_deg),
            "accuracy_deg": accuracy_deg(
                [gaze_x_deg], [gaze_y_deg], float(target_x_deg), float(target_y_deg)
            ),
            "rms_s2s_deg": rms_s2s_deg(x_deg, y_deg),
            "sd_deg": sd_deg(x_deg, y_deg),
            "bcea_deg2": bcea_deg2(x_deg, y_deg),
        }
    return PointMeasure(
        target=target,
        eye=eye,
        n_samples=n,
        loss_share=1.0 if n_due == 0 else 1.0 - (n - n_lost) / n_due,
        gaze_x_screen_px=gaze_x,
        gaze_y_screen_px=gaze_y,
        **degrees,
    )


def summarise(points: Sequence[PointMeasure], *, knows_degrees: bool) -> tuple[EyeSummary, ...]:
    """Summarise a validation by eye, in the order of `EYES`.

    An eye that no point saw is listed with NaN, so that its absence shows; its light is red.
    """
    by_eye = {eye: [point for point in points if point.eye == eye] for eye in EYES}
    return tuple(_summary(eye, own, knows_degrees) for eye, own in by_eye.items() if own)


def _summary(eye: str, points: Sequence[PointMeasure], knows_degrees: bool) -> EyeSummary:
    seen = [point for point in points if np.isfinite(point.gaze_x_screen_px)]

    def mean(values: Sequence[float]) -> float:
        finite = np.asarray(values)[np.isfinite(values)]
        return float(finite.mean()) if finite.size else float("nan")

    accuracies = [point.accuracy_deg for point in seen]
    mean_deg, max_deg = mean(accuracies), float(np.max(accuracies)) if accuracies else float("nan")
    offsets_px = np.array([point.offset_screen_px for point in seen]).reshape(-1, 2)
    return EyeSummary(
        eye=eye,
        n_points=len(seen),
        accuracy_deg=mean_deg,
        accuracy_max_deg=max_deg,
        rms_s2s_deg=mean([point.rms_s2s_deg for point in seen]),
        sd_deg=mean([point.sd_deg for point in seen]),
        bcea_deg2=mean([point.bcea_deg2 for point in seen]),
        loss_share=mean([point.loss_share for point in points]),
        offset_x_screen_px=mean(offsets_px[:, 0].tolist()),
        offset_y_screen_px=mean(offsets_px[:, 1].tolist()),
        offset_x_deg=mean([point.offset_x_deg for point in seen]),
        offset_y_deg=mean([point.offset_y_deg for point in seen]),
        light=_light(mean_deg, max_deg, n_seen=len(seen), n_points=len(points), knows_degrees=knows_degrees),
    )


def _light(mean_deg: float, max_deg: float, *, n_seen: int, n_points: int, knows_degrees: bool) -> Light:
    if n_seen < n_points:
        return Light.RED  # an eye lost at a point has no bound on its error there
    if not knows_degrees:
        return Light.UNKNOWN
    if mean_deg <= GREEN_MEAN_DEG and max_deg <= GREEN_MAX_DEG:
        return Light.GREEN
    if mean_deg <= AMBER_MEAN_DEG and max_deg <= AMBER_MAX_DEG:
        return Light.AMBER
    return Light.RED


def light_of(summaries: Sequence[EyeSummary]) -> Light:
    """Return what a validation says as a whole: of both eyes together where measured, else the better eye."""
    by_eye = {summary.eye: summary.light for summary in summaries}
    if "both" in by_eye:
        return by_eye["both"]
    order = (Light.GREEN, Light.AMBER, Light.UNKNOWN, Light.RED)
    return min(by_eye.values(), key=order.index, default=Light.RED)
