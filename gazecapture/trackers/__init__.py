"""Parsers of trackers' own files: raw tables on the tracker's clock, no Readings, nothing that names anybody.

`read_recordings` finds out the format; each format has a file of its own that meets `TrackerFile`.
"""

from __future__ import annotations

from gazecapture.trackers.detect import PARSERS, find_parser, read_recordings
from gazecapture.trackers.recording import (
    EVENTS,
    MESSAGES,
    SAMPLES,
    VALIDATIONS,
    TrackerFile,
    TrackerIssue,
    TrackerRecording,
)

__all__ = [
    "EVENTS",
    "MESSAGES",
    "PARSERS",
    "SAMPLES",
    "VALIDATIONS",
    "TrackerFile",
    "TrackerIssue",
    "TrackerRecording",
    "find_parser",
    "read_recordings",
]
