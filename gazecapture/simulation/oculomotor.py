"""How the eyes move: a continuous path, and what a tracker makes of it. Any times, any chunking, same numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gazecapture.simulation.display import DisplayStates
from gazecapture.simulation.randomness import generator, sample_noise
from keyframes.geometry import Display

__all__ = [
    "FIXATION",
    "Blink",
    "EyePath",
    "Fixation",
    "Loss",
    "Pso",
    "Saccade",
    "TrackerModel",
    "TrackerSamples",
    "saccade_duration_s",
    "sample_tracker",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

FIXATION, SACCADE, PSO, BLINK = 1, 2, 3, 5
"""Codes of `keyframes.reading.EVENT_KINDS`."""

SACCADE_S_PER_DEG, SACCADE_BASE_S = 0.0022, 0.021
"""Duration over amplitude: Carpenter 1988, "Movements of the Eyes", p. 72."""
PSO_CYCLES = 1.5
"""Whole half waves, so that the oscillation ends where it began, as recorded by pupil trackers (Nystrom 2013)."""
PSO_DECAYS = 2.5
"""Time constants within a PSO's duration."""
FLANK_BEFORE_S, FLANK_AFTER_S, FLANK_DEG = 0.015, 0.020, 0.3
"""The lid pulls the pupil's centre down before the eye is lost and after it is found again."""
DRIFT_HZ = (0.25, 0.5, 0.9)
DRIFT_DEG = (0.035, 0.02, 0.01)
"""Slow drift as a sum of sines, under 0.2 deg/s (Rolfs 2009)."""
DRIFT_RAMP_S = 0.3
"""Drift sets in after image on, so that no step lies between idling and reading."""
TREMOR_HZ = (73.0, 88.0)
TREMOR_DEG = 0.005
"""Per component; physiological tremor is under 0.01 deg at 70 to 100 Hz (Rolfs 2009)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixation:
    """The eye rests on an image point; with viewport_id -1 on a screen point. Times in s since image on."""

    t_start_s: float
    t_end_s: float
    viewport_id: int
    image_index: int | None
    x: float
    """Image px, or screen px with viewport_id -1."""
    y: float
    sentence_index: int | None
    detour: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Saccade:
    """From screen point to screen point."""

    t_start_s: float
    t_end_s: float
    x_start_screen_px: float
    y_start_screen_px: float
    x_end_screen_px: float
    y_end_screen_px: float
    amplitude_deg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pso:
    """A damped oscillation about the fixation that follows a saccade."""

    t_start_s: float
    t_end_s: float
    amplitude_x_deg: float
    amplitude_y_deg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Blink:
    """Both eyes shut; the gaze shifts unseen from screen point to screen point."""

    t_start_s: float
    t_end_s: float
    x_start_screen_px: float
    y_start_screen_px: float
    x_end_screen_px: float
    y_end_screen_px: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """The tracker loses one eye or both."""

    t_start_s: float
    t_end_s: float
    eye: str
    """left, right or both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerModel:
    """What the tracker adds to the eyes' own movement."""

    noise_deg: float = 0.05
    """SD of the white noise per eye and axis."""
    offset_deg: float = 0.1
    """SD of each eye's constant offset per axis; cut at 0.2 deg per axis, so within 0.3 deg."""
    physiology: bool = True
    """Tremor, drift and blink flanks; False leaves the bare targets, for tests of geometry."""
    losses: bool = True

    @classmethod
    def ideal(cls) -> TrackerModel:
        """Return a tracker without any error, on an eye that rests where it looks."""
        return cls(noise_deg=0.0, offset_deg=0.0, physiology=False, losses=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerSamples:
    """n samples; lost eyes are NaN."""

    left_x_screen_px: FloatArray
    left_y_screen_px: FloatArray
    left_pupil_mm: FloatArray
    right_x_screen_px: FloatArray
    right_y_screen_px: FloatArray
    right_pupil_mm: FloatArray

    def columns(self) -> tuple[FloatArray, ...]:
        """Return the six channels in stream order."""
        return (
            self.left_x_screen_px, self.left_y_screen_px, self.left_pupil_mm,
            self.right_x_screen_px, self.right_y_screen_px, self.right_pupil_mm,
        )  # fmt: skip


def saccade_duration_s(amplitude_deg: float) -> float:
    """Return the main sequence's duration (Carpenter 1988)."""
    return SACCADE_BASE_S + SACCADE_S_PER_DEG * amplitude_deg


@dataclass(frozen=True, kw_only=True)
class EyePath:
    """Where the eyes are at any time of a reading, as the fixations, saccades, PSOs and blinks say.

    Fixations, saccades and blinks follow each other without a gap; a PSO lies over the start of the fixation
    after its saccade (the fixation's ``t_start_s`` is the PSO's end).
    """

    name: tuple[str | int, ...]
    """Seeds drift, tremor and pupil."""
    display: Display
    states: DisplayStates
    fixations: tuple[Fixation, ...]
    saccades: tuple[Saccade, ...]
    psos: tuple[Pso, ...]
    blinks: tuple[Blink, ...]
    losses: tuple[Loss, ...]
    _tables: dict[str, FloatArray] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        pso_start = {p.t_end_s: p.t_start_s for p in self.psos}
        rows = [
            (pso_start.get(f.t_start_s, f.t_start_s), f.t_end_s, FIXATION, f.viewport_id, f.x, f.y, 0.0, 0.0)
            for f in self.fixations
        ]
        for kind, moves in ((SACCADE, self.saccades), (BLINK, self.blinks)):
            rows += [
                (
                    m.t_start_s, m.t_end_s, kind, -1,
                    m.x_start_screen_px, m.y_start_screen_px, m.x_end_screen_px, m.y_end_screen_px,
                )
                for m in moves
            ]  # fmt: skip
        self._tables["segments"] = np.array(sorted(rows), np.float64)
        self._tables["psos"] = np.array(
            [(p.t_start_s, p.t_end_s, p.amplitude_x_deg, p.amplitude_y_deg) for p in self.psos]
        ).reshape(-1, 4)
        self._tables["blinks"] = np.array([(b.t_start_s, b.t_end_s) for b in self.blinks]).reshape(-1, 2)
        rng = generator("eye", *self.name)
        self._tables["phases"] = rng.uniform(0.0, 2.0 * np.pi, (2, 8))
        self._tables["pupil"] = np.array([rng.uniform(2.8, 4.2), rng.uniform(-0.15, 0.15)])

    def screen(self, tau_s: FloatArray, *, physiology: bool = True) -> tuple[FloatArray, FloatArray]:
        """Return where the eyes point on the screen, in px, without tremor; (n,) times in s since image on.

        Before the first and after the last fixation the eyes rest there. During blinks the path goes on unseen.
        """
        segments = self._tables["segments"]
        index = np.clip(np.searchsorted(segments[:, 0], tau_s, side="right") - 1, 0, None)
        start, end, kind, viewport, ax, ay, bx, by = segments[index].T
        x, y = self.states.screen(tau_s, viewport.astype(np.intp), ax, ay)
        moving = kind != FIXATION
        u = np.clip((tau_s - start) / (end - start), 0.0, 1.0)
        # Minimum jerk (Hogan 1984): peak velocity 1.875 times the mean, near the main sequence's 1.65 or more.
        share = u**3 * (10.0 - 15.0 * u + 6.0 * u**2)
        x = np.where(moving, ax + (bx - ax) * share, x)
        y = np.where(moving, ay + (by - ay) * share, y)
        per_deg_x, per_deg_y = self.display.px_per_deg()
        dx, dy = self._oscillation(tau_s)
        if physiology:
            drift_x, drift_y = self._drift(tau_s)
            dx, dy = dx + drift_x, dy + drift_y
        return x + dx * per_deg_x, y + dy * per_deg_y

    def tremor_deg(self, tau_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return tremor and the lid's pull at blinks, deg."""
        phase = self._tables["phases"]
        x, y = (
            sum(
                (
                    TREMOR_DEG * np.sin(2 * np.pi * hz * tau_s + phase[axis, 4 + i])
                    for i, hz in enumerate(TREMOR_HZ)
                ),
                np.zeros_like(tau_s),
            )
            for axis in (0, 1)
        )
        for start, end in self._tables["blinks"]:
            before = np.clip((tau_s - (start - FLANK_BEFORE_S)) / FLANK_BEFORE_S, 0.0, 1.0)
            after = np.clip((end + FLANK_AFTER_S - tau_s) / FLANK_AFTER_S, 0.0, 1.0)
            y = y + FLANK_DEG * np.where(tau_s < start, before**2, np.where(tau_s >= end, after**2, 0.0))
        return x, y

    def pupil_mm(self, tau_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the pupils' diameters: slow changes about a size of the reading's own."""
        phase = self._tables["phases"][0]
        size, difference = self._tables["pupil"]
        slow = 0.2 * np.sin(2 * np.pi * 0.05 * tau_s + phase[6]) + 0.08 * np.sin(
            2 * np.pi * 0.31 * tau_s + phase[7]
        )
        left = size + slow
        return left, left + difference

    def lost(self, tau_s: FloatArray, *, with_losses: bool = True) -> tuple[BoolArray, BoolArray]:
        """Say at which times the left and the right eye are lost: shut, or missed by the tracker."""
        left, right = np.zeros(tau_s.shape, np.bool_), np.zeros(tau_s.shape, np.bool_)
        for start, end in self._tables["blinks"]:
            shut = (tau_s >= start) & (tau_s < end)
            left |= shut
            right |= shut
        for loss in self.losses if with_losses else ():
            gone = (tau_s >= loss.t_start_s) & (tau_s < loss.t_end_s)
            if loss.eye != "right":
                left |= gone
            if loss.eye != "left":
                right |= gone
        return left, right

    def _oscillation(self, tau_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        psos = self._tables["psos"]
        if not psos.size:
            return np.zeros_like(tau_s), np.zeros_like(tau_s)
        index = np.clip(np.searchsorted(psos[:, 0], tau_s, side="right") - 1, 0, None)
        start, end, x_deg, y_deg = psos[index].T
        u = (tau_s - start) / (end - start)
        inside = (u >= 0.0) & (u < 1.0)
        wave = np.where(inside, np.exp(-PSO_DECAYS * u) * np.sin(2 * np.pi * PSO_CYCLES * u), 0.0)
        return x_deg * wave, y_deg * wave

    def _drift(self, tau_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        ramp = np.clip(tau_s / DRIFT_RAMP_S, 0.0, 1.0)
        phase = self._tables["phases"]
        x, y = (
            ramp
            * sum(
                (
                    deg * np.sin(2 * np.pi * hz * tau_s + phase[axis, i])
                    for i, (hz, deg) in enumerate(zip(DRIFT_HZ, DRIFT_DEG, strict=True))
                ),
                np.zeros_like(tau_s),
            )
            for axis in (0, 1)
        )
        return x, y


def sample_tracker(
    path: EyePath,
    tau_s: FloatArray,
    sample_index: NDArray[np.int64],
    *,
    model: TrackerModel,
    reader_seed: int,
) -> TrackerSamples:
    """Return what the tracker gives at (n,) times.

    tau_s        : s since image on, any order.
    sample_index : (n,) numbers that seed the noise, such as ``floor(tau_s * rate)``.
    """
    per_deg = path.display.px_per_deg()
    x, y = path.screen(tau_s, physiology=model.physiology)
    if model.physiology:
        tremor_x, tremor_y = path.tremor_deg(tau_s)
        x, y = x + tremor_x * per_deg[0], y + tremor_y * per_deg[1]
    lost = path.lost(tau_s, with_losses=model.losses)
    # An eye's offset is the calibration's, so it is the reader's for the whole sitting.
    offsets = np.clip(generator("offset", reader_seed).normal(0.0, 1.0, (2, 2)) * model.offset_deg, -0.2, 0.2)
    key = int.from_bytes(generator("noise", reader_seed, *path.name).bytes(7), "little")
    channels: list[FloatArray] = []
    for eye in (0, 1):
        gone = lost[eye]
        for axis, position in enumerate((x, y)):
            noise = model.noise_deg * sample_noise(key, sample_index, 4 * eye + axis)
            channels.append(np.where(gone, np.nan, position + (offsets[eye, axis] + noise) * per_deg[axis]))
        pupil = path.pupil_mm(tau_s)[eye] + 0.01 * sample_noise(key, sample_index, 4 * eye + 2)
        channels.append(np.where(gone, np.nan, pupil))
    left_x, left_y, left_pupil, right_x, right_y, right_pupil = channels
    return TrackerSamples(
        left_x_screen_px=left_x,
        left_y_screen_px=left_y,
        left_pupil_mm=left_pupil,
        right_x_screen_px=right_x,
        right_y_screen_px=right_y,
        right_pupil_mm=right_pupil,
    )
