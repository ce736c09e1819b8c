"""Which film comes next, when a break is offered, and where `Back` leads. No Qt."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BREAK_EVERY_FILMS", "ReadingFlow", "ReadingRules"]

BREAK_EVERY_FILMS = 25
"""Films after which a break is offered: half an hour of chest films; readers miss more after that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRules:
    """How films follow each other."""

    break_every_films: int = BREAK_EVERY_FILMS
    """0: never."""
    indication_before: bool = False
    """The indication is shown before the film, on a screen of its own; else beside it."""
    edits_transcript: bool = False
    """After each film the reader may correct what was understood."""


class ReadingFlow:
    """Goes through a worklist by its reading numbers."""

    def __init__(self, rules: ReadingRules, *, last_closed: int | None = None) -> None:
        self.rules = rules
        self.place = 0
        """Number of the film of the worklist that was last dealt with; the next unread one after it comes next."""
        self.last_closed = last_closed
        """The reading that `Back` goes back to."""
        self._n_since_break = 0

    def opens(self, number: int) -> None:
        """Say that a film of the worklist is being opened."""
        self.place = number

    def closed(self, number: int) -> None:
        """Say that a reading, of the worklist or an addendum, was closed."""
        self.last_closed = number
        self._n_since_break += 1

    def gave_up(self, number: int) -> None:
        """Say that a film of the worklist was left unfinished: it comes again."""
        self.place = min(self.place, number - 1)

    def takes_break(self) -> bool:
        """Say whether a break is due, once for each time."""
        every = self.rules.break_every_films
        if not every or self._n_since_break < every:
            return False
        self._n_since_break = 0
        return True
