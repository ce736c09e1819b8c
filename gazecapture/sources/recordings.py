"""What a session or a Reading of a store holds, as recordings to play again: gaze, words, anything else recorded.

All recordings of one folder share one time: the session's clock, or the Reading's.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gazecapture.session.clock_fit import fit_clock
from gazecapture.session.journal import read_journal
from gazecapture.session.schema import (
    OFFSETS,
    WORDS_JOURNAL,
    StreamChannel,
    StreamInfo,
    read_session_info,
    read_stream_info,
)
from gazecapture.sources.lsl_xml import WORDS_KIND, display_from_xml
from gazecapture.sources.replay import FRAME_NUMBER, REPLAY_NAME, Recording, in_order
from keyframes.errors import DataError, SchemaError, UsageError
from keyframes.reading import Tracker

__all__ = ["load_recording", "load_recordings"]

WORDS_NAME = "Replayed words"
_WORD = StreamChannel(column="word", label="word", kind="Word", unit="json")


def load_recordings(folder: Path) -> list[Recording]:
    """Load every stream of a session's folder, or of one Reading's folder in a store; the gaze comes first.

    Raises UsageError where the folder is neither, DataError where it holds nothing to play.
    """
    if (folder / "gaze.parquet").is_file():
        found = [*_gaze_of_reading(folder), *_words_of_reading(folder)]
    elif (folder / "streams").is_dir():
        found = [*_streams_of_session(folder), *_words_of_session(folder)]
    else:
        raise UsageError(
            f"{folder} is neither a session nor a reading",
            hint="Give a session's folder, or STORE/READING_ID.",
            path=folder,
            code="GT-NOT-A-RECORDING",
        )
    found = [recording for recording in found if recording.t_s.size]
    if not found:
        raise DataError("nothing was recorded here", path=folder)
    return sorted(found, key=lambda r: (r.info.role != "gaze", -r.t_s.size))


def load_recording(folder: Path) -> Recording:
    """Load the gaze alone; of a session with several gaze streams the one with most samples.

    Raises what `load_recordings` raises, and DataError where there is no gaze.
    """
    first = load_recordings(folder)[0]
    if first.info.role != "gaze":
        raise DataError("no gaze was recorded here", path=folder)
    return first


def _streams_of_session(session: Path) -> list[Recording]:
    """Read every stream but the words, which stand in a journal of their own, on the session's clock."""
    display = None
    if (session / "session.json").is_file():
        display = read_session_info(session).display
    found = []
    for described in sorted((session / "streams").glob("*/stream.json")):
        info = read_stream_info(described.parent)
        if info.role == "words":
            continue
        table = read_journal(described.parent).table
        if not table.num_rows:
            continue
        clock = fit_clock(read_journal(session / "offsets" / info.stream_id, schema=OFFSETS).table)
        t_s = clock.to_session_ns(table.column("t_remote_s").to_numpy()) / 1e9
        order = np.argsort(t_s, kind="stable")
        columns = {c.column: _values(table, c.column, info)[order] for c in info.channels}
        text = info.channel_format == "string"
        recording = Recording(
            info=replace(info, channel_format="string" if text else "double64"),
            t_s=t_s[order],
            columns=columns,
            display=display_from_xml(info.xml) or (display if info.role == "gaze" else None),
        )
        found.append(recording if text else _counted(recording))
    return found


def _values(table: pa.Table, column: str, info: StreamInfo) -> NDArray[np.generic]:
    if column not in table.column_names:
        raise SchemaError(f"the journal of stream {info.name!r} lacks column {column!r}")
    values = table.column(column).to_numpy()
    return values if info.channel_format == "string" else np.asarray(values, np.float64)


def _words_of_session(session: Path) -> list[Recording]:
    words = read_journal(session / "words", schema=WORDS_JOURNAL).table
    return [_words(words)] if words.num_rows else []


def _words_of_reading(folder: Path) -> list[Recording]:
    if not (folder / "words.parquet").is_file():
        return []
    words = pq.read_table(folder / "words.parquet")
    return [_words(words)] if words.num_rows else []


def _words(table: pa.Table) -> Recording:
    """Return words as a stream; each is sent when it had been said."""
    table = table.sort_by("t_end_ns")
    words = pa.table(
        {
            "word": table.column("word"),
            "t_start_s": table.column("t_start_ns").to_numpy() / 1e9,
            "t_end_s": table.column("t_end_ns").to_numpy() / 1e9,
            "confidence": table.column("confidence"),
        }
    )
    info = StreamInfo(
        stream_id="replay_words",
        role="words",
        name=WORDS_NAME,
        kind=WORDS_KIND.capitalize(),
        channel_format="string",
        nominal_rate_hz=0.0,
        channels=(_WORD,),
        tracker=Tracker(name=WORDS_NAME, manufacturer="replay"),
    )
    return Recording(info=info, t_s=in_order(words.column("t_end_s").to_numpy()), columns={}, words=words)


def _gaze_of_reading(folder: Path) -> list[Recording]:
    """Read a Reading's gaze: both eyes, pupils and the combined point, as it stands in the table."""
    table = pq.read_table(folder / "gaze.parquet")
    if not table.num_rows:
        return []
    unit = str(table.column("pupil_unit")[0])
    rows = []
    for eye, prefix in (("both", ""), ("left", "left_"), ("right", "right_")):
        rows += [
            (f"{prefix}x_screen_px", "ScreenX", eye, "pixels"),
            (f"{prefix}y_screen_px", "ScreenY", eye, "pixels"),
            (f"{prefix}pupil", "Diameter", eye, unit),
        ]
    channels = tuple(
        StreamChannel(column=column, label=column, kind=kind, eye=eye, unit=said)
        for column, kind, eye, said in rows
    )
    t_s = table.column("t_ns").to_numpy() / 1e9
    steps = np.diff(t_s)
    info = StreamInfo(
        stream_id="replay",
        role="gaze",
        name=REPLAY_NAME,
        kind="Gaze",
        channel_format="double64",
        nominal_rate_hz=float(1.0 / np.median(steps)) if steps.size and np.median(steps) > 0 else 0.0,
        channels=channels,
        tracker=Tracker(name=REPLAY_NAME, manufacturer="replay"),
    )
    columns = {
        channel.column: np.asarray(table.column(channel.column).to_numpy(), np.float64)
        for channel in channels
    }
    return [_counted(Recording(info=info, t_s=in_order(t_s), columns=columns))]


def _counted(recording: Recording) -> Recording:
    """Add frame numbers where the recording has none, so that a receiver can count its losses."""
    if any(channel.kind.casefold() == "framenumber" for channel in recording.info.channels):
        return recording
    column = "frame_number"
    while column in recording.columns:
        column = f"replay_{column}"
    channel = replace(FRAME_NUMBER, column=column, label=column)
    frames = np.arange(recording.t_s.size, dtype=np.float64)
    return replace(
        recording,
        info=replace(recording.info, channels=(*recording.info.channels, channel)),
        columns={**recording.columns, column: frames},
    )
