"""A stretch of a tracker's recording as the tables of a Reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.ingest.trackers.messages import View
from curation.ingest.trackers.trials import Trial
from gazecapture.trackers import TrackerRecording
from keyframes.eyes import combine_eyes
from keyframes.geometry import Affine, Display, map_gaze
from keyframes.reading import DISPLAY, VALIDATIONS

__all__ = ["display_table", "gaze_table", "rate_hz", "validation_table"]

FloatArray = NDArray[np.float64]


def display_table(views: Sequence[View], trial: Trial) -> pa.Table:
    """Return table ``display``: image 0 in one viewport, as large as what is shown of it."""
    rows = [
        {
            "t_ns": view.t_ns - trial.t_start_ns,
            "viewport_id": 0,
            "inverted": False,
            "panels": [],
            "image_index": 0,
            "affine": list(Affine.from_rects(view.dest, view.source).coefficients),
            "source_rect": list(view.source),
            "dest_rect": list(view.dest),
            "viewport_rect": list(view.dest),
        }
        for view in views
    ]
    return pa.Table.from_pylist(rows, schema=DISPLAY)


def gaze_table(
    recording: TrackerRecording, samples: pa.Table, trial: Trial, shown: pa.Table, display: Display | None
) -> pa.Table:
    """Return table ``gaze`` of some samples, on reading time and on the image that ``shown`` says.

    Gaze of a scene camera has no place on the screen (NaN); its own px are in ``x/y_scene_px``, and a sample is valid
    only where it has a place on the screen.
    """
    columns = _points(recording, samples)
    t_ns = samples.column("t_ns").to_numpy() - trial.t_start_ns
    mapped = map_gaze(t_ns, columns["x_screen_px"], columns["y_screen_px"], shown)
    per_deg_x = per_deg_y = np.nan
    if display is not None and display.knows_degrees:
        per_deg_x, per_deg_y = display.px_per_deg()
    pupils = [columns["left_pupil"], columns["right_pupil"]]
    n = t_ns.size
    return pa.table(
        {
            **columns,
            "t_ns": t_ns,
            "x_image_px": mapped.x_image_px,
            "y_image_px": mapped.y_image_px,
            "px_per_deg_x": mapped.image_px_per_screen_px_x * per_deg_x,
            "px_per_deg_y": mapped.image_px_per_screen_px_y * per_deg_y,
            "pupil": _mean(*pupils),
            "valid": np.isfinite(columns["x_screen_px"]),
            "pupil_unit": pa.repeat(recording.pupil_unit, n),
            "source": pa.repeat("imported", n),
            "viewport_id": pa.array(mapped.viewport_id, mask=mapped.viewport_id < 0),
            "image_index": pa.array(mapped.image_index, mask=mapped.image_index < 0),
        }
    )


def validation_table(recording: TrackerRecording, trial: Trial) -> pa.Table:
    """Return the tracker's last validation of each eye before the reading, and the first after its end."""
    chosen: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(recording.validations.to_pylist(), key=lambda row: row["t_ns"]):
        if not np.isfinite(row["accuracy_deg"]):
            continue  # aborted
        if row["t_ns"] <= trial.t_start_ns:
            chosen["before", row["eye"]] = row
        elif row["t_ns"] >= trial.t_end_ns:
            chosen.setdefault(("after", row["eye"]), row)
    on_screen = recording.frame == "screen"
    rows = [
        {
            "t_ns": row["t_ns"] - trial.t_start_ns,
            "phase": phase,
            **{name: row[name] for name in ("eye", "n_points", "accuracy_deg", "accuracy_max_deg")},
            **dict.fromkeys(("rms_s2s_deg", "sd_deg", "loss_share"), np.nan),
            "offset_x_screen_px": row["offset_x_px"]
            if on_screen and np.isfinite(row["offset_x_px"])
            else None,
            "offset_y_screen_px": row["offset_y_px"]
            if on_screen and np.isfinite(row["offset_y_px"])
            else None,
        }
        for (phase, _), row in chosen.items()
    ]
    return pa.Table.from_pylist(rows, schema=VALIDATIONS)


def rate_hz(t_ns: NDArray[np.int64]) -> float | None:
    """Return the rate as the time stamps give it; None below two samples."""
    steps = np.diff(t_ns)
    return float(1e9 / np.median(steps)) if steps.size and np.median(steps) > 0 else None


def _points(recording: TrackerRecording, samples: pa.Table) -> dict[str, Any]:
    """Return the columns of both eyes and of the point that they give together."""
    raw = {name: samples.column(name).to_numpy() for name in samples.column_names}
    n = samples.num_rows
    seen = {eye: bool(np.isfinite(raw[f"{eye}_x_px"]).any()) for eye in ("left", "right")}
    if seen["left"] and seen["right"]:
        both = combine_eyes(*(raw[f"{eye}_{axis}_px"] for eye in ("left", "right") for axis in "xy"))
        x, y, rule = both.x_px, both.y_px, "mean_of_valid"
    elif seen["left"] or seen["right"]:
        rule = "left" if seen["left"] else "right"
        x, y = raw[f"{rule}_x_px"], raw[f"{rule}_y_px"]
    else:
        x, y, rule = raw["x_px"], raw["y_px"], "device"
    nothing = np.full(n, np.nan)
    columns: dict[str, Any] = {"combined_by": pa.repeat(rule, n)}
    on_screen = recording.frame == "screen"
    if not on_screen:
        columns |= {"x_scene_px": x, "y_scene_px": y}
        x = y = nothing
    columns |= {"x_screen_px": x, "y_screen_px": y}
    for eye in ("left", "right"):
        eye_x, eye_y = raw[f"{eye}_x_px"], raw[f"{eye}_y_px"]
        columns |= {
            f"{eye}_x_screen_px": eye_x if on_screen else nothing,
            f"{eye}_y_screen_px": eye_y if on_screen else nothing,
            f"{eye}_pupil": raw[f"{eye}_pupil"],
            f"{eye}_valid": np.isfinite(eye_x) & on_screen,
        }
    return columns


def _mean(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return the mean of the eyes that were seen; NaN for none."""
    values = np.vstack([left, right])
    count = np.isfinite(values).sum(axis=0)
    total = np.where(np.isfinite(values), values, 0.0).sum(axis=0)
    mean: FloatArray = np.divide(total, count, out=np.full(left.size, np.nan), where=count > 0)
    return mean
