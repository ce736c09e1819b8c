"""A word with its time, as engines and importers give it, and the table that a reading has of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from keyframes.reading import WORDS

__all__ = ["HeardWord", "Placing", "Review", "Transcript", "numbered", "words_table"]

Placing = Literal["measured", "interpolated", "unplaced"]
"""measured: by an engine. interpolated: between words that were. unplaced: nobody knows; the time is a neighbour's."""
Review = Literal["reviewed", "unreviewed"]
"""reviewed: a person typed or corrected the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardWord:
    """One word as it is written; a full stop may be a word of its own."""

    word: str
    t_start_s: float
    """s since the clip's first sample; NaN where an importer's source has no times."""
    t_end_s: float
    confidence: float | None = None
    """0 to 1; None where an engine gives none."""
    placing: Placing = "measured"
    supported: bool = True
    """False: a check of `curation.dictation.checks` failed; it cannot enter findings."""

    @property
    def is_timed(self) -> bool:
        """Say whether it has a time."""
        return math.isfinite(self.t_start_s) and math.isfinite(self.t_end_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What a file of another program, or a person, says was said."""

    words: tuple[HeardWord, ...]
    review: Review = "unreviewed"

    @property
    def is_timed(self) -> bool:
        """Say whether every word has a time; one without makes the whole a text."""
        return bool(self.words) and all(word.is_timed for word in self.words)

    @property
    def text(self) -> tuple[str, ...]:
        """Its words as written."""
        return tuple(word.word for word in self.words)


def words_table(
    words: Iterable[HeardWord], *, t_zero_ns: int, review: Review, source: str = "dictated"
) -> pa.Table:
    """Return table ``words``; ``t_zero_ns`` is the reading time of the clip's first sample."""
    rows = [
        {
            "t_start_ns": t_zero_ns + round(word.t_start_s * 1e9),
            "t_end_ns": t_zero_ns + round(word.t_end_s * 1e9),
            "word": word.word,
            "supported": word.supported,
            "source": source,
            "confidence": word.confidence,
            "placing": word.placing,
            "transcript": review,
        }
        for word in words
    ]
    return numbered(rows)


def numbered(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Return table ``words`` of rows without ``word_index``, which is set in their order."""
    return pa.Table.from_pylist(
        [{"word_index": place, **row} for place, row in enumerate(rows)], schema=WORDS
    )
