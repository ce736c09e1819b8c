"""The entry point: gaze in, events out, by the detector that fits the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from keyframes.errors import UsageError
from keyframes.events.adaptive import detect_adaptive
from keyframes.events.clustering import detect_clustering
from keyframes.events.columns import GazeInput
from keyframes.events.idt import detect_idt
from keyframes.events.ivt import detect_ivt
from keyframes.events.kinematics import Velocity, noise_rms_s2s_deg
from keyframes.events.labels import Detection
from keyframes.events.loss import stretches_between_long_losses
from keyframes.events.pursuit import label_pursuit, pursuit_parameters
from keyframes.events.samples import Samples, prepare
from keyframes.events.table import Spans, event_table, spans_of

__all__ = ["METHODS", "Events", "detect"]

_DETECTORS: Final[Mapping[str, Callable[[Samples, float], Detection]]] = MappingProxyType(
    {"adaptive": detect_adaptive, "clustering": detect_clustering, "ivt": detect_ivt, "idt": detect_idt}
)

METHODS: Final = ("auto", *_DETECTORS)
"""Names that `detect` takes."""

AUTO_MIN_RATE_HZ: Final = 100.0
"""Below, a saccade is two or three samples and an oscillation less than four: velocity has nothing to measure, and
clustering finds more of the coders' fixations (Lund2013 images at 62.5 Hz), at 125 Hz fewer of their samples."""

AUTO_MAX_NOISE_DENSITY: Final = 0.015
"""deg of RMS-S2S per square root of Hz. What a window of fixed length leaves of white noise is proportional to this:
0.34 deg at 500 Hz. Below, `adaptive` agrees better with the coders sample by sample, as it knows oscillations; above,
`clustering` finds more of their fixations and saccades, and the lead grows with the noise (Lund2013 images)."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Events:
    """The events of a recording of n samples."""

    table: pa.Table
    """`keyframes.reading.EVENTS`: all events in order, losses and blinks too; image columns NaN and null; the
    screen columns hold the px frame that was given. Unclassified gaze is no row."""
    labels: NDArray[np.int8]
    """(n,) 0 none or loss, 1 fixation, 2 saccade, 3 PSO, 4 pursuit, 5 blink. Read-only."""
    method: str
    """The detector that ran."""
    reason: str
    """Why that one."""
    parameters: Mapping[str, float]
    """Every parameter that shaped the result, measured ones among them; the unit is in the name."""
    samples: Samples
    """The detection grid, m rows; `on_images` cuts events along it."""
    velocity: Velocity
    """(m,) velocity on that grid."""
    spans: Spans
    """The events as runs of rows of that grid; one per row of the table."""

    def __repr__(self) -> str:
        return f"<Events: {self.table.num_rows} in {self.labels.size} samples by {self.method!r}>"


def detect(
    t_s: GazeInput,
    x_px: GazeInput,
    y_px: GazeInput,
    px_per_deg_x: GazeInput,
    px_per_deg_y: GazeInput,
    *,
    method: str = "auto",
    pursuit: bool = False,
) -> Events:
    """Find fixations, saccades, post-saccadic oscillations, blinks and losses.

    Parameters
    ----------
    t_s : (n,) s, array or pandas Series; finite, not decreasing, any origin, even or uneven. Samples of equal time
        are averaged for detection. A step of four median intervals or more is a hole: a loss in the table.
    x_px, y_px : (n,) px, y down; NaN, infinite or 1e7 and more on either axis = lost. Never changed.
    px_per_deg_x, px_per_deg_y : scalar, or (n,) where the viewing distance changes; a sample without one is lost.
    method : ``adaptive`` (velocity, thresholds from the noise), ``clustering`` (places, for noisy or slow trackers),
        ``ivt`` and ``idt`` (fixed thresholds, for comparison), or ``auto``, which takes ``adaptive`` or
        ``clustering`` by measured rate and noise.
    pursuit : tell smooth pursuit from fixation. Off by default: nothing moves in a still radiograph.

    Returns Events. Times are int64 ns, ``round(t_s * 1e9)``; an event ends where the next sample begins, the last
    one median interval after its last sample.

    What lies beyond a loss of more than 0.5 s changes no label, at even and uneven times: each stretch between such
    losses is detected with its own noise and median interval. The recording's own interval says only what is a hole
    and when the last sample ends.

    10 hours at 1 kHz (36 million samples) take about 8 s of one core with ``adaptive``, 11 s with ``clustering``, and
    2.0 and 2.9 GB on top of the columns given.

    Raises UsageError (method), DataError (shapes, no numbers), TimestampError (not finite, backward, a rate that
    cannot be meant), GeometryError (px per degree).
    """
    if method not in METHODS:
        raise UsageError(
            f"events: unknown method {method!r}", hint=f"Methods are {', '.join(METHODS)}.", record="method"
        )
    samples = prepare(t_s, x_px, y_px, px_per_deg_x, px_per_deg_y)
    noise_deg = noise_rms_s2s_deg(samples)
    reason = "asked for by name"
    if method == "auto":
        method, reason = _choose(samples.rate_hz, noise_deg)
    found = _detect_by_stretch(samples, noise_deg, _DETECTORS[method], pursuit=pursuit)
    parameters = dict(found.parameters)
    if pursuit:
        parameters |= pursuit_parameters()
    labels = samples.of_samples(found.labels)
    labels.flags.writeable = False
    spans = spans_of(samples, found.labels)
    return Events(
        table=event_table(samples, found.velocity.speed_deg_per_s, spans),
        labels=labels,
        method=method,
        reason=reason,
        parameters=MappingProxyType(parameters),
        samples=samples,
        velocity=found.velocity,
        spans=spans,
    )


def _detect_by_stretch(
    samples: Samples, noise_deg: float, detector: Callable[[Samples, float], Detection], *, pursuit: bool
) -> Detection:
    """Return what the detector finds in each stretch between long losses alone; parameters of the longest one."""
    stretches = stretches_between_long_losses(samples)
    if not stretches or stretches == [(0, samples.n)]:
        found = detector(samples, noise_deg)
        if pursuit:
            label_pursuit(samples, found.labels)
        return found
    labels, speed = np.zeros(samples.n, np.int8), np.full(samples.n, np.nan)
    parts = []
    firsts = [0, *(end for _, end in stretches[:-1])]
    stops = [*(start for start, _ in stretches[1:]), samples.n]
    for first, (start, end), stop in zip(firsts, stretches, stops, strict=True):
        alone = samples.stretch(first, start, end, stop)
        part = detector(alone, noise_deg)
        if pursuit:
            label_pursuit(alone, part.labels)
        own = slice(start - first, end - first)
        labels[start:end] = part.labels[own]
        speed[start:end] = part.velocity.speed_deg_per_s[own]
        parts.append((end - start, part))
    longest = max(parts, key=lambda sized: sized[0])[1]
    return Detection(
        labels=labels,
        velocity=Velocity(speed_deg_per_s=speed, half_window_s=longest.velocity.half_window_s),
        parameters=longest.parameters,
    )


def _choose(rate_hz: float, noise_deg: float) -> tuple[str, str]:
    """Return the detector that fits rate and noise, and why."""
    if not np.isfinite(noise_deg):
        return "adaptive", "too few samples to measure the noise"
    limit_deg = AUTO_MAX_NOISE_DENSITY * math.sqrt(rate_hz)
    measured = f"noise RMS-S2S {noise_deg:.3f} deg at {rate_hz:.0f} Hz"
    if rate_hz < AUTO_MIN_RATE_HZ:
        return (
            "clustering",
            f"{measured}: below {AUTO_MIN_RATE_HZ:.0f} Hz a saccade has too few samples for velocity",
        )
    if noise_deg > limit_deg:
        return "clustering", f"{measured} is above {limit_deg:.3f} deg: saccades drown in velocity noise"
    return "adaptive", f"{measured} is within {limit_deg:.3f} deg: saccades stand out in velocity"
