"""What the columns of a Tobii Pro Lab export are called, in which units, and how numbers are written.

Headers differ between versions in the unit's brackets, in the code point of the micro sign and in wording; columns
are found by what their names say, never by position.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["SECONDS", "Columns", "Header", "find_columns"]

SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "ns": 1e-9}
_MICRO = str.maketrans({"\u03bc": "u", "\u00b5": "u"})
_HEADER = re.compile(
    r"^\s*(?P<name>[^\[\](]*?)\s*(?:[\[(]\s*(?:(?P<frame>DACS|MCS|HUCS|UCS)\s*)?(?P<unit>[^\])]*?)\s*[\])])?\s*$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One column's header, taken apart."""

    text: str
    """As it stands in the file."""
    name: str
    """In lower case, without brackets."""
    frame: str
    """dacs (display), mcs (medium: a scene video or a shown picture) or empty."""
    unit: str
    """us, ms, px, mm, norm ... or empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of one export that are read; None where it lacks one."""

    time: Header
    device_time: Header | None
    sensor: Header | None
    recording: tuple[Header, ...]
    """Who and what a row is of; told apart, never kept."""
    positions: dict[str, Header]
    """left_x, left_y, right_x, right_y, x, y: those that there are, all of one frame and unit."""
    frame: str
    unit: str
    pupils: dict[str, Header]
    """left, right."""
    validity: dict[str, Header]
    event: Header | None
    event_value: Header | None
    movement: Header | None
    movement_index: Header | None
    fixation_x: Header | None
    fixation_y: Header | None
    width: Header | None
    height: Header | None
    accuracy_deg: Header | None

    def numbers(self) -> list[Header]:
        """Return the columns that hold decimal numbers."""
        single = (self.time, self.device_time, self.fixation_x, self.fixation_y, self.accuracy_deg)
        return [h for h in (*single, *self.positions.values(), *self.pupils.values()) if h is not None]

    def texts(self) -> list[Header]:
        """Return the columns that hold words, or numbers of few values."""
        single = (
            self.sensor, self.event, self.event_value, self.movement, self.movement_index, self.width, self.height,
        )  # fmt: skip
        return [h for h in (*single, *self.recording, *self.validity.values()) if h is not None]


def parse_header(text: str) -> Header:
    """Take a header apart: ``Gaze point left X [DACS px]`` is a name, a frame and a unit."""
    found = _HEADER.match(text.translate(_MICRO))
    if found is None:
        return Header(text=text, name=text.strip().casefold(), frame="", unit="")
    unit = (found["unit"] or "").casefold().replace(" ", "")
    return Header(
        text=text,
        name=" ".join(found["name"].casefold().split()),
        frame=(found["frame"] or "").casefold(),
        unit=unit,
    )


def find_columns(texts: Iterable[str]) -> Columns | None:
    """Find the columns of an export by its header row; None where time or every gaze point is absent."""
    headers = [parse_header(text) for text in texts]

    def one(*names: str, unit: str | None = None) -> Header | None:
        for name in names:
            for header in headers:
                if header.name == name and (unit is None or header.unit == unit):
                    return header
        return None

    time = _finest([h for h in headers if h.name == "recording timestamp"])
    device = _finest([h for h in headers if h.name == "eyetracker timestamp"])
    frame, unit, positions = _positions(headers)
    if time is None or not positions:
        return None
    return Columns(
        time=time,
        device_time=device,
        sensor=one("sensor"),
        recording=tuple(h for h in headers if h.name in ("participant name", "recording name")),
        positions=positions,
        frame=frame,
        unit=unit,
        pupils={eye: h for eye in ("left", "right") if (h := one(f"pupil diameter {eye}")) is not None},
        validity={eye: h for eye in ("left", "right") if (h := one(f"validity {eye}")) is not None},
        event=one("event"),
        event_value=one("event value"),
        movement=one("eye movement type", "gaze event type"),
        movement_index=one("eye movement type index"),
        fixation_x=_in(headers, "fixation point x", frame, unit),
        fixation_y=_in(headers, "fixation point y", frame, unit),
        width=one("recording resolution width"),
        height=one("recording resolution height"),
        accuracy_deg=one("average validation accuracy", unit="degrees"),
    )


def _finest(headers: list[Header]) -> Header | None:
    """Return the time column of the finest unit; one without a unit comes last."""
    known = [h for h in headers if h.unit in SECONDS]
    return min(known, key=lambda h: SECONDS[h.unit]) if known else next(iter(headers), None)


def _in(headers: list[Header], name: str, frame: str, unit: str) -> Header | None:
    return next((h for h in headers if (h.name, h.frame, h.unit) == (name, frame, unit)), None)


def _positions(headers: list[Header]) -> tuple[str, str, dict[str, Header]]:
    """Choose the frame and unit of gaze: px of the display before its shares and mm, the medium's px last."""
    names = {"x": "gaze point x", "y": "gaze point y"} | {
        f"{eye}_{axis}": f"gaze point {eye} {axis}" for eye in ("left", "right") for axis in ("x", "y")
    }
    for frame, unit in (
        ("dacs", "px"),
        ("dacs", "norm"),
        ("dacs", "mm"),
        ("", "px"),
        ("", ""),
        ("mcs", "px"),
    ):
        found = {key: _in(headers, name, frame, unit) for key, name in names.items()}
        whole = {
            key: header
            for key, header in found.items()
            if header is not None and found[key[:-1] + ("y" if key.endswith("x") else "x")] is not None
        }
        if whole:
            return frame, unit, whole
    return "", "", {}
