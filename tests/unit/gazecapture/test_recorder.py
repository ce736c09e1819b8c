"""The recorder, in this process, on replayed sources; the processes are in tests/fault."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gazecapture import clock
from gazecapture.clock import session_now_ns
from gazecapture.session import recorder
from gazecapture.session.journal import read_journal
from gazecapture.session.recorder import record_session
from gazecapture.session.schema import (
    MARKS,
    WORDS_JOURNAL,
    StreamChannel,
    StreamInfo,
    read_session_info,
    read_stream_info,
)
from gazecapture.session.self_check import check_recording
from gazecapture.session.status import RecorderStatus, read_status, request_stop, write_status
from gazecapture.sources.protocol import ClockOffset, Source, SourceBatch, SourceMark
from gazecapture.sources.recordings import load_recording
from gazecapture.sources.replay import Recording, ReplaySource
from keyframes.errors import DeviceUnavailableError, DeviceUnavailableReason, RecordingError, UsageError
from keyframes.geometry import Display
from keyframes.reading import Tracker
from tests.steady_source import SteadySource
from tests.waiting import LIMIT_S, beside, n_recorded, stopped_when, wait_until

RATE_HZ = 500.0


def recording(n: int, *, rate_hz: float = RATE_HZ, name: str = "gaze", first: int = 0) -> Recording:
    frames = np.arange(first, first + n)
    made = Recording.from_points(
        t_s=frames / rate_hz, x_screen_px=frames * 1.0, y_screen_px=frames * 2.0, rate_hz=rate_hz, name=name
    )
    return replace(made, columns={**made.columns, "frame_number": frames.astype(float)})


class Words:
    """A source of given text samples, on a clock that is 100 s behind the session clock."""

    def __init__(self, samples: list[str], *, manufacturer: str = "") -> None:
        channel = StreamChannel(column="word", label="word")
        self._samples = samples
        self.info: tuple[StreamInfo, ...] = (
            StreamInfo(
                stream_id="words",
                role="words",
                name="words",
                kind="Words",
                channel_format="string",
                nominal_rate_hz=0.0,
                channels=(channel,),
                tracker=Tracker(manufacturer=manufacturer),
            ),
        )

    def open(self) -> None:
        self._offsets = [
            ClockOffset(stream_id="words", t_ns=session_now_ns(), offset_s=100.0, uncertainty_s=1e-4)
        ]

    def read(self, timeout_s: float) -> SourceBatch | None:
        if not self._samples:
            time.sleep(timeout_s)
            return None
        text = np.array([self._samples.pop(0)], object)
        now = np.array([session_now_ns()])
        return SourceBatch(
            stream_id="words", t_remote_s=now / 1e9 - 100, t_received_ns=now, columns={"word": text}
        )

    def offsets(self) -> list[ClockOffset]:
        offsets, self._offsets = self._offsets, []
        return offsets

    def marks(self) -> list[SourceMark]:
        return []

    def close(self) -> None:
        pass


def marks(session: Path) -> list[tuple[str, str]]:
    rows = read_journal(session / "marks", schema=MARKS).table.to_pylist()
    return [(row["kind"], row["stream_id"]) for row in rows]


def test_every_sample_is_journaled_numbered_and_counted(tmp_path: Path) -> None:
    session = tmp_path / "s"
    states: list[RecorderStatus] = []
    source = ReplaySource(recording(600))
    final = record_session(session, connect=lambda: [source], seconds=1.5, on_start=states.append)
    assert states[0].state == "recording"
    (stream,) = final.streams
    assert (final.state, stream.n_samples, stream.missing_by_frame_number) == ("stopped", 600, 0)
    assert stream.rate_hz == pytest.approx(RATE_HZ, rel=0.02)
    assert read_status(session) == final
    content = read_journal(session / "streams" / "replay")
    assert content.damage == ()
    assert content.table["sequence"].to_pylist() == list(range(600))
    assert content.table["x"].to_pylist() == [float(n) for n in range(600)]
    info = read_stream_info(session / "streams" / "replay")
    assert (info.role, info.stream_id) == ("gaze", "replay")
    assert marks(session) == [("start", "replay"), ("stop", "replay")]
    assert read_journal(session / "offsets" / "replay").table["offset_s"].to_pylist() == [0.0]
    assert read_journal(session / "clock" / "recorder").table.num_rows >= 2
    assert read_session_info(session).reader_code == ""


def test_a_sample_is_on_disk_before_others_follow(tmp_path: Path) -> None:
    """How soon is measured in benchmarks/acquisition.py."""
    session = tmp_path / "s"
    source = SteadySource()

    def pause_and_go_on() -> None:
        wait_until(lambda: n_recorded(session))
        for _ in range(3):
            before = source.n_given
            source.enough.clear()
            wait_until(lambda before=before: source.n_given > before)  # type: ignore[misc]
            source.enough.set()  # nothing more comes
            wait_until(lambda: n_on_disk() == source.n_given)
        source.end(session)

    def n_on_disk() -> int:
        return read_journal(session / "streams" / "replay").table.num_rows

    with beside(pause_and_go_on):
        record_session(session, connect=lambda: [source])


def test_words_are_rows_on_the_session_clock_and_raw_in_their_stream(tmp_path: Path) -> None:
    samples = [
        json.dumps({"word": "clear", "t_start_s": 5.0, "t_end_s": 5.5, "confidence": 0.75}),
        json.dumps({"word": ".", "t_start_s": 5.5, "t_end_s": 5.5}),
        "not json",
        json.dumps({"word": "late", "t_start_s": 6.0, "t_end_s": 5.0}),
        json.dumps(["word"]),
    ]
    session = tmp_path / "s"
    sources: list[Source] = [ReplaySource(recording(100)), Words(list(samples))]
    final = record_session(session, connect=lambda: sources, seconds=0.8)
    assert {s.role: s.n_samples for s in final.streams} == {"gaze": 100, "words": 5}
    assert read_journal(session / "streams" / "words").table["word"].to_pylist() == samples
    words = read_journal(session / "words", schema=WORDS_JOURNAL).table.to_pylist()
    assert words == [
        {"t_start_ns": 105_000_000_000, "t_end_ns": 105_500_000_000, "word": "clear", "confidence": 0.75,
         "source": "dictated"},
        {"t_start_ns": 105_500_000_000, "t_end_ns": 105_500_000_000, "word": ".", "confidence": None,
         "source": "dictated"},
    ]  # fmt: skip


def test_a_synthetic_speaker_is_named_so(tmp_path: Path) -> None:
    word = json.dumps({"word": "a", "t_start_s": 1.0, "t_end_s": 1.1})
    source = Words([word], manufacturer="synthetic")
    record_session(tmp_path / "s", connect=lambda: [source], seconds=0.4)
    assert read_journal(tmp_path / "s" / "words").table["source"].to_pylist() == ["simulated"]


def test_a_second_recording_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    session = tmp_path / "s"
    for first in (0, 150):
        source = ReplaySource(recording(100, first=first))
        record_session(session, connect=lambda s=source: [s], seconds=0.6)  # type: ignore[misc]
    table = read_journal(session / "streams" / "replay").table
    assert table["sequence"].to_pylist() == list(range(200))
    assert table["frame_number"].to_pylist() == [*range(100), *range(150, 250)]
    gaps = [row for row in read_journal(session / "marks").table.to_pylist() if row["kind"] == "gap"]
    assert [gap["n_samples"] for gap in gaps] == [50]


def test_streams_of_one_name_do_not_mix(tmp_path: Path) -> None:
    session = tmp_path / "s"
    one, other = recording(50), recording(80)
    other = replace(other, info=replace(other.info, source_id="another"))
    sources = [ReplaySource(one), ReplaySource(other)]
    final = record_session(session, connect=lambda: sources, seconds=0.7)
    assert {s.stream_id: s.n_samples for s in final.streams} == {"replay": 50, "replay_2": 80}


def test_a_stop_request_ends_it_after_what_is_on_its_way(tmp_path: Path) -> None:
    session = tmp_path / "s"
    source = ReplaySource(recording(50_000))
    done: list[RecorderStatus] = []
    thread = threading.Thread(target=lambda: done.append(record_session(session, connect=lambda: [source])))
    thread.start()
    wait_until(lambda: n_recorded(session))
    asked_ns = session_now_ns()
    request_stop(session)
    thread.join(LIMIT_S)
    assert done
    assert done[0].state == "stopped"
    table = read_journal(session / "streams" / "replay").table
    assert done[0].streams[0].n_samples == table.num_rows
    assert table["t_remote_s"].to_numpy()[-1] * 1e9 >= asked_ns, (
        "all that was taken before the request is there"
    )
    assert not (session / "control" / "stop").exists()


def test_a_source_that_does_not_open_stops_the_start(tmp_path: Path) -> None:
    class Absent(Words):
        def open(self) -> None:
            raise DeviceUnavailableError("no answer", reason=DeviceUnavailableReason.NOT_FOUND)

    session = tmp_path / "s"
    with pytest.raises(DeviceUnavailableError, match="no answer"):
        record_session(session, connect=lambda: [ReplaySource(recording(10)), Absent([])])
    status = read_status(session)
    assert status is not None
    assert status.state == "failed"
    assert "no answer" in status.error


def test_a_source_that_breaks_fails_the_recording_and_keeps_the_rest(tmp_path: Path) -> None:
    class Breaking(Words):
        def read(self, timeout_s: float) -> SourceBatch | None:
            if not self._samples:
                raise ZeroDivisionError
            return super().read(timeout_s)

    session = tmp_path / "s"
    with pytest.raises(RecordingError, match="ZeroDivisionError"):
        record_session(session, connect=lambda: [Breaking(["a", "b"])])
    assert read_journal(session / "streams" / "words").table["word"].to_pylist() == ["a", "b"]
    status = read_status(session)
    assert status is not None
    assert status.state == "failed"


def test_two_recorders_in_one_session_are_refused(tmp_path: Path) -> None:
    session = tmp_path / "s"
    refused: list[RecordingError] = []

    def second(_: RecorderStatus) -> None:
        try:
            record_session(session, connect=list)
        except RecordingError as error:
            refused.append(error)

    source = ReplaySource(recording(100))
    final = record_session(session, connect=lambda: [source], seconds=0.5, on_start=second)
    assert [error.code for error in refused] == ["GT-BUSY"]
    assert final.state == "stopped"
    assert final.streams[0].n_samples == 100


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        record_session(tmp_path, connect=list)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_a_late_source_is_recorded_and_marked(tmp_path: Path) -> None:
    session = tmp_path / "s"
    late = [Words([json.dumps({"word": "w", "t_start_s": 1, "t_end_s": 2})])]
    source = ReplaySource(recording(100))
    with stopped_when(session, lambda: n_recorded(session) == 101):
        final = record_session(session, connect=lambda: [source], late=lambda: [late.pop()] if late else [])
    assert {s.stream_id: s.n_samples for s in final.streams} == {"replay": 100, "words": 1}
    assert ("late_start", "words") in marks(session)


def test_a_late_first_sample_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gazecapture.session.recorded_stream.LATE_START_S", 0.3)
    session = tmp_path / "s"
    may_play = threading.Event()

    class Late(ReplaySource):
        def read(self, timeout_s: float) -> SourceBatch | None:
            return super().read(timeout_s) if may_play.wait(timeout_s) else None

    began = time.monotonic()
    with stopped_when(session, lambda: n_recorded(session) == 100):
        final = record_session(
            session,
            connect=lambda: [Late(recording(100))],
            on_start=lambda _: threading.Timer(0.6, may_play.set).start(),
        )
    assert final.streams[0].n_samples == 100
    assert final.streams[0].late_start_s is not None
    assert 0.6 <= final.streams[0].late_start_s < time.monotonic() - began
    rows = read_journal(session / "marks").table.to_pylist()
    assert [row["detail"] for row in rows if row["kind"] == "late_start"] == ["first sample"]


def test_a_clock_that_is_set_and_a_sleep_are_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clocks of a machine that runs tests cannot be set, nor can it sleep: what the system tells is altered."""
    session = tmp_path / "s"
    real_unix, real_ever = time.time_ns, clock.awake_or_asleep_ns
    moved_s = {"unix": 0, "slept": 0}
    ticks: list[clock.ClockTriples] = []
    monkeypatch.setattr(time, "time_ns", lambda: real_unix() + moved_s["unix"] * 10**9)
    monkeypatch.setattr(clock, "awake_or_asleep_ns", lambda: (real_ever() or 0) + moved_s["slept"] * 10**9)

    class Moved(clock.ClockTriples):
        def tick(self) -> list[clock.ClockStep]:
            ticks.append(self)
            if len(ticks) == 2:
                moved_s["unix"] -= 3600
            if len(ticks) == 4:
                moved_s["slept"] += 90
                moved_s["unix"] += 90
            return super().tick()

    monkeypatch.setattr(recorder, "ClockTriples", partial(Moved, interval_s=0.0))
    with stopped_when(session, lambda: len(ticks) > 5):
        final = record_session(session, connect=lambda: [ReplaySource(recording(500))])
    rows = read_journal(session / "marks").table.to_pylist()
    steps = {row["detail"]: row["duration_s"] for row in rows if row["kind"] == "clock_step"}
    assert steps["the unix clock was set"] == pytest.approx(-3600, abs=0.05)
    assert steps["the host slept"] == pytest.approx(90, abs=0.05)
    assert (final.n_clock_steps, final.n_sleeps) == (1, 1)
    remarks = check_recording(session, final).remarks
    assert any("clock was set 1 times" in remark for remark in remarks)
    assert any("slept 1 times" in remark for remark in remarks)


def test_a_recording_can_be_played_again(tmp_path: Path) -> None:
    session = tmp_path / "s"
    display = Display(width_px=10, height_px=20, width_mm=None, height_mm=None, distance_mm=None)
    source = ReplaySource(replace(recording(100), display=display))
    record_session(session, connect=lambda: [source], seconds=0.5)
    again = load_recording(session)
    assert again.columns["frame_number"].tolist() == list(range(100))
    assert np.diff(again.t_s) == pytest.approx(1 / RATE_HZ, abs=1e-6)
    fast = again.faster(4.0)
    assert np.ptp(fast.t_s) == pytest.approx(np.ptp(again.t_s) / 4)
    with pytest.raises(UsageError, match="speed"):
        again.faster(0.0)
    with pytest.raises(UsageError, match="neither"):
        load_recording(tmp_path)


def test_a_torn_status_is_told_and_an_absent_one_is_none(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    status = RecorderStatus(state="starting", pid=1, t_ns=5)
    write_status(tmp_path, status)
    assert read_status(tmp_path) == status
    assert [p.name for p in tmp_path.iterdir()] == ["status.json"]
    (tmp_path / "status.json").write_text("{")
    with pytest.raises(Exception, match="damaged"):
        read_status(tmp_path)
