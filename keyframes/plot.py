"""Pictures of what the eyes did, as matplotlib figures without any global state.

Every function returns a `matplotlib.figure.Figure`; save it with ``figure.savefig(path)``. Letters keep their colour
in every picture; the colours are told apart by colour-blind people too (Okabe and Ito 2008).
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.patches import Circle, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from numpy.typing import NDArray

from keyframes.frames import SIGMA_DEG, render_keyframe
from keyframes.heatmap import dwell_map
from keyframes.looks import UNKNOWN_DEGREES_ACROSS

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LETTERS",
    "heat_map",
    "keyframe_strip",
    "letter_colours",
    "letter_timeline",
    "scanpath",
    "transition_matrix",
]

LETTERS = "ABCDEF"
_COLOURS = {"A": "#0072B2", "B": "#E69F00", "C": "#D55E00", "D": "#009E73", "E": "#CC79A7", "F": "#4D4D4D"}
_OTHER_COLOURS = ("#56B4E9", "#8C6D31", "#7570B3", "#66A61E", "#A6761D", "#999999")
_INK, _FAINT, _LINE = "#1F2933", "#6B7785", "#D5DAE0"
_TIME_MAP, _HEAT_MAP = "viridis", "inferno"
_LONGEST_IN = 6.0
"""Inches of a picture's longer side; text is in points, so the picture must not be larger than it is read."""
_BAR_IN, _TITLE_IN = 0.95, 0.35
"""Inches: room for a colour bar with its numbers, and for a title."""
_CIRCLE_IN = (0.075, 0.30)
"""Inches: radius of a fixation's circle, least and most."""
_NUMBER_IN = 0.21
"""Inches that a number of 7 points takes."""
_DWELL_OF_LARGEST_S = 1.0
_TIMELINE_IN, _LANE_NAMES_IN, _LANE_IN, _SENTENCE_IN = 10.0, 1.45, 0.34, 0.25
"""Inches of the timeline: its width, the lanes' names, a lane's height, a sentence's."""
_LANE_NAME_CHARS = 16
"""That fit beside the lanes."""
_BOX_COLOUR = "#56B4E9"

_Side = Literal["left", "center", "right"]


def letter_colours(letters: Sequence[str] = LETTERS) -> dict[str, str]:
    """Return a colour (hex) per letter: A to F their own, others from a second palette in order."""
    others = iter(_OTHER_COLOURS * (1 + len(letters) // len(_OTHER_COLOURS)))
    return {letter: _COLOURS.get(letter) or next(others) for letter in letters}


def scanpath(
    grey8: NDArray[np.uint8],
    fixations: pa.Table | pd.DataFrame,
    *,
    image_size_px: tuple[int, int] | None = None,
    title: str | None = "Scanpath",
) -> Figure:
    """Draw fixations over the picture: circles by dwell (area), coloured by time, joined in order.

    grey8         : (h, w), the picture.
    fixations     : ``t_start_ns``, ``duration_s``, ``x_image_px``, ``y_image_px`` of one image (table ``events``
                    filtered to fixations will do); NaN positions are left out.
    image_size_px : width and height of the stored matrix, where ``grey8`` is smaller than it.

    Circles are numbered in time order where a number finds room.
    """
    t_s, dwell_s, x, y = _fixations(fixations, grey8, image_size_px)
    figure, axes, beside, inch_px = _picture_axes(grey8, title, with_bar=t_s.size > 0)
    if beside is None:
        return figure
    norm = Normalize(float(t_s.min()), float(max(t_s.max(), t_s.min() + 1e-3)))
    points = np.stack([x, y], axis=1)
    lines = LineCollection(
        list(np.stack([points[:-1], points[1:]], axis=1)),
        cmap=_TIME_MAP,
        norm=norm,
        linewidths=1.1,
        alpha=0.75,
    )
    lines.set_array(t_s[1:])
    axes.add_collection(lines)
    low, high = _CIRCLE_IN
    radius = inch_px * np.clip(high * np.sqrt(dwell_s / _DWELL_OF_LARGEST_S), low, high)
    for i in range(t_s.size):
        colour = lines.cmap(norm(t_s[i]))
        axes.add_patch(
            Circle((x[i], y[i]), radius[i], facecolor=(*colour[:3], 0.45), edgecolor=colour, linewidth=1.3)
        )
    margin = _NUMBER_IN / 2 * inch_px
    at_x = np.clip(x, margin, grey8.shape[1] - margin)
    at_y = np.clip(y, margin, grey8.shape[0] - margin)
    for i in _with_room(at_x, at_y, dwell_s, _NUMBER_IN * inch_px):
        number = _text(axes, at_x[i], at_y[i], str(i + 1), size=7, color="white", ha="center")
        number.set_path_effects([withStroke(linewidth=1.6, foreground="#10202C")])
    bar = figure.colorbar(lines, cax=beside)
    _tidy_bar(bar, "time since image on, s")
    return figure


def heat_map(
    grey8: NDArray[np.uint8],
    fixations: pa.Table | pd.DataFrame,
    *,
    image_size_px: tuple[int, int] | None = None,
    sigma_deg: float = SIGMA_DEG,
    title: str | None = "Dwell",
) -> Figure:
    """Draw where gaze dwelt over the picture, as a dwell-weighted map of Gaussians.

    Arguments as in `scanpath`; column ``px_per_deg_x`` (and ``_y``), image px, is used where there is one, else the
    picture's longer side is taken as 25 degrees.
    """
    t_s, dwell_s, x, y = _fixations(fixations, grey8, image_size_px)
    figure, axes, beside, _ = _picture_axes(grey8, title, with_bar=t_s.size > 0)
    if beside is None:
        return figure
    height, width = grey8.shape
    per_deg = _per_degree(fixations, grey8, image_size_px)
    drawn = dwell_map(
        x, y, dwell_s, sigma_deg * per_deg, sigma_deg * per_deg, width_px=width, height_px=height
    )
    peak = float(drawn.heat.max())
    shown = axes.imshow(
        drawn.heat,
        cmap=_HEAT_MAP,
        norm=Normalize(0.0, peak),
        alpha=np.clip(drawn.heat / peak * 1.6, 0.0, 0.72).astype(np.float64),
        extent=(0.0, drawn.heat.shape[1] * drawn.cell_px, drawn.heat.shape[0] * drawn.cell_px, 0.0),
        interpolation="bilinear",
    )
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    bar = figure.colorbar(shown, cax=beside)
    if bar.solids is not None:
        bar.solids.set_alpha(1.0)
    _tidy_bar(bar, f"dwell within about {sigma_deg:g} degree, s")
    return figure


def keyframe_strip(
    grey8: NDArray[np.uint8] | Mapping[int, NDArray[np.uint8]],
    keyframes: pa.Table,
    events: pa.Table,
    gaze: pa.Table,
    *,
    sentences: pa.Table | None = None,
    n_columns: int = 4,
    title: str | None = "Key frames",
) -> Figure:
    """Draw the key frames in order, each with its box, centroid, time and sentence.

    grey8 : the picture at full size, or one by image index; a key frame without its picture is left out.
    """
    pictures = grey8 if isinstance(grey8, Mapping) else {0: grey8}
    texts = {} if sentences is None else {r["sentence_id"]: r["text"] for r in sentences.to_pylist()}
    rows = [row for row in keyframes.to_pylist() if row["box"] is not None and row["image_index"] in pictures]
    n_rows = max(1, -(-len(rows) // n_columns))
    figure = Figure(figsize=(2.6 * n_columns, 3.35 * n_rows + 0.5), layout="constrained")
    if title:
        figure.suptitle(title, fontsize=12, fontweight="bold", color=_INK)
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, row in zip(grid.flat, rows, strict=False):
        picture = pictures[row["image_index"]]
        axes.imshow(render_keyframe(picture, row, events, gaze, longest_px=384), cmap="gray", vmin=0, vmax=255,
                    extent=(0, picture.shape[1], picture.shape[0], 0))  # fmt: skip
        _draw_box(axes, row)
        said = texts.get(row["sentence_id"] or "", "silent" if row["sentence_id"] is None else "")
        head = f"{row['order'] + 1}  {row['kind']}  {row['t_start_ns'] / 1e9:.1f} to {row['t_end_ns'] / 1e9:.1f} s"
        axes.set_title(
            f"{head}\n{_lines(said, 38, 2)}",
            fontsize=7,
            color=_INK,
            loc="left",
            parse_math=False,
            linespacing=1.25,
        )
    return figure


def letter_timeline(
    trajectory: pa.Table,
    sentences: pa.Table | None = None,
    *,
    letters: Sequence[str] = LETTERS,
    names: Mapping[str, str] | None = None,
    duration_s: float | None = None,
    title: str | None = "Inspection by letter",
) -> Figure:
    """Draw a lane per letter over time, one bar per visit, and underneath when each sentence was said.

    trajectory : table ``trajectory``; visits to letters beyond ``letters`` get lanes of their own.
    names      : what a letter stands for, to stand beside it.
    """
    visits = trajectory.select(["letter", "t_start_ns", "t_end_ns"]).to_pylist()
    lanes = [*letters, *sorted({v["letter"] for v in visits} - set(letters))]
    said = [] if sentences is None else sentences.sort_by("t_start_ns").to_pylist()
    ends = [row["t_end_ns"] / 1e9 for row in (*visits, *said)]
    length_s = max(duration_s or 0.0, *ends, 1.0)
    figure, above, below = _stacked_axes(len(lanes), len(said), title is not None)
    if title:
        above.set_title(title, fontsize=12, fontweight="bold", color=_INK, loc="left", parse_math=False)
    colours = letter_colours(lanes)
    for place, letter in enumerate(lanes):
        above.axhspan(place - 0.42, place + 0.42, color="#F3F5F7", linewidth=0, zorder=0)
        bars = [
            (v["t_start_ns"] / 1e9, max(0.02, (v["t_end_ns"] - v["t_start_ns"]) / 1e9))
            for v in visits
            if v["letter"] == letter
        ]
        above.broken_barh(
            bars, (place - 0.36, 0.72), facecolors=colours[letter], edgecolor="white", linewidth=0.4
        )
    known = names or {}
    labels = [
        f"{_lines(known.get(a, ''), _LANE_NAME_CHARS, 1)}  {_lines(a, _LANE_NAME_CHARS, 1)}".strip()
        for a in lanes
    ]
    above.set_yticks(range(len(lanes)), labels, fontweight="bold", parse_math=False)
    above.set_ylim(len(lanes) - 0.5, -0.5)
    if said:
        _draw_sentences(below, said, length_s)
    for axes in (above, below):
        axes.set_xlim(min(0.0, *(row["t_start_ns"] / 1e9 for row in (*visits, *said)), 0.0), length_s)
        axes.tick_params(length=0, labelsize=9, labelcolor=_INK)
        axes.grid(axis="x", color=_LINE, linewidth=0.6, zorder=0)
        axes.set_axisbelow(True)
        for side in axes.spines.values():
            side.set_visible(False)
    bottom = below if said else above
    above.tick_params(labelbottom=not said)
    below.set_visible(bool(said))
    bottom.set_xlabel("time since image on, s", fontsize=9, color=_FAINT)
    return figure


def transition_matrix(
    trajectory: pa.Table, *, letters: Sequence[str] = LETTERS, title: str | None = "From letter to letter"
) -> Figure:
    """Draw how often gaze went from each letter (row) to each other one (column); stays are not counted."""
    order = trajectory.sort_by("order").column("letter").to_pylist()
    lanes = [*letters, *sorted(set(order) - set(letters))]
    counts = np.zeros((len(lanes), len(lanes)), np.int64)
    for one, other in itertools.pairwise(order):
        if one != other:
            counts[lanes.index(one), lanes.index(other)] += 1
    size = 1.6 + 0.5 * len(lanes)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    axes.imshow(counts, cmap="Blues", vmin=0, vmax=max(1, int(counts.max())))
    for (i, j), n in np.ndenumerate(counts):
        if n:
            _text(axes, j, i, str(n), size=10, ha="center",
                  color="white" if n > 0.6 * counts.max() else _INK)  # fmt: skip
    for set_ticks in (axes.set_xticks, axes.set_yticks):
        set_ticks(range(len(lanes)), [_lines(a, 4, 1) for a in lanes], fontweight="bold", parse_math=False)
    axes.set_xlabel("to", fontsize=9, color=_FAINT)
    axes.set_ylabel("from", fontsize=9, color=_FAINT)
    axes.tick_params(length=0, labelcolor=_INK)
    for side in axes.spines.values():
        side.set_color(_LINE)
    if title:
        axes.set_title(title, fontsize=12, fontweight="bold", color=_INK, loc="left")
    return figure


def _fixations(
    table: pa.Table | pd.DataFrame, grey8: NDArray[np.uint8], image_size_px: tuple[int, int] | None
) -> tuple[NDArray[np.float64], ...]:
    """Return time s, dwell s, and x, y in px of the picture, in order of time."""
    t_ns, dwell, x, y = (_column(table, c) for c in ("t_start_ns", "duration_s", "x_image_px", "y_image_px"))
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    known = known[np.argsort(t_ns[known], kind="stable")]
    width, height = image_size_px or (grey8.shape[1], grey8.shape[0])
    return (
        t_ns[known] / 1e9,
        dwell[known],
        x[known] * grey8.shape[1] / width,
        y[known] * grey8.shape[0] / height,
    )


def _per_degree(
    table: pa.Table | pd.DataFrame, grey8: NDArray[np.uint8], image_size_px: tuple[int, int] | None
) -> NDArray[np.float64]:
    """Return picture px per degree of each drawn fixation."""
    names = table.column_names if isinstance(table, pa.Table) else list(table.columns)
    x, y, t_ns = (_column(table, c) for c in ("x_image_px", "y_image_px", "t_start_ns"))
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    known = known[np.argsort(t_ns[known], kind="stable")]
    width = image_size_px[0] if image_size_px else grey8.shape[1]
    unknown = max(grey8.shape) / UNKNOWN_DEGREES_ACROSS
    if "px_per_deg_x" not in names:
        return np.full(known.size, unknown)
    per_deg = _column(table, "px_per_deg_x")[known] * grey8.shape[1] / width
    return np.asarray(np.where(np.isfinite(per_deg) & (per_deg > 0), per_deg, unknown), np.float64)


def _column(table: pa.Table | pd.DataFrame, name: str) -> NDArray[np.float64]:
    column = table.column(name) if isinstance(table, pa.Table) else table[name]
    return np.asarray(column.to_numpy(), np.float64)


def _picture_axes(
    grey8: NDArray[np.uint8], title: str | None, *, with_bar: bool
) -> tuple[Figure, Axes, Axes | None, float]:
    """Return a figure that shows the picture, its axes, those of a colour bar, and how many picture px are an inch.

    Everything has its place by arithmetic: a layout engine takes longer than all the drawing.
    """
    height, width = grey8.shape
    inch_px = max(height, width) / _LONGEST_IN
    wide, high = width / inch_px, height / inch_px
    right, top = (_BAR_IN if with_bar else 0.0), (_TITLE_IN if title else 0.0)
    figure = Figure(figsize=(wide + right, high + top))
    axes = figure.add_axes((0.0, 0.0, wide / (wide + right), high / (high + top)))
    axes.imshow(grey8, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    if title:
        axes.set_title(title, fontsize=12, fontweight="bold", color=_INK, loc="left", parse_math=False)
    if not with_bar:
        return figure, axes, None, inch_px
    beside = figure.add_axes(
        (
            (wide + 0.12) / (wide + right),
            0.15 * high / (high + top),
            0.16 / (wide + right),
            0.7 * high / (high + top),
        )
    )
    return figure, axes, beside, inch_px


def _with_room(
    x: NDArray[np.float64], y: NDArray[np.float64], dwell_s: NDArray[np.float64], apart_px: float
) -> list[int]:
    """Return which fixations get a number: the first, the last, then the longest, as far as they don't collide."""
    order = list(dict.fromkeys([0, x.size - 1, *np.argsort(-dwell_s, kind="stable").tolist()]))
    chosen: list[int] = []
    for i in order:
        if all(np.hypot(x[i] - x[j], y[i] - y[j]) >= apart_px for j in chosen):
            chosen.append(i)
    return sorted(chosen)


def _draw_box(axes: Axes, row: Mapping[str, Any]) -> None:
    x0, y0, x1, y1 = row["box"]
    axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=_BOX_COLOUR, linewidth=1.4))
    if row["centroid"] is not None:
        axes.plot(*row["centroid"], marker="+", color=_BOX_COLOUR, markersize=8, markeredgewidth=1.4)


def _stacked_axes(n_lanes: int, n_sentences: int, with_title: bool) -> tuple[Figure, Axes, Axes]:
    """Return a figure with the axes of the lanes and, below on the same time axis, of the sentences."""
    lanes_in, said_in = _LANE_IN * n_lanes, _SENTENCE_IN * n_sentences
    top, gap, bottom = (_TITLE_IN if with_title else 0.08), (0.12 if n_sentences else 0.0), 0.55
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
        text = _lines(row["text"], max(8, int(105 * room / length_s)), 1)
        _text(axes, at, place, text, size=8, color=_INK, ha="right" if on_left else "left")


def _text(axes: Axes, x: float, y: float, text: str, *, size: float, color: str, ha: _Side) -> Text:
    """Write text as it is: a dollar sign starts no formula."""
    return axes.text(
        x, y, _drawable(text), fontsize=size, color=color, ha=ha, va="center", parse_math=False, clip_on=True
    )


def _lines(text: str, width: int, n_lines: int) -> str:
    """Return text in at most so many lines of so many characters, cut with an ellipsis."""
    wrapped = textwrap.wrap(_drawable(text), width) or [""]
    if len(wrapped) > n_lines:
        last = wrapped[n_lines - 1][: width - 1].rstrip()
        wrapped = [*wrapped[: n_lines - 1], f"{last}…"]
    return "\n".join(wrapped)


def _drawable(text: str) -> str:
    """Return text with what the figure's font has no glyph for as a middle dot."""
    font: FT2Font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return "".join(c if c.isspace() or font.get_char_index(ord(c)) else "·" for c in text)


def _tidy_bar(bar: Any, label: str) -> None:
    bar.set_label(label, fontsize=9, color=_FAINT)
    bar.ax.tick_params(labelsize=8, length=0, labelcolor=_INK)
    bar.outline.set_visible(False)
