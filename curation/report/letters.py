"""How the letters of the scheme were inspected over all readings: dwell, first look, cover, and the ways between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from curation.report.gathered import Gathered

__all__ = ["LetterSpread", "Strip", "StripPart", "Way", "letter_spreads", "strips", "ways"]

MIN_PART_PERCENT = 0.15
"""A visit of 50 ms in a reading of a minute would be narrower than a pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterSpread:
    """One letter over all readings that have a trajectory."""

    letter: str
    name: str
    n: int
    shares: tuple[float, float, float, float, float]
    """Share of the dwell: 5th, 25th, 50th, 75th and 95th percentile."""
    median_dwell_s: float
    median_first_s: float
    """NaN: nobody looked."""
    median_covered: float
    never: int
    """Readings in which it was not looked at."""
    first: int
    """Readings that begin with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """From one letter to another, on one image."""

    start: str
    end: str
    n: int
    share: float
    """Of all ways out of ``start``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StripPart:
    """One visit in a strip, in percent of its length."""

    letter: str
    left: float
    width: float
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """One reading's trajectory as a strip."""

    reading_id: str
    duration: str
    parts: tuple[StripPart, ...]
    order: str
    """Letters by first visit."""


def letter_spreads(readings: Sequence[Gathered], names: Mapping[str, str]) -> tuple[LetterSpread, ...]:
    """Return a row per letter, those of the scheme first, over the readings that looked at any."""
    looked = [reading for reading in readings if reading.visits]
    if not looked:
        return ()
    begins = Counter(reading.visits[0].letter for reading in looked)
    letters = dict.fromkeys(
        [*names, *sorted({letter for reading in looked for letter in reading.letters} - set(names))]
    )
    rows = []
    for letter in letters:
        found = [reading.letters.get(letter) for reading in looked]
        shares = np.array([0.0 if look is None else look.dwell_share for look in found])
        seen = [look for look in found if look is not None and look.n_visits]
        percentiles = np.quantile(np.nan_to_num(shares), [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()
        rows.append(
            LetterSpread(
                letter=letter,
                name=names.get(letter, ""),
                n=len(looked),
                shares=(percentiles[0], percentiles[1], percentiles[2], percentiles[3], percentiles[4]),
                median_dwell_s=float(np.median([0.0 if look is None else look.dwell_s for look in found])),
                median_first_s=_median([look.t_first_s for look in seen]),
                median_covered=_median([look.covered_share for look in found if look is not None]),
                never=len(looked) - len(seen),
                first=begins[letter],
            )
        )
    return tuple(rows)


def ways(readings: Sequence[Gathered]) -> tuple[Way, ...]:
    """Return how often gaze went from each letter to each other one; stays and changes of the image are not counted."""
    counts: Counter[tuple[str, str]] = Counter(
        (one.letter, other.letter)
        for reading in readings
        for one, other in pairwise(reading.visits)
        if one.letter != other.letter and one.image_index == other.image_index
    )
    out: Counter[str] = Counter()
    for (start, _), n in counts.items():
        out[start] += n
    return tuple(
        Way(start=start, end=end, n=n, share=n / out[start]) for (start, end), n in sorted(counts.items())
    )


def strips(readings: Sequence[Gathered]) -> tuple[Strip, ...]:
    """Return each reading's visits over its time; of a reading without any, nothing."""
    return tuple(
        Strip(
            reading_id=reading.reading_id,
            duration=f"{reading.duration_s:.0f} s",
            parts=tuple(
                StripPart(
                    letter=visit.letter,
                    left=_percent(visit.t_start_s, reading.duration_s),
                    width=max(
                        MIN_PART_PERCENT, _percent(visit.t_end_s - visit.t_start_s, reading.duration_s)
                    ),
                    title=f"{visit.letter} {visit.t_start_s:.1f} to {visit.t_end_s:.1f} s",
                )
                for visit in reading.visits
            ),
            order=" ".join(dict.fromkeys(visit.letter for visit in reading.visits)),
        )
        for reading in readings
        if reading.visits and reading.duration_s > 0
    )


def _percent(part_s: float, whole_s: float) -> float:
    return min(100.0, max(0.0, 100 * part_s / whole_s))


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if known else float("nan")
