"""The identifiers of many readings, kept until the last scan has looked for all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, MutableMapping

from curation.privacy.identifiers import Identifiers

__all__ = ["IdentifierBook"]


class IdentifierBook(MutableMapping[str, Identifiers]):
    """Identifiers by reading id, each in one string: as objects they take some 1.8 kB for a reading, so some 0.4.

    What is given back is made anew each time.
    """

    __slots__ = ("_packed",)

    def __init__(self) -> None:
        self._packed: dict[str, str] = {}

    def __getitem__(self, reading_id: str) -> Identifiers:
        names, ids = json.loads(self._packed[reading_id])
        return Identifiers(names=frozenset(names), ids=frozenset(ids))

    def __setitem__(self, reading_id: str, own: Identifiers) -> None:
        self._packed[reading_id] = json.dumps(
            [sorted(own.names), sorted(own.ids)], ensure_ascii=False, separators=(",", ":")
        )

    def __delitem__(self, reading_id: str) -> None:
        del self._packed[reading_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)
