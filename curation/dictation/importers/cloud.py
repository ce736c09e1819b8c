"""Results of cloud recognisers as they save them: Google Speech-to-Text (v1, v2) and Azure Speech.

Google gives times as text in s (``"1.300s"``), Azure in ticks of 100 ns or as ISO 8601 durations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import Field

from curation.dictation.importers.parts import Untrusted, malformed, spread, timed_word, transcript, validated
from curation.dictation.words import HeardWord, Transcript

__all__ = ["read_azure", "read_google"]

TICKS_PER_S = 10_000_000
_SECONDS = re.compile(r"(\d{1,6}(?:\.\d{1,9})?)s")
_ISO = re.compile(r"PT(?:(\d{1,3})H)?(?:(\d{1,4})M)?(?:(\d{1,6}(?:\.\d{1,9})?)S)?")


class _GoogleWord(Untrusted):
    word: str
    start_time: str | None = Field(None, alias="startTime")
    start_offset: str | None = Field(None, alias="startOffset")
    end_time: str | None = Field(None, alias="endTime")
    end_offset: str | None = Field(None, alias="endOffset")
    confidence: float | None = None


class _GoogleAlternative(Untrusted):
    transcript: str = ""
    words: list[_GoogleWord] = Field(default_factory=list)


class _GoogleResult(Untrusted):
    alternatives: list[_GoogleAlternative] = Field(default_factory=list)


class _GoogleResponse(Untrusted):
    results: list[_GoogleResult] = Field(default_factory=list)


class _GoogleFile(_GoogleResponse):
    response: _GoogleResponse | None = None


class _AzureWord(Untrusted):
    word: str = Field(alias="Word")
    offset: int | None = Field(None, alias="Offset")
    duration: int | None = Field(None, alias="Duration")
    confidence: float | None = Field(None, alias="Confidence")


class _AzureBatchWord(Untrusted):
    word: str
    ticks: int | None = Field(None, alias="offsetInTicks")
    duration_ticks: int | None = Field(None, alias="durationInTicks")
    offset: str | None = None
    duration: str | None = None
    confidence: float | None = None


class _AzureBest(Untrusted):
    display: str = Field("", alias="Display")
    words: list[_AzureWord] = Field(default_factory=list, alias="Words")


class _AzureBatchBest(Untrusted):
    display: str = ""
    words: list[_AzureBatchWord] = Field(default_factory=list)


class _AzurePhrase(Untrusted):
    best: list[_AzureBatchBest] = Field(default_factory=list, alias="nBest")
    ticks: float | None = Field(None, alias="offsetInTicks")
    duration_ticks: float | None = Field(None, alias="durationInTicks")


class _AzureFile(Untrusted):
    best: list[_AzureBest] = Field(default_factory=list, alias="NBest")
    offset: int | None = Field(None, alias="Offset")
    duration: int | None = Field(None, alias="Duration")
    phrases: list[_AzurePhrase] = Field(default_factory=list, alias="recognizedPhrases")


def read_google(content: bytes) -> Transcript:
    """Read a response of `recognize` or `longrunningrecognize` with word time offsets. Raises SchemaError.

    The first alternative counts; a result without word times gives a text without times.
    """
    file = validated(_GoogleFile, content)
    results = (file.response or file).results
    return transcript(
        word for n, result in enumerate(results) for word in _google_words(result, f"results.{n}")
    )


def read_azure(content: bytes) -> Transcript:
    """Read a detailed recognition result or the file of a batch transcription. Raises SchemaError.

    The first of its alternatives counts.
    """
    file = validated(_AzureFile, content)
    if not file.best and not file.phrases:
        malformed("it holds neither NBest nor recognizedPhrases")
    return transcript([*_azure_words(file), *_azure_batch_words(file)])


def _google_words(result: _GoogleResult, record: str) -> Iterator[HeardWord]:
    if not result.alternatives:
        return
    best = result.alternatives[0]
    if not best.words:
        yield from (timed_word(word, None, None, record=record) for word in best.transcript.split())
        return
    for place, word in enumerate(best.words):
        at = f"{record}.words.{place}"
        # Both versions leave out an offset of zero.
        start, end = word.start_time or word.start_offset or "0s", word.end_time or word.end_offset
        confidence = word.confidence or None  # 0 stands for "not given"
        end_s = None if end is None else _google_seconds(end, at)
        yield timed_word(word.word, _google_seconds(start, at), end_s, confidence, record=at)


def _google_seconds(text: str, record: str) -> float:
    match = _SECONDS.fullmatch(text)
    if match is None:
        malformed('a time is not of the form "1.300s"', record)
    return float(match[1])


def _azure_words(file: _AzureFile) -> Iterator[HeardWord]:
    if not file.best:
        return
    best = file.best[0]
    for place, word in enumerate(best.words):
        yield _from_ticks(word.word, word.offset, word.duration, word.confidence, f"NBest.0.Words.{place}")
    if not best.words:
        yield from _phrase(best.display, file.offset, file.duration, "NBest.0")


def _azure_batch_words(file: _AzureFile) -> Iterator[HeardWord]:
    for n, phrase in enumerate(file.phrases):
        record = f"recognizedPhrases.{n}"
        if not phrase.best:
            continue
        best = phrase.best[0]
        for place, word in enumerate(best.words):
            at = f"{record}.words.{place}"
            if word.ticks is None and word.offset is not None and word.duration is not None:
                start_s = _iso_seconds(word.offset, at)
                end_s = start_s + _iso_seconds(word.duration, at)
                yield timed_word(word.word, start_s, end_s, word.confidence, record=at)
            else:
                yield _from_ticks(word.word, word.ticks, word.duration_ticks, word.confidence, at)
        if not best.words:
            yield from _phrase(best.display, phrase.ticks, phrase.duration_ticks, record)


def _phrase(text: str, offset: float | None, duration: float | None, record: str) -> Iterator[HeardWord]:
    if offset is None or duration is None:
        yield from (timed_word(word, None, None, record=record) for word in text.split())
    else:
        yield from spread(text, offset / TICKS_PER_S, (offset + duration) / TICKS_PER_S, record=record)


def _from_ticks(
    word: str, offset: int | None, duration: int | None, confidence: float | None, record: str
) -> HeardWord:
    if offset is None or duration is None:
        return timed_word(word, None, None, confidence, record=record)
    return timed_word(
        word, offset / TICKS_PER_S, (offset + duration) / TICKS_PER_S, confidence, record=record
    )


def _iso_seconds(text: str, record: str) -> float:
    match = _ISO.fullmatch(text)
    if match is None:
        malformed("a time is no ISO 8601 duration", record)
    return int(match[1] or 0) * 3600 + int(match[2] or 0) * 60 + float(match[3] or 0)
