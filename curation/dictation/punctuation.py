"""Dictated punctuation: "full stop", "comma", "new paragraph" as the signs that they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from curation.dictation.words import HeardWord

__all__ = ["COMMANDS", "with_signs"]

COMMANDS: Mapping[tuple[str, ...], str] = MappingProxyType(
    {
        ("full", "stop"): ".",
        ("period",): ".",
        ("comma",): ",",
        ("question", "mark"): "?",
        ("semicolon",): ";",
        ("new", "paragraph"): ".",
        ("new", "line"): ".",
    }
)
"""What is said -> its sign; a new paragraph or line ends the sentence. "Colon" is not among them: in a chest report it
is an organ as often as a sign."""
_NOUN_BEFORE = frozenset(
    {"a", "the", "this", "that", "of", "time", "long", "short", "same", "follow-up", "a new", "each"}
)
_NOUN_AFTER = frozenset({"of", "line", "since", "between", "lines"})
"""Words around "period", "comma" or "new line" that make nouns of them: "over a period of months", "a new line"."""
_STRIPPED = ".,;:!?"


def with_signs(words: Sequence[HeardWord]) -> list[HeardWord]:
    """Return the words with commands replaced by their signs; each sign is a word that lasts as long as its command.

    A command right after another stop (a full stop, then a new paragraph) lengthens that stop.
    """
    said = [word.word.lower().strip(_STRIPPED) for word in words]
    written: list[HeardWord] = []
    place = 0
    while place < len(words):
        command = _command_at(said, place)
        if command is None:
            written.append(words[place])
            place += 1
            continue
        last = words[place + len(command) - 1]
        part = words[place : place + len(command)]
        sign = replace(
            words[place],
            word=COMMANDS[command],
            t_end_s=last.t_end_s,
            supported=all(word.supported for word in part),
        )
        if written and written[-1].word == "." and sign.word == ".":
            written[-1] = replace(written[-1], t_end_s=sign.t_end_s)
        else:
            written.append(sign)
        place += len(command)
    return written


def _command_at(said: Sequence[str], place: int) -> tuple[str, ...] | None:
    for command in COMMANDS:
        if tuple(said[place : place + len(command)]) != command:
            continue
        before = said[place - 1] if place else ""
        after = said[place + len(command)] if place + len(command) < len(said) else ""
        if command == ("full", "stop") or command == ("new", "paragraph"):
            return command
        if before in _NOUN_BEFORE or (after in _NOUN_AFTER and command != ("comma",)):
            continue
        return command
    return None
