"""Two eyes to one point of gaze: the one rule of the toolkit, on intake and afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keyframes.errors import DataError

__all__ = ["EYE_RULES", "CombinedGaze", "combine_eyes"]

EYE_RULES: Final = ("none", "left", "right", "mean", "apart")
"""By code: no eye was valid, only that one was, the mean of both, both were valid but too far apart."""
_APART: Final = EYE_RULES.index("apart")


@dataclass(frozen=True, slots=True, kw_only=True)
class CombinedGaze:
    """One point of gaze for each of n samples."""

    x_px: NDArray[np.float64]
    """(n,) in the frame of the eyes; NaN = lost."""
    y_px: NDArray[np.float64]
    rule: NDArray[np.int8]
    """(n,) codes of `EYE_RULES`; none and apart are lost."""

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(n,) whether there is a point."""
        return np.isfinite(self.x_px)


def combine_eyes(
    left_x_px: ArrayLike,
    left_y_px: ArrayLike,
    right_x_px: ArrayLike,
    right_y_px: ArrayLike,
    *,
    max_disparity_px: float | None = None,
) -> CombinedGaze:
    """Combine the eyes sample by sample: their mean where both are valid, else the one that is.

    left_x_px ... right_y_px : (n,) px of one frame; NaN or infinite on either axis = that eye is lost.
    max_disparity_px : two valid eyes farther apart than this give no point, as it is unknown which of them is wrong;
        None: they always give their mean.

    Where one eye drops out the point jumps by half of the disparity, which a velocity detector sees as movement:
    with a steady disparity prefer one eye alone. Raises DataError where the columns differ in length.
    """
    columns = [np.asarray(v, np.float64) for v in (left_x_px, left_y_px, right_x_px, right_y_px)]
    if any(c.ndim != 1 or c.size != columns[0].size for c in columns):
        raise DataError(
            f"eyes: four columns of one length are expected, found shapes {[c.shape for c in columns]}"
        )
    left_x, left_y, right_x, right_y = columns
    left, right = np.isfinite(left_x) & np.isfinite(left_y), np.isfinite(right_x) & np.isfinite(right_y)
    rule = (left + 2 * right).astype(np.int8)
    if max_disparity_px is not None:
        both = np.flatnonzero(left & right)
        apart = np.hypot(left_x[both] - right_x[both], left_y[both] - right_y[both]) > max_disparity_px
        rule[both[apart]] = _APART
    x, y = np.full(rule.size, np.nan), np.full(rule.size, np.nan)
    for out, of_left, of_right in ((x, left_x, right_x), (y, left_y, right_y)):
        for code, values in ((1, of_left), (2, of_right)):
            out[rule == code] = values[rule == code]
        out[rule == 3] = (of_left[rule == 3] + of_right[rule == 3]) / 2
    return CombinedGaze(x_px=x, y_px=y, rule=rule)
