"""One example: pictures, a question, an answer; places stay numbers until they are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from examples.gazex.data.pictures import PictureAt

__all__ = [
    "Box",
    "Example",
    "Focus",
    "Frame",
    "Level",
    "Piece",
    "Text",
    "at_most",
    "plain_text",
    "written",
    "written_box",
]

LEVELS = 10
"""Of a picture's height, each written as one digit: finer than a lit place is high."""
Points = NDArray[np.float32]
"""(n, 4): x, y and Gaussian sigma as shares of the picture's sides (sigma: of its width), and weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A box, perhaps with a point, as shares of the picture's sides; sides may reach a little beyond 0 and 1."""

    x0: float
    y0: float
    x1: float
    y1: float
    point: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How far down something is, as a share of the picture's height; written in tenths."""

    share: float


Piece = str | Box | Level
Text = tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A key frame: its stored picture, or what to light the radiograph with."""

    stored: PictureAt | None
    points: Points = field(repr=False)
    begins_ns: int
    letter: str | None = None
    """Of the region that was mostly looked at, A to F."""
    level: Level | None = None
    """Of the middle of what was looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    """Words of the answer, and where the reader looked for them: on the radiograph, or in one of the key frames."""

    start: int
    """Piece of the answer; the words are those of this piece."""
    points: Points = field(repr=False)
    frame: int | None = None
    """Place of the key frame; None: the radiograph."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What is shown, asked and answered."""

    example_id: str
    task: str
    reading_id: str
    images: tuple[PictureAt, ...]
    frames: tuple[Frame, ...]
    prompt: Text
    answer: Text
    frames_alone: bool = False
    """Shown are the key frames without the radiograph that they are of."""
    constraint: Literal["free", "boxes", "steps", "order"] = "free"
    n_ordered: int = 0
    """Numbers in an answer of kind "order"."""
    focus: tuple[Focus, ...] = ()
    given: frozenset[int] = frozenset()
    """Pieces of the answer that its grammar or the question gives away; in training they count next to nothing."""
    anatomy: tuple[tuple[str, Box], ...] = ()
    """Letters and boxes of the radiograph's regions, the largest first."""
    meta: tuple[tuple[str, str], ...] = ()
    """What the evaluation groups by: arm, reader, label, question type ..."""

    def about(self, name: str) -> str | None:
        """Return one of ``meta``."""
        return dict(self.meta).get(name)


def at_most(frames: Sequence[Frame], limit: int) -> tuple[Frame, ...]:
    """Return at most so many frames, evenly chosen, the first and the last among them."""
    if len(frames) <= limit:
        return tuple(frames)
    return tuple(frames[int(k)] for k in np.linspace(0, len(frames) - 1, limit).round())


def plain_text(text: Text) -> str:
    """Return a text with its places in whole thousandths; for people and for tokenizers.

    >>> plain_text(("see ", Box(x0=0.1, y0=0.2, x1=0.30004, y1=0.4)))
    'see <|box_start|>(100,200),(300,400)<|box_end|>'
    """
    return "".join(map(written, text))


def written(piece: Piece) -> str:
    """Return a piece as it stands in a text.

    >>> written(Level(share=0.46)), written(Level(share=1.02))
    ('4', '9')
    """
    match piece:
        case Box():
            return written_box(piece)
        case Level():
            return str(min(LEVELS - 1, max(0, int(LEVELS * piece.share))))
        case _:
            return piece


def written_box(box: Box) -> str:
    """Return a box as Qwen's models write it: corners in thousandths of the picture's sides, then the point."""
    corners = [(box.x0, box.y0), (box.x1, box.y1), *([box.point] if box.point else [])]
    numbers = [tuple(min(1000, max(0, round(1000 * value))) for value in corner) for corner in corners]
    return f"<|box_start|>{','.join(f'({x},{y})' for x, y in numbers)}<|box_end|>"
