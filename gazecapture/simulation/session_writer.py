"""Writes a simulated session folder exactly as viewer and recorder would have written it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gazecapture import profiles
from gazecapture.files import make_private_folder, write_json_atomically
from gazecapture.session.consent import ConsentRecord, write_consent
from gazecapture.session.journal import JournalWriter
from gazecapture.session.recorded_stream import stream_schema
from gazecapture.session.schema import (
    ANNOTATIONS,
    CLOCK,
    DISPLAY_JOURNAL,
    MARKS,
    OFFSETS,
    WORDS_JOURNAL,
    SessionInfo,
    StreamInfo,
    write_session_info,
    write_stream_info,
)
from gazecapture.session.status import RecorderStatus, StreamStatus, write_status
from gazecapture.simulation.feed import CHANNELS, DueSamples, GazeFeed
from gazecapture.simulation.outlets import gaze_stream_info, words_stream_info
from gazecapture.simulation.performer import Performer
from gazecapture.simulation.plan import ReadingPlan
from gazecapture.simulation.truth import TruthWriter
from gazecapture.viewer.model import ImageView, Panel, ViewerModel
from gazecapture.viewer.session import ReadingSession
from gazecapture.worklist import WorklistStudy, fingerprint

__all__ = ["SessionWriter"]

START_S = 1000.0
"""s on the session clock of the first sample; any will do, this one is plainly made up."""
REFRESH_HZ = 60.0
BEFORE_FIRST_S, BETWEEN_S, AFTER_LAST_S = 1.5, 1.0, 1.0
"""s of idling before, between and after the readings."""
OFF_LATENCY_S = 0.005
"""s from the wish for the next study to image off, which comes with the next frame; as measured live."""
RECEIPT_NS = 500_000
"""ns from a sample's time to its receipt; half a millisecond is usual on loopback."""
EVERY_S = 5.0
"""s between clock offsets and clock triples, as the recorder measures them."""
OFFSET_SD_S = 2e-5
"""s of uncertainty of a clock offset, as liblsl gives it on one host."""
PIECE_S = 1.0
"""s of samples per journal message."""
SEGMENT_S = math.inf
"""s of the machine's own time after which a journal begins a new segment: bytes must not depend on how fast it is."""


class _Stream:
    """The journals of one stream."""

    def __init__(self, session: Path, stack: ExitStack, info: StreamInfo) -> None:
        self.info = info
        folder = session / "streams" / info.stream_id
        self.journal = stack.enter_context(JournalWriter(folder, stream_schema(info), segment_s=SEGMENT_S))
        self.offsets = stack.enter_context(
            JournalWriter(session / "offsets" / info.stream_id, OFFSETS, segment_s=SEGMENT_S)
        )
        write_stream_info(folder, info)

    def write(self, t_s: NDArray[np.float64], columns: Mapping[str, Any]) -> None:
        """Append samples."""
        first = self.journal.n_rows
        rows = {
            "sequence": np.arange(first, first + t_s.size, dtype=np.int64),
            "t_remote_s": t_s,
            "t_received_ns": np.round(t_s * 1e9).astype(np.int64) + RECEIPT_NS,
            **columns,
        }
        self.journal.append(pa.table(rows, schema=self.journal.schema))


class SessionWriter:
    """One session folder in the making; a `gazecapture.simulation.performer.Sink`.

    Parameters
    ----------
    folder : empty but for its marker.
    stack  : closes the journals.
    feed   : not started.
    """

    def __init__(
        self,
        folder: Path,
        stack: ExitStack,
        *,
        info: SessionInfo,
        studies: Sequence[WorklistStudy],
        feed: GazeFeed,
    ) -> None:
        listed = [study.study_id for study in studies]
        write_json_atomically(
            folder / "worklist.json", {"fingerprint": fingerprint(studies), "studies": listed}
        )
        write_session_info(folder, info)
        write_consent(folder, ConsentRecord.of_simulated_reader(info.reader_code))
        make_private_folder(folder / "images")
        self._folder = folder
        self._session = ReadingSession(folder, info, studies)
        self._info, self._shown = info, list(info.studies)
        self._performer = Performer(feed, self)
        journals = {
            name: stack.enter_context(JournalWriter(folder / name, schema, segment_s=SEGMENT_S))
            for name, schema in (
                ("display", DISPLAY_JOURNAL),
                ("annotations", ANNOTATIONS),
                ("words", WORDS_JOURNAL),
                ("marks", MARKS),
                ("clock/viewer", CLOCK),
                ("clock/recorder", CLOCK),
            )
        }
        self._journals: dict[str, JournalWriter] = journals
        gaze = gaze_stream_info(feed.rate_hz)
        matched = profiles.match(gaze)
        gaze = gaze_stream_info(feed.rate_hz, profile="" if matched is None else matched.name)
        self._gaze = _Stream(folder, stack, gaze)
        self._words = _Stream(folder, stack, words_stream_info())
        self._now_s = START_S
        self._created_unix_ns = info.created_unix_ns
        feed.start(START_S)
        for stream in (self._gaze, self._words):
            self._mark("start", stream.info, detail=stream.info.kind)

    def read(
        self,
        number: int,
        *,
        plan: Callable[[tuple[ImageView, ...]], ReadingPlan],
        panels: Sequence[Panel],
        truth: TruthWriter,
    ) -> None:
        """Perform the reading of a study. Raises ImageError where it cannot be shown."""
        prepared = self._session.prepare(number)
        if prepared.error is not None:
            raise prepared.error
        self._shown[number - 1] = replace(self._shown[number - 1], images=prepared.images)
        images = tuple(picture.view for picture in prepared.pictures)
        planned = plan(images)
        on_s = self._next_frame(self._now_s + (BEFORE_FIRST_S if number == 1 else BETWEEN_S))
        self._run_until(on_s)
        self._performer.perform(planned, on_s)
        off_s = self._next_frame(on_s + planned.duration_s + OFF_LATENCY_S)
        self._journal_display(planned, images, panels, on_s, off_s)
        self._journal_marks(planned, on_s)
        self._run_until(off_s)
        self._performer.stop_reading()
        truth.n_gaze_sent, truth.n_words_sent = self._performer.feed.n_given, self._performer.n_words
        truth.add(
            planned,
            image_on_ns=_ns(on_s),
            off_s=off_s - on_s,
            n_gaze_sent_during=self._performer.feed.n_given_between(on_s, off_s),
        )

    def finish(self, truth: TruthWriter) -> None:
        """Write what ends a recording, and which images were shown: a folder that appears whole can wait for them."""
        self._run_until(self._now_s + AFTER_LAST_S)
        for stream in (self._gaze, self._words):
            self._mark("stop", stream.info, n_samples=stream.journal.n_rows)
        self._journal_clocks()
        truth.n_gaze_sent, truth.n_words_sent = self._performer.feed.n_given, self._performer.n_words
        truth.save()
        write_session_info(self._folder, replace(self._info, studies=tuple(self._shown)))
        write_status(
            self._folder,
            RecorderStatus(
                state="stopped",
                pid=0,
                t_ns=_ns(self._now_s),
                streams=tuple(
                    StreamStatus(
                        stream_id=stream.info.stream_id,
                        role=stream.info.role,
                        name=stream.info.name,
                        n_samples=stream.journal.n_rows,
                        rate_hz=stream.info.nominal_rate_hz or None,
                        nominal_rate_hz=stream.info.nominal_rate_hz,
                        offset_s=0.0,
                        missing_by_frame_number=0 if stream.info.role == "gaze" else None,
                    )
                    for stream in (self._gaze, self._words)
                ),
            ),
        )

    def push_gaze(self, due: DueSamples) -> None:
        """Journal samples."""
        columns = {channel.column: due.values[:, place] for place, channel in enumerate(CHANNELS)}
        self._gaze.write(due.t_s, columns)

    def push_word(self, message: str, t_s: float) -> None:
        """Journal a word, as a sample of its stream and as what it says."""
        self._words.write(np.array([t_s]), {self._words.info.channels[0].column: [message]})
        said = json.loads(message)
        row = {
            "t_start_ns": _ns(said["t_start_s"]), "t_end_ns": _ns(said["t_end_s"]), "word": said["word"],
            "confidence": said["confidence"], "source": "simulated",
        }  # fmt: skip
        self._journals["words"].append_rows([row])

    def _run_until(self, end_s: float) -> None:
        """Let time pass; samples at ``end_s`` itself belong to what comes next."""
        while self._now_s < end_s:
            self._now_s = min(end_s, self._now_s + PIECE_S)
            # Just before: a sample on the very edge must see the path that begins there.
            self._performer.tick(self._now_s - 1e-7)

    def _next_frame(self, t_s: float) -> float:
        """Return the first frame of the screen at or after ``t_s``."""
        return START_S + math.ceil((t_s - START_S) * REFRESH_HZ - 1e-6) / REFRESH_HZ

    def _journal_display(
        self,
        plan: ReadingPlan,
        images: Sequence[ImageView],
        panels: Sequence[Panel],
        on_s: float,
        off_s: float,
    ) -> None:
        model = ViewerModel(plan.area)
        model.set_panels(panels)
        model.open_study(plan.reading_number, images)
        rows = model.presented(_ns(on_s))
        waiting = list(plan.actions)
        while waiting:
            frame_s = self._next_frame(on_s + waiting[0].t_s)
            if frame_s >= off_s:
                break
            while waiting and on_s + waiting[0].t_s <= frame_s + 1e-9:
                model.act(waiting.pop(0).action)
            rows += model.presented(_ns(frame_s))
        rows += model.close_study(_ns(off_s))
        self._journals["display"].append_rows(rows)

    def _journal_marks(self, plan: ReadingPlan, on_s: float) -> None:
        self._journals["annotations"].append_rows(
            [
                {
                    "t_ns": _ns(on_s + mark.t_s),
                    "reading_number": plan.reading_number,
                    "action": "put",
                    "finding_id": mark.finding_id,
                    "label": mark.label,
                    "present": mark.present,
                    "certainty": mark.certainty,
                    "rating": None,
                    "image_index": mark.image_index,
                    "shape": "none" if mark.box is None else "box",
                    "box": None if mark.box is None else list(mark.box),
                }
                for mark in plan.marks
            ]
        )

    def _journal_clocks(self) -> None:
        times = np.append(np.arange(START_S, self._now_s, EVERY_S), self._now_s)
        session_ns = np.round(times * 1e9).astype(np.int64)
        offsets = pa.table(
            {
                "t_ns": session_ns,
                "offset_s": np.zeros(times.size),
                "uncertainty_s": np.full(times.size, OFFSET_SD_S),
            },
            schema=OFFSETS,
        )
        for stream in (self._gaze, self._words):
            stream.offsets.append(offsets)
        unix_ns = session_ns - session_ns[0] + self._created_unix_ns
        table = pa.table(
            {"monotonic_ns": session_ns, "unix_ns": unix_ns, "session_ns": session_ns}, schema=CLOCK
        )
        for name in ("clock/viewer", "clock/recorder"):
            self._journals[name].append(table)

    def _mark(self, kind: str, info: StreamInfo, *, n_samples: int | None = None, detail: str = "") -> None:
        row = {
            "t_ns": _ns(self._now_s), "stream_id": info.stream_id, "kind": kind, "duration_s": None,
            "n_samples": n_samples, "detail": detail,
        }  # fmt: skip
        self._journals["marks"].append_rows([row])


def _ns(t_s: float) -> int:
    return round(t_s * 1e9)
