"""What can be reviewed: the readings of a session or a store, which are never altered. No Qt."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from gazecapture.access_log import log_access
from gazecapture.session.consent import read_consent
from gazecapture.session.decisions import reading_decisions, session_decisions
from gazecapture.session.lock import LOCK_NAME
from gazecapture.session.schema import read_session_info
from gazecapture.session.to_readings import SessionReadings
from gazecapture.store import DECISIONS_FILE, Store
from gazecapture.viewer.review.book import DecisionFile
from gazecapture.viewer.review.speech import Speech, speech_of_session
from keyframes.errors import DataError, UsageError
from keyframes.reading import Reading, ReadingMeta

__all__ = ["Material", "ReviewItem", "ReviewSource", "SessionSource", "StoreSource"]

SESSION_LOCK = ".decisions.lock"
"""In the session's folder; held for one line. Not the recorder's: a session may be reviewed while it goes on."""
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewItem:
    """One reading in the list."""

    key: str
    """Its number in a session, its id in a store."""
    title: str
    problem: str = ""
    """Why it cannot be shown; empty where it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """One reading, loaded."""

    item: ReviewItem
    reading: Reading
    pictures: Mapping[int, Path] = field(default_factory=dict)
    text_boxes: Mapping[int, list[list[float]]] | None = None
    """Text in the pixels by image index, as curation found it; None where it has not looked."""
    speech: Speech | None = None
    """What was said, where curation has not made words of it yet; None for a store."""
    verdict: str = ""
    """Of the quality stage, with its reason; empty where it has not run."""


class ReviewSource(Protocol):
    """A session or a store."""

    @property
    def name(self) -> str:
        """What the window's title says of it."""
        ...

    def items(self) -> list[ReviewItem]:
        """Return its readings, in order; reads no bulk data of a store."""
        ...

    def load(self, key: str) -> Material:
        """Return a reading. Raises DataError where it cannot be shown, UsageError where there is none of this key."""
        ...

    def decisions(self, key: str) -> DecisionFile:
        """Return where the decisions on a reading are."""
        ...


class SessionSource:
    """A session folder; a reading's key is its number.

    Ids made here come from a key that is forgotten at once: nothing that is shown leads into a store.
    """

    def __init__(self, session: Path, *, key: bytes | None = None) -> None:
        self._info = read_session_info(session)
        self.session = session
        self._key = key or secrets.token_bytes(_KEY_BYTES)

    @property
    def name(self) -> str:
        """See `ReviewSource.name`."""
        return self.session.name

    @cached_property
    def _readings(self) -> SessionReadings:
        return SessionReadings(self.session, key=self._key)

    def items(self) -> list[ReviewItem]:
        """See `ReviewSource.items`."""
        return [self._item(number) for number in self._readings.numbers]

    def load(self, key: str) -> Material:
        """See `ReviewSource.load`."""
        if not key.isdigit() or int(key) not in self._readings.numbers:
            raise UsageError("the session has no such reading", record=key, code="GT-NO-READING")
        one = self._readings.cut(int(key))
        if one.error is not None or one.reading is None:
            raise one.error or DataError("the reading cannot be shown", record=key)
        return Material(
            item=self._item(int(key)),
            reading=one.reading,
            pictures=one.images,
            speech=speech_of_session(self.session, int(key)),
        )

    def _item(self, number: int) -> ReviewItem:
        studies = {study.reading_number: study.study_id for study in self._info.studies}
        problem = "" if self._readings.is_finished(number) else "it was not finished"
        return ReviewItem(key=str(number), title=f"{number}  {studies[number]}", problem=problem)

    def decisions(self, key: str) -> DecisionFile:
        """See `ReviewSource.decisions`."""
        file, number = self.session / DECISIONS_FILE, int(key)
        return DecisionFile(
            path=file,
            read=lambda: session_decisions(file).get(number, []),
            prefix=f"{number}/",
            lock=(self.session, SESSION_LOCK),
        )

    def may_teach(self) -> bool:
        """Say whether the session's reader agreed that trainees see the readings."""
        record = read_consent(self.session)
        return record is not None and "teaching" in record.scopes


class StoreSource:
    """A store; a reading's key is its id. Its access log says that it was opened: films are shown as they came."""

    def __init__(self, root: Path) -> None:
        self.store = Store.open(root)
        log_access(self.store.root, command="review", event="begins")

    @property
    def name(self) -> str:
        """See `ReviewSource.name`."""
        return self.store.root.resolve().name

    def items(self) -> list[ReviewItem]:
        """See `ReviewSource.items`."""
        return [self._item(self.store.meta(reading_id)) for reading_id in self.store.reading_ids()]

    def load(self, key: str) -> Material:
        """See `ReviewSource.load`."""
        if not self.store.has(key):
            raise UsageError("the store has no such reading", record=key, code="GT-NO-READING")
        reading = self.store.load(key)
        indexes = reading.table("images").column("image_index").to_pylist()
        quality = self.store.stage_record(key, "quality") or {}
        return Material(
            item=self._item(reading.meta),
            reading=reading,
            pictures={i: path for i in indexes if (path := self.store.image_path(key, i)) is not None},
            text_boxes=_text_boxes(self.store.stage_record(key, "privacy")),
            verdict=" ".join(str(quality.get(name) or "") for name in ("verdict", "reason")).strip(),
        )

    def _item(self, meta: ReadingMeta) -> ReviewItem:
        place = f"  reading {meta.reading_number}" if meta.reading_number else ""
        return ReviewItem(key=meta.reading_id, title=f"{meta.reader_code}{place}  {meta.reading_id[:6]}")

    def decisions(self, key: str) -> DecisionFile:
        """See `ReviewSource.decisions`; their lock is the store's own, for ingest replaces a reading's folder."""
        file = self.store.folder(key) / DECISIONS_FILE
        return DecisionFile(
            path=file, read=lambda: reading_decisions(file), lock=(self.store.root, LOCK_NAME)
        )


def _text_boxes(record: Mapping[str, Any] | None) -> dict[int, list[list[float]]] | None:
    notes = (record or {}).get("notes", {}).get("burned_in")
    if notes is None:
        return None
    return {int(i): [list(map(float, box)) for box in one.get("found") or ()] for i, one in notes.items()}
