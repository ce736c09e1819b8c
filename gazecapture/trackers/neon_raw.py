"""Neon's native recording: per sensor and part one file of times and one of packed records.

A ``{sensor} ps{n}.time`` file holds int64 ns since 1970, the ``.raw`` file of the same name as many records of the type
that ``{sensor}.dtype`` names or, in older recordings without that file, of the documented one. Little endian.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gazecapture.trackers.issues import IssueLog, refuse
from gazecapture.trackers.neon_samples import build_recording, in_order, pupils_at
from gazecapture.trackers.recording import EVENTS, MESSAGES, TrackerRecording
from gazecapture.trackers.text_file import MAX_FILE_BYTES, check_size

__all__ = ["is_recording", "read"]

_PART = re.compile(r" ps(\d{1,6})$")
_TYPES = frozenset(
    f"{kind}{size}"
    for kind, sizes in {"float": (32, 64), "int": (8, 16, 32, 64), "uint": (8, 16, 32, 64)}.items()
    for size in sizes
)
_SHORT = {"f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"}
_MAX_DTYPE_BYTES = 65536
_POINT = [("x", "float32"), ("y", "float32")]
_EYE = ("eyeball_center_{eye}_x", "eyeball_center_{eye}_y", "eyeball_center_{eye}_z", "optical_axis_{eye}_x",
        "optical_axis_{eye}_y", "optical_axis_{eye}_z")  # fmt: skip
_EYE_STATE = [
    (name.format(eye=eye), "float32")
    for eye in ("left", "right")
    for name in ("pupil_diameter_{eye}_mm", *_EYE)
]
_SPAN = [("start_timestamp_ns", "int64"), ("end_timestamp_ns", "int64")]
_MOVEMENT = [
    ("event_type", "int32"), *_SPAN, *((name, "float32") for name in (
        "start_gaze_x", "start_gaze_y", "end_gaze_x", "end_gaze_y", "mean_gaze_x", "mean_gaze_y", "amplitude_pixels",
        "amplitude_angle_deg", "mean_velocity", "max_velocity")),
]  # fmt: skip
_KINDS = {0: "saccade", 1: "fixation"}
_WITHOUT_TIMES = ("worn", "gaze_left", "gaze_right")
"""Sensors that share the times of ``gaze``."""


def is_recording(folder: Path) -> bool:
    """Say whether the folder is a native recording with gaze."""
    return (folder / "gaze_200hz.raw").is_file() or any(folder.glob("gaze ps*.raw"))


def read(folder: Path, log: IssueLog) -> TrackerRecording:
    """Read one recording. Raises DataError as `gazecapture.trackers.recording.TrackerFile.read` says."""
    total = sum(path.stat().st_size for path in folder.glob("*.raw"))
    if total > MAX_FILE_BYTES:
        raise refuse(
            folder,
            f"the recording has {total / 1024**3:.1f} GiB of records, at most {MAX_FILE_BYTES / 1024**3:g} are read",
            code="GT-TRACKER-TOO-LARGE",
        )
    gaze = _sensor(folder, "gaze", _POINT, log, must=True)
    if gaze is None:
        raise refuse(folder, "the recording holds no gaze", code="GT-TRACKER-EMPTY")
    t_ns, part, points = gaze
    keep = in_order(t_ns, log, file="gaze")
    if not keep.any():
        raise refuse(folder, "the recording holds no sample", code="GT-TRACKER-EMPTY")
    worn = _beside(folder, "worn", [("worn", "uint8")], t_ns.size, log)
    found = {"": points}
    for eye in ("left", "right"):
        one = _beside(folder, f"gaze_{eye}", _POINT, t_ns.size, log)
        if one is not None:
            found[eye] = one
    is_worn = np.ones(t_ns.size, np.bool_) if worn is None else worn["worn"] > 0
    return build_recording(
        t_ns=t_ns[keep],
        block=part[keep],
        points={
            eye: (_seen(values["x"], is_worn)[keep], _seen(values["y"], is_worn)[keep])
            for eye, values in found.items()
        },
        pupils=_pupils(folder, t_ns[keep], log),
        messages=_messages(folder, log),
        events=_events(folder, log),
        log=log,
    )


def _seen(values: NDArray[np.float32], is_worn: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.where(is_worn, values.astype(np.float64), np.nan)


def _sensor(
    folder: Path, name: str, kind: list[tuple[str, str]], log: IssueLog, *, must: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.void]] | None:
    """Return times, part numbers and records of a sensor; None where there is none."""
    times, parts, records = [], [], []
    for number, (raw, time) in enumerate(_files(folder, name)):
        if not time.is_file():
            log.error("GT-TRACKER-TRUNCATED", "a file of records has no file of times", file=raw.name)
            continue
        t_ns, rows = _load(time, np.dtype("<i8"), log), _load(raw, _dtype(folder, name, kind, log), log)
        if t_ns.size != rows.size:
            log.error(
                "GT-TRACKER-TRUNCATED",
                f"{t_ns.size} times stand beside {rows.size} records",
                row=min(t_ns.size, rows.size) + 1,
                n=abs(t_ns.size - rows.size),
                file=raw.name,
            )
        n = min(t_ns.size, rows.size)
        times.append(t_ns[:n].astype(np.int64))
        records.append(rows[:n])
        parts.append(np.full(n, number, np.int32))
    if not records or (not must and not sum(r.size for r in records)):
        return None
    return np.concatenate(times), np.concatenate(parts), np.concatenate(records)


def _beside(
    folder: Path, name: str, kind: list[tuple[str, str]], n: int, log: IssueLog
) -> NDArray[np.void] | None:
    """Return the records of a sensor that shares the times of gaze; None where it is absent or of another length."""
    found = _sensor(folder, name, kind, log)
    if found is None:
        return None
    if found[2].size != n:
        log.error(
            "GT-TRACKER-TRUNCATED", f"{found[2].size} records stand beside {n} samples of gaze", file=name
        )
        return None
    return found[2]


def _files(folder: Path, name: str) -> list[tuple[Path, Path]]:
    """Return the (records, times) files of a sensor, in the order of its parts."""
    late = folder / f"{name}_200hz.raw"
    if (folder / "gaze_200hz.raw").is_file() and name in ("gaze", *_WITHOUT_TIMES):
        return [(late, folder / "gaze_200hz.time")] if late.is_file() else []
    found = []
    for raw in folder.glob(f"{name} ps*.raw"):
        part = _PART.search(raw.stem)
        if part is not None and raw.stem[: part.start()] == name:
            owner = "gaze" if name in _WITHOUT_TIMES else name
            found.append((int(part[1]), raw, folder / f"{owner} ps{part[1]}.time"))
    return [(raw, time) for _, raw, time in sorted(found)]


def _load(path: Path, kind: np.dtype[np.void] | np.dtype[np.int64], log: IssueLog) -> NDArray[np.void]:
    if path.stat().st_size == 0:
        return np.empty(0, kind)
    size = check_size(path)
    if size % kind.itemsize:
        log.error(
            "GT-TRACKER-TRUNCATED",
            f"{size} bytes are no whole number of records of {kind.itemsize}",
            row=size // kind.itemsize + 1,
            file=path.name,
        )
    return np.fromfile(path, kind, count=size // kind.itemsize)


def _dtype(folder: Path, name: str, documented: list[tuple[str, str]], log: IssueLog) -> np.dtype[np.void]:
    """Return the type of a sensor's records: as its own file says, else as documented."""
    path = folder / f"{name}.dtype"
    default = np.dtype(documented).newbyteorder("<")
    if not path.is_file():
        return default
    with path.open("rb") as handle:
        text = handle.read(_MAX_DTYPE_BYTES)
    try:
        return _named(_declared(text), documented)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        problem = "the file does not name the fields of a record"
    log.error("GT-TRACKER-DTYPE", problem, file=path.name)
    return default


def _declared(text: bytes) -> np.dtype[np.void]:
    """Read a list of (name, type) pairs as data; nothing in it is ever executed. Raises ValueError or the like."""
    fields = ast.literal_eval(text.decode("ascii").strip())
    if not isinstance(fields, list) or not all(
        isinstance(f, tuple) and len(f) == 2 and all(isinstance(word, str) for word in f) for f in fields
    ):
        raise ValueError
    return np.dtype([(label, _plain(kind)) for label, kind in fields]).newbyteorder("<")


def _plain(kind: str) -> str:
    word = kind.lstrip("<|=")
    if word in _TYPES or word in _SHORT:
        return word
    raise ValueError(kind)


def _named(found: np.dtype[np.void], documented: list[tuple[str, str]]) -> np.dtype[np.void]:
    """Return the type with the documented names. Raises ValueError where fields that are read are absent.

    Points and flags are known by their place, whatever the file calls them; of wider records only codes and times must
    be there.
    """
    names = found.names or ()
    if len(documented) <= 2 and documented != _SPAN:
        if len(names) != len(documented):
            raise ValueError
        return np.dtype([(label, found[i]) for i, (label, _) in enumerate(documented)])
    if any(label not in names for label, kind in documented if kind != "float32"):
        raise ValueError
    return found


def _pupils(folder: Path, t_ns: NDArray[np.int64], log: IssueLog) -> dict[str, NDArray[np.float64]]:
    state = _sensor(folder, "eye_state", _EYE_STATE, log)
    if state is None:
        return {}
    times, _, records = state
    keep = in_order(times, log, file="eye_state")
    names = {eye: f"pupil_diameter_{eye}_mm" for eye in ("left", "right")}
    return {
        eye: pupils_at(t_ns, times[keep], records[name][keep].astype(np.float64))
        for eye, name in names.items()
        if name in (records.dtype.names or ())
    }


def _messages(folder: Path, log: IssueLog) -> pa.Table:
    path, times = folder / "event.txt", folder / "event.time"
    if not (path.is_file() and times.is_file()) or path.stat().st_size == 0:
        return MESSAGES.empty_table()
    check_size(path)
    t_ns = _load(times, np.dtype("<i8"), log).astype(np.int64)
    texts = path.read_bytes().decode("utf-8", "replace").splitlines()
    if len(texts) != t_ns.size:
        log.error(
            "GT-TRACKER-TRUNCATED", f"{t_ns.size} times stand beside {len(texts)} events", file=path.name
        )
    n = min(len(texts), t_ns.size)
    return pa.table({"t_ns": t_ns[:n], "text": texts[:n]}, schema=MESSAGES).sort_by("t_ns")


def _events(folder: Path, log: IssueLog) -> pa.Table:
    tables = []
    movements, blinks = _sensor(folder, "fixations", _MOVEMENT, log), _sensor(folder, "blinks", _SPAN, log)
    if movements is not None:
        records = movements[2]
        for code, kind in _KINDS.items():
            tables.append(_table(records[records["event_type"] == code], kind))
    if blinks is not None:
        tables.append(_table(blinks[2], "blink"))
    return pa.concat_tables(tables).sort_by("t_start_ns") if tables else EVENTS.empty_table()


def _table(records: NDArray[np.void], kind: str) -> pa.Table:
    lost = np.full(records.size, np.nan)
    names = records.dtype.names or ()

    def column(name: str, *, of: str) -> NDArray[np.float64]:
        return records[name].astype(np.float64) if kind == of and name in names else lost

    return pa.table(
        {
            "kind": [kind] * records.size,
            "eye": ["both"] * records.size,
            "t_start_ns": records["start_timestamp_ns"].astype(np.int64),
            "t_end_ns": records["end_timestamp_ns"].astype(np.int64),
            "x_px": column("mean_gaze_x", of="fixation"),
            "y_px": column("mean_gaze_y", of="fixation"),
            "amplitude_deg": column("amplitude_angle_deg", of="saccade"),
            "peak_velocity_deg_per_s": lost,
        },
        schema=EVENTS,
    )
