"""Events from a frame of gaze with one eye or two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from keyframes.errors import SchemaError, UsageError
from keyframes.events.detection import Events, detect
from keyframes.eyes import combine_eyes

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Eyes", "detect_frame"]

Eyes = Literal["combined", "left", "right", "mean"]

_PREFIX = {"combined": "", "left": "left_", "right": "right_"}


def detect_frame(
    gaze: pd.DataFrame,
    px_per_deg_x: float,
    px_per_deg_y: float,
    *,
    eyes: Eyes = "combined",
    max_disparity_px: float | None = None,
    method: str = "auto",
) -> Events:
    """Find events in a pandas frame with the columns of a reading's table ``gaze``, in screen px.

    gaze : ``t_ns``, and as ``eyes`` says: ``combined`` reads x_screen_px, y_screen_px (a cyclopean point, or what
        intake made of two eyes), ``left`` and ``right`` that eye's columns alone, ``mean`` combines both by
        `keyframes.eyes.combine_eyes` with ``max_disparity_px``. NaN = lost; so is a row whose ``valid`` (or
        ``left_valid``, ``right_valid``), where there is such a column, is false.
    px_per_deg_x, px_per_deg_y : screen px per degree; the table's own columns are image px.

    Raises SchemaError where a column is absent, UsageError for unknown ``eyes``, and what `keyframes.events.detect`
    raises.
    """
    if eyes == "mean":
        left, right = _position(gaze, "left_"), _position(gaze, "right_")
        both = combine_eyes(*left, *right, max_disparity_px=max_disparity_px)
        x, y = both.x_px, both.y_px
    elif eyes in _PREFIX:
        x, y = _position(gaze, _PREFIX[eyes])
    else:
        raise UsageError(f"eyes: one of {', '.join((*_PREFIX, 'mean'))} is expected, found {eyes!r}")
    return detect(_column(gaze, "t_ns") * 1e-9, x, y, px_per_deg_x, px_per_deg_y, method=method)


def _position(gaze: pd.DataFrame, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = _column(gaze, f"{prefix}x_screen_px"), _column(gaze, f"{prefix}y_screen_px")
    if f"{prefix}valid" in gaze.columns:
        # A null says nothing of the sample, so its position counts.
        invalid = gaze[f"{prefix}valid"].eq(False).fillna(False).to_numpy(dtype=np.bool_)
        x, y = np.where(invalid, np.nan, x), np.where(invalid, np.nan, y)
    return x, y


def _column(gaze: pd.DataFrame, name: str) -> np.ndarray:
    if name not in gaze.columns:
        raise SchemaError(f"the frame lacks column {name!r}", record=name)
    values: np.ndarray = gaze[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return values
