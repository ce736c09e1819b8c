"""View ``pymovements``: samples and events with a definition that ``pymovements.Dataset`` loads.

A folder per screen and sampling rate, since a definition has one of each: ``dataset.yaml``, samples in ``raw/``
(where the gaze tier has samples), events in ``precomputed_events/``. Both are CSV: pymovements
takes no settings for other formats. Times are ms since image on.

Source: pymovements 0.28, ``DatasetDefinition`` and ``ResourceDefinition``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from curation.export.read import ShardReader
from curation.export.views.measured import events_of, samples_of
from curation.export.views.protocol import ViewResult
from curation.view_settings import PymovementsOptions
from gazecapture.files import as_tool_error, make_private_folder, write_bytes_atomically

__all__ = ["PymovementsView"]

_COLUMNS: Final = ("reading_id", "gaze_tier", "display", "tracker", "fixations")
_SCREEN: Final = ("width_px", "height_px", "width_mm", "height_mm", "distance_mm")
_MEASURED: Final = (
    "x_screen_px", "y_screen_px", "left_x_screen_px", "left_y_screen_px", "right_x_screen_px", "right_y_screen_px",
    "x_image_px", "y_image_px", "pupil", "left_pupil", "right_pupil",
)  # fmt: skip
_DECIMALS: Final = 3
"""Of px, mm, degrees and pupil sizes: finer than any tracker measures."""
_EVENT_VALUES: Final = (
    "x_image_px",
    "y_image_px",
    "x_screen_px",
    "y_screen_px",
    "amplitude_deg",
    "dispersion_deg",
)


class PymovementsView:
    """See the module."""

    name = "pymovements"
    version = "1"

    def write(self, reader: ShardReader, folder: Path, options: PymovementsOptions) -> ViewResult:
        """See `View.write`."""
        groups: dict[tuple[Any, ...], str] = {}
        facts: dict[str, dict[str, Any]] = {}
        left_out: Counter[str] = Counter()
        n_readings = n_records = 0
        for row in reader.rows(_COLUMNS):
            samples = samples_of(reader.dataset, row["reading_id"])
            events = _events(row, events_of(reader.dataset, row["reading_id"]))
            if samples is None and not events.num_rows:
                left_out["no gaze"] += 1
                continue
            rate_hz = _rate_hz(row, samples)
            key = _group(row, rate_hz)
            name = groups.setdefault(key, f"screen-{len(groups) + 1}")
            known = facts.setdefault(
                name, {"display": row["display"] or {}, "rate_hz": rate_hz, "has_samples": False}
            )
            if samples is not None:
                known["has_samples"] = True
                place = make_private_folder(folder / name / "raw") / f"{row['reading_id']}.csv"
                _write_csv(place, _sample_rows(row, samples))
                n_records += 1
            place = make_private_folder(folder / name / "precomputed_events") / f"{row['reading_id']}.csv"
            _write_csv(place, events)
            n_records += 1
            n_readings += 1
        for name, known in facts.items():
            write_bytes_atomically(folder / name / "dataset.yaml", _definition(name, known, options).encode())
        write_bytes_atomically(folder / "README.md", _README.encode())
        return ViewResult(n_readings=n_readings, n_records=n_records, left_out=dict(left_out))


def _group(row: Mapping[str, Any], rate_hz: float | None) -> tuple[Any, ...]:
    display = row["display"] or {}
    return (*(display.get(name) for name in _SCREEN), rate_hz)


def _rate_hz(row: Mapping[str, Any], samples: pa.Table | None) -> float | None:
    """Return the rate by which readings are put together: what the device states, else what was measured."""
    nominal = (row["tracker"] or {}).get("nominal_rate_hz")
    if samples is None or samples.num_rows < 2:
        return float(nominal) if nominal else None
    if row["gaze_tier"] == "raw" and nominal:
        return float(nominal)
    steps = np.diff(samples.column("t_ns").to_numpy())
    return float(round(1e9 / float(np.mean(steps)))) if steps.sum() > 0 else None


def _sample_rows(row: Mapping[str, Any], samples: pa.Table) -> pa.Table:
    """Return the samples, rounded as `_DECIMALS` says; a lost one is an empty cell."""
    distance_mm = _floats(samples, "eye_distance_mm")
    stated_mm = (row["display"] or {}).get("distance_mm") or np.nan
    columns = {
        "time_ms": samples.column("t_ns").to_numpy() / 1e6,
        **{name: _rounded(_floats(samples, name)) for name in _MEASURED},
        "distance_mm": _rounded(np.where(np.isfinite(distance_mm), distance_mm, stated_mm)),
        "image_index": samples.column("image_index"),
        "event_index": samples.column("event_index"),
    }
    return pa.table(columns)


def _floats(table: pa.Table, name: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = table.column(name).cast(pa.float64()).to_numpy()
    return values


def _rounded(values: NDArray[np.float64]) -> pa.Array:
    return pa.array(np.round(values, _DECIMALS), mask=~np.isfinite(values))


def _events(row: Mapping[str, Any], events: pa.Table | None) -> pa.Table:
    """Return the events that the gaze tier lets out, named as pymovements names them, times in ms."""
    rows: Sequence[Mapping[str, Any]]
    rows = [{**f, "kind": "fixation"} for f in row["fixations"]] if events is None else events.to_pylist()
    columns: dict[str, Any] = {
        "name": pa.array([event["kind"] for event in rows], pa.string()),
        "onset": np.array([event["t_start_ns"] / 1e6 for event in rows], np.float64),
        "offset": np.array([event["t_end_ns"] / 1e6 for event in rows], np.float64),
        "event_index": pa.array([event["event_index"] for event in rows], pa.int32()),
        "image_index": pa.array([event["image_index"] for event in rows], pa.int16()),
    }
    for name in _EVENT_VALUES:
        values = np.array([np.nan if event.get(name) is None else event[name] for event in rows], np.float64)
        columns[name] = _rounded(values)
    return pa.table(columns)


def _write_csv(path: Path, table: pa.Table) -> None:
    try:
        pa_csv.write_csv(table, path, pa_csv.WriteOptions(quoting_style="needed"))
    except OSError as error:
        raise as_tool_error(error, path, "writing events") from error


def _definition(name: str, known: Mapping[str, Any], options: PymovementsOptions) -> str:
    """Return the definition; every value is JSON, which YAML reads as it is."""
    display = known["display"]
    gaze = f"""
  - content: gaze
    filename_pattern: "{{reading_id:s}}.csv"
    load_kwargs:
      time_column: time_ms
      time_unit: ms
      pixel_columns: [x_screen_px, y_screen_px]
      distance_column: distance_mm
      read_csv_kwargs:
        schema_overrides:{_types(("time_ms", *_MEASURED, "distance_mm"), ("image_index", "event_index"))}"""
    experiment = {
        "screen_width_px": display.get("width_px"),
        "screen_height_px": display.get("height_px"),
        "screen_width_cm": _cm(display.get("width_mm")),
        "screen_height_cm": _cm(display.get("height_mm")),
        "distance_cm": None if known["has_samples"] else _cm(display.get("distance_mm")),
        "origin": "upper left",
        "sampling_rate": known["rate_hz"],
    }
    shown = "\n".join(f"  {key}: {json.dumps(value)}" for key, value in experiment.items())
    return f"""name: {json.dumps(f"{options.title} {name}")}
long_name: {json.dumps(options.title)}
resources:{gaze if known["has_samples"] else ""}
  - content: precomputed_events
    filename_pattern: "{{reading_id:s}}.csv"
    load_kwargs:
      read_csv_kwargs:
        schema_overrides:{_types(("onset", "offset", *_EVENT_VALUES), ("event_index", "image_index"))}
experiment:
{shown}
"""


def _types(numbers: Sequence[str], integers: Sequence[str]) -> str:
    """Return the columns' types, one a line; guessed, a column that begins with whole numbers would be integer."""
    kinds = {**dict.fromkeys(numbers, "Float64"), **dict.fromkeys(integers, "Int64")}
    return "".join(f"\n          {name}: !polars.{kind}" for name, kind in kinds.items())


def _cm(value_mm: float | None) -> float | None:
    return None if value_mm is None else round(value_mm / 10, 4)


_README = """# Gaze for pymovements

Research use only, not for diagnosis. Gaze identifies people: treat every recording as personal data of its reader.

    import pymovements as pm
    definition = pm.DatasetDefinition.from_yaml("screen-1/dataset.yaml")
    dataset = pm.Dataset(definition, path="screen-1").load()

One folder per screen and sampling rate. Times are ms since image on; `pixel` is gaze on the screen, origin upper left.
Events are those of the dataset; where its gaze tier has no samples there are fixations only.
"""
