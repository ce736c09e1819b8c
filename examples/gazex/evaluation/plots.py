"""The table as pictures: one panel per measure, the model above its controls, each with its interval."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np

from examples.gazex.evaluation.measures import Estimate
from examples.gazex.evaluation.tables import Results

__all__ = ["draw_scores"]

COLUMNS = 3
PANEL_INCHES = (3.6, 0.28)
"""Width of a panel, height of one of its lines."""
TITLE_CHARACTERS = 32
"""Of a line of a panel's title; longer ones would be cut off at the picture's edge."""
MODEL_COLOUR, CONTROL_COLOUR = "#0b6e99", "#8a8a8a"
"""Apart also in grey: the model is the darker one."""


def draw_scores(results: Results, path: Path) -> None:
    """Write one picture (PNG) of all measures that more than one column has; the first column is drawn apart."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(results)
    shown = {m: _known(results, m) for m in dict.fromkeys(m for found in results.values() for m in found)}
    shown = {
        measure: found for measure, found in shown.items() if len(found) > 1 and "unreadable" not in measure
    }
    if not shown:
        return
    rows = -(-len(shown) // COLUMNS)
    tallest = max(len(found) for found in shown.values())
    size = (PANEL_INCHES[0] * COLUMNS, (PANEL_INCHES[1] * tallest + 0.9) * rows)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for panel, (measure, found) in zip(panels, shown.items(), strict=False):
        for line, (name, estimate) in enumerate(found.items()):
            colour = MODEL_COLOUR if name == names[0] else CONTROL_COLOUR
            panel.plot([estimate.low, estimate.high], [line, line], color=colour, linewidth=2)
            panel.plot([estimate.value], [line], "o", color=colour, markersize=5)
        panel.set_yticks(range(len(found)), list(found), fontsize=8)
        panel.set_ylim(tallest - 0.5, -0.5)  # lines as far apart in every panel
        title = "\n".join(textwrap.fill(part, TITLE_CHARACTERS) for part in measure.split(", "))
        panel.set_title(title, fontsize=9, loc="left")
        panel.tick_params(axis="x", labelsize=8)
        low = min(0.0, *(e.low for e in found.values()))
        panel.set_xlim(low - 0.02, max(1.02, *(e.high for e in found.values())))
        panel.axvline(0, color="#cccccc", linewidth=0.8, zorder=0)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[len(shown) :]:
        panel.set_visible(False)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _known(results: Results, measure: str) -> dict[str, Estimate]:
    found = {name: some[measure] for name, some in results.items() if measure in some}
    return {name: e for name, e in found.items() if np.isfinite([e.value, e.low, e.high]).all()}
