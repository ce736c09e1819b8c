"""Who wears the simulated glasses: where the eyes look on the screen, and how the head moves before it.

A plain function of time, so that gaze, video and truth agree whenever they are asked.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keyframes.geometry import Display

__all__ = ["Look", "Wearer"]

FIXATION_S = (0.18, 0.55)
SACCADE_S = 0.04
"""s; of a saccade of 10 degrees (main sequence)."""
BORDER_SHARE = 0.1
"""Of the screen on each side, that is looked at only in passing."""
BLINK_EVERY = 12
"""Fixations; a blink takes the place of a saccade."""
DISTANCE_MM = (550.0, 750.0)
DISTANCE_PERIOD_S = 23.0
YAW_DEG = 15.0
YAW_PERIOD_S = 17.0
PITCH_DEG = 4.0
PITCH_PERIOD_S = 13.0
ROLL_DEG = 3.0
ROLL_PERIOD_S = 29.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One fixation and the saccade (or blink) after it; s since the start."""

    start_s: float
    end_s: float
    x_screen_px: float
    y_screen_px: float
    blink_after: bool


class Wearer:
    """Looks about on one screen for as long as asked."""

    def __init__(self, display: Display, *, seed: int) -> None:
        self._display = display
        self._random = np.random.default_rng(seed)
        self._looks: list[Look] = []
        self._starts: list[float] = []

    def look(self, t_s: float) -> Look:
        """Return the fixation that holds at ``t_s``, or the one before the saccade under way."""
        self._look_until(t_s)
        return self._looks[max(bisect_right(self._starts, t_s) - 1, 0)]

    def next_look(self, look: Look) -> Look:
        """Return the fixation after ``look``."""
        return self.look(look.end_s + SACCADE_S + 1e-6)

    def gaze_screen_px(self, t_s: float) -> tuple[float, float]:
        """Return the point of the screen that is looked at."""
        look = self.look(t_s)
        if t_s <= look.end_s:
            return look.x_screen_px, look.y_screen_px
        target = self.next_look(look)
        u = min((t_s - look.end_s) / SACCADE_S, 1.0)
        share = u**3 * (10 - 15 * u + 6 * u**2)  # minimum jerk
        return (
            look.x_screen_px + share * (target.x_screen_px - look.x_screen_px),
            look.y_screen_px + share * (target.y_screen_px - look.y_screen_px),
        )

    def screen_to_camera(self, t_s: float) -> NDArray[np.float64]:
        """Return the 3 x 3 matrix from homogeneous screen px to rays of the camera (x, y, z in mm)."""
        display = self._display
        near, far = DISTANCE_MM
        distance = (near + far) / 2 + (far - near) / 2 * _swing(t_s, DISTANCE_PERIOD_S)
        yaw = math.radians(YAW_DEG * _swing(t_s, YAW_PERIOD_S))
        pitch = math.radians(PITCH_DEG * _swing(t_s, PITCH_PERIOD_S))
        roll = math.radians(ROLL_DEG * _swing(t_s, ROLL_PERIOD_S))
        # The screen turns about its centre as seen from the head, which keeps it in view.
        about_y = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
        about_x = np.array(
            [[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]]
        )
        about_z = np.array(
            [[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]]
        )
        rotation = about_z @ about_x @ about_y
        width_mm, height_mm = display.width_mm or 0.0, display.height_mm or 0.0
        to_mm = np.array(
            [
                [width_mm / display.width_px, 0, -width_mm / 2],
                [0, height_mm / display.height_px, -height_mm / 2],
                [0, 0, 1],
            ]
        )
        plane = np.column_stack([rotation[:, 0], rotation[:, 1], [0.0, 0.0, distance]])
        return np.asarray(plane @ to_mm, np.float64)

    def _look_until(self, t_s: float) -> None:
        display = self._display
        while not self._looks or self._looks[-1].start_s <= t_s + 2 * FIXATION_S[1]:
            start = self._looks[-1].end_s + SACCADE_S if self._looks else 0.0
            share = self._random.uniform(BORDER_SHARE, 1 - BORDER_SHARE, 2)
            self._looks.append(
                Look(
                    start_s=start,
                    end_s=start + self._random.uniform(*FIXATION_S),
                    x_screen_px=float(share[0] * display.width_px),
                    y_screen_px=float(share[1] * display.height_px),
                    blink_after=len(self._looks) % BLINK_EVERY == BLINK_EVERY - 1,
                )
            )
            self._starts.append(start)


def _swing(t_s: float, period_s: float) -> float:
    return math.sin(2 * math.pi * t_s / period_s)
