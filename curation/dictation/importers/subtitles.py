"""Subtitles: WebVTT, with word times where the cue has them (``<00:00:01.200>``), and SubRip (SRT)."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from curation.dictation.importers.parts import malformed, spread, text_of, transcript
from curation.dictation.words import HeardWord, Transcript

__all__ = ["read_srt", "read_vtt"]

_TIME = r"(?:(\d{1,3}):)?([0-5]?\d):([0-5]\d)[.,](\d{1,3})"
_CUE = re.compile(rf"{_TIME}[ \t]+-->[ \t]+{_TIME}(?:[ \t].*)?")
_WORD_TIME = re.compile(rf"<{_TIME}>")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_SKIPPED = ("NOTE", "STYLE", "REGION")


def read_vtt(content: bytes) -> Transcript:
    """Read WebVTT. Raises SchemaError where the header or a cue is none."""
    text = text_of(content)
    if not re.match(r"WEBVTT(?:[ \t].*)?(?:\r?\n|\r|$)", text):
        malformed("it does not begin with WEBVTT", 1)
    return transcript(_cues(text, skip_first=True))


def read_srt(content: bytes) -> Transcript:
    """Read SubRip. Raises SchemaError where a cue is none."""
    return transcript(_cues(text_of(content), skip_first=False))


def _cues(text: str, *, skip_first: bool) -> Iterator[HeardWord]:
    blocks = re.split(r"\n[ \t]*\n+", text.replace("\r\n", "\n").replace("\r", "\n").strip("\n"))
    for number, block in enumerate(blocks, start=1):
        lines = block.strip("\n").split("\n")
        if (skip_first and number == 1) or not block.strip() or lines[0].startswith(_SKIPPED):
            continue
        at = next((place for place, line in enumerate(lines[:2]) if "-->" in line), None)
        match = _CUE.fullmatch(lines[at].strip()) if at is not None else None
        if at is None or match is None:
            malformed("a cue has no times (hours:minutes:seconds.thousandths --> ...)", f"block {number}")
        yield from _words(
            " ".join(lines[at + 1 :]), _seconds(match, 1), _seconds(match, 5), f"block {number}"
        )


def _words(text: str, start_s: float, end_s: float, record: str) -> Iterator[HeardWord]:
    """Give a cue's words: between word times where there are some, else spread over the cue."""
    parts = []
    begin, since_s = 0, start_s
    for match in _WORD_TIME.finditer(text):
        at_s = _seconds(match, 1)
        if not since_s <= at_s <= end_s:
            malformed("a word's time is outside of its cue", record)
        parts.append((text[begin : match.start()], since_s, at_s))
        begin, since_s = match.end(), at_s
    parts.append((text[begin:], since_s, end_s))
    for part, first_s, last_s in parts:
        yield from spread(html.unescape(_TAG.sub("", part)), first_s, last_s, record=record)


def _seconds(match: re.Match[str], group: int) -> float:
    hours, minutes, seconds, decimals = match.group(group, group + 1, group + 2, group + 3)
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{decimals}")
