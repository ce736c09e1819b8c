"""An answer beside the question it was given to."""

from __future__ import annotations

from dataclasses import dataclass

from examples.gazex.answer.parse import parse_boxes
from examples.gazex.tasks.example import Box, Example, plain_text

__all__ = ["Answered", "last_box"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An example, the text that answered it and, of a yes-or-no question, how probable yes was."""

    example: Example
    text: str
    probability: float | None = None
    patient: str = ""

    @property
    def right(self) -> str:
        """The right answer as text."""
        return plain_text(self.example.answer)


def last_box(text: str) -> Box | None:
    """Return the last box of an answer: the only one of a grounding, the observation of a sentence."""
    boxes = parse_boxes(text).boxes
    return boxes[-1] if boxes else None
