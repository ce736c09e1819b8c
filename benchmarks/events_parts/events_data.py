"""Gaze for the events benchmark: recordings with two human coders, disturbed in known ways, and synthetic gaze."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

__all__ = [
    "CONDITIONS",
    "Condition",
    "FloatArray",
    "Labels",
    "Recording",
    "load_recordings",
    "load_scorer",
    "synthetic_gaze",
]

FloatArray = NDArray[np.float64]
Labels = NDArray[np.int8]

LOSS_BURST_S = (0.020, 0.100)
"""s. Shortest and longest of the bursts in which gaze is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Gaze of one person on one stimulus, with the coders' labels."""

    name: str
    stimulus: str
    subject: str
    rate_hz: float
    t_s: FloatArray
    x_px: FloatArray
    y_px: FloatArray
    px_per_deg: tuple[float, float]
    truth: dict[str, Labels]

    def for_scorer(self) -> dict[str, object]:
        """Return the item that the scorer expects."""
        return {"name": self.name, "fs": self.rate_hz, "n": self.t_s.size, "truth": self.truth}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How recordings are disturbed, and how often with other random numbers (or another first sample)."""

    name: str
    step: int = 1
    noise_deg: float = 0.0
    loss: float = 0.0
    repeats: int = 1

    def of(self, recordings: list[Recording], repeat: int) -> list[Recording]:
        """Return the disturbed recordings."""
        return [
            self._disturbed(recording, np.random.default_rng([repeat, index]), repeat)
            for index, recording in enumerate(recordings)
        ]

    def _disturbed(self, recording: Recording, rng: np.random.Generator, repeat: int) -> Recording:
        # Every other first sample: repeats of a decimated recording share no sample.
        rows = slice(2 * repeat % self.step, None, self.step)
        rate_hz = recording.rate_hz / self.step
        x, y = recording.x_px[rows].copy(), recording.y_px[rows].copy()
        if self.noise_deg:
            x += rng.normal(0, self.noise_deg * recording.px_per_deg[0], x.size)
            y += rng.normal(0, self.noise_deg * recording.px_per_deg[1], y.size)
        to_lose = self.loss * x.size
        while to_lose > 0:
            length = max(1, int(rng.uniform(*LOSS_BURST_S) * rate_hz))
            start = rng.integers(0, x.size)
            x[start : start + length] = y[start : start + length] = np.nan
            to_lose -= length
        return replace(
            recording,
            rate_hz=rate_hz,
            t_s=recording.t_s[rows],
            x_px=x,
            y_px=y,
            truth={coder: labels[rows] for coder, labels in recording.truth.items()},
        )


CONDITIONS = {
    condition.name: condition
    for condition in (
        Condition(name="500 Hz"),
        Condition(name="+0.1 deg", noise_deg=0.1, repeats=3),
        Condition(name="+0.3 deg", noise_deg=0.3, repeats=3),
        Condition(name="+0.5 deg", noise_deg=0.5, repeats=3),
        Condition(name="250 Hz", step=2),
        Condition(name="125 Hz", step=4, repeats=2),
        Condition(name="62.5 Hz", step=8, repeats=4),
        Condition(name="10 % lost", loss=0.1, repeats=3),
    )
}
"""White noise per axis; decimation without a filter; loss in bursts, the coders' labels left as they are."""


def load_recordings(folder: Path) -> list[Recording]:
    """Return the recordings that ``folder/manifest.json`` lists."""
    found = []
    for item in json.loads((folder / "manifest.json").read_text()):
        table = pq.read_table(folder / item["file"])
        found.append(
            Recording(
                name=Path(item["file"]).stem,
                stimulus=item["stim"],
                subject=item["subject"],
                rate_hz=item["fs"],
                t_s=table.column("t_ms").to_numpy() / 1000.0,
                x_px=table.column("x_px").to_numpy(),
                y_px=table.column("y_px").to_numpy(),
                px_per_deg=(item["px_per_deg_center"][0], item["px_per_deg_center"][1]),
                truth={c: table.column(f"label_{c}").to_numpy().astype(np.int8) for c in item["coders"]},
            )
        )
    return found


def load_scorer(path: Path) -> ModuleType:
    """Return the scoring program as a module."""
    spec = importlib.util.spec_from_file_location("score_events", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def synthetic_gaze(
    duration_s: float, rate_hz: float, noise_deg: float = 0.02
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return t_s, x_px, y_px at 40 px per degree: steps of 30 ms about three times a second, white noise."""
    rng = np.random.default_rng(0)
    n = round(duration_s * rate_hz)
    t = np.arange(n) / rate_hz
    onsets = np.cumsum(rng.lognormal(np.log(0.25), 0.4, round(4 * duration_s)) + 0.03)
    targets = np.cumsum(rng.normal(0, 120, (onsets.size + 1, 2)), axis=0)
    index = np.searchsorted(onsets, t)
    since = np.clip((t - np.concatenate([[-1.0], onsets])[index]) / 0.03, 0, 1)
    curve = 10 * since**3 - 15 * since**4 + 6 * since**5
    before = targets[np.maximum(index - 1, 0)]
    xy = before + (targets[index] - before) * curve[:, None] + rng.normal(0, noise_deg * 40, (n, 2))
    return t, xy[:, 0], xy[:, 1]
