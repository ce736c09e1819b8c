"""What was said in a session's reading, before curation makes words of it: how loud it was, what was typed. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gazecapture.session.audio import RATE_HZ, cut_audio, session_audio
from gazecapture.session.reading_spans import speech_spans
from gazecapture.session.removal import TRANSCRIPTS_FOLDER
from gazecapture.viewer.dictation_status import METER_QUIETEST_DBFS
from keyframes.errors import GazeToolError

__all__ = ["Speech", "speech_of_session"]

STEP_S = 0.05
"""s over which loudness is one value: a syllable lasts twice as long or more."""
PLAIN = ".txt"
"""Transcripts of a plain text are shown; those with times are for `gazecurate ingest` to read."""
MAX_TRANSCRIPT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """Sound and transcript of one reading, as far as there are any."""

    t_ns: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """(n,) ns since image on, where each step of `STEP_S` begins; rising."""
    level_dbfs: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """(n,) loudness, at least `METER_QUIETEST_DBFS`; NaN where no sound is."""
    transcript: str = ""
    """As its reader typed or corrected it; `gazecurate ingest` takes it in place of what was recognised."""
    note: str = ""
    """What is there and cannot be shown; empty where all is."""

    @property
    def has_sound(self) -> bool:
        """Say whether anything was recorded."""
        return bool(np.isfinite(self.level_dbfs).any())


def speech_of_session(session: Path, reading_number: int) -> Speech:
    """Return what was said in a reading. What cannot be read is a note, for the rest can be reviewed all the same."""
    text, note = _transcript(session / TRANSCRIPTS_FOLDER, reading_number)
    try:
        t_ns, level_dbfs = _loudness(session, reading_number)
    except GazeToolError as error:
        note = f"The sound cannot be read: {error.message}. {note}".strip()
        return Speech(transcript=text, note=note)
    return Speech(t_ns=t_ns, level_dbfs=level_dbfs, transcript=text, note=note)


def _loudness(session: Path, reading_number: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return times and levels as `Speech` has them, empty where nothing was recorded."""
    span, files = speech_spans(session).get(reading_number), session_audio(session)
    clip = None if span is None or not files else cut_audio(files, span.start_ns, span.end_ns)
    if span is None or clip is None:
        return np.empty(0, np.int64), np.empty(0)
    level_dbfs = _levels_dbfs(clip.samples)
    since_on_ns = span.start_ns - span.on_ns + np.arange(level_dbfs.size) * round(STEP_S * 1e9)
    return span.reading_time(since_on_ns), level_dbfs


def _levels_dbfs(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    step = round(STEP_S * RATE_HZ)
    whole = samples[: samples.size // step * step].reshape(-1, step).astype(np.float64) / 32768.0
    power = np.mean(np.square(whole), axis=1)
    with np.errstate(divide="ignore"):
        level = np.maximum(10 * np.log10(power), METER_QUIETEST_DBFS)
    # What was never recorded is zero in every sample, which no microphone gives.
    return np.where(whole.any(axis=1), level, np.nan)


def _transcript(folder: Path, reading_number: int) -> tuple[str, str]:
    """Return the text, or why there is none to show."""
    found = sorted(folder.glob(f"reading-{reading_number}.*"))
    if not found:
        return "", ""
    plain = folder / f"reading-{reading_number}{PLAIN}"
    if plain not in found:
        return "", f"{found[0].name} is shown once `gazecurate ingest` has read it."
    try:
        content = plain.read_bytes() if plain.stat().st_size <= MAX_TRANSCRIPT_BYTES else b""
    except OSError:
        content = b""
    text = content.decode("utf-8", errors="replace").strip()
    return text, "" if text else f"{plain.name} cannot be shown."
