"""What every tracker's own file is read into: one record of raw tables, and what was odd about the file.

Nothing personal is in it: no name, serial number, folder name or date of recording. The times are the tracker's own,
which may count from 1970; they stay in the session and never enter a Reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from keyframes.geometry import Display

__all__ = [
    "EVENTS",
    "MESSAGES",
    "SAMPLES",
    "VALIDATIONS",
    "TrackerFile",
    "TrackerIssue",
    "TrackerRecording",
    "gap_starts",
    "going_up",
]

_F64, _I64, _I32, _STR = pa.float64(), pa.int64(), pa.int32(), pa.string()


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


SAMPLES = _schema(
    t_ns=_I64, t_device_ns=_I64, block=_I32,
    left_x_px=_F64, left_y_px=_F64, left_pupil=_F64,
    right_x_px=_F64, right_y_px=_F64, right_pupil=_F64,
    x_px=_F64, y_px=_F64,
)  # fmt: skip
"""One row per device sample, in time order within a block. t_ns: the file's clock, which messages and events share;
t_device_ns: the tracker's own clock, the same where the file has one clock only. block counts from 0: a stretch that
the tracker recorded without being stopped. Positions are px of the recording's ``frame``; x_px and y_px are the
device's own combined point, all NaN where it gives none. Lost gaze, and an eye that was not tracked, is NaN."""

MESSAGES = _schema(t_ns=_I64, text=_STR)
"""What others wrote into the file while it was recorded; as free as its writers, so nothing of it is kept."""

EVENTS = _schema(
    kind=_STR, eye=_STR, t_start_ns=_I64, t_end_ns=_I64, x_px=_F64, y_px=_F64, amplitude_deg=_F64,
    peak_velocity_deg_per_s=_F64,
)  # fmt: skip
"""Events as the tracker's own software found them. kind: fixation, saccade, blink. eye: left, right, both."""

VALIDATIONS = _schema(
    t_ns=_I64, eye=_STR, n_points=_I32, quality=_STR, accuracy_deg=_F64, accuracy_max_deg=_F64, offset_deg=_F64,
    offset_x_px=_F64, offset_y_px=_F64,
)  # fmt: skip
"""Validations that the tracker's software made. NaN where it does not say; n_points 0 likewise."""

GAP_INTERVALS = 1.5
"""Sample intervals; a longer step lacks at least one sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerIssue:
    """Something odd in a file."""

    code: str
    severity: Literal["info", "error"]
    """error: something cannot be read; only a tolerant reading goes on after it."""
    message: str
    """What, expected and found; never the content of a personal field."""
    file: str
    """Name of the file inside the recording; empty where the recording is that one file."""
    first_row: int | None
    """1-based line (text) or record (binary) of the first place; None where it concerns the whole file."""
    n: int
    """How many places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerRecording:
    """One recording of a tracker, on the tracker's clocks."""

    format: str
    """eyelink-asc, tobii-tsv or neon."""
    manufacturer: str
    frame: Literal["screen", "scene"]
    """screen: px of the display, origin top left; scene: px of the scene camera or of whatever medium was shown."""
    frame_size_px: tuple[int, int] | None
    """Width and height, where the file says."""
    rate_hz: float | None
    """As the file says, else as its time stamps do; None below two samples."""
    pupil_unit: str
    """mm, diameter_au, area_au or none."""
    samples: pa.Table
    messages: pa.Table
    events: pa.Table
    validations: pa.Table
    issues: tuple[TrackerIssue, ...] = ()

    @property
    def t_ns(self) -> NDArray[np.int64]:
        """Times of the samples on the file's clock."""
        times: NDArray[np.int64] = self.samples.column("t_ns").to_numpy()
        return times


class TrackerFile(Protocol):
    """A format of files that trackers write."""

    @property
    def format(self) -> str:
        """Name of the format."""

    def fits(self, path: Path) -> bool:
        """Say, from its first bytes or its files' names, whether ``path`` is of this format."""

    def read(
        self, path: Path, *, display: Display | None = None, tolerant: bool = False
    ) -> tuple[TrackerRecording, ...]:
        """Read all recordings that ``path`` holds, at least one, each with at least one sample.

        display  : only for formats that give mm on the screen.
        tolerant : leave out what cannot be read and say so in ``issues``, where otherwise an error is raised.

        Raises DataError (codes GT-TRACKER-...) with file and row. Memory is bounded by a multiple of the file's size,
        and files beyond a stated size are refused before they are read.
        """


def gap_starts(t_ns: NDArray[np.int64], block: NDArray[np.int32], rate_hz: float) -> NDArray[np.intp]:
    """Return the indexes of samples after which, in the same block, the next one is missing."""
    steps = np.diff(t_ns)
    return np.flatnonzero((steps > GAP_INTERVALS * 1e9 / rate_hz) & (block[1:] == block[:-1]))


def going_up(t_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which times are later than all good ones before them.

    One that is later than its neighbours, which are in order themselves, is the one that is wrong: a single flipped
    digit costs a single sample.
    """
    good = np.ones(t_ns.size, np.bool_)
    if not t_ns.size:
        return good
    before, own, after = t_ns[:-2], t_ns[1:-1], t_ns[2:]
    good[1:-1] = ~((own >= after) & (after > before))
    newest = np.maximum.accumulate(np.where(good, t_ns, np.iinfo(np.int64).min))
    good[1:] &= t_ns[1:] > newest[:-1]
    return good
