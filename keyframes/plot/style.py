"""What all figures share: colours, and text that is drawn as it is."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import Literal

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

__all__ = [
    "FAINT",
    "INK",
    "LETTERS",
    "LINE",
    "TITLE_IN",
    "WASH",
    "drawable",
    "head",
    "in_lines",
    "letter_colours",
    "write",
]

LETTERS = "ABCDEF"
_COLOURS = {"A": "#0072B2", "B": "#E69F00", "C": "#D55E00", "D": "#009E73", "E": "#CC79A7", "F": "#4D4D4D"}
"""Okabe and Ito's palette (2008) for colour-blind people, black softened."""
_OTHER_COLOURS = ("#56B4E9", "#8C6D31", "#7570B3", "#66A61E", "#999999")
INK, FAINT, LINE, WASH = "#1F2933", "#6B7785", "#D5DAE0", "#F3F5F7"
TITLE_IN = 0.35
"""Inches of a title."""

Side = Literal["left", "center", "right"]


def head(axes: Axes, title: str | None, *, scheme: str = "") -> None:
    """Write the title at the left above the axes, and at the right the name of the scheme that gave the letters."""
    if title:
        axes.set_title(title, fontsize=12, fontweight="bold", color=INK, loc="left", parse_math=False)
    if title and scheme:
        axes.set_title(f"scheme {drawable(scheme)}", fontsize=8, color=FAINT, loc="right", parse_math=False)


def letter_colours(letters: Sequence[str] = LETTERS) -> dict[str, str]:
    """Return a colour (hex) per letter: A to F their own, others those that are left over, in order."""
    free = [*(colour for letter, colour in _COLOURS.items() if letter not in letters), *_OTHER_COLOURS]
    others = itertools.cycle(free)
    return {letter: _COLOURS.get(letter) or next(others) for letter in letters}


def write(axes: Axes, x: float, y: float, text: str, *, size: float, color: str, ha: Side) -> Text:
    """Write text as it is: a dollar sign starts no formula."""
    return axes.text(
        x, y, drawable(text), fontsize=size, color=color, ha=ha, va="center", parse_math=False, clip_on=True
    )


def in_lines(text: str, width: int, n_lines: int) -> str:
    """Return text in at most so many lines of so many characters, cut with an ellipsis."""
    wrapped = textwrap.wrap(drawable(text), width) or [""]
    if len(wrapped) > n_lines:
        last = wrapped[n_lines - 1][: width - 1].rstrip()
        wrapped = [*wrapped[: n_lines - 1], f"{last}…"]
    return "\n".join(wrapped)


def drawable(text: str) -> str:
    """Return text with what the figure's font has no glyph for as a middle dot."""
    font: FT2Font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return "".join(c if c.isspace() or font.get_char_index(ord(c)) else "·" for c in text)
