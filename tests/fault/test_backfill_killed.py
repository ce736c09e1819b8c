"""A backfill that is killed leaves the session as it was, or done; the next call finishes it."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gazecapture.session.backfill import backfill_session
from gazecapture.session.backfill_record import read_record
from gazecapture.session.gaze_stream import load_gaze
from tests.backfill_fixture import SCREEN, make_pair

HELD = """
import os, signal, sys
from pathlib import Path
import gazecapture.session.backfill as backfill
from gazecapture.session.journal import JournalWriter

moment, session, file = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
def dying(name):
    original = getattr(backfill, name)
    def die(*args, **kwargs):
        if name == "write_record":
            original(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(backfill, name, die)
if moment == "journal":
    def append(self, rows):
        os.kill(os.getpid(), signal.SIGKILL)
    JournalWriter.append = append
else:
    dying(moment)
backfill.backfill_session(session, file, replace=True)
"""


@pytest.mark.parametrize(
    ("moment", "replacing"),
    [
        ("journal", False),
        ("write_stream_info", True),
        ("write_record", True),
        ("write_record", False),
        ("_report", True),
    ],
)
def test_killed_at_each_step(tmp_path: Path, moment: str, replacing: bool) -> None:
    pair = make_pair(tmp_path, seconds=12.0)
    old = None
    if replacing:
        other = tmp_path / "before.asc"
        other.write_bytes(pair.file.read_bytes() + b"** other\n")
        old = backfill_session(pair.session, other).record
    done = subprocess.run(
        [sys.executable, "-c", HELD, moment, str(pair.session), str(pair.file)], check=False
    )
    assert done.returncode == -signal.SIGKILL
    record = read_record(pair.session)
    if moment == "_report":
        assert record is not None
        assert record != old
    else:
        assert record == old
    n_before = load_gaze(pair.session, SCREEN).t_ns.size
    assert n_before == (pair.true_ns.size if record else pair.streamed.sum())
    backfill_session(pair.session, pair.file, replace=True)
    assert load_gaze(pair.session, SCREEN).t_ns.size == pair.true_ns.size
    assert sorted(p.name for p in (pair.session / "streams").iterdir()) == ["backfill", "eye"]


def test_killed_at_random_moments(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, seconds=12.0)
    chance = random.Random(5)
    command = [sys.executable, "-m", "gazecapture", "backfill", str(pair.session), str(pair.file)]
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert process.stderr is not None
        process.stderr.readline()
        time.sleep(chance.uniform(0, 0.5))
        process.kill()
        process.communicate()
        gaze = load_gaze(pair.session, SCREEN)
        assert gaze.t_ns.size in (pair.streamed.sum(), pair.true_ns.size)
    backfill_session(pair.session, pair.file)
    gaze = load_gaze(pair.session, SCREEN)
    assert np.percentile(np.abs(gaze.t_ns - pair.true_ns), 99) <= 2e6
