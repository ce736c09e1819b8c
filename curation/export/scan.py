"""Look through the finished output for what had to stay behind, decoded and inside every container."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from curation.export.bare import is_bare
from curation.export.decoded import contents_of
from curation.privacy import Identifiers, Redactor
from curation.privacy.phrases import MIN_WORD_LETTERS, phrases_of, tokens_of

__all__ = ["scan_output"]

_BLOCK_BYTES = 1 << 17
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
    anywhere = _Finder([*(phrase for own in identifiers.values() for phrase in phrases_of(own)), *codes])
    in_cells = _Finder(word for word in words if len(word) >= MIN_WORD_LETTERS)

    @lru_cache(maxsize=_REDACTORS)
    def redactor_of(reading_id: str) -> Redactor | None:
        own = identifiers.get(reading_id)
        return Redactor(identifiers=Identifiers(names=own.names)) if own is not None and own.names else None

    literals = [p for p in private_paths if p]
    hits = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        shown = path.relative_to(folder).as_posix()
        if anywhere.finds(shown):
            shown = f"a {path.suffix} file"
            hits.append(f"{shown}: an identifier in its name")
        kinds: dict[str, None] = {}
        if _holds(path, [p.encode() for p in literals]):
            kinds["a path or key of this computer"] = None
        if forgotten is not None and forgotten(path.relative_to(folder).as_posix()):
            kinds["something forgotten in its name"] = None
        try:
            for content in contents_of(path):
                if any(map(anywhere.finds, content.texts)):
                    kinds["an identifier"] = None
                if any(p in text for text in content.texts for p in literals):
                    kinds["a path or key of this computer"] = None
                if any(map(in_cells.finds, content.cells)):
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


class _Finder:
    """Finds any of many phrases in a text, whole words, whatever the case and what stands between the words."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._words: set[str] = set()
        """Phrases of one word, which nearly all are: codes, hashes, ids."""
        self._by_first: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
        for phrase in phrases:
            tokens = tokens_of(phrase)
            if len(tokens) == 1:
                self._words.add(tokens[0])
            elif tokens:
                self._by_first[tokens[0]].add(tokens)

    def finds(self, text: str) -> bool:
        tokens = tokens_of(text)
        return not self._words.isdisjoint(tokens) or any(
            tokens[place : place + len(phrase)] == phrase
            for place, token in enumerate(tokens)
            for phrase in self._by_first.get(token, ())
        )


def _holds(path: Path, literals: Sequence[bytes]) -> bool:
    """Say whether a file holds one of some strings, byte by byte; read in blocks that stay in the processor's cache."""
    overlap = max(map(len, literals), default=1) - 1
    buffer = bytearray(overlap + _BLOCK_BYTES)
    kept = 0
    with path.open("rb", buffering=0) as handle, memoryview(buffer) as view:
        while n_read := handle.readinto(view[kept : kept + _BLOCK_BYTES]):
            filled = kept + n_read
            if any(buffer.find(literal, 0, filled) >= 0 for literal in literals):
                return True
            kept = min(overlap, filled)
            view[:kept] = view[filled - kept : filled]
    return False
