"""One reading along its time: what was shown, looked at, said and made of it at any moment. No Qt.

All times are int64 ns since image on, as in the reading's tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keyframes.fixations import Fixations
from keyframes.reading import Reading
from keyframes.trajectory import letter_visits

__all__ = ["Gap", "LetterSpan", "Moment", "Sentence", "Timeline"]

GAP_FACTOR = 4.0
"""Median intervals from which a step between samples is a gap, as for the event detectors."""
SMALLEST_GAP_NS = 20_000_000
"""A shorter one is not seen on a strip of a minute."""
TRAIL_NS = 600_000_000
"""Gaze shown before the moment: two to three fixations."""

Row = Mapping[str, Any]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence with the bounds and text that count."""

    sentence_id: str
    text: str
    t_start_ns: int
    t_end_ns: int
    is_moved: bool = False
    """A person moved its bounds."""
    is_corrected: bool = False
    """A person corrected its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterSpan:
    """A visit to the regions of one letter."""

    letter: str
    t_start_ns: int
    t_end_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Time without gaze: the samples stop, or all of them are lost."""

    t_start_ns: int
    t_end_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What was at one time."""

    t_ns: int
    display: tuple[Row, ...]
    """The row in force of each viewport that showed an image."""
    trail: slice
    """Of the gaze samples: the last ones up to now."""
    fixation: int | None
    """Place among the fixations."""
    sentence: int | None
    """Place among the sentences."""
    letter: str
    keyframes: tuple[int, ...]
    """Places among the key frames."""


class Timeline:
    """Look-ups over one reading that has the tables of `gazecapture.viewer.review.derived.completed`."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        gaze = reading.table("gaze")
        order = np.argsort(gaze.column("t_ns").to_numpy(), kind="stable")
        self.t_ns: NDArray[np.int64] = gaze.column("t_ns").to_numpy()[order]
        valid = gaze.column("valid").to_numpy(zero_copy_only=False)[order]
        self.x_screen_px, self.y_screen_px = (
            np.where(valid, gaze.column(name).to_numpy()[order], np.nan)
            for name in ("x_screen_px", "y_screen_px")
        )
        self.x_image_px, self.y_image_px = (
            gaze.column(name).to_numpy()[order] for name in ("x_image_px", "y_image_px")
        )
        self.image_index: NDArray[np.int64] = (
            gaze.column("image_index").fill_null(-1).to_numpy().astype(np.int64)[order]
        )
        self.fixations = Fixations.of(reading.table("events"), gaze)
        self._display = _by_viewport(reading.table("display").to_pylist())
        self.display_changes: NDArray[np.int64] = np.unique(
            reading.table("display").column("t_ns").to_numpy()
        )
        self.keyframes: list[dict[str, Any]] = reading.table("keyframes").sort_by("order").to_pylist()
        self.letters = [
            LetterSpan(letter=row["letter"], t_start_ns=row["t_start_ns"], t_end_ns=row["t_end_ns"])
            for row in letter_visits(reading.table("trajectory")).to_pylist()
        ]
        self.gaps = _gaps(self.t_ns, np.isfinite(self.x_screen_px) | np.isfinite(self.x_image_px))
        self._base = [
            Sentence(**{name: row[name] for name in ("sentence_id", "text", "t_start_ns", "t_end_ns")})
            for row in reading.table("sentences").sort_by("t_start_ns").to_pylist()
        ]
        self.sentences: list[Sentence] = list(self._base)
        ends = [reading.meta.duration_ns, *(s.t_end_ns for s in self._base)]
        self.start_ns = min([0, *(s.t_start_ns for s in self._base)])
        self.end_ns = max([*ends, self.start_ns + 1])

    def decide_sentences(self, bounds: Mapping[str, tuple[int, int]], texts: Mapping[str, str]) -> None:
        """Show the sentences as people decided them; the order is that of their starts."""
        self.sentences = sorted(
            (
                Sentence(
                    sentence_id=one.sentence_id,
                    text=texts.get(one.sentence_id, one.text),
                    t_start_ns=bounds.get(one.sentence_id, (one.t_start_ns, 0))[0],
                    t_end_ns=bounds.get(one.sentence_id, (0, one.t_end_ns))[1],
                    is_moved=one.sentence_id in bounds,
                    is_corrected=one.sentence_id in texts,
                )
                for one in self._base
            ),
            key=lambda one: (one.t_start_ns, one.sentence_id),
        )

    def clamped(self, t_ns: int) -> int:
        """Return the nearest moment of the reading."""
        return min(max(t_ns, self.start_ns), self.end_ns)

    def at(self, t_ns: int) -> Moment:
        """Return what was at a moment."""
        first, last = np.searchsorted(self.t_ns, [t_ns - TRAIL_NS, t_ns], side="right")
        place = int(np.searchsorted(self.fixations.t_start_ns, t_ns, side="right")) - 1
        fixation = place if place >= 0 and t_ns < self.fixations.t_end_ns[place] else None
        return Moment(
            t_ns=t_ns,
            display=self.display_at(t_ns),
            trail=slice(int(first), int(last)),
            fixation=fixation,
            sentence=next(
                (k for k, s in enumerate(self.sentences) if s.t_start_ns <= t_ns < s.t_end_ns), None
            ),
            letter=next((v.letter for v in self.letters if v.t_start_ns <= t_ns < v.t_end_ns), ""),
            keyframes=tuple(
                k for k, row in enumerate(self.keyframes) if row["t_start_ns"] <= t_ns < row["t_end_ns"]
            ),
        )

    def display_at(self, t_ns: int) -> tuple[Row, ...]:
        """Return each viewport's row in force; before image on that of image on, after image off the last one.

        A row that does not say where the image was is left out: some sources know only that it was shown.
        """
        found = []
        for starts, rows in self._display:
            place = max(int(np.searchsorted(starts, t_ns, side="right")) - 1, 0)
            while place and rows[place]["image_index"] is None:
                place -= 1
            row = rows[place]
            where = row["viewport_rect"] or row["dest_rect"]
            if row["image_index"] is not None and row["affine"] is not None and where is not None:
                found.append(row)
        return tuple(found)

    def next_fixation(self, t_ns: int) -> int:
        """Return when the next fixation began; the end where there is none."""
        later = self.fixations.t_start_ns[self.fixations.t_start_ns > t_ns]
        return int(later[0]) if later.size else self.end_ns

    def previous_fixation(self, t_ns: int) -> int:
        """Return when the last fixation before ``t_ns`` began; the start where there is none."""
        earlier = self.fixations.t_start_ns[self.fixations.t_start_ns < t_ns]
        return int(earlier[-1]) if earlier.size else self.start_ns

    def looks_until(self, t_ns: int, image_index: int) -> NDArray[np.intp]:
        """Return the places of the fixations on an image that began by then."""
        return np.flatnonzero(
            (self.fixations.t_start_ns <= t_ns) & (self.fixations.image_index == image_index)
        )


def _by_viewport(rows: Sequence[Row]) -> list[tuple[NDArray[np.int64], list[Row]]]:
    found = []
    for viewport in sorted({row["viewport_id"] for row in rows}):
        own = sorted((row for row in rows if row["viewport_id"] == viewport), key=lambda row: row["t_ns"])
        found.append((np.array([row["t_ns"] for row in own], np.int64), own))
    return found


def _gaps(t_ns: NDArray[np.int64], is_seen: NDArray[np.bool_]) -> list[Gap]:
    """Return where the time from one seen sample to the next is that of several."""
    if t_ns.size < 2:
        return []
    longest = max(GAP_FACTOR * float(np.median(np.diff(t_ns))), SMALLEST_GAP_NS)
    seen = t_ns[is_seen]
    at = np.flatnonzero(np.diff(seen) > longest)
    return [Gap(t_start_ns=int(seen[k]), t_end_ns=int(seen[k + 1])) for k in at]
