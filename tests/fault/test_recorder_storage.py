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

import numpy as np
import pylsl
import pytest

from gazecapture.session.journal import read_journal
from gazecapture.session.recorder_client import RecorderHandle, start_recorder
from gazecapture.session.recovery import recover_session

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)

RECORD = """
import json, os, resource, sys, threading, time
from pathlib import Path
import numpy as np
from gazecapture.session import intake, recorder
from gazecapture.session.journal import JournalWriter, read_journal
from gazecapture.session.recorder import record_session
from gazecapture.session.status import read_status
from gazecapture.sources.replay import Recording, ReplaySource

def record(session, n, **options):
    \"\"\"Record n numbered samples at 1000 Hz; print what is on disk, what was told and the final state.\"\"\"
    frames = np.arange(float(n))
    made = Recording.from_points(t_s=frames / 1000, x_screen_px=frames, y_screen_px=frames, rate_hz=1000)
    final = record_session(session, connect=lambda: [ReplaySource(made)], seconds=n / 1000 + 0.5, **options)
    content = read_journal(session / "streams" / "replay")
    print(json.dumps({
        "complete": content.table["x"].to_pylist() == frames.tolist(), "damage": content.damage,
        "marks": read_journal(session / "marks").table.to_pylist(), "state": final.state,
        "high_water": final.queue_high_water, "n_overflows": final.n_overflows, "is_low": final.disk_is_low,
    }))
"""


def child(code: str, *arguments: object, prefix: tuple[str, ...] = ()) -> dict[str, object]:
    command = [*prefix, sys.executable, "-c", RECORD + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


HANGING = """
session, stall_s = Path(sys.argv[1]), float(sys.argv[2])
intake.QUEUE_BATCHES = int(sys.argv[3])
opened = []
begin = JournalWriter.__init__
def noting(journal, *arguments, **options):
    begin(journal, *arguments, **options)
    opened.append(journal)
JournalWriter.__init__ = noting

def hang():
    \"\"\"Put a pipe that nobody reads in the place of the journal's file: the system itself lets write() wait.\"\"\"
    (journal,) = (j for j in opened if j.folder.parent.name == "streams")
    while journal.n_rows < 200:
        time.sleep(0.01)
    disk = os.dup(journal._segment._data)
    end, into = os.pipe()
    with journal._guard:
        os.dup2(into, journal._segment._data)
    def flow():
        time.sleep(stall_s)
        while part := os.read(end, 65536):
            os.write(disk, part)
    flowing = threading.Thread(target=flow)
    flowing.start()
    time.sleep(stall_s)
    with journal._guard:  # given free when the write that hung has ended
        os.dup2(disk, journal._segment._data)
        os.close(into)
        flowing.join()
record(session, 5000, on_start=lambda _: threading.Thread(target=hang).start())
"""


@pytest.mark.parametrize("queue", [60_000, 50], ids=["memory holds it", "the source holds it"])
def test_a_disk_that_hangs_for_seconds_loses_nothing(tmp_path: Path, queue: int) -> None:
    """The pipe takes 64 KiB, about a second; then write() hangs for three."""
    found = child(HANGING, tmp_path / "s", 4.0, queue)
    assert (found["complete"], found["damage"], found["state"]) == (True, [], "stopped")
    overflows = [m for m in found["marks"] if m["kind"] == "overflow"]  # type: ignore[attr-defined]
    if queue == 50:
        assert len(overflows) == found["n_overflows"] == 1
        assert (overflows[0]["stream_id"], overflows[0]["detail"]) == ("replay", "held back, nothing dropped")
        assert overflows[0]["duration_s"] > 0.5
    else:
        assert overflows == []
        assert found["high_water"] > 200, "while the disk hung"  # type: ignore[operator]


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

record(session, 3000, on_start=lambda _: threading.Thread(target=run_full).start())
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
    details = [m["detail"] for m in found["marks"] if m["kind"] == "disk_low"]  # type: ignore[attr-defined]
    assert details == (["nearly full"] if prefix is None else ["nearly full", "full"])


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


def test_kill_9_at_random_times_costs_a_tenth_of_a_second(
    tmp_path: Path, handles: list[RecorderHandle]
) -> None:
    """This process sends, and kills between two samples: what it had sent by then is known exactly."""
    name = f"gaze {uuid.uuid4().hex[:6]}"
    header = pylsl.StreamInfo(name, "Gaze", 2, RATE_HZ, "double64", f"source-of-{name}")
    channels = header.desc().append_child("channels")
    for kind in ("ScreenX", "FrameNumber"):
        node = channels.append_child("channel")
        for tag, text in (("label", kind), ("type", kind), ("eye", "both"), ("unit", "pixels")):
            node.append_child_value(tag, text)
    outlet = pylsl.StreamOutlet(header)
    handles += [start_recorder(tmp_path / f"s{run}", extra_args=("--stream", name)) for run in range(5)]
    pids = [handle.wait_until_recording().pid for handle in handles]
    dice = random.Random(KILL_SEED)
    start = pylsl.local_clock()
    kill_at = sorted((start + dice.uniform(1.0, 3.0), run) for run in range(5))
    sent_before_kill: dict[int, int] = {}
    n_sent = 0
    while kill_at:
        while n_sent < (pylsl.local_clock() - start) * RATE_HZ:
            outlet.push_sample([float(n_sent), float(n_sent)])
            n_sent += 1
        if pylsl.local_clock() >= kill_at[0][0]:
            _, run = kill_at.pop(0)
            os.kill(pids[run], KILL)
            sent_before_kill[run] = n_sent
        time.sleep(0.001)
    for run, handle in enumerate(handles):
        while handle.is_alive():
            time.sleep(0.01)
        report = recover_session(tmp_path / f"s{run}")
        assert report.was_interrupted
        assert not report.is_damaged
        (folder,) = (tmp_path / f"s{run}" / "streams").iterdir()
        numbers = read_journal(folder).table["framenumber"].to_numpy()
        assert (numbers == np.arange(numbers.size)).all(), "an intact prefix"
        missing_s = (sent_before_kill[run] - numbers.size) / RATE_HZ
        assert 0 <= missing_s <= 0.1, f"run {run}: {missing_s * 1e3:.0f} ms are missing"
