"""How the quality figures of all readings are spread, with the gates that reject or warn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation.report.gathered import Gathered
from curation.report.hints import number, quality_figure

__all__ = ["LIMITS", "Bar", "Distribution", "Limit", "Mark", "distributions", "shown_value"]

N_BINS = 24
"""A bar is then 10 px wide or more on a card."""
MIN_READINGS = 2
"""One value has no distribution."""
_METRICS = (
    "loss_share", "longest_loss", "effective_rate", "rms_s2s", "accuracy", "drift", "off_image_share", "panel_share",
    "dictation_overlap", "duration",
)  # fmt: skip
"""In the order in which the page shows them."""
LIMITS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "loss_share": (("loss_share_warn", "warns"), ("loss_share_reject", "rejects")),
    "longest_loss": (("longest_loss_warn_s", "warns"), ("longest_loss_reject_s", "rejects")),
    "accuracy": (("accuracy_warn_deg", "warns"),),
    "drift": (("drift_warn_deg", "warns"),),
    "off_image_share": (("off_image_share_warn", "warns"),),
    "panel_share": (("panel_share_warn", "warns"),),
    "dictation_overlap": (("dictation_overlap_warn", "warns below"),),
    "duration": (("min_duration_s", "rejects below"),),
}
"""Metric -> settings of ``[quality]`` that judge it, and what they do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A gate of a figure."""

    value: float
    effect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of a histogram, in percent of the drawing."""

    left: float
    width: float
    height: float
    low: str
    high: str
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A line across the histogram, with what stands beside it."""

    left: float
    text: str
    on_left: bool
    """The text stands left of the line, for want of room right of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One figure over all readings."""

    metric: str
    label: str
    hint: str
    unit: str
    n: int
    low: float
    quarter: float
    median: float
    three_quarters: float
    high: float
    is_constant: bool
    """No two readings differ in what is shown, so there is nothing to draw."""
    bars: tuple[Bar, ...]
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    middle: Mark
    limits: tuple[Mark, ...]
    beyond: tuple[str, ...]
    """Limits that lie beyond what is drawn."""

    def show(self, value: float) -> str:
        """Return a value of this figure with its unit."""
        return shown_value(value, self.unit)


def shown_value(value: float, unit: str) -> str:
    """Return a quality figure in few digits."""
    if not np.isfinite(value):
        return number(None)
    if unit == "share":
        return f"{100 * value:.3g} %"
    return f"{number(float(f'{value:.3g}'), digits=3)} {'°' if unit == 'deg' else unit}".replace(
        " °", "°"
    ).strip()


def distributions(
    readings: Sequence[Gathered], limits: Mapping[str, Sequence[Limit]]
) -> tuple[Distribution, ...]:
    """Return how each figure is spread over the readings that have it; none of a figure that one reading has."""
    return tuple(_distributions(readings, limits))


def _distributions(
    readings: Sequence[Gathered], limits: Mapping[str, Sequence[Limit]]
) -> Iterator[Distribution]:
    for metric in _METRICS:
        having = [reading for reading in readings if metric in reading.metrics]
        if len(having) < MIN_READINGS:
            continue
        values = np.array([reading.metrics[metric] for reading in having])
        unit = having[0].units[metric]
        yield _distribution(metric, unit, values[np.isfinite(values)], limits.get(metric, ()))


def _distribution(
    metric: str, unit: str, values: NDArray[np.float64], limits: Sequence[Limit]
) -> Distribution:
    figure = quality_figure(metric, None, unit)
    low, quarter, median, three_quarters, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
    start, end = _range(low, high, unit)
    counts, edges = np.histogram(values, bins=N_BINS, range=(start, end))
    tallest = max(int(counts.max()), 1)
    width = 100 / N_BINS

    def mark(value: float, text: str) -> Mark:
        left = 100 * (value - start) / (end - start)
        return Mark(left=left, text=text, on_left=left > 55)

    return Distribution(
        metric=metric,
        label=figure.label,
        hint=figure.hint,
        unit=unit,
        n=values.size,
        low=low,
        quarter=quarter,
        median=median,
        three_quarters=three_quarters,
        high=high,
        is_constant=shown_value(low, unit) == shown_value(high, unit),
        bars=tuple(
            Bar(
                left=place * width,
                width=width,
                height=100 * int(n) / tallest,
                low=shown_value(float(edges[place]), unit),
                high=shown_value(float(edges[place + 1]), unit),
                n=int(n),
            )
            for place, n in enumerate(counts)
            if n
        ),
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
        middle=mark(median, f"median {shown_value(median, unit)}"),
        limits=tuple(
            mark(limit.value, f"{limit.effect} {shown_value(limit.value, unit)}")
            for limit in limits
            if start < limit.value < end
        ),
        beyond=tuple(
            f"{limit.effect} {shown_value(limit.value, unit)}"
            for limit in limits
            if not start < limit.value < end
        ),
    )


def _range(low: float, high: float, unit: str) -> tuple[float, float]:
    """Return the ends of the axis: from 0 where that is not far from what was measured; never of no length."""
    if unit == "share" and low > 0.5:  # shares near 1 are read from 1 down
        high = 1.0
    elif 0 <= low < high / 2:
        low = 0.0
    return (low, high) if high > low else (low - 0.5, low + 0.5)
