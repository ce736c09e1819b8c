"""The recorder while its disk hangs, runs full or is nearly full, and killed at random times: counted by the sender."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pylsl
import pytest

from gazecapture.session.journal import read_journal
from gazecapture.session.recorder_client import RecorderHandle, start_recorder
from gazecapture.session.recovery import recover_session
from tests import waiting
from tests.waiting import LIMIT_S, wait_until

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)

RECORD = """
import json, os, sys, threading, time, types
from pathlib import Path
import numpy as np
from gazecapture.session import intake, recorder
from gazecapture.session.journal import JournalWriter, read_journal
from gazecapture.session.recorder import record_session
from gazecapture.session.status import read_status
from tests.steady_source import SteadySource, n_written

source = SteadySource()

def record(session, disturb):
    \"\"\"Record numbered samples until disturb is over; print what is on disk, what was told and the final state.\"\"\"
    def steer():
        disturb()
        source.end(session)
    final = record_session(session, connect=lambda: [source], disk_full_patience_s=300.0,
                           on_start=lambda _: threading.Thread(target=steer, daemon=True).start())
    content = read_journal(session / "streams" / "replay")
    print(json.dumps({
        "complete": content.table["x"].to_pylist() == np.arange(float(source.n_given)).tolist(),
        "damage": content.damage, "marks": read_journal(session / "marks").table.to_pylist(),
        "state": final.state, "high_water": final.queue_high_water, "n_overflows": final.n_overflows,
        "is_low": final.disk_is_low,
    }))
"""


def child(code: str, *arguments: object, prefix: tuple[str, ...] = ()) -> dict[str, Any]:
    command = [*prefix, sys.executable, "-c", RECORD + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=2 * LIMIT_S)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


HANGING = """
session = Path(sys.argv[1])
intake.QUEUE_BATCHES = int(sys.argv[2])
opened, intakes, pauses = [], [], []
begin, begin_intake = JournalWriter.__init__, intake.Intake.__init__
def noting(journal, *arguments, **options):
    begin(journal, *arguments, **options)
    opened.append(journal)
def noting_intake(made, *arguments, **options):
    begin_intake(made, *arguments, **options)
    intakes.append(made)
JournalWriter.__init__, intake.Intake.__init__ = noting, noting_intake
def sleep(pause_s):
    pauses.append(pause_s)
    time.sleep(pause_s)
intake.time = types.SimpleNamespace(monotonic=time.monotonic, sleep=sleep)

def is_felt():
    \"\"\"Say whether a thousand batches wait in memory or, where only 50 may, the source had to wait 60 times.\"\"\"
    return intakes[0]._queue.qsize() > 1000 or len(pauses) - n_before > 60

def hang():
    \"\"\"Put a pipe that nobody reads in the place of the journal's file: the system itself lets write() wait.\"\"\"
    global n_before
    (journal,) = (j for j in opened if j.folder.parent.name == "streams")
    while journal.n_rows < 200:
        time.sleep(0.01)
    disk = os.dup(journal._segment._data)
    end, into = os.pipe()
    with journal._guard:
        os.dup2(into, journal._segment._data)
    n_before = len(pauses)
    while not is_felt():
        time.sleep(0.01)
    def flow():
        while part := os.read(end, 65536):
            os.write(disk, part)
    flowing = threading.Thread(target=flow)
    flowing.start()
    with journal._guard:  # given free when the write that hung has ended
        os.dup2(disk, journal._segment._data)
        os.close(into)
        flowing.join()
record(session, hang)
"""


@pytest.mark.parametrize("queue", [60_000, 50], ids=["memory holds it", "the source holds it"])
def test_a_disk_that_hangs_for_seconds_loses_nothing(tmp_path: Path, queue: int) -> None:
    """The pipe takes 64 KiB, about a second; then write() hangs until that is felt."""
    found = child(HANGING, tmp_path / "s", queue)
    assert (found["complete"], found["damage"], found["state"]) == (True, [], "stopped")
    overflows = [m for m in found["marks"] if m["kind"] == "overflow"]
    if queue == 50:
        # The source may have had to wait before that as well, where the writer's turn came late.
        assert len(overflows) == found["n_overflows"] >= 1
        assert {(m["stream_id"], m["detail"]) for m in overflows} == {
            ("replay", "held back, nothing dropped")
        }
        assert max(m["duration_s"] for m in overflows) > 0.5
    else:
        assert overflows == []
        assert found["high_water"] > 1000, "while the disk hung"


SMALL_DISK = """
folder = Path(sys.argv[1])
if sys.argv[2] == "small":
    import subprocess
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], check=True)
else:
    recorder.LOW_DISK_BYTES = 2**62
session, ballast = folder / "s", folder / "ballast"

def run_full():
    while not read_status(session).disk_is_low:
        time.sleep(0.05)
    if sys.argv[2] != "small":
        return
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    while "GT-DISK-FULL" not in read_status(session).error:  # told on the full volume itself
        time.sleep(0.05)
    time.sleep(1.0)
    ballast.unlink()

record(session, run_full)
"""


@cache
def small_disk() -> tuple[str, ...] | None:
    """How a command gets a name space in which it may mount a volume; None where the system lets nobody."""
    for prefix in (("unshare", "--mount"), ("unshare", "--map-root-user", "--mount")):
        mount = [*prefix, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/mnt"]
        try:
            if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
                return prefix
        except OSError:
            return None
    return None


def test_a_disk_nearly_full_is_told_and_a_full_one_waited_for(tmp_path: Path) -> None:
    """On a volume of 8 MB; where nobody may mount one, every disk counts as nearly full."""
    prefix = small_disk()
    found = child(
        SMALL_DISK,
        tmp_path,
        "ordinary" if prefix is None else "small",
        prefix=() if prefix is None else prefix,
    )
    assert (found["complete"], found["damage"], found["state"]) == (True, [], "stopped")
    assert found["is_low"]
    details = [m["detail"] for m in found["marks"] if m["kind"] == "disk_low"]
    assert details[:1] == ["nearly full"]
    # A page that is given free for a moment ends the full disk, and the next message meets it again.
    assert set(details[1:]) == (set() if prefix is None else {"full"})


@pytest.fixture
def handles() -> Iterator[list[RecorderHandle]]:
    made: list[RecorderHandle] = []
    yield made
    for handle in made:
        status = handle.status()
        if handle.is_alive() and status is not None:
            os.kill(status.pid, KILL)
        while handle.is_alive():
            time.sleep(0.02)


RATE_HZ = 500.0
KILL_SEED = 20240607


def test_kill_9_at_random_times_loses_nothing_that_was_told(
    tmp_path: Path, handles: list[RecorderHandle]
) -> None:
    """This process sends, and kills between two samples: what it had sent by then is known exactly.

    How soon a sample is on disk is measured in benchmarks/acquisition.py.
    """
    name = f"gaze {uuid.uuid4().hex[:6]}"
    header = pylsl.StreamInfo(name, "Gaze", 2, RATE_HZ, "double64", f"source-of-{name}")
    channels = header.desc().append_child("channels")
    for kind in ("ScreenX", "FrameNumber"):
        node = channels.append_child("channel")
        for tag, text in (("label", kind), ("type", kind), ("eye", "both"), ("unit", "pixels")):
            node.append_child_value(tag, text)
    outlet = pylsl.StreamOutlet(header)
    sessions = [tmp_path / f"s{run}" for run in range(5)]
    handles += [
        start_recorder(session, wait_s=LIMIT_S, extra_args=("--stream", name)) for session in sessions
    ]
    pids = [handle.wait_until_recording(LIMIT_S).pid for handle in handles]
    dice = random.Random(KILL_SEED)
    kill_at = sorted((round(dice.uniform(1.0, 3.0) * RATE_HZ), run) for run in range(5))
    start, n_sent = pylsl.local_clock(), 0

    def send_until(n: int) -> None:
        nonlocal n_sent
        while n_sent < n:
            while n_sent < min(n, (pylsl.local_clock() - start) * RATE_HZ):
                outlet.push_sample([float(n_sent), float(n_sent)])
                n_sent += 1
            time.sleep(0.001)

    def numbers_on_disk(run: int) -> np.ndarray:
        (folder,) = (sessions[run] / "streams").iterdir()
        return read_journal(folder).table["framenumber"].to_numpy()

    # Until all five get them; then nothing follows for a while: what is written must not wait for it.
    while not all(numbers_on_disk(run).size for run in range(5)):
        send_until(n_sent + 50)
    wait_until(
        lambda: all(numbers_on_disk(run)[-1] == n_sent - 1 for run in range(5)),
        "for what was sent to be on disk",
    )
    first_n = n_sent
    start = pylsl.local_clock() - n_sent / RATE_HZ
    told: dict[int, int] = {}
    sent_before_kill: dict[int, int] = {}
    for n, run in kill_at:
        send_until(first_n + n)
        told[run] = waiting.n_recorded(sessions[run])
        os.kill(pids[run], KILL)
        sent_before_kill[run] = n_sent
    for run, handle in enumerate(handles):
        wait_until(lambda handle=handle: not handle.is_alive())  # type: ignore[misc]
        report = recover_session(sessions[run])
        assert report.was_interrupted
        assert all(waiting.only_unfinished(journal.damage) for journal in report.journals)
        numbers = numbers_on_disk(run)
        assert (np.diff(numbers) == 1).all(), "an intact prefix"
        assert numbers.size >= told[run]
        assert first_n <= numbers[-1] + 1 <= sent_before_kill[run]
