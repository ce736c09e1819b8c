"""When each letter of a scheme was looked at, and the ways from one to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from keyframes.plot.style import (
    FAINT,
    INK,
    LINE,
    TITLE_IN,
    WASH,
    drawable,
    head,
    in_lines,
    letter_colours,
    write,
)

__all__ = ["letter_timeline", "transition_matrix"]

_TIMELINE_IN, _LANE_NAMES_IN, _LANE_IN, _SENTENCE_IN = 10.0, 1.45, 0.34, 0.25
"""Inches of the timeline: its width, the lanes' names, a lane's height, a sentence's."""
_NAME_CHARS = 16
"""That fit beside the lanes, and beside the matrix."""
_CELL_IN, _MATRIX_NAMES_IN, _MATRIX_BELOW_IN = 0.52, 1.75, 0.7
"""Inches of the matrix: a cell, the names beside it, the letters and two lines under it."""


def letter_timeline(
    trajectory: pa.Table,
    sentences: pa.Table | None = None,
    *,
    letters: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
    duration_s: float | None = None,
    scheme: str | None = None,
    title: str | None = "Inspection by letter",
) -> Figure:
    """Draw a lane per letter over time, one bar per visit, and underneath when each sentence was said.

    trajectory : table ``trajectory``; visits to letters beyond ``letters`` get lanes of their own.
    letters    : those of the scheme in reading order, visited or not.
    names      : what a letter stands for, to stand beside it.
    scheme     : its name; None takes that of the trajectory.
    """
    visits = trajectory.select(["letter", "t_start_ns", "t_end_ns"]).to_pylist()
    lanes = [*letters, *sorted({v["letter"] for v in visits} - set(letters))] or [""]
    said = [] if sentences is None else sentences.sort_by("t_start_ns").to_pylist()
    ends = [row["t_end_ns"] / 1e9 for row in (*visits, *said)]
    length_s = max(duration_s or 0.0, *ends, 1.0)
    figure, above, below = _stacked_axes(len(lanes), len(said), title is not None)
    head(above, title, scheme=_scheme_of(trajectory) if scheme is None else scheme)
    colours = letter_colours(lanes)
    for place, letter in enumerate(lanes):
        above.axhspan(place - 0.42, place + 0.42, color=WASH, linewidth=0, zorder=0)
        bars = [
            (v["t_start_ns"] / 1e9, max(0.02, (v["t_end_ns"] - v["t_start_ns"]) / 1e9))
            for v in visits
            if v["letter"] == letter
        ]
        above.broken_barh(
            bars, (place - 0.36, 0.72), facecolors=colours[letter], edgecolor="white", linewidth=0.4
        )
    known = names or {}
    labels = [_lane(known, a) for a in lanes]
    above.set_yticks(range(len(lanes)), labels, fontweight="bold", parse_math=False)
    above.set_ylim(len(lanes) - 0.5, -0.5)
    if said:
        _draw_sentences(below, said, length_s)
    for axes in (above, below):
        axes.set_xlim(min(0.0, *(row["t_start_ns"] / 1e9 for row in (*visits, *said)), 0.0), length_s)
        axes.tick_params(length=0, labelsize=9, labelcolor=INK)
        axes.grid(axis="x", color=LINE, linewidth=0.6, zorder=0)
        axes.set_axisbelow(True)
        for side in axes.spines.values():
            side.set_visible(False)
    bottom = below if said else above
    above.tick_params(labelbottom=not said)
    below.set_visible(bool(said))
    bottom.set_xlabel("time since image on, s", fontsize=9, color=FAINT)
    return figure


def transition_matrix(
    trajectory: pa.Table,
    *,
    letters: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
    scheme: str | None = None,
    title: str | None = "From letter to letter",
) -> Figure:
    """Draw how often gaze went from each letter (row) to each other one (column) of an image.

    Arguments as in `letter_timeline`. Stays and changes of the image are not counted; the colour is the share of all
    ways out of the row's letter, the number their count.
    """
    ordered = trajectory.sort_by("order")
    visited = ordered.column("letter").to_pylist()
    images = (
        ordered.column("image_index").to_pylist()
        if "image_index" in ordered.column_names
        else [0] * len(visited)
    )
    lanes = [*letters, *sorted(set(visited) - set(letters))] or [""]
    counts = np.zeros((len(lanes), len(lanes)), np.int64)
    for (one, image), (other, next_image) in pairwise(zip(visited, images, strict=True)):
        if one != other and image == next_image:
            counts[lanes.index(one), lanes.index(other)] += 1
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = _matrix_axes(len(lanes), title is not None)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for (i, j), n in np.ndenumerate(counts):
        if i == j:
            axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=WASH, edgecolor="none"))
        elif n:
            write(axes, j, i, str(n), size=10, ha="center", color="white" if shares[i, j] > 0.55 else INK)
    known = names or {}
    axes.set_xticks(
        range(len(lanes)), [in_lines(a, 4, 1) for a in lanes], fontweight="bold", parse_math=False
    )
    axes.set_yticks(range(len(lanes)), [_lane(known, a) for a in lanes], fontweight="bold", parse_math=False)
    axes.set_xticks(np.arange(0.5, len(lanes) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(lanes) - 1), minor=True)
    axes.grid(which="minor", color="white", linewidth=1.6)
    axes.tick_params(which="both", length=0, labelsize=9, labelcolor=INK)
    name = _scheme_of(trajectory) if scheme is None else scheme
    label = "to; colour: share of the ways out of the row"
    axes.set_xlabel(
        f"{label}\nscheme {drawable(name)}" if name else label, fontsize=8, color=FAINT, parse_math=False
    )
    for side in axes.spines.values():
        side.set_visible(False)
    head(axes, title)
    return figure


def _lane(names: Mapping[str, str], letter: str) -> str:
    """Return what stands beside a lane or a row: the letter's name and the letter."""
    return f"{in_lines(names.get(letter, ''), _NAME_CHARS, 1)}  {in_lines(letter, _NAME_CHARS, 1)}".strip()


def _scheme_of(trajectory: pa.Table) -> str:
    """Return the scheme that a trajectory names, empty where it names none."""
    if "scheme" not in trajectory.column_names or not trajectory.num_rows:
        return ""
    return str(trajectory.column("scheme")[0].as_py())


def _matrix_axes(n_lanes: int, with_title: bool) -> tuple[Figure, Axes]:
    """Return a figure with square cells, its names' room by arithmetic."""
    cells_in = _CELL_IN * n_lanes
    top = TITLE_IN if with_title else 0.08
    # The title needs room, however few the letters.
    wide, high = max(_MATRIX_NAMES_IN + cells_in + 0.1, 4.6), top + cells_in + _MATRIX_BELOW_IN
    figure = Figure(figsize=(wide, high))
    axes = figure.add_axes(
        (_MATRIX_NAMES_IN / wide, _MATRIX_BELOW_IN / high, cells_in / wide, cells_in / high)
    )
    return figure, axes


def _stacked_axes(n_lanes: int, n_sentences: int, with_title: bool) -> tuple[Figure, Axes, Axes]:
    """Return a figure with the axes of the lanes and, below on the same time axis, of the sentences."""
    lanes_in, said_in = _LANE_IN * n_lanes, _SENTENCE_IN * n_sentences
    top, gap, bottom = (TITLE_IN if with_title else 0.08), (0.12 if n_sentences else 0.0), 0.55
    high = top + lanes_in + gap + said_in + bottom
    figure = Figure(figsize=(_TIMELINE_IN, high))
    left, wide = _LANE_NAMES_IN / _TIMELINE_IN, (_TIMELINE_IN - _LANE_NAMES_IN - 0.15) / _TIMELINE_IN
    above = figure.add_axes((left, (bottom + said_in + gap) / high, wide, lanes_in / high))
    below = figure.add_axes((left, bottom / high, wide, max(said_in, 0.01) / high), sharex=above)
    return figure, above, below


def _draw_sentences(axes: Axes, said: Sequence[Mapping[str, Any]], length_s: float) -> None:
    """Draw a bar per sentence, each in a row of its own, with its text beside the bar."""
    axes.set_ylim(len(said) - 0.5, -0.5)
    axes.set_yticks(range(len(said)), [str(i + 1) for i in range(len(said))])
    for place, row in enumerate(said):
        start, end = row["t_start_ns"] / 1e9, row["t_end_ns"] / 1e9
        axes.barh(place, end - start, left=start, height=0.62, color="#B8C4D0", linewidth=0)
        on_left = start > length_s / 2
        at = start - 0.008 * length_s if on_left else end + 0.008 * length_s
        room = at if on_left else length_s - at
        text = in_lines(row["text"], max(8, int(105 * room / length_s)), 1)
        write(axes, at, place, text, size=8, color=INK, ha="right" if on_left else "left")
