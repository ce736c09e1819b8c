"""How other detectors are asked: a file of gaze in, a file of labels and times out.

Imported by both sides, so it needs nothing but numpy, at any version. The gaze file holds ``names``, ``rate_hz``,
``px_per_deg`` (k, 2), and ``x0, y0, x1, y1, ...`` in px; the labels file ``{detector}/{index}``, a value per sample, or
nothing where the detector failed; ``{detector}/cpu_s`` is its processor time, least of the repeats asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["FIXATION", "NONE", "PSO", "PURSUIT", "SACCADE", "Gaze", "Labels", "serve"]

Labels = Any
"""(n,) int8 labels; untyped, as the numpy of a peer may know no types."""

NONE, FIXATION, SACCADE, PSO, PURSUIT = range(5)


@dataclass(frozen=True)
class Gaze:
    """One recording."""

    x_px: Any
    y_px: Any
    px_per_deg: tuple[float, float]
    rate_hz: float

    @property
    def lost(self) -> Any:
        """(n,) whether a sample has no position."""
        return ~np.isfinite(self.x_px)

    @property
    def xy_deg(self) -> Any:
        """(n, 2) degrees."""
        return np.stack([self.x_px / self.px_per_deg[0], self.y_px / self.px_per_deg[1]], axis=1)


def serve(detectors: Mapping[str, Callable[[Gaze], Labels]], gaze_file: str, labels_file: str) -> None:
    """Run the detectors that the gaze file asks for on each of its recordings."""
    asked = np.load(gaze_file)
    out: dict[str, Any] = {}
    for name in asked["detectors"]:
        detect = detectors.get(str(name))
        if detect is None:
            continue
        cpu_s = 0.0
        for index, rate_hz in enumerate(asked["rate_hz"]):
            x, y = asked[f"x{index}"], asked[f"y{index}"]
            scale = asked["px_per_deg"][index]
            gaze = Gaze(x_px=x, y_px=y, px_per_deg=(scale[0], scale[1]), rate_hz=float(rate_hz))
            taken = []
            for _ in range(int(asked["repeats"])):
                start = time.process_time()
                try:
                    labels = detect(gaze)
                except Exception as error:  # a peer's crash is a result of the comparison
                    out[f"{name}/{index}/error"] = f"{type(error).__name__}: {error}"
                    break
                taken.append(time.process_time() - start)
                out[f"{name}/{index}"] = labels
            cpu_s += min(taken, default=float("nan"))
        out[f"{name}/cpu_s"] = cpu_s
    np.savez(labels_file, **out)
