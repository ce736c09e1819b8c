"""What was forgotten: ``STORE/forgotten.jsonl``, a keyed hash, a kind and a date per line, and nothing else.

The hash is made with the store's pseudonym key, so that only the store itself can tell whether an id was forgotten.
Besides readers and readings there are traces: what a reader's code leaves the store as, and the names and ids that the
headers of forgotten films had, by which `gazecurate verify` proves that they are nowhere.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from curation.privacy import Identifiers
from curation.privacy.phrases import is_ordinary, phrases_of, tokens_of
from curation.privacy.strings import code_pseudonym
from gazecapture.files import append_json_line
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.store import KeyedHash, Store
from keyframes.errors import DataError, GazeToolError

__all__ = ["FORGOTTEN_CODE", "TOMBSTONES", "Kind", "Tombstones"]

TOMBSTONES = "forgotten.jsonl"
FORGOTTEN_CODE = "GT-FORGOTTEN"
Kind = Literal["reader", "reading"]
_TRACE = "trace"
_MAX_WORDS = 6
"""Of a name or id in a header: five components of a name and one to spare."""
_ID_LETTERS = 16
"""Of a reading's id (`gazecapture.store.KeyedHash`)."""
_MAX_CODE_LETTERS = 128
_REMEMBERED = 1 << 18
"""Texts and rows of words of which is known whether anything forgotten is in them; most repeat."""


@dataclass(frozen=True, slots=True)
class Tombstones:
    """What a store must not take or hold again."""

    path: Path
    hashes: frozenset[str]
    keyed_hash: KeyedHash
    n_names: int = 0
    """Readers and readings; traces are not counted."""

    @classmethod
    def of(cls, store: Store) -> Self:
        """Read a store's tombstones; torn lines are passed over."""
        path = store.root / TOMBSTONES
        hashes: dict[str, str] = {}
        for line in path.read_bytes().splitlines() if path.is_file() else ():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                content = json.loads(line)
                hashes[str(content["hash"])] = str(content["kind"])
        n_names = sum(kind != _TRACE for kind in hashes.values())
        return cls(path, frozenset(hashes), KeyedHash(store.pseudonym_key), n_names)

    def has(self, kind: Kind, name: str) -> bool:
        """Say whether that reader or reading was forgotten."""
        return bool(self.hashes) and self._hash(kind, name) in self.hashes

    def names(self, *, reading_id: str, reader_code: str) -> bool:
        """Say whether a reading was forgotten, or all of its reader's."""
        return self.has("reading", reading_id) or self.has("reader", reader_code)

    def refuse(self, *, reading_id: str, reader_code: str) -> None:
        """Raise DataError (GT-FORGOTTEN) for a reading that was forgotten."""
        if self.names(reading_id=reading_id, reader_code=reader_code):
            raise DataError(
                "it was forgotten and is not taken again",
                hint="Remove it from the source. A reader who takes part again gets a new code.",
                code=FORGOTTEN_CODE,
            )

    def put(self, kind: Kind, names: Iterable[str]) -> None:
        """Write a tombstone for each name that has none yet, and for what a reader's code leaves the store as."""
        for name in names:
            self._put(kind, name)
            if kind == "reader":
                self._put_traces(
                    code for code in (name, code_pseudonym(self.keyed_hash, name)) if not is_ordinary(code)
                )

    def put_films(self, store: Store, reading_ids: Iterable[str]) -> None:
        """Write down, hashed, what the headers of readings' films name, before the films go.

        Ids that a published dataset gave out stay in the rows of its other readings and are left out.
        """
        phrases: set[str] = set()
        for reading_id in filter(store.has, reading_ids):
            with contextlib.suppress(GazeToolError):  # a damaged film tells no names
                reading = store.load(reading_id)
                images = reading.table("images").select(["image_index", "public_dicom_id"]).to_pylist()
                public = {reading.meta.public_patient_id, reading.meta.public_study_id}
                public |= {image["public_dicom_id"] for image in images}
                paths = [store.image_path(reading_id, image["image_index"]) for image in images]
                found = Identifiers.of(load_radiograph(path) for path in paths if path is not None)
                phrases |= set(phrases_of(Identifiers(names=found.names, ids=found.ids - public)))
        self._put_traces(phrases)

    def finder(self) -> Callable[[str], bool]:
        """Return what says whether anything forgotten stands in a text, as a word or row of words of it.

        A reader's code that is an ordinary word or level ("T12") is found only where it is the whole text.
        """
        if not self.hashes:
            return lambda _: False

        @lru_cache(_REMEMBERED)
        def is_trace(*words: str) -> bool:
            phrase = " ".join(words)
            is_reading = len(words) == 1 and len(phrase) == _ID_LETTERS and self.has("reading", phrase)
            return is_reading or self._hash(_TRACE, phrase) in self.hashes

        @lru_cache(_REMEMBERED)
        def finds(text: str) -> bool:
            words = tokens_of(text)
            return (len(text) <= _MAX_CODE_LETTERS and self.has("reader", text)) or any(
                is_trace(*words[start:end])
                for start in range(len(words))
                for end in range(start + 1, min(start + _MAX_WORDS, len(words)) + 1)
            )

        return finds

    def _put_traces(self, phrases: Iterable[str]) -> None:
        for phrase in sorted({" ".join(tokens_of(phrase)[:_MAX_WORDS]) for phrase in phrases}):
            self._put(_TRACE, phrase)

    def _put(self, kind: str, name: str) -> None:
        if self._hash(kind, name) in self.hashes:
            return
        line = {"hash": self._hash(kind, name), "kind": kind, "date": datetime.now(UTC).date().isoformat()}
        append_json_line(self.path, line)

    def _hash(self, kind: str, name: str) -> str:
        return self.keyed_hash("forgotten", kind, name)
