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


def gaze_of(session: Path) -> pa.Table:
    folder = min((session / "streams").glob("gaze_*"), key=lambda path: len(path.name))
    content = read_journal(folder)
    assert content.damage == ()
    return content.table


def wait_for_samples(handle: RecorderHandle, n: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        status = handle.status()
        if status is not None and sum(stream.n_samples for stream in status.streams) >= n:
            return
        time.sleep(0.05)
    raise AssertionError(f"never {n} samples")


def wait_for_restart(handle: RecorderHandle) -> None:
    """Wait until the restart is told and the frame that is left out is past."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        status = handle.status()
        if status is not None and status.streams[0].n_restarts and status.streams[0].missing_by_frame_number:
            return
        time.sleep(0.05)
    raise AssertionError("the restart is never told")


def test_nothing_is_lost_at_1000_hz_and_words_come_too(
    tmp_path: Path, name: str, senders: list[Sender], handles: list[RecorderHandle]
) -> None:
    session = tmp_path / "s"
    senders.append(Sender(name, "--rate-hz", "1000", "--seconds", "2", "--words", "4"))
    handles.append(start_recorder(session, extra_args=("--stream", name)))
    assert handles[0].wait_until_recording().state == "recording"
    assert adopt_recorder(session) is not None
    with pytest.raises(RecordingError, match="already"):
        start_recorder(session)
    n_sent = senders[0].sent()
    final = handles[0].stop()
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
    handles.append(start_recorder(session, extra_args=("--stream", name)))
    handles[0].wait_until_recording()
    wait_for_samples(handles[0], 400)
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
        adopted.stop()
    prefix = gaze_of(session)
    assert prefix.num_rows >= killed_at
    frames = prefix["frame_number"].to_numpy()
    assert (np.diff(frames) == 1).all(), "what is there has no hole"

    before = {p: p.read_bytes() for p in session.rglob("*.arrows")}
    report = recover_session(session)
    assert report.was_interrupted
    assert not report.is_damaged
    assert {p: p.read_bytes() for p in session.rglob("*.arrows")} == before, "recovery alters no segment"
    recovered = read_status(session)
    assert recovered is not None
    assert (recovered.state, recovered.recovered) == ("failed", True)
    assert recovered.streams[0].n_samples == prefix.num_rows

    handles.append(start_recorder(session, extra_args=("--stream", name)))
    handles[1].wait_until_recording()
    wait_for_samples(handles[1], 200)
    n_sent = senders[0].finish()
    final = handles[1].stop()
    assert final.state == "stopped"
    table = gaze_of(session)
    frames = table["frame_number"].to_numpy()
    assert table["sequence"].to_pylist() == list(range(table.num_rows))
    assert frames[-1] == n_sent - 1
    steps = np.diff(frames)
    assert (steps >= 1).all(), "nothing twice"
    (hole,) = np.flatnonzero(steps > 1)
    assert hole == prefix.num_rows - 1
    gaps = [row for row in read_journal(session / "marks").table.to_pylist() if row["kind"] == "gap"]
    assert [gap["n_samples"] for gap in gaps] == [int(steps[hole]) - 1], "the hole is told, with its size"
    assert not recover_session(session).was_interrupted


def test_a_sender_that_is_killed_and_comes_back_is_told(
    tmp_path: Path, name: str, senders: list[Sender], handles: list[RecorderHandle]
) -> None:
    session = tmp_path / "s"
    senders.append(Sender(name, "--rate-hz", "200", "--seconds", "60"))
    handles.append(start_recorder(session, extra_args=("--stream", name)))
    handles[0].wait_until_recording()
    wait_for_samples(handles[0], 100)
    senders[0].end()
    time.sleep(0.7)
    senders.append(Sender(name, "--rate-hz", "200", "--seconds", "60", "--skip", "450"))
    wait_for_restart(handles[0])
    n_sent = senders[1].finish()
    final = handles[0].stop()
    (stream,) = final.streams
    assert stream.n_restarts == 1
    frames = gaze_of(session)["frame_number"].to_numpy()
    (back,) = np.flatnonzero(np.diff(frames) < 0)
    marks = read_journal(session / "marks").table.to_pylist()
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
        handle.wait_until_recording()
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
    done = subprocess.run([*command, "--seconds", "0.5"], capture_output=True, text=True, check=False)
    assert done.returncode == 6
    assert f"WRONG: {name} gave no sample at all" in done.stdout


FULL = """
import resource, signal, sys, threading, time
from pathlib import Path
from gazecapture.console import run_command
import click
from gazecapture.session.recorder import record_session
from gazecapture.session.status import read_status
from gazecapture.sources.replay import Recording, ReplaySource
import numpy as np
session, room = Path(sys.argv[1]), sys.argv[2] == "room"
frames = np.arange(1500.0)
source = ReplaySource(Recording.from_points(t_s=frames / 1000, x_screen_px=frames, y_screen_px=frames, rate_hz=1000))
def limit(status):
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
    def make_room():
        while not read_status(session).error:
            time.sleep(0.05)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if room:
        threading.Thread(target=make_room, daemon=True).start()
@click.command()
def main():
    record_session(session, connect=lambda: [source], seconds=2, on_start=limit,
                   disk_full_patience_s=15.0 if room else 0.3)
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
        assert frames == [float(n) for n in range(1500)], "nothing was lost while there was no room"
        assert status.state == "stopped"
        kinds = read_journal(session / "marks").table["kind"].to_pylist()
        assert "disk_low" in kinds
    else:
        assert done.returncode == 1
        assert "GT-DISK-FULL" in done.stderr
        assert frames == [float(n) for n in range(len(frames))]
        assert 100 < len(frames) < 1500
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
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as recorder:
        assert recorder.stderr is not None
        assert "recording" in recorder.stderr.readline()
        time.sleep(0.5)
        recorder.send_signal(signal.SIGINT)
        out, errors = recorder.communicate(timeout=120)
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
