"""Look through the finished output for what had to stay behind, decoded and inside every container."""

from __future__ import annotations

import itertools
import mmap
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

from ahocorasick_rs import BytesAhoCorasick

from curation.export.bare import is_bare
from curation.export.decoded import contents_of
from curation.privacy import Identifiers, Redactor
from curation.privacy.phrases import MIN_WORD_LETTERS, phrases_of, tokens_of

__all__ = ["scan_output"]

_BLOCK_BYTES = 1 << 20
_WINDOW_BYTES = 1 << 25
"""Of a file that is mapped at once, a multiple of what systems map by: pages that were looked at stay in memory as long
as they are mapped."""
_REDACTORS = 64
"""Readings whose names are kept ready; a shard's rows come one reading after another."""


def scan_output(
    folder: Path,
    identifiers: Mapping[str, Identifiers],
    private_paths: Sequence[str],
    *,
    codes: Iterable[str] = (),
    words: Iterable[str] = (),
    forgotten: Callable[[str], bool] | None = None,
) -> list[str]:
    """Return what was found, one line each: the file and the kind, never the value itself.

    identifiers   : of each reading, by its id. Parts of its names may not stand in its own texts; whole names and ids
                    nowhere, unless they consist of ordinary words ("Emergency Room", "UNKNOWN").
    private_paths : strings that may stand nowhere, sought byte by byte and in what is decoded.
    codes         : hashes of stored files, codes that were replaced; may stand nowhere.
    words         : what was redacted for being in no word list; may stand in no cell of a shard.
    forgotten     : says whether a text holds what was forgotten.

    A file that cannot be looked into is a find as well.

    Time grows with the output, not with the number of identifiers: texts are compared word by word. Tables and shards
    are read in parts, so that memory grows with the identifiers alone.
    """
    phrases = (phrase for own in identifiers.values() for phrase in phrases_of(own))
    anywhere = _Finder(itertools.chain(phrases, codes))
    in_cells = _Finder(word for word in words if len(word) >= MIN_WORD_LETTERS)

    @lru_cache(maxsize=_REDACTORS)
    def redactor_of(reading_id: str) -> Redactor | None:
        own = identifiers.get(reading_id)
        return Redactor(identifiers=Identifiers(names=own.names)) if own is not None and own.names else None

    literals = _Literals(private_paths)
    hits = []
    # As bare strings: a dataset has a file and more of each reading.
    found = [f"{place}{os.sep}{name}" for place, _, names in os.walk(folder) for name in names]
    for path in (path for path in map(Path, sorted(found)) if path.is_file()):
        shown = path.relative_to(folder).as_posix()
        if anywhere.is_in(_Texts([shown])):
            shown = f"a {path.suffix} file"
            hits.append(f"{shown}: an identifier in its name")
        kinds: dict[str, None] = {}
        if literals.are_in_file(path):
            kinds["a path or key of this computer"] = None
        if forgotten is not None and forgotten(path.relative_to(folder).as_posix()):
            kinds["something forgotten in its name"] = None
        try:
            for content in contents_of(path):
                texts = _Texts(content.texts)
                cells = texts if content.cells is content.texts else _Texts(content.cells)
                if anywhere.is_in(texts):
                    kinds["an identifier"] = None
                if literals.are_in(texts):
                    kinds["a path or key of this computer"] = None
                if in_cells.is_in(cells):
                    kinds["a redacted word"] = None
                if not all(map(is_bare, content.pictures)):
                    kinds["a picture with metadata"] = None
                if any((own := redactor_of(i)) and own.count_in(text) for i, text in content.spoken):
                    kinds["part of a name in a text"] = None
                if forgotten is not None and any(map(forgotten, content.texts)):
                    kinds["something forgotten"] = None
        except Exception:  # decoders raise what they like, and their words quote what they read
            kinds["what is in it cannot be looked into"] = None
        hits += [f"{shown}: {kind}" for kind in kinds]
    return hits


class _Texts:
    """Texts that are looked through together: a search for each would cost more than the words in it."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    @cached_property
    def whole(self) -> str:
        """All of them; what stands in one of them stands in it, though what goes over an end does as well."""
        return "\n".join(self.texts)

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word of any of them, case-folded."""
        return frozenset(tokens_of(self.whole))


class _Finder:
    """Finds any of many phrases in texts, whole words, whatever the case and what stands between the words."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._words: set[str] = set()
        """Phrases of one word, which nearly all are: codes, hashes, ids."""
        self._by_first: dict[str, tuple[str, ...]] = {}
        self._others: dict[str, set[tuple[str, ...]]] = {}
        """Of phrases with an equal first word, those behind the first: few, and a set takes 200 bytes."""
        for phrase in phrases:
            tokens = tokens_of(phrase)
            if len(tokens) == 1:
                # The string that is kept elsewhere already, where it is the same: there are hundreds of thousands.
                self._words.add(phrase if phrase == tokens[0] else tokens[0])
            elif tokens and self._by_first.setdefault(tokens[0], tokens) != tokens:
                self._others.setdefault(tokens[0], set()).add(tokens)

    def is_in(self, texts: _Texts) -> bool:
        """Say whether a phrase stands in one of the texts."""
        if not self._words.isdisjoint(texts.words):
            return True
        begun = self._by_first.keys() & texts.words
        candidates = (p for first in begun for p in (self._by_first[first], *self._others.get(first, ())))
        phrases = [p for p in candidates if texts.words.issuperset(p)]
        return bool(phrases) and any(_has_phrase(tokens_of(text), phrases) for text in texts.texts)


def _has_phrase(tokens: tuple[str, ...], phrases: Iterable[tuple[str, ...]]) -> bool:
    return any(
        tokens[place : place + len(phrase)] == phrase
        for phrase in phrases
        for place in range(len(tokens) - len(phrase) + 1)
    )


class _Literals:
    """Strings that may stand nowhere, sought in a file as it is and in what it decodes to."""

    def __init__(self, literals: Iterable[str]) -> None:
        self._texts = [literal for literal in literals if literal]
        raw = sorted({literal.encode() for literal in self._texts})
        self._overlap_bytes = max(map(len, raw), default=1) - 1
        # Each for itself, at some 10 GB/s. Together they take 4 or 50 ms for the 13 MB of a reading, by which letters
        # they happen to have.
        self._searches = [BytesAhoCorasick([literal]) for literal in raw]

    def are_in(self, texts: _Texts) -> bool:
        """Say whether one of them is in one of the texts."""
        found = (literal for literal in self._texts if literal in texts.whole)
        return any(literal in text for literal in found for text in texts.texts)

    def are_in_file(self, path: Path) -> bool:
        """Say whether a file holds one, byte by byte, in blocks: what one of them can hold is all that is counted."""
        if not self._searches:
            return False
        with path.open("rb", buffering=0) as handle:
            n_bytes = os.fstat(handle.fileno()).st_size
            for start in range(0, n_bytes, _WINDOW_BYTES):
                length = min(_WINDOW_BYTES + self._overlap_bytes, n_bytes - start)
                with (
                    mmap.mmap(handle.fileno(), length, access=mmap.ACCESS_READ, offset=start) as mapped,
                    memoryview(mapped) as window,
                ):
                    for first in range(0, len(window), _BLOCK_BYTES):
                        with window[first : first + _BLOCK_BYTES + self._overlap_bytes] as block:
                            if any(search.find_matches_as_indexes(block) for search in self._searches):
                                return True
        return False
