"""Taking readings out of a recorded session, as if they had never been recorded.

Of one reading goes everything that was recorded from the end of the study before it to its own end (to the end of the
sitting, where it was the last): samples of every stream, backfilled ones too, words, findings, transcript, what was
displayed, where the screen was in the scene video. With it go its marks for the tracker, what people decided about it,
its entry in session.json and its name in worklist.json, and its films unless another study of the session shows them.
Audio and video run through the whole sitting and cannot be cut, so all of them go; before that a scene video gives the
map of the screen, which the other readings need. They stay what they were, and so does what is of the sitting: clocks,
offsets, validations.
"""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gazecapture.files import atomic_path, sweep_scratch, write_bytes_atomically, write_json_atomically
from gazecapture.session.clock_fit import ClockFit, fit_clock
from gazecapture.session.decisions import others_decisions
from gazecapture.session.journal import JournalWriter, read_journal
from gazecapture.session.lock import LOCK_NAME, FolderLock
from gazecapture.session.scene_mapping import MAPPING_FOLDER, scene_map_of
from gazecapture.session.schema import (
    DISPLAY_JOURNAL,
    OFFSETS,
    StudyInfo,
    read_session_info,
    write_session_info,
)
from keyframes.errors import SchemaError

__all__ = ["AUDIO_FOLDER", "TRANSCRIPTS_FOLDER", "check_idle", "remove_reading", "remove_session"]

AUDIO_FOLDER = "audio"
TRANSCRIPTS_FOLDER = "transcripts"
"""reading-1.txt and so on: what was said in each reading."""
_VIDEO_FOLDER = "video"
_CAMERA_FILE = "calibration.json"
"""Of a scene camera: lens and sensor, without which the map of the screen says nothing."""
_DECISIONS = "decisions.jsonl"
_FIRST_NS, _LAST_NS = int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max)

_Keep = Callable[[pa.Table], NDArray[np.bool_]]
_Outside = Callable[[NDArray[np.int64]], NDArray[np.bool_]]


def check_idle(session: Path) -> None:
    """Raise RecordingError (GT-BUSY) where a living process writes into the session."""
    for path in sorted(session.rglob(LOCK_NAME)):
        lock = FolderLock(path.parent)
        lock.acquire()
        lock.release()


def remove_session(session: Path) -> None:
    """Remove a session's folder; a second call finishes what a killed one left."""
    removed = session.with_name(f".{session.name}.removed.partial")
    if session.is_dir():
        shutil.rmtree(removed, ignore_errors=True)
        session.rename(removed)
    if removed.is_dir():
        shutil.rmtree(removed)


def remove_reading(session: Path, reading_number: int) -> None:
    """Take one study out of a session; a second call finishes what a killed one left.

    Raises SchemaError where the folder is no session, RecordingError (GT-BUSY) while somebody writes into it.
    """
    check_idle(session)
    for folder in (session, session / "streams"):
        sweep_scratch(folder)
    info = read_session_info(session)
    display = read_journal(session / "display", schema=DISPLAY_JOURNAL).table
    stretches = _stretches(display, reading_number)

    def outside(t_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        keep = np.ones(t_ns.size, np.bool_)
        for start_ns, end_ns in stretches:
            keep &= (t_ns < start_ns) | (t_ns >= end_ns)
        return keep

    def of_others(rows: pa.Table) -> NDArray[np.bool_]:
        return np.asarray(rows["reading_number"].to_numpy() != reading_number)

    with contextlib.suppress(SchemaError):  # damaged: there is no map to save
        scene_map_of(session, info)
    for path in (session / MAPPING_FOLDER).glob("*.parquet"):
        _cut_map(path, outside)
    for stream in sorted((session / "streams").glob("*/stream.json")):
        folder = stream.parent
        offsets = read_journal(session / "offsets" / folder.name, schema=OFFSETS).table
        clock = fit_clock(offsets, read_journal(folder).table)
        _rewrite(folder, functools.partial(_stream_rows_outside, clock, outside))
    _rewrite(session / "words", lambda rows: outside(rows["t_start_ns"].to_numpy()))
    for name in ("annotations", "tracker_marks"):
        _rewrite(session / name, of_others)
    if (session / _DECISIONS).is_file():
        write_bytes_atomically(session / _DECISIONS, others_decisions(session / _DECISIONS, reading_number))
    for transcript in (session / TRANSCRIPTS_FOLDER).glob(f"reading-{reading_number}.*"):
        transcript.unlink(missing_ok=True)
    shutil.rmtree(session / AUDIO_FOLDER, ignore_errors=True)
    for path in (session / _VIDEO_FOLDER).rglob("*"):
        if path.is_file() and path.name != _CAMERA_FILE:
            path.unlink()
    _remove_name(session / "worklist.json", reading_number)
    _remove_study(session, reading_number, info.studies)
    _rewrite(session / "display", of_others)  # last: until it is done the stretches can be found again


def _stream_rows_outside(clock: ClockFit, outside: _Outside, rows: pa.Table) -> NDArray[np.bool_]:
    return outside(clock.to_session_ns(rows["t_remote_s"].to_numpy(), rows["sequence"].to_numpy()))


def _stretches(display: pa.Table, reading_number: int) -> list[tuple[int, int]]:
    """Return when this study, and no other, was under way: [start, end), ns.

    From the end of what came before (the first: from the beginning) to its own end (the last: to the end of the
    sitting); an attempt that was given up ends where the next study is shown.
    """
    rows = display.sort_by("t_ns")
    t_ns, numbers = rows["t_ns"].to_numpy(), rows["reading_number"].to_numpy()
    mine = np.flatnonzero(numbers == reading_number)
    found = []
    for run in np.split(mine, np.flatnonzero(np.diff(mine) > 1) + 1) if mine.size else ():
        first, last = int(run[0]), int(run[-1])
        start_ns = int(t_ns[first - 1]) if first else _FIRST_NS
        if last + 1 == t_ns.size:
            end_ns = _LAST_NS
        else:
            is_closed = rows["event"][last].as_py() == "off"
            end_ns = int(t_ns[last if is_closed else last + 1])
        found.append((start_ns, end_ns))
    return found


def _rewrite(folder: Path, keep: _Keep) -> None:
    """Write a journal again with the rows that are kept; it is left alone where all are."""
    if not any(folder.glob("[0-9]*.arrows")):
        return
    content = read_journal(folder)
    kept = keep(content.table)
    if kept.all():
        return
    with atomic_path(folder) as scratch:
        with JournalWriter(scratch, content.table.schema, metadata=content.metadata) as journal:
            journal.append(content.table.filter(pa.array(kept)))
        for path in folder.iterdir():
            if path.suffix not in (".arrows", ".crc") and path.name != LOCK_NAME and path.is_file():
                shutil.copyfile(path, scratch / path.name)


def _cut_map(path: Path, outside: _Outside) -> None:
    """Write the map of a scene video again without the reading's pictures."""
    table = pq.read_table(path, partitioning=None)
    keep = outside(table["t_ns"].to_numpy())
    if not keep.all():
        with atomic_path(path) as scratch:
            pq.write_table(table.filter(pa.array(keep)), scratch)


def _remove_name(worklist: Path, reading_number: int) -> None:
    """Empty the study's name in the list of what was to be read; the others stay at their places."""
    if worklist.is_file():
        content = json.loads(worklist.read_bytes())
        if reading_number <= len(content["studies"]):  # an addendum is not in the list
            content["studies"][reading_number - 1] = ""
            write_json_atomically(worklist, content)


def _remove_study(session: Path, reading_number: int, studies: Iterable[StudyInfo]) -> None:
    """Remove a study's films, empty its entry and let no other name it. The numbers stay: the others count on them."""
    studies = tuple(studies)
    ids = {s.study_id for s in studies if s.reading_number == reading_number}
    others = {image.sha256 for s in studies if s.reading_number != reading_number for image in s.images}
    for study in studies:
        if study.reading_number == reading_number:
            for image in study.images:
                if image.sha256 not in others:
                    (session / "images" / f"{image.sha256}{image.suffix}").unlink(missing_ok=True)
    emptied = tuple(
        StudyInfo(reading_number=s.reading_number, study_id="", images=(), synthetic=s.synthetic)
        if s.reading_number == reading_number
        else replace(
            s,
            repeat_of="" if s.repeat_of in ids else s.repeat_of,
            addendum_of=None if s.addendum_of == reading_number else s.addendum_of,
        )
        for s in studies
    )
    write_session_info(session, replace(read_session_info(session), studies=emptied))
