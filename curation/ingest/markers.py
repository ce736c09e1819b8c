"""Readings by the markers that a recording holds: image on and off."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["spans_of"]

_ON = re.compile(r"^\s*(image|reading|trial|stimulus)[ _-]?(on|onset|start|begin)\b", re.IGNORECASE)
_OFF = re.compile(r"^\s*(image|reading|trial|stimulus)[ _-]?(off|offset|stop|end)\b", re.IGNORECASE)


def spans_of(markers: Sequence[tuple[int, str]]) -> list[tuple[int, int]]:
    """Pair markers (t_ns, text), in time order, that say on with those that say off; a second on ends the first."""
    found: list[tuple[int, int]] = []
    on_ns: int | None = None
    for t_ns, text in markers:
        if _ON.match(text):
            if on_ns is not None:
                found.append((on_ns, t_ns))
            on_ns = t_ns
        elif _OFF.match(text) and on_ns is not None:
            found.append((on_ns, t_ns))
            on_ns = None
    return [(on, off) for on, off in found if off > on]
