"""Neon's time-series export: one folder of CSV files, columns found by name, times in ns since 1970."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
from numpy.typing import NDArray

from gazecapture.trackers.issues import IssueLog, refuse
from gazecapture.trackers.neon_samples import build_recording, in_order, pupils_at
from gazecapture.trackers.recording import EVENTS, MESSAGES, TrackerRecording
from gazecapture.trackers.text_file import Utf8Pieces, check_size

__all__ = ["is_export", "read"]

_GAZE, _EYES, _MESSAGES = "gaze.csv", "3d_eye_states.csv", "events.csv"
_TIME, _START, _END = "timestamp [ns]", "start timestamp [ns]", "end timestamp [ns]"
_EVENTS: dict[str, tuple[str, str, str, str, str]] = {
    "fixations.csv": ("fixation", "fixation x [px]", "fixation y [px]", "", ""),
    "saccades.csv": ("saccade", "", "", "amplitude [deg]", ""),
    "blinks.csv": ("blink", "", "", "", ""),
}
"""File -> kind, x, y, amplitude, peak velocity. The export gives velocities in px/s of the scene only."""
_BLOCK_BYTES = 8 * 1024**2


def is_export(folder: Path) -> bool:
    """Say whether the folder is one recording of an export."""
    return (folder / _GAZE).is_file()


def read(folder: Path, log: IssueLog) -> TrackerRecording:
    """Read one recording. Raises DataError as `gazecapture.trackers.recording.TrackerFile.read` says."""
    gaze = _columns(
        folder / _GAZE,
        {_TIME: pa.int64(), "gaze x [px]": pa.float64(), "gaze y [px]": pa.float64()},
        {"section id": pa.dictionary(pa.int32(), pa.string()), "worn": pa.float64()},
        log,
    )
    t_ns = gaze.column(_TIME).to_numpy()
    keep = in_order(t_ns, log, file=_GAZE, header_rows=1)
    gaze, t_ns = gaze.filter(pa.array(keep)), t_ns[keep]
    if not t_ns.size:
        raise refuse(folder / _GAZE, "the file holds no sample", code="GT-TRACKER-EMPTY")
    block = np.zeros(t_ns.size, np.int32)
    if "section id" in gaze.column_names:
        section = gaze.column("section id").combine_chunks()
        codes = pc.fill_null(section.indices, -1).to_numpy()
        block[1:] = np.cumsum(np.diff(codes) != 0)
    x, y = _numbers(gaze, "gaze x [px]"), _numbers(gaze, "gaze y [px]")
    if "worn" in gaze.column_names:
        lost = _numbers(gaze, "worn") == 0.0
        x, y = np.where(lost, np.nan, x), np.where(lost, np.nan, y)
    return build_recording(
        t_ns=t_ns,
        block=block,
        points={"": (x, y)},
        pupils=_pupils(folder, t_ns, log),
        messages=_messages(folder, log),
        events=_events(folder, log),
        log=log,
    )


def _pupils(folder: Path, t_ns: NDArray[np.int64], log: IssueLog) -> dict[str, NDArray[np.float64]]:
    path = folder / _EYES
    if not path.is_file():
        return {}
    names = {eye: f"pupil diameter {eye} [mm]" for eye in ("left", "right")}
    table = _columns(path, {_TIME: pa.int64()}, dict.fromkeys(names.values(), pa.float64()), log)
    times = table.column(_TIME).to_numpy()
    keep = in_order(times, log, file=_EYES, header_rows=1)
    return {
        eye: pupils_at(t_ns, times[keep], _numbers(table, name)[keep])
        for eye, name in names.items()
        if name in table.column_names
    }


def _messages(folder: Path, log: IssueLog) -> pa.Table:
    path = folder / _MESSAGES
    if not path.is_file():
        return MESSAGES.empty_table()
    table = _columns(path, {_TIME: pa.int64(), "name": pa.string()}, {}, log)
    return pa.table(
        {"t_ns": table.column(_TIME), "text": pc.fill_null(table.column("name"), "")}, schema=MESSAGES
    ).sort_by("t_ns")


def _events(folder: Path, log: IssueLog) -> pa.Table:
    tables = []
    for file, (kind, x, y, amplitude, peak) in _EVENTS.items():
        path = folder / file
        if not path.is_file():
            continue
        optional = {name: pa.float64() for name in (x, y, amplitude, peak) if name}
        table = _columns(path, {_START: pa.int64(), _END: pa.int64()}, optional, log)
        n = table.num_rows
        columns: dict[str, Any] = {
            "kind": [kind] * n,
            "eye": ["both"] * n,
            "t_start_ns": table.column(_START),
            "t_end_ns": table.column(_END),
        }
        for name, source in zip(EVENTS.names[4:], (x, y, amplitude, peak), strict=True):
            known = bool(source) and source in table.column_names
            columns[name] = _numbers(table, source) if known else np.full(n, np.nan)
        tables.append(pa.table(columns, schema=EVENTS))
    return pa.concat_tables(tables).sort_by("t_start_ns") if tables else EVENTS.empty_table()


def _columns(
    path: Path, needed: dict[str, pa.DataType], optional: dict[str, pa.DataType], log: IssueLog
) -> pa.Table:
    """Read some columns of a CSV file; rows without a value in a needed column are errors."""
    check_size(path)
    bad: list[tuple[int | None, int]] = []

    def invalid(row: pcsv.InvalidRow) -> str:
        bad.append((row.number, row.actual_columns))
        return "skip"

    def options(names: list[str]) -> dict[str, Any]:
        return {
            "read_options": pcsv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            "parse_options": pcsv.ParseOptions(invalid_row_handler=invalid),
            "convert_options": pcsv.ConvertOptions(
                column_types=needed | optional, include_columns=names, strings_can_be_null=True
            ),
        }

    try:
        with path.open("rb") as handle:
            header = handle.readline(65536).decode("utf-8-sig").strip()
        there = [name.strip().strip('"') for name in header.split(",")]
        lacking = [name for name in needed if name not in there]
        if lacking:
            raise refuse(path, f"the file lacks column {lacking[0]!r}")
        wanted = [name for name in (*needed, *optional) if name in there]
        if any(there.count(name) > 1 for name in wanted):
            raise refuse(path, "a column stands in the header row twice")
        with Utf8Pieces(path, "utf-8") as text:
            table = pcsv.read_csv(pa.PythonFile(text, mode="r"), **options(wanted))
    except UnicodeDecodeError:
        raise refuse(path, "the file is not UTF-8", code="GT-TRACKER-ENCODING") from None
    except (pa.ArrowException, OSError):
        raise refuse(
            path, "a row cannot be read: a value is no number of its column's kind", code="GT-TRACKER-ROW"
        ) from None
    for number, found in bad:
        log.error(
            "GT-TRACKER-ROW",
            f"a row has {found} fields where the header has {len(there)}",
            row=None if number is None else int(number),
            file=path.name,
        )
    for name in needed:
        column = table.column(name)
        if column.null_count and name != "name" and not name.startswith("gaze"):
            first = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
            log.error(
                "GT-TRACKER-ROW",
                f"a row has no {name}",
                row=first + 2,
                n=column.null_count,
                file=path.name,
            )
            table = table.filter(pc.is_valid(column))
    return table.combine_chunks()


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = pc.fill_null(table.column(name), np.nan).to_numpy()
    return values
