"""Which format a tracker's file is of."""

from __future__ import annotations

from pathlib import Path

from gazecapture.trackers.eyelink_asc import EYELINK_ASC
from gazecapture.trackers.issues import refuse
from gazecapture.trackers.neon_native import NEON
from gazecapture.trackers.recording import TrackerFile, TrackerRecording
from gazecapture.trackers.tobii_tsv import TOBII_TSV
from keyframes.geometry import Display

__all__ = ["PARSERS", "find_parser", "read_recordings"]

PARSERS: tuple[TrackerFile, ...] = (EYELINK_ASC, TOBII_TSV, NEON)


def find_parser(path: Path) -> TrackerFile:
    """Return the parser whose format ``path`` is of. Raises DataError (GT-TRACKER-FORMAT) where none fits."""
    for parser in PARSERS:
        if parser.fits(path):
            return parser
    raise refuse(
        path,
        "no tracker's file that this tool reads",
        hint="Expected an EyeLink ASC file (edf2asc), a Tobii Pro Lab TSV export, or the folder of a Neon recording.",
    )


def read_recordings(
    path: Path, *, display: Display | None = None, tolerant: bool = False
) -> tuple[TrackerRecording, ...]:
    """Find out the format and read all recordings of ``path``; see `TrackerFile.read`."""
    return find_parser(path).read(path, display=display, tolerant=tolerant)
