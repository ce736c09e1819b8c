"""What went wrong while a film was read, told at its end and not before: nothing pops up over a radiograph. No Qt."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QUIETEST_DBFS", "GazeCount", "Loudness", "problems_of_film"]

LARGEST_LOSS = 0.5
"""Share of the samples; a reading of which more was lost tells little of where somebody looked."""
QUIETEST_DBFS = -55.0
"""Loudest tenth of a second of a film in dB below full scale; a microphone that is off or unplugged stays below it, the
quietest dictation is above -40."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GazeCount:
    """Samples that came up to a moment, and how many of them told where the eye looked."""

    n_samples: int = 0
    n_valid: int = 0

    def since(self, earlier: GazeCount) -> GazeCount:
        """Return what came since an earlier count."""
        return GazeCount(n_samples=self.n_samples - earlier.n_samples, n_valid=self.n_valid - earlier.n_valid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loudness:
    """What the microphone gave while a film was dictated."""

    recorded_s: float
    loudest_dbfs: float
    trouble: str = ""
    """Why nothing comes any more; empty while all is well."""


def problems_of_film(gaze: GazeCount | None, loudness: Loudness | None) -> tuple[str, ...]:
    """Return what the reader must know now that the film is closed; mostly nothing.

    gaze, loudness : None where nobody measures them.
    """
    found = []
    if gaze is not None and gaze.n_samples == 0:
        found.append("No gaze came from the tracker.")
    elif gaze is not None and gaze.n_valid < (1 - LARGEST_LOSS) * gaze.n_samples:
        found.append(f"The tracker lost the eyes for {1 - gaze.n_valid / gaze.n_samples:.0%} of the time.")
    if loudness is not None and loudness.trouble:
        found.append(f"The microphone stopped: {loudness.trouble}.")
    elif loudness is not None and loudness.recorded_s > 0 and loudness.loudest_dbfs < QUIETEST_DBFS:
        found.append("The microphone heard nothing.")
    return tuple(found)
