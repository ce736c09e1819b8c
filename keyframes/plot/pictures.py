"""Gaze drawn over the radiograph: scanpath, heat map, key frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from keyframes.frames import SIGMA_DEG, render_keyframe
from keyframes.heatmap import dwell_map
from keyframes.looks import UNKNOWN_DEGREES_ACROSS
from keyframes.plot.style import FAINT, INK, TITLE_IN, head, in_lines, write

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["heat_map", "keyframe_strip", "scanpath"]

_TIME_MAP, _HEAT_MAP = "viridis", "inferno"
_LONGEST_IN = 6.0
"""Inches of a picture's longer side; text is in points, so the picture must not be larger than it is read."""
_BAR_IN = 0.95
"""Inches: room for a colour bar with its numbers."""
_CIRCLE_IN = (0.075, 0.30)
"""Inches: radius of a fixation's circle, least and most."""
_NUMBER_IN = 0.21
"""Inches that a number of 7 points takes."""
_DWELL_OF_LARGEST_S = 1.0
_UNCROWDED = 60
"""Fixations that find room on a picture; of more, the circles shrink so that their area in all stays the same."""
_LEGEND_DWELLS_S = (0.2, 0.5, 1.0)
_LEGEND_IN, _LEGEND_NEEDS_IN = 1.85, 5.0
"""Inches: height of the circles' legend, and of a figure that has room for one under the colour bar."""
_BOX_COLOUR = "#56B4E9"


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
    crowding = min(1.0, (_UNCROWDED / t_s.size) ** 0.5)
    radius = inch_px * _radius_in(dwell_s, crowding)
    for i in range(t_s.size):
        colour = lines.cmap(norm(t_s[i]))
        axes.add_patch(
            Circle((x[i], y[i]), radius[i], facecolor=(*colour[:3], 0.45), edgecolor=colour, linewidth=1.3)
        )
    margin = _NUMBER_IN / 2 * inch_px
    at_x = np.clip(x, margin, grey8.shape[1] - margin)
    at_y = np.clip(y, margin, grey8.shape[0] - margin)
    for i in _with_room(at_x, at_y, dwell_s, _NUMBER_IN * inch_px):
        number = write(axes, at_x[i], at_y[i], str(i + 1), size=7, color="white", ha="center")
        number.set_path_effects([withStroke(linewidth=1.6, foreground="#10202C")])
    bar = figure.colorbar(lines, cax=beside)
    _tidy_bar(bar, "time since image on, s")
    _draw_dwell_legend(figure, crowding)
    return figure


def _radius_in(dwell_s: NDArray[np.float64], crowding: float) -> NDArray[np.float64]:
    """Return the radius of each fixation's circle in inches: its area is the dwell, within limits."""
    low, high = _CIRCLE_IN
    radius: NDArray[np.float64] = np.clip(crowding * high * np.sqrt(dwell_s / _DWELL_OF_LARGEST_S), low, high)
    return radius


def _draw_dwell_legend(figure: Figure, crowding: float) -> None:
    """Draw under the colour bar how large the circles of some dwells are, where there is room."""
    wide, high = figure.get_size_inches()
    if high < _LEGEND_NEEDS_IN:
        return
    axes = figure.add_axes(((wide - _BAR_IN) / wide, 0.0, _BAR_IN / wide, _LEGEND_IN / high))
    axes.set_xlim(0.0, _BAR_IN)
    axes.set_ylim(0.0, _LEGEND_IN)
    axes.set_axis_off()
    at_y = 0.06
    for dwell_s, radius in zip(
        _LEGEND_DWELLS_S, _radius_in(np.array(_LEGEND_DWELLS_S), crowding), strict=True
    ):
        step = max(radius + 0.02, 0.09)
        at_y += step
        axes.add_patch(Circle((0.34, at_y), radius, facecolor="none", edgecolor=FAINT, linewidth=1.0))
        write(axes, 0.68, at_y, f"{dwell_s:g} s", size=7, color=INK, ha="left")
        at_y += step
    write(axes, 0.14, at_y + 0.08, "dwell", size=8, color=FAINT, ha="left")


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
        figure.suptitle(title, fontsize=12, fontweight="bold", color=INK)
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
            f"{head}\n{in_lines(said, 38, 2)}",
            fontsize=7,
            color=INK,
            loc="left",
            parse_math=False,
            linespacing=1.25,
        )
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
    right, top = (_BAR_IN if with_bar else 0.0), (TITLE_IN if title else 0.0)
    figure = Figure(figsize=(wide + right, high + top))
    axes = figure.add_axes((0.0, 0.0, wide / (wide + right), high / (high + top)))
    axes.imshow(grey8, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    head(axes, title)
    if not with_bar:
        return figure, axes, None, inch_px
    low, up = (_LEGEND_IN + 0.2, 0.1) if high + top >= _LEGEND_NEEDS_IN else (0.15 * high, 0.15 * high)
    beside = figure.add_axes(
        (
            (wide + 0.12) / (wide + right),
            low / (high + top),
            0.16 / (wide + right),
            (high - low - up) / (high + top),
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


def _tidy_bar(bar: Any, label: str) -> None:
    bar.set_label(label, fontsize=9, color=FAINT)
    bar.ax.tick_params(labelsize=8, length=0, labelcolor=INK)
    bar.outline.set_visible(False)
