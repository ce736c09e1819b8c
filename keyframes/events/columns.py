"""Columns of gaze as callers have them: checked, and made float64 arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keyframes.errors import DataError, GeometryError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MIN_PX_PER_DEG", "GazeInput", "column", "scale_column"]

FloatArray = NDArray[np.float64]

if TYPE_CHECKING:
    GazeInput = ArrayLike | pd.Series[float]
else:
    GazeInput = ArrayLike
"""What a column of gaze may be: array, list or pandas Series of numbers."""

_NUMBERS = "biufO"
"""numpy kinds of arrays that may hold plain numbers: dates, texts and complex numbers do not."""

MIN_PX_PER_DEG = 1e-6
"""Below, degrees overflow; a frame of unit width still has 0.01."""


def column(values: GazeInput, name: str, n: int | None = None) -> FloatArray:
    """Return a (n,) float64 array, pandas' missing values as NaN. Raises DataError."""
    # pandas is told by what it offers, so that importing this does not import it; Arrow columns have no dtype.
    from_pandas = getattr(values, "to_numpy", None) if hasattr(values, "dtype") else None
    array: FloatArray | None = None
    try:
        kind = (values if from_pandas is not None else np.asarray(values)).dtype.kind  # type: ignore[union-attr]
        # Dates, texts and complex numbers would be cast to some number: they are refused.
        if kind in _NUMBERS and from_pandas is not None:
            array = from_pandas(dtype=np.float64, na_value=np.nan)
        elif kind in _NUMBERS:
            array = np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: numbers are expected", record=name) from error
    if array is None:
        raise DataError(f"{name}: numbers are expected", record=name)
    if array.ndim != 1:
        raise DataError(f"{name}: one dimension is expected, found shape {array.shape}", record=name)
    if n is not None and array.size != n:
        raise DataError(f"{name}: {n} values are expected, one per time, found {array.size}", record=name)
    return np.ascontiguousarray(array, dtype=np.float64)


def scale_column(values: GazeInput, name: str, n: int) -> FloatArray:
    """Return (1,) or (n,) px per degree; NaN = unknown. Raises GeometryError for one that is not positive."""
    if not isinstance(values, (list, tuple)) and np.ndim(values) == 0:
        scalar = float(column(np.asarray([values]), name)[0])
        if not (np.isfinite(scalar) and scalar >= MIN_PX_PER_DEG):
            raise GeometryError(
                f"{name}: a positive number is expected, found {scalar:g}", code="GT-NO-DEGREES"
            )
        return np.full(1, scalar)
    array = column(values, name, n)
    wrong = np.flatnonzero(array < MIN_PX_PER_DEG)
    if wrong.size:
        raise GeometryError(
            f"{name}: positive numbers are expected, found {array[wrong[0]]:g}", record=int(wrong[0])
        )
    return np.where(np.isfinite(array), array, np.nan)
