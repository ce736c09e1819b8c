"""What ties a reading to others of its sitting: ids, repeats, addenda, attempts that were given up."""

from __future__ import annotations

from gazecapture.session.reading_spans import ReadingSpan
from gazecapture.session.schema import SessionInfo, StudyInfo
from gazecapture.store import KeyedHash

__all__ = ["beside_reading", "first_reading_id", "session_reading_id"]


def session_reading_id(info: SessionInfo, reading_number: int, pseudonym: KeyedHash) -> str:
    """Return the id that a study of a session has as a Reading."""
    return pseudonym("session", f"{info.session_id}/{reading_number}", info.reader_code)


def first_reading_id(info: SessionInfo, study: StudyInfo, pseudonym: KeyedHash) -> str:
    """Return the id of this reader's first reading of the study, empty where this is it."""
    first = study.addendum_of
    if first is None and study.repeat_of:
        numbers = [s.reading_number for s in info.studies if s.study_id == study.repeat_of]
        first = numbers[0] if numbers else None
    return "" if first is None else session_reading_id(info, first, pseudonym)


def beside_reading(
    info: SessionInfo, study: StudyInfo, span: ReadingSpan, pseudonym: KeyedHash
) -> dict[str, str]:
    """Say what was not plain reading: pauses, attempts that were given up, an addendum."""
    said = {}
    if span.pauses.taken_out_ns:
        said["paused_ms"] = f"{span.pauses.taken_out_ns / 1e6:.0f}"
    if span.before:
        said["attempts_before"] = str(span.before)
    if study.addendum_of is not None:
        said["addendum_of"] = session_reading_id(info, study.addendum_of, pseudonym)
    return said
