"""What a session folder holds: session.json and the schema of each journal.

::

    SESSION/session.json            SessionInfo; written first, atomically
    SESSION/consent.json            what the reader agreed to (`gazecapture.session.consent`)
    SESSION/profiles/{name}.toml    a user's own stream profiles, where the session was recorded with some
    SESSION/images/{sha256}{ext}    a copy of every radiograph shown, so that the folder is complete in itself
    SESSION/streams/{stream_id}/    stream.json (StreamInfo) + journal segments: one row per sample received
    SESSION/offsets/{stream_id}/    OFFSETS: clock offset measurements of that stream
    SESSION/marks/                  MARKS: gaps, restarts, overflows, clock steps, start and stop   (recorder)
    SESSION/words/                  WORDS_JOURNAL: dictated words                                   (recorder)
    SESSION/clock/{process}/        CLOCK: clock triples of that process
    SESSION/display/                DISPLAY_JOURNAL                                                 (viewer)
    SESSION/annotations/            ANNOTATIONS                                                     (viewer)
    SESSION/validation/             VALIDATION_JOURNAL                                              (viewer)
    SESSION/tracker_marks/          TRACKER_MARKS: numbers sent to the tracker                      (viewer)
    SESSION/streams/backfill/       the tracker's own recording (`gazecapture.session.backfill_record`)
    SESSION/mapping/{stream_id}.parquet  where the screen was in that scene video: derived, made anew when it is missing
    SESSION/status.json             the recorder's newest state, every 250 ms
    SESSION/control/stop            a request to the recorder to finish

All times are int64 ns on the session clock, which is ``pylsl.local_clock()`` of the recording host. One
process writes each sub-folder.
"""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Literal, TypeVar

import pyarrow as pa
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from gazecapture.files import write_json_atomically
from gazecapture.screen.tags import ScreenTag
from keyframes import reading as tables
from keyframes.errors import SchemaError
from keyframes.geometry import Display
from keyframes.reading import Tracker

__all__ = [
    "ANNOTATIONS",
    "CLOCK",
    "DISPLAY_JOURNAL",
    "MARKS",
    "OFFSETS",
    "SESSION_SCHEMA_VERSION",
    "STREAM_PREFIX",
    "TRACKER_MARKS",
    "VALIDATION_JOURNAL",
    "WORDS_JOURNAL",
    "SessionInfo",
    "StreamChannel",
    "StreamInfo",
    "StudyImage",
    "StudyInfo",
    "TruthLesion",
    "read_session_info",
    "read_stream_info",
    "write_session_info",
    "write_stream_info",
]

SESSION_SCHEMA_VERSION = "1.0"

_F64, _I64, _I32, _STR = pa.float64(), pa.int64(), pa.int32(), pa.string()

STREAM_PREFIX = pa.schema(
    [
        pa.field("sequence", _I64, nullable=False),
        pa.field("t_remote_s", _F64, nullable=False),
        pa.field("t_received_ns", _I64, nullable=False),
    ]
)
"""First columns of every stream journal; then one column per channel, named by `StreamChannel.column`.
sequence counts received samples from 0; t_remote_s is the raw LSL time stamp, never post-processed;
t_received_ns is the session clock when the sample was pulled."""

OFFSETS = pa.schema(
    [
        pa.field("t_ns", _I64, nullable=False),
        pa.field("offset_s", _F64, nullable=False),
        pa.field("uncertainty_s", _F64, nullable=False),
    ]
)
"""session clock = remote time + offset_s (liblsl's time_correction), measured at t_ns."""

MARKS = pa.schema(
    [
        pa.field("t_ns", _I64, nullable=False),
        pa.field("stream_id", _STR, nullable=False),
        pa.field("kind", _STR, nullable=False),
        pa.field("duration_s", _F64),
        pa.field("n_samples", _I64),
        pa.field("detail", _STR),
    ]
)
"""kind: start, stop, gap, restart, overflow, clock_step, late_start, disk_low, backup (the tracker's own recording:
its id, where it begins and where it ends)."""

CLOCK = pa.schema(
    [
        pa.field("monotonic_ns", _I64, nullable=False),
        pa.field("unix_ns", _I64, nullable=False),
        pa.field("session_ns", _I64, nullable=False),
    ]
)

WORDS_JOURNAL = pa.schema(
    [
        pa.field("t_start_ns", _I64, nullable=False),
        pa.field("t_end_ns", _I64, nullable=False),
        pa.field("word", _STR, nullable=False),
        pa.field("confidence", _F64),
        pa.field("source", _STR, nullable=False),
    ]
)

DISPLAY_JOURNAL = pa.schema(
    [
        pa.field("reading_number", _I32, nullable=False),
        pa.field("event", _STR, nullable=False),
        *tables.DISPLAY,
    ]
)
"""`keyframes.reading.DISPLAY` on the session clock. event: on (first frame presented of a reading; one row per
viewport at the same t_ns), change, off (the reading is closed; viewports show nothing from then on), pause (they show
nothing for a while, which counts as no time), resume."""

ANNOTATIONS = pa.schema(
    [
        pa.field("t_ns", _I64, nullable=False),
        pa.field("reading_number", _I32, nullable=False),
        pa.field("action", _STR, nullable=False),
        pa.field("finding_id", _STR, nullable=False),
        pa.field("label", _STR),
        pa.field("present", pa.bool_()),
        pa.field("certainty", _F64),
        pa.field("rating", _F64),
        pa.field("image_index", pa.int16()),
        pa.field("shape", _STR),
        pa.field("box", pa.list_(_F64)),
    ]
)
"""action: put (add or replace finding_id), remove, or measure: a line that was measured, whose rating is its mm or the
ratio, and whose box holds four numbers (x0, y0, x1, y1) for each line."""

TRACKER_MARKS = pa.schema(
    [
        pa.field("t_ns", _I64, nullable=False),
        pa.field("reading_number", _I32, nullable=False),
        pa.field("event", _STR, nullable=False),
        pa.field("mark", _I64, nullable=False),
        pa.field("sent", pa.bool_(), nullable=False),
        pa.field("detail", _STR),
    ]
)
"""event: on or off. mark: the number that the tracker got, made at random; only this journal says what it stands for.
t_ns: when it was handed over. sent is False, with the reason in detail, where the tracker refused it."""

VALIDATION_JOURNAL = pa.schema(
    [
        pa.field("t_ns", _I64, nullable=False),
        pa.field("validation_id", _STR, nullable=False),
        pa.field("event", _STR, nullable=False),
        pa.field("trigger", _STR, nullable=False),
        pa.field("eye", _STR),
        pa.field("point_index", _I32),
        pa.field("n_points", _I32),
        pa.field("n_samples", _I32),
        *(pa.field(name, _F64) for name in ("target_x_screen_px", "target_y_screen_px", "gaze_x_screen_px",
            "gaze_y_screen_px", "offset_x_screen_px", "offset_y_screen_px", "offset_x_deg", "offset_y_deg",
            "accuracy_deg", "accuracy_max_deg", "rms_s2s_deg", "sd_deg", "bcea_deg2", "loss_share")),
        pa.field("timed_out", pa.bool_()),
        pa.field("light", _STR),
        pa.field("detail", _STR),
    ]
)  # fmt: skip
"""Of the sitting, not of one reading. event: point (one per point and eye), summary (one per eye), drift (one per eye
of a one-point check), override (somebody goes on after a red validation; detail is the reason), calibrated (what was
measured before tells nothing of what comes), baseline (pupil, in detail). trigger: start, interval, red, drift, end,
asked. Points are written before their summaries: a validation without summaries was broken off."""

_T = TypeVar("_T")
_CHECKED = ConfigDict(extra="forbid", arbitrary_types_allowed=False)


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class TruthLesion:
    """A reference lesion that came with the worklist; for measures only."""

    finding_id: str
    label: str
    present: bool
    image_index: int | None
    box: tuple[float, float, float, float] | None
    source: str


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class StudyImage:
    """One image of a study."""

    image_index: int
    role: str
    sha256: str
    suffix: str
    """File suffix with its dot; the file is ``images/{sha256}{suffix}``."""
    width_px: int
    height_px: int
    spacing_x_mm: float | None
    spacing_y_mm: float | None
    spacing_kind: str
    view_position: str = ""
    source_patient_id: str = ""
    """As the file gives it; stays in session and store, hashed on ingest."""
    source_study_uid: str = ""


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class StudyInfo:
    """One study of the worklist, in the order in which this reader gets it."""

    reading_number: int
    study_id: str
    """The worklist's own id; hashed on ingest."""
    images: tuple[StudyImage, ...]
    """Empty until the study was opened; an undecodable study stays empty."""
    indication: str = ""
    sex: str = ""
    """As the worklist says it; a reading keeps only `keyframes.reading.SEXES`."""
    age_band: str = ""
    """As the worklist says it; a reading keeps only `keyframes.reading.AGE_BANDS`."""
    arm: str = ""
    truth: tuple[TruthLesion, ...] = ()
    synthetic: bool = False
    licence: str = ""
    """Of the films, where they are somebody else's."""
    access_tier: str = ""
    """Of the films (`keyframes.access`); empty: a generated film may go to anybody, any other to nobody."""
    practice: bool = False
    """Read to get used to the tool; no Reading is made of it."""
    repeat_of: str = ""
    """study_id of the study that is read a second time here."""
    addendum_of: int | None = None
    """reading_number of the reading that the reader went back to; that one stays as it was."""


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class SessionInfo:
    """One sitting: one reader, one display, one tracker set-up."""

    session_id: str
    reader_code: str
    created_unix_ns: int
    tool_version: str
    schema_version: str = SESSION_SCHEMA_VERSION
    display: Display | None = None
    refresh_hz: float | None = None
    device_pixel_ratio: float = 1.0
    display_lag_ms: float | None = None
    display_lag_sd_ms: float | None = None
    consent_scopes: tuple[str, ...] = ()
    """Of sessions before `gazecapture.session.consent`; it allows nothing."""
    studies: tuple[StudyInfo, ...] = ()
    tags: tuple[ScreenTag, ...] = ()
    """What the viewer drew at the window's edge for a scene camera; empty where it drew none."""
    seed: int | None = None
    synthetic: bool = False
    """The reader is simulated."""
    gaze: Literal["stream", "mouse", "none"] = "stream"
    """What stands for the eyes: a tracker's stream, the mouse cursor, or nothing at all."""
    reader_site: str = ""
    """Code of the place where it was read; a reading keeps only what `keyframes.reading.SITE_CODE` allows."""


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class StreamChannel:
    """One channel as its sender describes it, and the journal column that holds it."""

    column: str
    label: str
    kind: str = ""
    eye: str = ""
    unit: str = ""
    coordinate_system: str = ""
    """world, camera-space and the like: then x and y are not on the screen."""


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class StreamInfo:
    """One recorded stream."""

    stream_id: str
    role: str
    """gaze, words or other: what the recorder took it for."""
    name: str
    kind: str
    """StreamInfo.type of the sender."""
    channel_format: str
    nominal_rate_hz: float
    channels: tuple[StreamChannel, ...]
    profile: str = ""
    tracker: Tracker = field(default_factory=Tracker)
    source_id: str = ""
    xml: str = ""


def read_session_info(session: Path) -> SessionInfo:
    """Read SESSION/session.json. Raises SchemaError where it is absent, broken or of a newer major version."""
    info = _read(session / "session.json", SessionInfo)
    if info.schema_version.split(".")[0] != SESSION_SCHEMA_VERSION.split(".")[0]:
        raise SchemaError(
            f"session format {info.schema_version}, this tool reads {SESSION_SCHEMA_VERSION}",
            hint="Use the version of the tool that recorded it, or a newer one.",
            path=session,
        )
    return info


def write_session_info(session: Path, info: SessionInfo) -> None:
    """Write SESSION/session.json atomically."""
    write_json_atomically(session / "session.json", TypeAdapter(SessionInfo).dump_python(info, mode="json"))


def read_stream_info(folder: Path) -> StreamInfo:
    """Read stream.json of one stream's folder. Raises SchemaError where it is absent or broken."""
    return _read(folder / "stream.json", StreamInfo)


def write_stream_info(folder: Path, info: StreamInfo) -> None:
    """Write stream.json of one stream's folder atomically."""
    write_json_atomically(folder / "stream.json", TypeAdapter(StreamInfo).dump_python(info, mode="json"))


def _read(path: Path, kind: type[_T]) -> _T:
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except FileNotFoundError:
        raise SchemaError(
            f"{path} does not exist", hint="Is this the right folder?", path=path, code="GT-NOT-A-SESSION"
        ) from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SchemaError(f"{path}: field {place!r}: {first['msg']}", path=path) from None
