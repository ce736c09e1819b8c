"""Format ``session``: the sessions that this toolkit records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from curation.ingest.protocol import Ingested
from curation.ingest.speech import SpeechToWords
from curation.issues import source_issues_entry
from gazecapture.profiles import Profile
from gazecapture.session.consent import read_consent
from gazecapture.session.decisions import session_decisions
from gazecapture.session.profiles import load_own_profiles
from gazecapture.session.to_readings import to_readings
from gazecapture.store import DECISIONS_FILE
from keyframes.errors import GazeToolError, UsageError

__all__ = ["SessionIngester"]

_INFO = "session.json"
_JOURNALS = ("display", "streams", "images")
"""A folder found below SOURCE must have one of them: other files of a study may be called session.json too."""


class SessionIngester:
    """One session folder, or a folder of them, at most two levels deep.

    own_profiles : a user's stream profiles, which come before those that a session brings with it.
    speech       : makes words of voices and transcripts; by default of the transcripts that a session brings with it.
    """

    name = "session"

    def __init__(self, own_profiles: Sequence[Profile] = (), speech: SpeechToWords | None = None) -> None:
        self._own_profiles = tuple(own_profiles)
        self._speech = speech or SpeechToWords()

    def with_profiles(self, paths: Sequence[Path]) -> SessionIngester:
        """See `curation.ingest.protocol.TakesProfiles.with_profiles`."""
        return SessionIngester(load_own_profiles(paths), self._speech)

    def with_speech(self, speech: SpeechToWords) -> SessionIngester:
        """See `curation.ingest.protocol.TakesSpeech.with_speech`."""
        return SessionIngester(self._own_profiles, speech)

    def find(self, source: Path) -> list[Path]:
        """See `curation.ingest.protocol.Ingester.find`."""
        if not source.is_dir():
            what = "is a file, a session folder is needed" if source.exists() else "does not exist"
            raise UsageError(f"{source} {what}", path=source, code="GT-NOT-A-SESSION")
        if (source / _INFO).is_file():
            return [source]
        candidates = sorted(path.parent for depth in ("*", "*/*") for path in source.glob(f"{depth}/{_INFO}"))
        found = [
            folder
            for folder in candidates
            if any((folder / name).is_dir() for name in _JOURNALS)
            and not any(part.startswith(".") for part in folder.relative_to(source).parts)
        ]  # with a dot begins what an interrupted command left half-written
        if found:
            return found
        raise UsageError(
            f"{source} holds no session (no {_INFO} in it or in its sub-folders)",
            hint="Give the folder that `gazecapture read` or `gazecapture simulate --offline` wrote.",
            path=source,
            code="GT-NOT-A-SESSION",
        )

    def readings(self, unit: Path, *, key: bytes) -> Iterator[Ingested]:
        """See `curation.ingest.protocol.Ingester.readings`."""
        try:
            consent = read_consent(unit)
            decided = session_decisions(unit / DECISIONS_FILE)
            for item in to_readings(unit, key=key, own_profiles=self._own_profiles):
                reading, error = item.reading, item.error
                if reading is not None:
                    noted = source_issues_entry({"GI-JOURNAL-DAMAGED": item.n_damaged})
                    provenance = {**reading.meta.provenance, **noted}
                    reading = replace(reading, meta=replace(reading.meta, provenance=provenance))
                    try:
                        reading = self._speech.with_words(unit, reading)
                    except GazeToolError as failed:
                        reading, error = None, failed
                yield Ingested(
                    label=f"{unit.name} reading {item.reading_number}",
                    reading=reading,
                    images=item.images if reading is not None else {},
                    error=error,
                    consent=consent,
                    decisions=decided.get(item.reading_number, ()),
                )
        except GazeToolError as error:
            yield Ingested(label=unit.name, error=error)
