"""A trainee's reading beside an expert's of one study, where both agreed and both readings are closed. No Qt."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gazecapture.radiograph.decode import load_radiograph
from gazecapture.session.consent import read_consent
from gazecapture.session.consent_log import ConsentLog
from gazecapture.session.schema import read_session_info
from gazecapture.store import Store
from gazecapture.viewer.render import Picture
from gazecapture.viewer.review.book import THE_READING
from gazecapture.viewer.review.derived import completed
from gazecapture.viewer.review.source import Material, ReviewSource, SessionSource, StoreSource
from gazecapture.viewer.review.timeline import Timeline
from keyframes.errors import DataError, GazeToolError, ImageError, PrivacyError, UsageError
from keyframes.reading import Reading

__all__ = [
    "NO_TEACHING_CONSENT", "Comparison", "LetterShare", "Pairing", "SessionPairs", "Side", "StorePairs", "compared",
]  # fmt: skip

NO_TEACHING_CONSENT = "GT-NO-TEACHING-CONSENT"
NOT_CLOSED = "GT-NOT-CLOSED"
REJECTED = "GT-REJECTED"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """One study that both have read."""

    title: str
    own_key: str
    expert_key: str


class PairSource(Protocol):
    """Where pairs of readings come from; nothing is given without both readers' consent.

    A reading that a reviewer rejected teaches nobody: it is in no pair, neither as the expert's nor as the trainee's.
    """

    def pairs(self) -> list[Pairing]:
        """Return the studies that both have read and closed, in the trainee's order.

        Raises PrivacyError (GT-NO-TEACHING-CONSENT) where either reader has not agreed to teaching.
        """
        ...

    def load(self, pair: Pairing) -> tuple[Material, Material]:
        """Return the trainee's and the expert's reading.

        Raises as `pairs` does, for a consent may be withdrawn, and DataError (GT-REJECTED) where a reviewer rejected
        one meanwhile.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterShare:
    """How long and how widely a letter's regions were looked at."""

    letter: str
    dwell_s: float
    dwell_share: float
    covered_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two readings."""

    reading: Reading
    timeline: Timeline
    letters: tuple[LetterShare, ...]
    """In the scheme's order, over all images."""
    order: tuple[str, ...]
    """Letters by first visit."""
    missed: Mapping[int, frozenset[str]]
    """Regions that no fixation came near to, by image index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Both readings of one study."""

    title: str
    own: Side
    expert: Side
    pictures: Mapping[int, Picture]
    """Of the trainee's films, which are the expert's."""

    def only_expert_saw(self, image_index: int) -> list[str]:
        """Return the regions that the trainee missed and the expert did not, sorted."""
        known = set(self.expert.reading.table("region_coverage").column("region").to_pylist())
        missed = self.own.missed.get(image_index, frozenset())
        return sorted((missed & known) - self.expert.missed.get(image_index, frozenset()))

    def both_missed(self, image_index: int) -> list[str]:
        """Return the regions that neither looked at, sorted."""
        nothing: frozenset[str] = frozenset()
        return sorted(
            self.own.missed.get(image_index, nothing) & self.expert.missed.get(image_index, nothing)
        )


class StorePairs:
    """Pairs of one store, where every reading is closed: an unfinished one is never ingested."""

    def __init__(self, root: Path, *, reader_code: str, expert_code: str) -> None:
        if reader_code == expert_code:
            raise UsageError("the trainee and the expert are one reader", hint="Give two reader codes.")
        self._source = StoreSource(root)
        self._store: Store = self._source.store
        self._reader, self._expert = reader_code, expert_code

    def pairs(self) -> list[Pairing]:
        """See `PairSource.pairs`."""
        log = ConsentLog.read(self._store.root)
        by_reader: dict[str, dict[str, str]] = {self._reader: {}, self._expert: {}}
        numbers: dict[str, int] = {}
        for reading_id in self._store.reading_ids():
            meta = self._store.meta(reading_id)
            if meta.reader_code not in by_reader:
                continue
            if not log.may_teach(meta):
                raise _no_consent(meta.reader_code)
            if _is_rejected(self._source, reading_id):
                continue
            # A study that was read twice counts by its first reading.
            by_reader[meta.reader_code].setdefault(meta.study_key, reading_id)
            numbers[reading_id] = meta.reading_number
        own, expert = by_reader[self._reader], by_reader[self._expert]
        shared = sorted(own.keys() & expert.keys(), key=lambda study: numbers[own[study]])
        return [
            Pairing(title=f"reading {numbers[own[study]]}", own_key=own[study], expert_key=expert[study])
            for study in shared
        ]

    def load(self, pair: Pairing) -> tuple[Material, Material]:
        """See `PairSource.load`."""
        for key in (pair.own_key, pair.expert_key):
            _refuse_rejected(self._source, key)
        own, expert = self._source.load(pair.own_key), self._source.load(pair.expert_key)
        log = ConsentLog.read(self._store.root)
        for one in (own, expert):
            if not log.may_teach(one.reading.meta):
                raise _no_consent(one.reading.meta.reader_code)
        return own, expert


class SessionPairs:
    """Pairs of two sessions; a study is the same where its films are."""

    def __init__(self, own: Path, expert: Path) -> None:
        key = secrets.token_bytes(_KEY_BYTES)
        self._own, self._expert = SessionSource(own, key=key), SessionSource(expert, key=key)
        if own.resolve() == expert.resolve():
            raise UsageError("the trainee's and the expert's session are one", hint="Give two sessions.")

    def pairs(self) -> list[Pairing]:
        """See `PairSource.pairs`."""
        self._check_consent()
        films: dict[tuple[str, ...], str] = {}
        for item in self._expert.items():
            if not item.problem and not _is_rejected(self._expert, item.key):
                films.setdefault(self._films(self._expert, item.key), item.key)
        return [
            Pairing(title=item.title, own_key=item.key, expert_key=films[study])
            for item in self._own.items()
            if not item.problem
            and not _is_rejected(self._own, item.key)
            and (study := self._films(self._own, item.key)) in films
        ]

    def load(self, pair: Pairing) -> tuple[Material, Material]:
        """See `PairSource.load`; DataError (GT-NOT-CLOSED) for a reading that goes on."""
        self._check_consent()
        for source, key in ((self._own, pair.own_key), (self._expert, pair.expert_key)):
            if any(item.key == key and item.problem for item in source.items()):
                raise DataError(
                    "the reading is not closed", hint="Finish it first.", record=key, code=NOT_CLOSED
                )
            _refuse_rejected(source, key)
        return self._own.load(pair.own_key), self._expert.load(pair.expert_key)

    def _check_consent(self) -> None:
        for source in (self._own, self._expert):
            record = read_consent(source.session)
            if record is None or "teaching" not in record.scopes:
                raise _no_consent(read_session_info(source.session).reader_code)

    @staticmethod
    def _films(source: SessionSource, key: str) -> tuple[str, ...]:
        (study,) = [s for s in read_session_info(source.session).studies if s.reading_number == int(key)]
        return tuple(image.sha256 for image in study.images)


def compared(source: PairSource, pair: Pairing) -> Comparison:
    """Load both readings and put them side by side. Takes a second or two and belongs in a thread."""
    own, expert = source.load(pair)
    radiographs = {}
    for index, path in own.pictures.items():
        try:
            radiographs[index] = load_radiograph(path)
        except ImageError:
            continue
    return Comparison(
        title=pair.title,
        own=_side(completed(own.reading, radiographs)),
        expert=_side(completed(expert.reading, radiographs)),
        pictures={index: Picture(radiograph, index) for index, radiograph in radiographs.items()},
    )


def _side(reading: Reading) -> Side:
    missed: dict[int, set[str]] = {}
    for row in reading.table("region_coverage").to_pylist():
        found = missed.setdefault(row["image_index"], set())
        if row["missed"]:
            found.add(row["region"])
    by_letter: dict[str, list[Mapping[str, object]]] = {}
    rows = reading.table("letter_coverage").to_pylist()
    total_s = sum(row["dwell_s"] for row in rows)
    for row in rows:
        by_letter.setdefault(row["letter"], []).append(row)
    letters = []
    for letter, own in by_letter.items():
        dwell_s = sum(float(str(row["dwell_s"])) for row in own)
        covered = [float(str(row["covered_share"])) for row in own if row["covered_share"] is not None]
        letters.append(
            LetterShare(
                letter=letter,
                dwell_s=dwell_s,
                dwell_share=dwell_s / total_s if total_s > 0 else 0.0,
                covered_share=sum(covered) / len(covered) if covered else None,
            )
        )
    inspection = reading.table("inspection").to_pylist()
    return Side(
        reading=reading,
        timeline=Timeline(reading),
        letters=tuple(letters),
        order=tuple(inspection[0]["letter_order"]) if inspection else (),
        missed={index: frozenset(names) for index, names in missed.items()},
    )


def _is_rejected(source: ReviewSource, key: str) -> bool:
    """Say whether the last word of a reviewer on a reading is a rejection; one that was taken back is none."""
    lines = source.decisions(key).read()
    verdicts = [line["value"] for line in lines if (line["kind"], line["target"]) == ("verdict", THE_READING)]
    return bool(verdicts) and verdicts[-1] == "reject"


def _refuse_rejected(source: ReviewSource, key: str) -> None:
    if _is_rejected(source, key):
        raise DataError(
            "a reviewer rejected the reading",
            hint="Choose another study: `gazecapture teach --list`.",
            record=key,
            code=REJECTED,
        )


def _no_consent(reader_code: str) -> GazeToolError:
    return PrivacyError(
        f"reader {reader_code} has not agreed that readings are shown to trainees",
        hint="Ask, and record it: `gazecapture consent --scope teaching ...` or `gazecurate consent`.",
        code=NO_TEACHING_CONSENT,
    )
