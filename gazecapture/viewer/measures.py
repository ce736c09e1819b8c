"""Lengths and the cardiothoracic ratio, measured on a film. No Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["SHORTEST_LINE_PX", "Line", "Measure", "MeasureKind", "MeasuresOfReading", "Spacing"]

MeasureKind = Literal["length", "cardiothoracic"]

SHORTEST_LINE_PX = 2.0
"""Image px; a shorter line is a slip of the mouse."""
_LABELS: dict[MeasureKind, str] = {"length": "Length", "cardiothoracic": "Cardiothoracic ratio"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spacing:
    """Distance of an image's pixels, as its file says it."""

    x_mm: float | None = None
    y_mm: float | None = None
    kind: str = "unknown"
    """pixel (in the patient), detector (in the detector's plane, larger than in the patient), or unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A straight line on one image, image px."""

    image_index: int
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def length_px(self) -> float:
        """In image px, whatever their shape."""
        return math.hypot(self.x1 - self.x0, self.y1 - self.y0)

    def length_mm(self, spacing: Spacing) -> float | None:
        """In mm; None where the spacing is unknown."""
        if spacing.x_mm is None or spacing.y_mm is None:
            return None
        return math.hypot((self.x1 - self.x0) * spacing.x_mm, (self.y1 - self.y0) * spacing.y_mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measurement: a length has one line, a ratio the heart's width and the thorax's."""

    measure_id: str
    kind: MeasureKind
    lines: tuple[Line, ...]

    def value(self, spacing: Spacing) -> float | None:
        """Return mm, or the ratio; None where it is not known (yet)."""
        if self.kind == "length":
            return self.lines[0].length_mm(spacing)
        if len(self.lines) < 2:
            return None
        heart, thorax = (line.length_mm(spacing) or line.length_px for line in self.lines)
        return heart / thorax if thorax > 0 else None

    def text(self, spacing: Spacing) -> str:
        """Return what is written beside it; a length in the detector's plane says that it is one."""
        value = self.value(spacing)
        if self.kind == "cardiothoracic":
            return "heart; now the thorax" if value is None else f"CTR {value:.2f}"
        if value is None:
            return f"{self.lines[0].length_px:.0f} px"
        return f"{value:.1f} mm" + (" (detector plane)" if spacing.kind == "detector" else "")

    def row(self, t_ns: int, reading_number: int, spacing: Spacing) -> dict[str, Any]:
        """Return the row of the annotations journal; ``box`` has four numbers for each line."""
        return {
            "t_ns": t_ns,
            "reading_number": reading_number,
            "action": "measure",
            "finding_id": self.measure_id,
            "label": _LABELS[self.kind],
            "present": None,
            "certainty": None,
            "rating": self.value(spacing),
            "image_index": self.lines[0].image_index,
            "shape": "line",
            "box": [v for line in self.lines for v in (line.x0, line.y0, line.x1, line.y1)],
        }

    def removal(self, t_ns: int, reading_number: int) -> dict[str, Any]:
        """Return the row that takes it back."""
        nothing = dict.fromkeys(("label", "present", "certainty", "rating", "image_index", "shape", "box"))
        return {
            **nothing,
            "t_ns": t_ns,
            "reading_number": reading_number,
            "action": "remove",
            "finding_id": self.measure_id,
        }


class MeasuresOfReading:
    """The measures of the study that is open; a ratio takes two lines, one after the other."""

    def __init__(self, reading_number: int) -> None:
        self._reading_number = reading_number
        self._measures: dict[str, Measure] = {}
        self._kind: MeasureKind = "length"
        self._open: str | None = None
        self._n_made = 0

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The present measures, oldest first."""
        return tuple(self._measures.values())

    def begin(self, kind: MeasureKind) -> None:
        """Say what the next line is for; a ratio that lacks its second line is given up."""
        self.give_up()
        self._kind = kind

    def give_up(self) -> None:
        """Drop a ratio that lacks its second line."""
        if self._open is not None:
            del self._measures[self._open]
            self._open = None

    def add(self, line: Line) -> tuple[Measure, bool]:
        """Take a line; return its measure and whether that is whole now."""
        if self._open is not None and self._measures[self._open].lines[0].image_index == line.image_index:
            begun = self._measures[self._open]
            measure = Measure(
                measure_id=begun.measure_id, kind="cardiothoracic", lines=(begun.lines[0], line)
            )
            self._open = None
        else:
            self.give_up()
            self._n_made += 1
            measure = Measure(
                measure_id=f"r{self._reading_number}-m{self._n_made}", kind=self._kind, lines=(line,)
            )
            if self._kind == "cardiothoracic":
                self._open = measure.measure_id
        self._measures[measure.measure_id] = measure
        return measure, self._open is None

    def remove_last(self) -> Measure | None:
        """Take the newest measure back; None where there is none."""
        self._open = None
        return self._measures.popitem()[1] if self._measures else None
