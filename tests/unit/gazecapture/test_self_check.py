"""The self-check at the end of a recording, and recovery, on damaged files."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gazecapture.session.recorder import record_session
from gazecapture.session.recovery import recover_session
from gazecapture.session.self_check import check_recording
from gazecapture.session.status import RecorderStatus, read_status
from gazecapture.sources.replay import Recording, ReplaySource
from keyframes.errors import ExitCode

N, RATE_HZ = 300, 500.0


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RecorderStatus]:
    """A recording in which the device skipped 5 numbers and was silent for half a second."""
    frames = np.arange(N, dtype=float)
    frames[100:] += 5
    t_s = np.arange(N) / RATE_HZ
    t_s[200:] += 0.5
    made = Recording.from_points(t_s=t_s, x_screen_px=frames, y_screen_px=frames, rate_hz=250.0)
    source = ReplaySource(replace(made, columns={**made.columns, "frame_number": frames}))
    session = tmp_path_factory.mktemp("check") / "s"
    return session, record_session(session, connect=lambda: [source], seconds=1.6)


@pytest.fixture
def copy(recorded: tuple[Path, RecorderStatus], tmp_path: Path) -> tuple[Path, RecorderStatus]:
    shutil.copytree(recorded[0], tmp_path / "s")
    return tmp_path / "s", recorded[1]


def test_it_says_what_is_on_disk(recorded: tuple[Path, RecorderStatus]) -> None:
    session, final = recorded
    report = check_recording(session, final)
    assert (report.problems, report.exit_code) == ((), ExitCode.OK)
    (stream,) = report.streams
    assert (stream.n_samples, stream.n_counted, stream.missing_by_frame_number) == (N, N, 5)
    assert stream.rate_hz == pytest.approx(RATE_HZ)
    assert 0.45 < stream.longest_silence_s < 0.8
    assert (stream.n_clock_measurements, stream.clock_offset_ms) == (1, 0.0)
    assert any("never came" in remark for remark in report.remarks)
    assert any("names 250 Hz" in remark for remark in report.remarks)
    saved = json.loads((session / "self-check.json").read_text())
    assert saved["streams"][0]["n_samples"] == N
    assert not any(journal["damage"] for journal in saved["journals"])
    assert any(
        f"{N} samples, 500.0 Hz (named 250), 5 lost by frame number" in line for line in report.lines()
    )


def test_a_flipped_bit_and_a_cut_file_are_wrong(copy: tuple[Path, RecorderStatus]) -> None:
    session, final = copy
    path = session / "streams" / "replay" / "00000.arrows"
    sound = path.read_bytes()
    for damaged in (sound[: len(sound) // 2], sound[:4000] + bytes([sound[4000] ^ 1]) + sound[4001:]):
        path.write_bytes(damaged)
        report = check_recording(session, final)
        assert report.exit_code == ExitCode.INTEGRITY
        assert any("streams/replay is damaged" in problem for problem in report.problems)
        assert any("300 samples were written" in problem for problem in report.problems)


def test_recovery_counts_the_prefix_changes_no_journal_and_says_the_same_twice(
    copy: tuple[Path, RecorderStatus],
) -> None:
    session, _ = copy
    (session / "status.json").write_text('{"state": "recording"')  # cut by the crash
    path = session / "streams" / "replay" / "00000.arrows"
    path.write_bytes(path.read_bytes()[:-3000])
    (session / "offsets" / "replay" / "00000.crc").unlink()
    before = {p: p.read_bytes() for p in session.rglob("*") if p.is_file() and p.name != "status.json"}
    first, second = recover_session(session), recover_session(session)
    assert first.journals == second.journals
    assert (first.was_interrupted, second.was_interrupted) == (True, False)
    assert first.is_damaged
    by_name = {journal.journal: journal for journal in first.journals}
    assert 0 < by_name["streams/replay"].n_rows < N
    assert by_name["offsets/replay"].n_unverified == 1
    assert {
        p: p.read_bytes() for p in session.rglob("*") if p.is_file() and p.name != "status.json"
    } == before
    status = read_status(session)
    assert status is not None
    assert (status.state, status.recovered) == ("failed", True)
    assert status.streams[0].n_samples == by_name["streams/replay"].n_rows


def test_recovery_counts_a_stream_without_its_description(copy: tuple[Path, RecorderStatus]) -> None:
    session, _ = copy
    (session / "streams" / "replay" / "stream.json").write_text("{")
    report = recover_session(session)
    assert {journal.journal: journal.n_rows for journal in report.journals}["streams/replay"] == N
