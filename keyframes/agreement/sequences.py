"""Likeness of two sequences of places: string edit, and ScanMatch, which knows how near two places are."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keyframes.errors import DataError

__all__ = ["grid_similarity", "scanmatch", "string_edit_similarity"]

FloatArray = NDArray[np.float64]


def string_edit_similarity(first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
    """Return 1 minus the Levenshtein distance over the longer length, 0 to 1; two empty sequences give 1.

    Insertion, deletion and substitution cost 1 each (Levenshtein 1966; for scanpaths Brandt & Stark 1997).
    """
    longer = max(len(first), len(second))
    if not longer:
        return 1.0
    number = {place: index for index, place in enumerate(dict.fromkeys([*first, *second]))}
    b = np.array([number[place] for place in second], np.int64)
    column = np.arange(b.size + 1)
    row = column.astype(np.int64)
    for place in first:
        above = np.minimum(row[1:] + 1, row[:-1] + (b != number[place]))
        # Whatever comes from the left costs one per step: a running minimum once the steps are taken off.
        row = np.minimum.accumulate(np.concatenate([[row[0] + 1], above]) - column) + column
    return 1.0 - float(row[-1]) / longer


def grid_similarity(centres_deg: ArrayLike, *, near_deg: float) -> FloatArray:
    """Return (k, k) how alike k places are: 1 on one spot, 0 at ``near_deg``, negative beyond.

    centres_deg : (k, 2), degrees, finite. near_deg : the distance from which on two places are rather a mismatch;
    ScanMatch's authors take two standard deviations of the saccade amplitude. Raises DataError for other shapes, NaN
    or a distance of 0 or less.
    """
    centres = np.asarray(centres_deg, np.float64)
    if centres.ndim != 2 or centres.shape[1] != 2 or not np.isfinite(centres).all():
        raise DataError(f"centres_deg has shape {centres.shape}, expected (k, 2) of finite numbers")
    if not near_deg > 0:
        raise DataError(f"near_deg is {near_deg}, expected more than 0")
    away = centres[:, None, :] - centres[None, :, :]
    similarity: FloatArray = 1.0 - np.hypot(away[..., 0], away[..., 1]) / near_deg
    return similarity


def scanmatch(
    first: Sequence[str],
    second: Sequence[str],
    *,
    places: Mapping[str, int],
    similarity: ArrayLike,
    gap: float = 0.0,
) -> float:
    """Return the ScanMatch score of two sequences, at most 1 (equal sequences); two empty ones give 1.

    first, second : places; a place is repeated for each time bin of its dwell (`dwell_sequence`).
    places        : row of each place in ``similarity``.
    similarity    : (k, k), as from `grid_similarity`; its largest value is the score of a perfect match.
    gap           : added for each place left out, 0 or less.

    The best global alignment (Needleman & Wunsch 1970), divided by the best value times the longer length, after
    Cristino, Mathot, Theeuwes & Gilchrist 2010, Behavior Research Methods 42:692-700. With gaps of 0 and some
    similarity the score is not negative. Raises DataError for a place without a row, a matrix that is not square,
    not finite or without a positive value, or a positive gap.
    """
    matrix = np.asarray(similarity, np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.isfinite(matrix).all():
        raise DataError(f"similarity has shape {matrix.shape}, expected a square of finite numbers")
    if gap > 0:
        raise DataError(f"gap is {gap}, expected 0 or less")
    longer = max(len(first), len(second))
    if not longer:
        return 1.0
    best = float(matrix.max(initial=0.0))
    if best <= 0:
        raise DataError("similarity has no positive value, so nothing could match")
    a, b = (_rows(sequence, places, matrix.shape[0]) for sequence in (first, second))
    steps = gap * np.arange(b.size + 1)
    row = steps.copy()
    for place in a:
        above = np.maximum(row[1:] + gap, row[:-1] + matrix[place, b])
        row = np.maximum.accumulate(np.concatenate([[row[0] + gap], above]) - steps) + steps
    return float(row[-1]) / (best * longer)


def _rows(sequence: Sequence[str], places: Mapping[str, int], n_rows: int) -> NDArray[np.int64]:
    """Return the matrix row of each place."""
    rows = np.empty(len(sequence), np.int64)
    for index, place in enumerate(sequence):
        row = places.get(place, -1)
        if not 0 <= row < n_rows:
            raise DataError(
                f"place {place!r} has no row in the similarity of {n_rows} places", record=f"place {index}"
            )
        rows[index] = row
    return rows
