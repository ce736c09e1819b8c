"""Where gaze in no sentence is cut into key frames."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from keyframes.looks import Looks

__all__ = ["SILENT_PAUSE_S", "SILENT_S", "by_image", "by_pause_or_region", "by_time", "marks_of"]

SILENT_S = 5.0
"""s. Gaze that nothing else cuts is cut after so long, one sentence's usual time."""
SILENT_PAUSE_S = 1.0
"""s without gaze on the image that end a silent key frame: blinks and losses are shorter, so the reader looked away."""

IntArray = NDArray[np.int64]


def by_image(looks: Looks) -> list[IntArray]:
    """Return the places of each stretch on one image."""
    return _at(np.diff(looks.image_index) != 0, looks.image_index.size)


def by_time(looks: Looks, *, silent_s: float) -> list[IntArray]:
    """Return the places of each stretch on one image, none with a look that starts ``silent_s`` after its first."""
    parts: list[IntArray] = []
    for stretch in by_image(looks):
        start = looks.t_start_ns[stretch]
        while stretch.size:
            n = int(np.searchsorted(start, start[0] + max(1, round(silent_s * 1e9))))
            parts.append(stretch[:n])
            stretch, start = stretch[n:], start[n:]
    return parts


def by_pause_or_region(
    looks: Looks, region_of: Mapping[int, str], *, silent_s: float, silent_pause_s: float, min_dwell_s: float
) -> list[IntArray]:
    """Return the places of each stretch on one image and region without a pause of ``silent_pause_s``.

    region_of : primary region by event index; what has none is one region more, which is also cut by `by_time`.

    A look or two at another region, of less than ``min_dwell_s`` together, cut nothing.
    """
    n = looks.event_index.size
    region = np.array([region_of.get(index, "") for index in looks.event_index.tolist()], np.str_)
    pause_ns = looks.t_start_ns[1:] - np.maximum.accumulate(looks.t_end_ns)[:-1]
    is_hard = (np.diff(looks.image_index) != 0) | (pause_ns >= silent_pause_s * 1e9)
    runs = _at(is_hard | (region[1:] != region[:-1]), n)
    parts: list[list[IntArray]] = []
    names: list[str | None] = []
    for run in runs:
        long_enough = looks.dwell_s[run].sum() >= min_dwell_s
        name = str(region[run[0]]) if long_enough else None
        hard = not parts or bool(is_hard[run[0] - 1])
        if hard or (name is not None and names[-1] is not None and name != names[-1]):
            parts.append([run])
            names.append(name)
        else:
            parts[-1].append(run)
            names[-1] = names[-1] if names[-1] is not None else name
    whole = [np.concatenate(part) for part in parts]
    cut = [
        [part] if name else [part[own] for own in by_time(looks.part(part), silent_s=silent_s)]
        for part, name in zip(whole, names, strict=True)
    ]
    return [part for pieces in cut for part in pieces]


def marks_of(findings: pa.Table | None) -> list[tuple[int, list[str]]]:
    """Return when findings were marked, ns, in order, and which; a finding whose time is unknown is left out."""
    if findings is None or "t_ns" not in findings.column_names:
        return []
    known = findings.filter(pc.is_valid(findings.column("t_ns")))
    marks: dict[int, list[str]] = {}
    for row in known.select(["t_ns", "finding_id"]).to_pylist():
        marks.setdefault(row["t_ns"], []).append(row["finding_id"])
    return [(t_ns, sorted(marks[t_ns])) for t_ns in sorted(marks)]


def _at(cuts: NDArray[np.bool_], n: int) -> list[IntArray]:
    """Return 0 ... n - 1 in order, cut after the places where ``cuts``, (n - 1,), says so."""
    if not n:
        return []
    return np.split(np.arange(n, dtype=np.int64), np.flatnonzero(cuts) + 1)
