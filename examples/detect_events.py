"""Find gaze events in an array and in a pandas frame, and while the samples arrive.

    python examples/detect_events.py

The gaze is synthetic: a few fixations joined by saccades, one blink, 0.05 degree of noise, 500 Hz.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from keyframes.events import detect
from keyframes.events.online import OnlineDetector
from keyframes.geometry import Display

RATE_HZ = 500
POINTS_PX = [(500.0, 500.0), (760.0, 520.0), (1190.0, 700.0), (1160.0, 760.0), (830.0, 950.0)]


def synthetic_gaze(px_per_deg: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return time in s and screen px; lost gaze is NaN."""
    parts = [np.tile(POINTS_PX[0], (120, 1))]
    for here, there in itertools.pairwise(POINTS_PX):
        step = np.subtract(there, here)
        duration_s = 0.021 + 0.0022 * np.hypot(*step) / px_per_deg  # the main sequence
        phase = np.arange(1, round(duration_s * RATE_HZ)) / round(duration_s * RATE_HZ)
        parts += [
            np.asarray(here) + step * (10 * phase**3 - 15 * phase**4 + 6 * phase**5)[:, None],
            np.tile(there, (150, 1)),
        ]
    xy = np.concatenate(parts)
    xy += np.random.default_rng(0).normal(0, 0.05 * px_per_deg, xy.shape)
    xy[430:500] = np.nan
    return np.arange(len(xy)) / RATE_HZ, xy[:, 0], xy[:, 1]


def main() -> None:
    display = Display(width_px=1920, height_px=1200, width_mm=518.0, height_mm=324.0, distance_mm=650.0)
    per_deg_x, per_deg_y = display.px_per_deg()
    t_s, x_px, y_px = synthetic_gaze(per_deg_x)

    events = detect(t_s, x_px, y_px, per_deg_x, per_deg_y)
    print(f"{events.method}: {events.reason}")
    print(f"fixation samples: {np.count_nonzero(events.labels == 1)} of {events.labels.size}")
    columns = ["kind", "duration_s", "x_screen_px", "y_screen_px", "amplitude_deg", "peak_velocity_deg_per_s"]
    print(events.table.select(columns).to_pandas().round(3).to_string())

    # The same from a frame, with another detector and every parameter that it used.
    gaze = pd.DataFrame({"t_s": t_s, "x_px": x_px, "y_px": y_px})
    by_velocity = detect(gaze.t_s, gaze.x_px, gaze.y_px, per_deg_x, per_deg_y, method="ivt")
    print("\nivt found", by_velocity.table.to_pandas().kind.value_counts().to_dict(), "with")
    for name, value in by_velocity.parameters.items():
        print(f"  {name} = {value:g}")

    # Live: one sample at a time, or any chunk; what was said is never taken back.
    print("\nonline")
    live = OnlineDetector(per_deg_x, per_deg_y)
    for sample in zip(t_s.tolist(), x_px.tolist(), y_px.tolist(), strict=True):
        for message in live.push(*sample):
            print(
                f"  at {message.t_decided_s:.3f} s: {message.kind} {message.edge} of {message.t_event_s:.3f} s"
                f" ({message.latency_s * 1000:.0f} ms ago)"
            )


if __name__ == "__main__":
    main()
