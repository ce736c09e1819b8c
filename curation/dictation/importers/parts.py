"""What the importers share: bounded JSON, times that are checked, a phrase's time spread over its words."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from curation.dictation.words import HeardWord, Transcript
from keyframes.errors import SchemaError

__all__ = [
    "CODE",
    "MAX_BYTES",
    "Importer",
    "Untrusted",
    "malformed",
    "parse_json",
    "spread",
    "text_of",
    "timed_word",
    "transcript",
    "validated",
]

CODE = "GT-TRANSCRIPT"
MAX_BYTES = 1 << 25
"""A day of dictation with a record per word has 10 MB."""
MAX_WORDS = 200_000
MAX_WORD_LETTERS = 200
MAX_TIME_S = 86_400.0
"""s; a larger number is no time within a recording."""

Importer = Callable[[bytes], Transcript]
Model = TypeVar("Model", bound=BaseModel)


class Untrusted(BaseModel):
    """A part of somebody else's JSON: what we do not read is passed over, numbers are finite."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


def malformed(message: str, record: str | int | None = None) -> NoReturn:
    """Raise the error for a file that does not hold what its format must."""
    raise SchemaError(
        message, record=record, hint="Export it again from the program that made it.", code=CODE
    )


def parse_json(content: bytes) -> Any:
    """Return JSON. Raises SchemaError where it is none, or nested deeper than any transcript."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        malformed(f"it is no JSON ({type(error).__name__})")


def validated(model: type[Model], content: bytes) -> Model:
    """Return a file's JSON as ``model``. Raises SchemaError naming the first place that is off, never its content."""
    try:
        return model.model_validate(parse_json(content))
    except ValidationError as error:  # its own text quotes what was said
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        malformed("it lacks a field, or one is of another type", ".".join(str(part) for part in first["loc"]))


def text_of(content: bytes) -> str:
    """Return a text file's content, UTF-8 with or without a byte-order mark."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        malformed("it is no UTF-8 text")


def timed_word(
    word: str,
    start_s: float | None,
    end_s: float | None,
    confidence: float | None = None,
    *,
    record: str | int,
) -> HeardWord:
    """Return a word after checking it; None for a time that the source does not give.

    Raises SchemaError where a time is negative, beyond a day, or ends before it starts, or the word is too long.
    """
    word = " ".join(word.split())
    if len(word) > MAX_WORD_LETTERS:
        malformed(f"a word has {len(word)} letters", record)
    if start_s is None or end_s is None:
        start_s = end_s = math.nan
    elif not 0.0 <= start_s <= end_s <= MAX_TIME_S:
        malformed("a word's time is negative, beyond a day, or ends before it starts", record)
    if confidence is not None and not 0.0 <= confidence <= 1.0:
        confidence = None
    return HeardWord(word=word, t_start_s=start_s, t_end_s=end_s, confidence=confidence)


def spread(
    text: str, start_s: float, end_s: float, confidence: float | None = None, *, record: str | int
) -> Iterator[HeardWord]:
    """Give the words of a phrase, its time spread over them by their letters."""
    words = text.split()
    whole = timed_word("", start_s, end_s, record=record)
    letters = [len(word) + 1 for word in words]  # and the space
    done = 0
    for word, length in zip(words, letters, strict=True):
        span_s = whole.t_end_s - whole.t_start_s
        first = whole.t_start_s + span_s * done / sum(letters)
        done += length
        last = whole.t_start_s + span_s * done / sum(letters)
        heard = timed_word(word, first, min(last, whole.t_end_s), confidence, record=record)
        yield HeardWord(
            word=heard.word, t_start_s=first, t_end_s=heard.t_end_s, confidence=heard.confidence,
            placing="interpolated" if len(words) > 1 else "measured",
        )  # fmt: skip


def transcript(words: Iterable[HeardWord]) -> Transcript:
    """Return the transcript of a recogniser: no empty words, in order of time where all have times.

    Raises SchemaError where there are more words than a day of dictation has.
    """
    kept: list[HeardWord] = []
    for word in words:
        if not word.word:
            continue
        if len(kept) == MAX_WORDS:
            malformed(f"it has more than {MAX_WORDS} words")
        kept.append(word)
    found = Transcript(words=tuple(kept))
    if not found.is_timed:
        return found
    return Transcript(words=tuple(sorted(kept, key=lambda word: word.t_start_s)))
