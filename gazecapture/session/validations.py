"""Validations of a sitting: as journal rows, and as what belongs to one reading."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gazecapture.screen.measures import EyeSummary, PointMeasure
from gazecapture.screen.validation import ValidationResult
from gazecapture.session.journal import read_journal
from gazecapture.session.schema import VALIDATION_JOURNAL
from keyframes.reading import VALIDATIONS

__all__ = ["BASELINE_DETAIL", "SittingValidations", "Trigger", "note_row", "result_rows"]

Trigger = Literal["start", "interval", "red", "drift", "end", "asked"]
Row = Mapping[str, Any]
BASELINE_DETAIL = "t_start_ns="
"""Before the time at which a pupil baseline began, in its row's detail."""

_POINT_FIELDS = [field.name for field in VALIDATIONS.field("points").type.value_type]


def result_rows(
    result: ValidationResult, *, validation_id: str, trigger: Trigger, is_drift_check: bool = False
) -> list[Row]:
    """Return the journal rows of a validation or drift check: its points, then one summary per eye."""
    common = {"t_ns": result.t_end_ns, "validation_id": validation_id, "trigger": trigger}
    rows: list[Row] = [
        _complete(common | _of_point(point, point.target.index in result.timed_out))
        for point in result.points
    ]
    of_all = {"event": "drift" if is_drift_check else "summary", "timed_out": bool(result.timed_out)}
    return rows + [_complete(common | _of_eye(eye) | of_all) for eye in result.eyes]


def note_row(
    event: Literal["override", "calibrated", "baseline"],
    *,
    t_ns: int,
    validation_id: str,
    trigger: Trigger,
    detail: str,
) -> Row:
    """Return the journal row of something else that happened between two validations."""
    said = {
        "event": event,
        "t_ns": t_ns,
        "validation_id": validation_id,
        "trigger": trigger,
        "detail": detail,
    }
    return _complete(said)


@dataclass(frozen=True, slots=True, kw_only=True)
class SittingValidations:
    """What was measured in a sitting, in time order."""

    rows: Sequence[Row]

    @classmethod
    def load(cls, session: Path) -> SittingValidations:
        """Read a session's validation journal; a sitting without one gives none."""
        journal = read_journal(session / "validation", schema=VALIDATION_JOURNAL).table
        return cls(rows=journal.sort_by("t_ns").to_pylist())

    def of_reading(self, on_ns: int, off_ns: int) -> list[dict[str, Any]]:
        """Return rows of `keyframes.reading.VALIDATIONS` for a reading, times since its image on.

        The last validation that ended before image on, the first after image off, and the drift check in force.
        A validation before the last calibration says nothing of the reading and is left out.
        """
        before = [
            r
            for r in self.rows
            if r["event"] == "summary" and self._calibrated_ns(on_ns) <= r["t_ns"] <= on_ns
        ]
        after = [
            r
            for r in self.rows
            if r["event"] == "summary" and off_ns <= r["t_ns"] < self._next_calibrated_ns(off_ns)
        ]
        found = [self._as_table_row(row, "before", on_ns) for row in _same(before, before[-1:])]
        found += [self._as_table_row(row, "after", on_ns) for row in _same(after, after[:1])]
        drift = self._drift_in_force(on_ns)
        return found + [self._as_table_row(row, "drift", on_ns) for row in drift]

    def offset_screen_px(self, on_ns: int) -> tuple[float, float]:
        """Return the offset of the drift check in force, screen px, which is to be taken off the gaze; else 0."""
        rows = {row["eye"]: row for row in self._drift_in_force(on_ns)}
        row = rows.get("both") or next(iter(rows.values()), None)
        if row is None or not np.isfinite([row["offset_x_screen_px"], row["offset_y_screen_px"]]).all():
            return 0.0, 0.0
        return row["offset_x_screen_px"], row["offset_y_screen_px"]

    def baseline_ns(self, on_ns: int) -> tuple[int, int] | None:
        """Return start and end of the last pupil baseline before ``on_ns``; None where there was none."""
        found = [row for row in self.rows if row["event"] == "baseline" and row["t_ns"] <= on_ns]
        return (int(found[-1]["detail"].removeprefix(BASELINE_DETAIL)), found[-1]["t_ns"]) if found else None

    def _drift_in_force(self, on_ns: int) -> list[Row]:
        """Return the newest drift check before ``on_ns``, unless a validation or calibration came after it.

        A validation measures the tracker anew; its own mean offset is not taken off, since nine points differ. A check
        at which the eyes did not come to rest measured nothing.
        """
        earlier = [
            r for r in self.rows if r["t_ns"] <= on_ns and r["event"] in ("summary", "drift", "calibrated")
        ]
        if not earlier or earlier[-1]["event"] != "drift" or earlier[-1]["timed_out"]:
            return []
        return _same(earlier, earlier[-1:])

    def _calibrated_ns(self, until_ns: int) -> int:
        times = [r["t_ns"] for r in self.rows if r["event"] == "calibrated" and r["t_ns"] <= until_ns]
        return max(times, default=np.iinfo(np.int64).min)

    def _next_calibrated_ns(self, from_ns: int) -> int:
        times = [r["t_ns"] for r in self.rows if r["event"] == "calibrated" and r["t_ns"] >= from_ns]
        return min(times, default=np.iinfo(np.int64).max)

    def _as_table_row(self, row: Row, phase: str, on_ns: int) -> dict[str, Any]:
        points = [
            {name: point[name] for name in _POINT_FIELDS}
            for point in self.rows
            if point["event"] == "point"
            and (point["validation_id"], point["eye"]) == (row["validation_id"], row["eye"])
        ]
        return {name: row.get(name) for name in VALIDATIONS.names} | {
            "t_ns": row["t_ns"] - on_ns,
            "phase": phase,
            "points": points,
        }


def _same(rows: Sequence[Row], chosen: Sequence[Row]) -> list[Row]:
    """Return the rows that belong to the validation of the chosen one."""
    return [row for row in rows for one in chosen if row["validation_id"] == one["validation_id"]]


def _of_point(point: PointMeasure, timed_out: bool) -> dict[str, Any]:
    offset_x_screen_px, offset_y_screen_px = point.offset_screen_px
    values = {f.name: getattr(point, f.name) for f in dataclasses.fields(point) if f.name != "target"}
    return values | {
        "event": "point",
        "point_index": point.target.index,
        "target_x_screen_px": point.target.x_screen_px,
        "target_y_screen_px": point.target.y_screen_px,
        "offset_x_screen_px": offset_x_screen_px,
        "offset_y_screen_px": offset_y_screen_px,
        "timed_out": timed_out,
    }


def _of_eye(eye: EyeSummary) -> dict[str, Any]:
    return dataclasses.asdict(eye) | {"light": str(eye.light)}


def _complete(values: Mapping[str, Any]) -> Row:
    return {name: values.get(name) for name in VALIDATION_JOURNAL.names}
