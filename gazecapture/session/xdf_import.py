"""An XDF file unpacked into a session's folder: of our own export, of LabRecorder, of any sender that a profile reads.

Time stamps and clock offsets are taken as they are in the file: pyxdf's own dejittering spreads samples over gaps
(hundreds of ms off after an outage), and its synchronisation is made here by `gazecapture.session.clock_fit`.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyxdf
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from gazecapture import __version__
from gazecapture.files import make_private_folder, sha256_of
from gazecapture.profiles import Profile
from gazecapture.session.journal import JournalWriter
from gazecapture.session.recorded_stream import stream_schema
from gazecapture.session.schema import (
    OFFSETS,
    SessionInfo,
    StreamInfo,
    write_session_info,
    write_stream_info,
)
from gazecapture.session.xdf_export import JOURNAL_SOURCE, JOURNALS
from gazecapture.session.xdf_file import walk_xdf
from gazecapture.sources.lsl_xml import display_from_xml, stream_info_from_xml
from keyframes.errors import GazeToolError, SchemaError

__all__ = ["UnpackedXdf", "unpack_xdf"]

_MAX_T_S = 4e9
"""s; senders count from the start of their computer or from 1970, and int64 ns end at 9e9."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackedXdf:
    """What an XDF file became."""

    session: Path
    is_own: bool
    """Our own export, with its display journal; else a recording that knows no readings."""
    n_bytes_left_out: int
    """Of an unfinished chunk at the end: the recording was cut."""
    markers: tuple[tuple[int, str], ...]
    """(t_ns, text) of other programs' marker streams, session clock, in order."""


def unpack_xdf(path: Path, session: Path, *, own_profiles: Sequence[Profile] = ()) -> UnpackedXdf:
    """Write the streams of an XDF file into ``session``, a new folder.

    Raises SchemaError (GT-XDF) where the file is none or cannot be read.
    """
    layout = walk_xdf(path)
    make_private_folder(session)
    readable = path
    if layout.is_cut:
        readable = session / "repaired.xdf"
        with path.open("rb") as source, readable.open("wb") as copy:
            shutil.copyfileobj(source, copy)
            copy.truncate(layout.whole_bytes)
    streams = _load(readable, path)
    own_info: SessionInfo | None = None
    markers: list[tuple[int, str]] = []
    infos: list[StreamInfo] = []
    for stream in streams:
        xml = layout.headers.get(int(stream["info"]["stream_id"]), "")
        source_id = _first(stream["info"], "source_id")
        if source_id.startswith(JOURNAL_SOURCE):
            name = source_id.removeprefix(JOURNAL_SOURCE)
            if name in JOURNALS:
                _unpack_journal(session / name, JOURNALS[name], stream, path)
            if name == "display":
                own_info = _session_info(stream, path)
            continue
        info = stream_info_from_xml(xml, own_profiles=own_profiles)
        while any(info.stream_id == other.stream_id for other in infos):
            info = replace(info, stream_id=f"{info.stream_id}_2")
        infos.append(info)
        received_ns = _unpack_stream(session, info, stream)
        if info.channel_format == "string" and info.role != "words":
            texts = [str(row[0]) for row in stream["time_series"]]
            markers += zip(received_ns.tolist(), texts, strict=True)
    if own_info is None:
        own_info = _foreign_info(path, infos)
    write_session_info(session, own_info)
    return UnpackedXdf(
        session=session,
        is_own=bool(own_info.studies),
        n_bytes_left_out=layout.size_bytes - layout.whole_bytes,
        markers=tuple(sorted(markers)),
    )


def _load(readable: Path, path: Path) -> list[dict[str, Any]]:
    """Read all streams. pyxdf skips what is damaged inside a chunk and only logs that; here it is an error."""
    damage = _Errors()
    logger = logging.getLogger(pyxdf.__name__)
    heard = logger.propagate
    logger.addHandler(damage)
    logger.propagate = False  # its lines may quote the file
    try:
        streams: list[dict[str, Any]] = pyxdf.load_xdf(
            str(readable), synchronize_clocks=False, handle_clock_resets=False, dejitter_timestamps=False
        )[0]
    except Exception as error:  # pyxdf raises whatever its parsing meets
        raise SchemaError(
            f"the file cannot be read ({type(error).__name__})", path=path, code="GT-XDF"
        ) from error
    finally:
        logger.removeHandler(damage)
        logger.propagate = heard
    if damage.n:
        raise SchemaError(
            "the file is damaged inside a chunk",
            path=path,
            hint="Copy it again from its source.",
            code="GT-XDF",
        )
    for stream in streams:
        for name in ("time_stamps", "clock_times", "clock_values"):
            t_s = np.asarray(stream.get(name, []), np.float64)
            if not (np.abs(t_s) <= _MAX_T_S).all():
                raise SchemaError("a stream has impossible time stamps", path=path, code="GT-XDF")
    return streams


class _Errors(logging.Handler):
    """Counts what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.n = 0

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        self.n += 1


def _unpack_stream(session: Path, info: StreamInfo, stream: dict[str, Any]) -> NDArray[np.int64]:
    """Write one stream's journals; return when its samples would have arrived, session ns."""
    t_s = np.asarray(stream["time_stamps"], np.float64)
    times = np.asarray(stream.get("clock_times", []), np.float64)
    values = np.asarray(stream.get("clock_values", []), np.float64)
    if times.size:
        order = np.argsort(times, kind="stable")
        received_s = t_s + np.interp(t_s, times[order], values[order])
    else:
        received_s = t_s
    received_ns = np.round(received_s * 1e9).astype(np.int64)
    series = stream["time_series"]
    schema = stream_schema(info)
    columns: dict[str, Any] = {
        "sequence": np.arange(t_s.size), "t_remote_s": t_s, "t_received_ns": received_ns,
    }  # fmt: skip
    for place, channel in enumerate(info.channels):
        columns[channel.column] = [row[place] for row in series]
    folder = session / "streams" / info.stream_id
    with JournalWriter(folder, schema) as journal:
        journal.append(pa.table(columns, schema=schema))
    write_stream_info(folder, info)
    with JournalWriter(session / "offsets" / info.stream_id, OFFSETS) as journal:
        journal.append_rows(
            [
                {"t_ns": round((t + value) * 1e9), "offset_s": float(value), "uncertainty_s": 0.0}
                for t, value in zip(times, values, strict=True)
            ]
        )
    return received_ns


def _unpack_journal(folder: Path, schema: pa.Schema, stream: dict[str, Any], path: Path) -> None:
    try:
        rows = [json.loads(row[0]) for row in stream["time_series"]]
        with JournalWriter(folder, schema) as journal:
            journal.append_rows(rows)
    except (ValueError, TypeError, AttributeError, RecursionError, GazeToolError) as error:
        raise SchemaError(
            f"the journal {folder.name!r} in the file is damaged", path=path, code="GT-XDF"
        ) from error


def _session_info(stream: dict[str, Any], path: Path) -> SessionInfo:
    try:
        return TypeAdapter(SessionInfo).validate_json(stream["info"]["desc"][0]["session"][0])
    except (KeyError, IndexError, TypeError, ValidationError) as error:
        raise SchemaError("the description of the session is damaged", path=path, code="GT-XDF") from error


def _foreign_info(path: Path, infos: list[StreamInfo]) -> SessionInfo:
    displays = [display_from_xml(info.xml) for info in infos if info.role == "gaze"]
    return SessionInfo(
        session_id=sha256_of(path),
        reader_code="",
        created_unix_ns=0,
        tool_version=__version__,
        display=next((display for display in displays if display is not None), None),
    )


def _first(info: dict[str, Any], name: str) -> str:
    value = info.get(name) or [""]
    return str(value[0] or "")
