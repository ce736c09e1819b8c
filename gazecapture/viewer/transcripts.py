"""The words of a reading as the reader corrects them after the film. No Qt."""

from __future__ import annotations

from pathlib import Path

from gazecapture.files import make_private_folder, write_bytes_atomically
from gazecapture.session.journal import read_journal
from gazecapture.session.removal import TRANSCRIPTS_FOLDER
from gazecapture.session.schema import WORDS_JOURNAL
from keyframes.errors import GazeToolError

__all__ = ["invitation", "keep_transcript", "words_between"]


def words_between(session: Path, start_ns: int, end_ns: int) -> str:
    """Return the words that were recorded between two session-clock times, with spaces; empty where none were."""
    try:
        words = read_journal(session / "words", schema=WORDS_JOURNAL).table.sort_by("t_start_ns")
    except GazeToolError:
        return ""  # the words are worth a look, not the sitting
    t_ns = words["t_start_ns"].to_numpy()
    mine = words.filter((t_ns >= start_ns) & (t_ns < end_ns))
    return " ".join(mine["word"].to_pylist()).replace(" .", ".").replace(" ,", ",")


def invitation(*, has_words: bool, has_sound: bool) -> str:
    """Return what the reader is asked to do with the words of a film, in one line."""
    if has_words:
        return "Correct it if you like; what was recorded stays as it is."
    if has_sound:
        return "Nothing here makes words of your voice yet: type them, or leave that to a program later."
    return "No words came. Type what you said, if you like."


def keep_transcript(session: Path, reading_number: int, text: str) -> None:
    """Write down a reading's words as its reader left them; an empty text leaves the recorded words as they are.

    The file is what `gazecurate ingest` takes for a transcript. What was recorded stays.
    Raises DiskFullError.
    """
    if text.strip():
        folder = make_private_folder(session / TRANSCRIPTS_FOLDER)
        write_bytes_atomically(folder / f"reading-{reading_number}.txt", text.strip().encode() + b"\n")
