"""What was forgotten: ``STORE/forgotten.jsonl``, a keyed hash, a kind and a date per line, and nothing else.

The hash is made with the store's pseudonym key, so that only the store itself can tell whether an id was forgotten.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

from gazecapture.files import append_json_line
from gazecapture.store import KeyedHash, Store
from keyframes.errors import DataError

__all__ = ["FORGOTTEN_CODE", "TOMBSTONES", "Kind", "Tombstones"]

TOMBSTONES = "forgotten.jsonl"
FORGOTTEN_CODE = "GT-FORGOTTEN"
Kind = Literal["reader", "reading"]


@dataclass(frozen=True, slots=True)
class Tombstones:
    """What a store must not take or hold again."""

    path: Path
    hashes: frozenset[str]
    keyed_hash: KeyedHash

    @classmethod
    def of(cls, store: Store) -> Self:
        """Read a store's tombstones; torn lines are passed over."""
        path = store.root / TOMBSTONES
        hashes = set()
        for line in path.read_bytes().splitlines() if path.is_file() else ():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                hashes.add(str(json.loads(line)["hash"]))
        return cls(path, frozenset(hashes), KeyedHash(store.pseudonym_key))

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
        """Write a tombstone for each name that has none yet."""
        for name in names:
            if not self.has(kind, name):
                line = {
                    "hash": self._hash(kind, name),
                    "kind": kind,
                    "date": datetime.now(UTC).date().isoformat(),
                }
                append_json_line(self.path, line)

    def _hash(self, kind: Kind, name: str) -> str:
        return self.keyed_hash("forgotten", kind, name)
