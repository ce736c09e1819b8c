"""The recorder as a process, with real senders: nothing lost, killed, restarted, without room."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gazecapture.session.journal import read_journal
from gazecapture.session.recorder import record_session
from gazecapture.session.recorder_client import (
    RecorderHandle,
    adopt_recorder,
    detached_options,
    start_recorder,
)
from gazecapture.session.recovery import recover_session
from gazecapture.session.status import read_status
from gazecapture.sources.lsl import LslSource, wait_for_streams
from keyframes.errors import DeviceUnavailableError, RecordingError, UsageError
from tests.waiting import LIMIT_S, marks_of, n_recorded, only_unfinished, wait_until

SENDER = Path(__file__).with_name("lsl_sender.py")
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


class Sender:
    """A sender process."""

    def __init__(self, name: str, *options: str) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, str(SENDER), "--name", name, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def finish(self) -> int:
        """Ask it to stop sending."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.sent()

    def sent(self) -> int:
        """Wait until it has sent everything; return its own count."""
        assert self.process.stdout is not None
        return int(self.process.stdout.readline().removeprefix("sent "))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def name() -> str:
    return f"gaze {uuid.uuid4().hex[:6]}"


@pytest.fixture
def senders() -> Iterator[list[Sender]]:
    made: list[Sender] = []
    yield made
    for sender in made:
        sender.end()


@pytest.fixture
def handles() -> Iterator[list[RecorderHandle]]:
    made: list[RecorderHandle] = []
    yield made
    for handle in made:
        status = handle.status()
        if handle.is_alive() and status is not None:
            os.kill(status.pid, KILL)
        while handle.is_alive():
            time.sleep(0.05)


def gaze_of(session: Path, *, killed: bool = False) -> pa.Table:
    folder = min((session / "streams").glob("gaze_*"), key=lambda path: len(path.name))
    content = read_journal(folder)
    assert content.damage == () or (killed and only_unfinished(content.damage))
    return content.table


def last_frame(session: Path) -> float:
    """Return the number of the newest sample on disk, while the recorder may be writing the next."""
    return float(gaze_of(session, killed=True)["frame_number"].to_numpy()[-1])


def wait_for_restart(handle: RecorderHandle) -> None:
    """Wait until the restart is told and the frame that is left out is past."""

    def told() -> object:
        status = handle.status()
        return status and status.streams[0].n_restarts and status.streams[0].missing_by_frame_number

    wait_until(told, "for the restart to be told")


def test_nothing_is_lost_at_1000_hz_and_words_come_too(
    tmp_path: Path, name: str, senders: list[Sender], handles: list[RecorderHandle]
) -> None:
    session = tmp_path / "s"
    senders.append(Sender(name, "--rate-hz", "1000", "--seconds", "2", "--words", "4"))
    handles.append(start_recorder(session, wait_s=LIMIT_S, extra_args=("--stream", name)))
    assert handles[0].wait_until_recording(LIMIT_S).state == "recording"
    assert adopt_recorder(session) is not None
    with pytest.raises(RecordingError, match="already"):
        start_recorder(session)
    n_sent = senders[0].sent()
    wait_until(lambda: n_recorded(session) >= n_sent + 5, "for all samples and words")
    final = handles[0].stop(LIMIT_S)
    by_role = {stream.role: stream for stream in final.streams}
    assert n_sent == 2000
    assert by_role["gaze"].n_samples == n_sent
    assert (by_role["gaze"].missing_by_frame_number, by_role["gaze"].n_restarts) == (0, 0)
    table = gaze_of(session)
    assert table["frame_number"].to_pylist() == [float(n) for n in range(n_sent)]
    assert table["left_x"].to_pylist() == table["frame_number"].to_pylist()
    np.testing.assert_allclose(np.diff(table["t_remote_s"].to_numpy()), 0.001, atol=1e-6)
    words = read_journal(session / "words").table
    assert words["word"].to_pylist() == [f"word{n}" for n in range(4)]
    assert set(words["source"].to_pylist()) == {"dictated"}
    assert by_role["words"].n_samples == 5, "what is no word is kept raw"
    report = json.loads((session / "self-check.json").read_text())
    assert report["problems"] == report["remarks"] == []
    assert {stream["role"]: stream["n_samples"] for stream in report["streams"]} == {"gaze": 2000, "words": 5}
    assert report["n_words"] == 4
    assert adopt_recorder(session) is None
    assert not handles[0].is_alive()


def test_kill_9_leaves_an_intact_prefix_and_the_next_recorder_goes_on(
    tmp_path: Path, name: str, senders: list[Sender], handles: list[RecorderHandle]
) -> None:
    session = tmp_path / "s"
    senders.append(Sender(name, "--rate-hz", "500", "--seconds", "60"))
    handles.append(start_recorder(session, wait_s=LIMIT_S, extra_args=("--stream", name)))
    handles[0].wait_until_recording(LIMIT_S)
    wait_until(lambda: n_recorded(session) >= 400)
    adopted = adopt_recorder(session)
    assert adopted is not None
    status = adopted.status()
    assert status is not None
    os.kill(status.pid, KILL)
    killed_at = status.streams[0].n_samples
    while handles[0].is_alive():
        time.sleep(0.02)
    assert not adopted.is_alive()
    with pytest.raises(RecordingError, match="ended before"):
        adopted.stop(LIMIT_S)
    prefix = gaze_of(session, killed=True)
    assert prefix.num_rows >= killed_at
    frames = prefix["frame_number"].to_numpy()
    assert (np.diff(frames) == 1).all(), "what is there has no hole"

    before = {p: p.read_bytes() for p in session.rglob("*.arrows")}
    report = recover_session(session)
    assert report.was_interrupted
    assert all(only_unfinished(journal.damage) for journal in report.journals)
    assert {p: p.read_bytes() for p in session.rglob("*.arrows")} == before, "recovery alters no segment"
    recovered = read_status(session)
    assert recovered is not None
    assert (recovered.state, recovered.recovered) == ("failed", True)
    assert recovered.streams[0].n_samples == prefix.num_rows

    handles.append(start_recorder(session, wait_s=LIMIT_S, extra_args=("--stream", name)))
    handles[1].wait_until_recording(LIMIT_S)
    wait_until(
        lambda: (status := handles[1].status()) and status.streams and status.streams[0].n_samples >= 200
    )
    n_sent = senders[0].finish()
    wait_until(lambda: last_frame(session) == n_sent - 1, "for the last sample")
    final = handles[1].stop(LIMIT_S)
    assert final.state == "stopped"
    table = gaze_of(session, killed=True)
    frames = table["frame_number"].to_numpy()
    assert table["sequence"].to_pylist() == list(range(table.num_rows))
    assert frames[-1] == n_sent - 1
    steps = np.diff(frames)
    assert (steps >= 1).all(), "nothing twice"
    (hole,) = np.flatnonzero(steps > 1)
    assert hole == prefix.num_rows - 1
    gaps = [row for row in marks_of(session) if row["kind"] == "gap"]
    assert [gap["n_samples"] for gap in gaps] == [int(steps[hole]) - 1], "the hole is told, with its size"
    assert not recover_session(session).was_interrupted


def test_a_sender_that_is_killed_and_comes_back_is_told(
    tmp_path: Path, name: str, senders: list[Sender], handles: list[RecorderHandle]
) -> None:
    session = tmp_path / "s"
    senders.append(Sender(name, "--rate-hz", "200", "--seconds", "60"))
    handles.append(start_recorder(session, wait_s=LIMIT_S, extra_args=("--stream", name)))
    handles[0].wait_until_recording(LIMIT_S)
    wait_until(lambda: n_recorded(session) >= 100)
    senders[0].end()
    time.sleep(0.7)
    senders.append(Sender(name, "--rate-hz", "200", "--seconds", "60", "--skip", "450"))
    wait_for_restart(handles[0])
    n_sent = senders[1].finish()
    wait_until(lambda: last_frame(session) == n_sent - 1, "for the last sample")
    final = handles[0].stop(LIMIT_S)
    (stream,) = final.streams
    assert stream.n_restarts == 1
    frames = gaze_of(session)["frame_number"].to_numpy()
    (back,) = np.flatnonzero(np.diff(frames) < 0)
    marks = marks_of(session)
    (restart,) = [row for row in marks if row["kind"] == "restart"]
    assert restart["n_samples"] == stream.lost_at_restarts == int(frames[back + 1]), (
        "what the restart swallowed"
    )
    gaps = [row for row in marks if row["kind"] == "gap"]
    assert [gap["n_samples"] for gap in gaps] == [int(frames[back + 1]), 1]
    assert gaps[0]["duration_s"] > 0.5
    assert "began to count again" in gaps[0]["detail"]
    assert stream.missing_by_frame_number == 1
    assert frames[-1] == n_sent - 1


def test_an_absent_stream_refuses_the_start_with_exit_code_1(tmp_path: Path) -> None:
    session = tmp_path / "s"
    command = [sys.executable, "-m", "gazecapture", "record", "--out", str(session)]
    done = subprocess.run(
        [*command, "--stream", "nobody", "--wait-s", "0.5"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert [line[:6] for line in done.stderr.splitlines() if not line.startswith("warning:")] == ["error:"]
    assert "no stream named 'nobody' answered within 0.5 s" in done.stderr
    status = read_status(session)
    assert status is not None
    assert status.state == "failed"
    handle = start_recorder(session, wait_s=0.5, extra_args=("--stream", "nobody"))
    with pytest.raises(RecordingError, match="did not start: no stream named") as refused:
        handle.wait_until_recording(LIMIT_S)
    assert refused.value.code == "GT-NO-STREAM"


def test_a_stream_that_is_found_and_does_not_open_refuses_the_start(
    tmp_path: Path, name: str, senders: list[Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process is stopped after it was found, as one that hangs: the system still takes the connection."""
    monkeypatch.setattr("gazecapture.sources.lsl.CONNECT_S", 1.0)
    senders.append(Sender(name, "--seconds", "60"))
    found = wait_for_streams(lambda all_: [s for s in all_ if s.name == name] or None, wait_s=60)
    assert found
    senders[0].process.send_signal(signal.SIGSTOP)
    with pytest.raises(DeviceUnavailableError, match="does not answer") as refused:
        record_session(tmp_path / "s", connect=lambda: [LslSource(found[0])])
    assert refused.value.code == "GT-STREAM-SILENT"
    status = read_status(tmp_path / "s")
    assert status is not None
    assert status.state == "failed"
    assert "GT-STREAM-SILENT" in status.error


def test_a_stream_that_gives_nothing_is_called_wrong(
    tmp_path: Path, name: str, senders: list[Sender]
) -> None:
    senders.append(Sender(name, "--seconds", "0"))
    command = [sys.executable, "-m", "gazecapture", "record", "--out", str(tmp_path / "s"), "--stream", name]
    done = subprocess.run(
        [*command, "--seconds", "0.5", "--wait-s", f"{LIMIT_S:g}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 6
    assert f"WRONG: {name} gave no sample at all" in done.stdout


FULL = """
import json, resource, sys, threading, time
from pathlib import Path
from gazecapture.console import run_command
import click
from gazecapture.session.recorder import record_session
from gazecapture.session.status import read_status
from tests.steady_source import SteadySource, n_written
session, room = Path(sys.argv[1]), sys.argv[2] == "room"
source = SteadySource()

def steer():
    while n_written(session) < 300:
        time.sleep(0.02)
    size = (session / "streams" / "replay" / "00000.arrows").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10_000, resource.RLIM_INFINITY))
    if room:
        while not read_status(session).error:
            time.sleep(0.05)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        source.end(session)

@click.command()
def main():
    try:
        record_session(session, connect=lambda: [source], disk_full_patience_s=300.0 if room else 0.3,
                       on_start=lambda _: threading.Thread(target=steer, daemon=True).start())
    finally:
        print(source.n_given)
sys.exit(run_command(main, []))
"""


@pytest.mark.parametrize("then", ["room", "none"])
def test_a_full_disk(tmp_path: Path, then: str) -> None:
    """A limit on file size stands in for a full volume: the same system call fails in the same place."""
    session = tmp_path / "s"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(session), then], capture_output=True, text=True, check=False
    )
    content = read_journal(session / "streams" / "replay")
    frames = content.table["frame_number"].to_pylist()
    assert content.damage == ()
    status = read_status(session)
    assert status is not None
    if then == "room":
        assert done.returncode == 0, done.stderr
        assert frames == [float(n) for n in range(int(done.stdout))], (
            "nothing was lost while there was no room"
        )
        assert status.state == "stopped"
        assert "disk_low" in [mark["kind"] for mark in marks_of(session)]
    else:
        assert done.returncode == 1, done.stderr
        assert "GT-DISK-FULL" in done.stderr
        assert frames == [float(n) for n in range(len(frames))]
        assert 300 <= len(frames) < int(done.stdout)
        assert status.state == "failed"
        assert "GT-DISK-FULL" in status.error


def test_ctrl_c_ends_a_recording_well(tmp_path: Path, name: str, senders: list[Sender]) -> None:
    session = tmp_path / "s"
    senders.append(Sender(name, "--rate-hz", "100", "--seconds", "60"))
    command = [
        sys.executable,
        "-m",
        "gazecapture",
        "record",
        "--out",
        str(session),
        "--stream",
        name,
        "--wait-s",
        f"{LIMIT_S:g}",
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as recorder:
        assert recorder.stderr is not None
        assert "recording" in recorder.stderr.readline()
        wait_until(lambda: n_recorded(session))
        recorder.send_signal(signal.SIGINT)
        out, errors = recorder.communicate(timeout=300)
    assert recorder.returncode == 0, errors
    result = json.loads(out)
    assert result["state"] == "stopped"
    assert result["streams"][0]["n_samples"] == gaze_of(session).num_rows > 0


def test_recovery_refuses_a_folder_that_is_no_session(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a session"):
        recover_session(tmp_path)


def test_a_child_on_windows_gets_a_group_of_its_own() -> None:
    assert detached_options("linux") == {"start_new_session": True}
    assert detached_options("win32") == {"creationflags": 0x208}
