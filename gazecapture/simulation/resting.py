"""Where the eyes are between readings: at rest, or on a point that the viewer shows."""

from __future__ import annotations

import numpy as np

from gazecapture.simulation.display import DisplayStates
from gazecapture.simulation.oculomotor import EyePath, Fixation, Saccade, saccade_duration_s
from gazecapture.simulation.scanpath import FOREVER_S, idle_point
from keyframes.geometry import Display

__all__ = ["idle_path", "looking_path"]

LATENCY_S = 0.2
"""s from a target's appearance to the saccade to it: the usual latency of a visually guided saccade."""

Point = tuple[float, float]


def idle_path(display: Display, reader_seed: int) -> EyePath:
    """Return the path of eyes that rest where they idle between studies."""
    return _path(display, ("idle", reader_seed), (_rest(-FOREVER_S, FOREVER_S, idle_point(display)),), ())


def looking_path(display: Display, name: tuple[str | int, ...], start: Point, target: Point) -> EyePath:
    """Return the path of eyes that rest on ``start`` and turn to ``target``, which appears at time 0; screen px."""
    per_deg = display.px_per_deg()
    amplitude_deg = float(np.hypot((target[0] - start[0]) / per_deg[0], (target[1] - start[1]) / per_deg[1]))
    arrival_s = LATENCY_S + saccade_duration_s(amplitude_deg)
    turn = Saccade(
        t_start_s=LATENCY_S,
        t_end_s=arrival_s,
        x_start_screen_px=start[0],
        y_start_screen_px=start[1],
        x_end_screen_px=target[0],
        y_end_screen_px=target[1],
        amplitude_deg=amplitude_deg,
    )
    rests = (_rest(-FOREVER_S, LATENCY_S, start), _rest(arrival_s, FOREVER_S, target))
    return _path(display, name, rests, (turn,))


def _rest(t_start_s: float, t_end_s: float, at: Point) -> Fixation:
    return Fixation(
        t_start_s=t_start_s,
        t_end_s=t_end_s,
        viewport_id=-1,
        image_index=None,
        x=at[0],
        y=at[1],
        sentence_index=None,
    )


def _path(
    display: Display,
    name: tuple[str | int, ...],
    fixations: tuple[Fixation, ...],
    saccades: tuple[Saccade, ...],
) -> EyePath:
    identity = np.array([[[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]]])
    return EyePath(
        name=name,
        display=display,
        states=DisplayStates(t_s=np.array([-np.inf]), to_screen=identity, to_image=identity),
        fixations=fixations,
        saccades=saccades,
        psos=(),
        blinks=(),
        losses=(),
    )
