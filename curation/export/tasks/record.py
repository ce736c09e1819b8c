"""One example of a task: what is shown, asked and answered; places stay in px of the matrix until a view writes it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from curation.export.box_frames import ShownSize

__all__ = ["LeftOut", "Place", "Shown", "TaskRecord", "Text", "places_in", "written"]

NAME_DIGITS = 20
"""Hex digits of a picture's hash in its name: 80 bits, no two of a billion pictures share them by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A picture as a record shows it."""

    content: bytes
    """PNG."""
    size: ShownSize
    image_index: int

    @property
    def name(self) -> str:
        """A file name made of the content: it tells nothing of the picture's place in a sequence or of its reading."""
        return f"{hashlib.sha256(self.content).hexdigest()[:NAME_DIGITS]}.png"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A box on a picture of the record, in px of the matrix, perhaps with a point in it."""

    image: int
    """Place among the record's images, from 0."""
    box: tuple[float, float, float, float]
    """Half-open x0, y0, x1, y1."""
    centroid: tuple[float, float] | None = None
    box_q: tuple[int, int, int, int] | None = None
    """x0, y0, x1, y1 in px of the quarter-size picture, both ends included; None without published rules."""
    centroid_q: tuple[float, float] | None = None
    role: Literal["clue", "observation", "finding", "region"]
    name: str = ""
    """What is there, in words."""


Text = tuple[str | Place, ...]
"""A text with places in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """One example."""

    record_id: str
    """Unique in a dataset: reading, task and number."""
    task: str
    reading_id: str
    images: tuple[Shown, ...]
    """One ``<image>`` of the prompt each."""
    video: tuple[Shown, ...] = ()
    """Key frames in the order shown, all of one size; ``<video>`` in the prompt where there are any."""
    prompt: Text
    answer: Text
    type: str | None = None
    """Kind of question, for question-answer pairs."""
    source: str | None = None
    """Who made the pair: ``rule:...`` for this toolkit's rules, else as the row says."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A record that could not be made."""

    reason: str


def written(text: Text, write: Callable[[Place], str]) -> str:
    """Return a text with its places written by ``write``."""
    return "".join(part if isinstance(part, str) else write(part) for part in text)


def places_in(text: Text) -> Iterator[Place]:
    """Give the places of a text, in order."""
    return (part for part in text if isinstance(part, Place))
