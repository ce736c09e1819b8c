"""A source whose samples do not run out before a test is done with it, however slow the machine is."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np

from gazecapture.session.status import read_status, request_stop
from gazecapture.sources.protocol import SourceBatch
from gazecapture.sources.replay import Recording, ReplaySource

__all__ = ["SteadySource", "n_written"]

MOST = 300_000
RATE_HZ = 1000.0


class SteadySource(ReplaySource):
    """Plays numbered samples at 1000 Hz, one to a batch, until ``enough`` is set."""

    def __init__(self) -> None:
        frames = np.arange(float(MOST))
        super().__init__(
            Recording.from_points(
                t_s=frames / RATE_HZ, x_screen_px=frames, y_screen_px=frames, rate_hz=RATE_HZ
            )
        )
        self.enough = threading.Event()

    @property
    def n_given(self) -> int:
        """How many samples were read."""
        return self._given

    def open(self) -> None:
        super().open()
        assert self._stamps is not None
        self._all = self._stamps

    def read(self, timeout_s: float) -> SourceBatch | None:
        self._stamps = self._all[: self._given + (not self.enough.is_set())]
        return super().read(timeout_s)

    def end(self, session: Path) -> None:
        """Give no more; when all that was given is written, ask the recorder to stop."""
        self.enough.set()
        while n_written(session) < self._given:
            time.sleep(0.02)
        request_stop(session)


def n_written(session: Path) -> int:
    """Return how many samples the recorder says that it wrote."""
    status = read_status(session)
    return sum(stream.n_samples for stream in status.streams) if status is not None else 0
