"""WhisperX's JSON (also whisper's own with word times): segments, each with words that were aligned or not.

A word that WhisperX could not align has no start and end; it lies between its neighbours of the same segment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from curation.dictation.importers.parts import Untrusted, malformed, spread, timed_word, transcript, validated
from curation.dictation.words import HeardWord, Transcript

__all__ = ["read_whisperx"]


class _Word(Untrusted):
    word: str
    start: float | None = None
    end: float | None = None
    score: float | None = None
    probability: float | None = None


class _Segment(Untrusted):
    text: str = ""
    start: float
    end: float
    words: list[_Word] | None = None


class _File(Untrusted):
    segments: list[_Segment]


def read_whisperx(content: bytes) -> Transcript:
    """Read `whisperx --output_format json`. Raises SchemaError where it is none."""
    return transcript(
        word for n, segment in enumerate(validated(_File, content).segments) for word in _words(segment, n)
    )


def _words(segment: _Segment, number: int) -> Iterator[HeardWord]:
    if not segment.words:
        yield from spread(segment.text, segment.start, segment.end, record=f"segments.{number}")
        return
    heard = [
        timed_word(
            word.word, word.start, word.end, word.score if word.score is not None else word.probability,
            record=f"segments.{number}.words.{place}",
        )
        for place, word in enumerate(segment.words)
    ]  # fmt: skip
    if segment.start > segment.end:
        malformed("a segment ends before it starts", f"segments.{number}")
    yield from _filled(heard, segment.start, segment.end)


def _filled(words: list[HeardWord], start_s: float, end_s: float) -> Iterator[HeardWord]:
    """Put words without times between those around them."""
    place = 0
    while place < len(words):
        if words[place].is_timed:
            yield words[place]
            place += 1
            continue
        until = next((p for p in range(place, len(words)) if words[p].is_timed), len(words))
        first_s = words[place - 1].t_end_s if place else start_s
        last_s = words[until].t_start_s if until < len(words) else end_s
        step_s = max(last_s - first_s, 0.0) / (until - place)
        for n, word in enumerate(words[place:until]):
            t_s = first_s + n * step_s
            yield replace(word, t_start_s=t_s, t_end_s=t_s + step_s, placing="interpolated")
        words[place:until] = [replace(w, t_start_s=first_s, t_end_s=last_s) for w in words[place:until]]
        place = until
