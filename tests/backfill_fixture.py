"""Simulated pairs: one synthetic eye path, as a lossy live stream in a session and as the tracker's own file.

Every number that a backfill must find again is known: the tracker's clock against the session's, when each device
sample was made, which of them the stream lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gazecapture.session.journal import JournalWriter
from gazecapture.session.schema import (
    DISPLAY_JOURNAL,
    OFFSETS,
    STREAM_PREFIX,
    TRACKER_MARKS,
    SessionInfo,
    StreamChannel,
    StreamInfo,
    StudyImage,
    StudyInfo,
    write_session_info,
    write_stream_info,
)
from gazecapture.session.tracker_marks import MARK_TEXT
from keyframes.geometry import Display
from keyframes.reading import Tracker
from tests.trackers_fixture import (
    Eyes,
    write_eyelink_asc,
    write_neon_cloud,
    write_neon_native,
    write_tobii_tsv,
)

Format = Literal["eyelink-asc", "tobii-tsv", "neon cloud", "neon native"]
FORMATS: tuple[Format, ...] = ("eyelink-asc", "tobii-tsv", "neon cloud", "neon native")
S = 1_000_000_000
START_NS = 1_000 * S
"""Session ns of the first device sample."""
PICTURE = b"the bytes of a synthetic film"
SHA256 = hashlib.sha256(PICTURE).hexdigest()
SCREEN = Display(width_px=1920, height_px=1080, width_mm=480.0, height_mm=270.0, distance_mm=600.0)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A session, the tracker's file, and the truth."""

    session: Path
    file: Path
    true_ns: NDArray[np.int64]
    """Session ns at which each device sample was made."""
    in_file: NDArray[np.bool_]
    streamed: NDArray[np.bool_]
    """Device samples that arrived at least once."""
    eyes: Eyes
    clock_offset_s: float
    drift: float


def eye_path(n: int, rate_hz: float, seed: int) -> NDArray[np.float64]:
    """Return (n, 2) screen px: fixations of 0.15 to 0.6 s, saccades of 30 ms, noise, blinks as NaN."""
    rng = np.random.default_rng(seed)
    path = np.empty((n, 2))
    at, place = 0, np.array([900.0, 500.0])
    while at < n:
        stay = int(rng.uniform(0.15, 0.6) * rate_hz)
        path[at : at + stay] = place
        at += stay
        target = rng.uniform((150, 100), (1700, 950))
        jump = max(2, int(0.03 * rate_hz))
        share = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, jump))[:, None]
        room = path[at : at + jump]
        room[:] = (place + share * (target - place))[: room.shape[0]]
        at += jump
        place = target
    path += rng.normal(0, 1.5, path.shape)
    for start in np.arange(int(2 * rate_hz), n, int(4 * rate_hz)):
        path[start : start + int(0.15 * rate_hz)] = np.nan
    return path


def make_pair(
    folder: Path,
    *,
    form: Format = "eyelink-asc",
    seconds: float = 60.0,
    rate_hz: float = 500.0,
    drift: float = 40e-6,
    clock_offset_s: float = -730.25,
    device_time: bool = True,
    marks: int = 0,
    loss: float = 0.08,
    jitter_s: float = 0.001,
    hole_in_file: bool = False,
    seed: int = 1,
    gaze: Callable[[int, float, int], NDArray[np.float64]] = eye_path,
) -> Pair:
    """Make a session of two readings and the tracker's own file.

    drift, clock_offset_s : tracker time = (session time + offset) * (1 + drift), from the first sample on.
    device_time : the stream has a channel of the tracker's own time.
    marks       : that the session sent and the file holds.
    loss        : share of device samples that the polling sender never sees.
    """
    rng = np.random.default_rng(seed)
    n = int(seconds * rate_hz)
    step_ns = round(1e9 / rate_hz)
    unix = form.startswith("neon")
    device_ns = np.arange(n, dtype=np.int64) * step_ns + (
        1_760_000_000 * S if unix else START_NS + round(clock_offset_s * S)
    )
    true_ns = START_NS + np.round((device_ns - device_ns[0]) / (1 + drift)).astype(np.int64)
    point = np.round(gaze(n, rate_hz, seed), 1)
    pupil = np.round(400 + rng.normal(0, 4, n), 1)
    pupil[np.isnan(point[:, 0])] = np.nan
    left = np.column_stack([point - np.array([3.0, 0.0]), pupil])
    right = np.column_stack([point + np.array([3.0, 0.0]), pupil])
    numbers = (rng.permutation(900_000)[:marks] + 100_000).tolist()
    moments = np.linspace(0.05, 0.95, marks) * (n - 1)
    sent = [(int(true_ns[int(i)]), mark) for i, mark in zip(moments, numbers, strict=True)]
    late = rng.uniform(0, 0.03, marks)
    messages = tuple(
        (int(device_ns[int(i)] + wait * 1e9) // 1_000_000 * 1_000_000, MARK_TEXT.format(mark=mark))
        for i, wait, mark in zip(moments, late, numbers, strict=True)
    )
    in_file = np.ones(n, np.bool_)
    if hole_in_file:
        in_file[n // 2 : n // 2 + int(2 * rate_hz)] = False
    eyes = Eyes(t_ns=device_ns[in_file], left=left[in_file], right=right[in_file], messages=messages)
    folder.mkdir(parents=True, exist_ok=True)
    writers: dict[Format, Callable[[], Path]] = {
        "eyelink-asc": lambda: write_eyelink_asc(folder / "own.asc", eyes, rate_hz=rate_hz),
        "tobii-tsv": lambda: write_tobii_tsv(folder / "own.tsv", eyes),
        "neon cloud": lambda: write_neon_cloud(folder / "own", eyes),
        "neon native": lambda: write_neon_native(folder / "own", eyes),
    }
    own_clock_ns = device_ns + 900_000_000_000 if form == "tobii-tsv" else device_ns
    streamed = _write_session(
        folder / "session", true_ns, own_clock_ns, left, right, rng, loss=loss, jitter_s=jitter_s,
        device_time=device_time, scene=unix, sent=sent,
    )  # fmt: skip
    return Pair(
        session=folder / "session", file=writers[form](), true_ns=true_ns, in_file=in_file, streamed=streamed,
        eyes=eyes, clock_offset_s=clock_offset_s, drift=drift,
    )  # fmt: skip


def _write_session(
    session: Path,
    true_ns: NDArray[np.int64],
    device_ns: NDArray[np.int64],
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    loss: float,
    jitter_s: float,
    device_time: bool,
    scene: bool,
    sent: list[tuple[int, int]],
) -> NDArray[np.bool_]:
    """Write a session whose sender polls the newest sample: it misses some, repeats others, and is late."""
    n = true_ns.size
    chosen = np.flatnonzero(rng.random(n) >= loss)
    chosen = np.sort(np.concatenate([chosen, rng.choice(chosen, chosen.size // 20)]))
    stamp_ns = np.maximum.accumulate(
        true_ns[chosen] + np.round(rng.exponential(jitter_s, chosen.size) * 1e9).astype(np.int64)
    )
    # The sender's host has a clock of its own: 12.5 s ahead and 20 ppm fast.
    remote_s = stamp_ns / 1e9 + 12.5 + 20e-6 * (stamp_ns - true_ns[0]) / 1e9
    system = "world" if scene else ""
    columns: dict[str, Any] = {
        "sequence": np.arange(chosen.size), "t_remote_s": remote_s, "t_received_ns": stamp_ns + 300_000,
    }  # fmt: skip
    channels = []
    for eye, values in (("both", left),) if scene else (("left", left), ("right", right)):
        for axis, place in (("x", 0), ("y", 1)):
            columns[f"{eye}_{axis}"] = values[chosen, place]
            channels.append(StreamChannel(
                column=f"{eye}_{axis}", label=f"{eye}_{axis}", kind=f"Screen{axis.upper()}", eye=eye, unit="pixels",
                coordinate_system=system,
            ))  # fmt: skip
    if device_time:
        columns["device_time"] = device_ns[chosen] / 1e9
        channels.append(
            StreamChannel(column="device_time", label="device_time", kind="Time", eye="both", unit="seconds")
        )
    session.mkdir(parents=True)
    studies = tuple(_study(number) for number in (1, 2))
    write_session_info(
        session,
        SessionInfo(
            session_id="sitting", reader_code="R1", created_unix_ns=1, tool_version="0", display=SCREEN,
            studies=studies, synthetic=True,
        ),
    )  # fmt: skip
    (session / "images").mkdir()
    (session / "images" / f"{SHA256}.dcm").write_bytes(PICTURE)
    schema = pa.schema([*STREAM_PREFIX, *(pa.field(c.column, pa.float64()) for c in channels)])
    with JournalWriter(session / "streams" / "eye", schema) as journal:
        journal.append(pa.table({name: columns[name] for name in schema.names}).cast(schema))
    write_stream_info(
        session / "streams" / "eye",
        StreamInfo(
            stream_id="eye", role="gaze", name="Eye", kind="Gaze", channel_format="double64", nominal_rate_hz=500.0,
            channels=tuple(channels), tracker=Tracker(manufacturer="Acme", model="Synthetic 1"),
        ),
    )  # fmt: skip
    times = np.arange(true_ns[0], true_ns[-1] + 5 * S, 5 * S)
    rows = [
        {"t_ns": int(t), "offset_s": -12.5 - 20e-6 * (t - true_ns[0]) / 1e9, "uncertainty_s": 1e-4}
        for t in times
    ]
    write_rows(session / "offsets" / "eye", OFFSETS, rows)
    middle = (int(true_ns[0]) + int(true_ns[-1])) // 2
    spans = {1: (int(true_ns[0]) + 2 * S, middle - S), 2: (middle + S, int(true_ns[-1]) - 2 * S)}
    write_rows(
        session / "display",
        DISPLAY_JOURNAL,
        [
            _display(number, event, t)
            for number, span in spans.items()
            for event, t in zip(("on", "off"), span, strict=True)
        ],
    )
    write_rows(
        session / "tracker_marks",
        TRACKER_MARKS,
        [{"t_ns": t, "reading_number": 1, "event": "on", "mark": mark, "sent": True} for t, mark in sent],
    )
    streamed = np.zeros(n, np.bool_)
    streamed[chosen] = True
    return streamed


def write_rows(folder: Path, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
    with JournalWriter(folder, schema) as journal:
        journal.append(
            pa.Table.from_pylist(
                [{name: row.get(name) for name in schema.names} for row in rows], schema=schema
            )
        )


def _study(number: int) -> StudyInfo:
    image = StudyImage(
        image_index=0, role="current", sha256=SHA256, suffix=".dcm", width_px=1000, height_px=1000, spacing_x_mm=0.2,
        spacing_y_mm=0.2, spacing_kind="pixel", source_patient_id="PAT", source_study_uid="1.2.3",
    )  # fmt: skip
    return StudyInfo(reading_number=number, study_id=f"S{number}", images=(image,))


def _display(number: int, event: str, t_ns: int) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(DISPLAY_JOURNAL.names) | {
        "reading_number": number, "event": event, "t_ns": t_ns, "viewport_id": 0, "inverted": False, "panels": [],
        "viewport_rect": [0.0, 0.0, 1920.0, 1080.0],
    }  # fmt: skip
    return row | ({} if event == "off" else {"image_index": 0, "affine": [0.5, 0.0, 0.0, 0.0, 0.5, 0.0]})
