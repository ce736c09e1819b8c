"""A Neon recorded by the command itself: from a simulator process, killed and begun again, without room for video."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from gazecapture.session.journal import read_journal, read_segments
from gazecapture.sources.neon_simulator import SimulatedNeon, SimulatorOptions
from tests.waiting import LIMIT_S, marks_of, n_recorded, only_unfinished, wait_until

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
OPTIONS = SimulatorOptions(
    payload="gaze", eye_events=False, imu=False, video_scale=0.2, video_rate_hz=10.0, noise_sd=6.0
)


def tool(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "gazecapture", *map(str, arguments)]


def recorded(command: list[str], session: Path, enough: Callable[[], object]) -> str:
    """Record until it is enough; return what the command said of it."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as recorder:
        try:
            wait_until(lambda: enough() or recorder.poll() is not None, "for enough")
            recorder.send_signal(signal.SIGINT)
            said, errors = recorder.communicate(timeout=LIMIT_S)
        finally:
            recorder.kill()
    assert recorder.returncode == 0, errors
    assert "Traceback" not in errors
    return said


def rows_of(session: Path, stream: str) -> dict[str, np.ndarray]:
    table = read_journal(session / "streams" / stream).table
    return {name: table[name].to_numpy() for name in table.column_names}


def backups_of(session: Path) -> list[str]:
    return [str(mark["detail"]) for mark in marks_of(session) if mark["kind"] == "backup"]


def n_pictures(video: Path) -> int:
    """Return how many pictures play; the last one may be torn."""
    n = 0
    with av.open(str(video)) as file, contextlib.suppress(EOFError, av.error.InvalidDataError):
        for _ in file.decode(video=0):
            n += 1
    return n


def test_one_command_records_what_the_other_simulates(tmp_path: Path) -> None:
    truth = tmp_path / "truth.parquet"
    simulator = subprocess.Popen(
        tool("simulate-neon", "--video-scale", "0.1", "--video-rate-hz", "10", "--drop", "0.02", "--truth", truth),
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert simulator.stdout is not None
        where = json.loads(simulator.stdout.readline())
        session = tmp_path / "session"
        said = recorded(
            tool("record", "--neon", f"{where['host']}:{where['port']}", "--out", session, "--json"),
            session,
            lambda: n_recorded(session, "neon_gaze") > 200,
        )
    finally:
        simulator.send_signal(signal.SIGINT)
        simulator.wait(LIMIT_S)
        if simulator.stdout is not None:
            simulator.stdout.close()
    streams = {stream["name"]: stream for stream in json.loads(said)["streams"]}
    assert {"Neon Gaze", "Neon Scene Video", "Neon Eye Events"} <= set(streams)
    rows = rows_of(session, "neon_gaze")
    sent = pq.read_table(truth).to_pylist()
    gaze = {(r["ssrc"], r["sequence"]): r for r in sent if r["sensor"] == "gaze"}
    keys = [(int(s), int(q)) for s, q in zip(rows["ssrc"], rows["rtp_sequence"], strict=True)]
    assert len(keys) > 200
    assert [gaze[key]["x_scene_px"] for key in keys] == pytest.approx(rows["x_scene_px"].tolist(), abs=1e-3)
    due = list(gaze)
    between = due[due.index(keys[0]) : due.index(keys[-1]) + 1]
    assert streams["Neon Gaze"]["missing_by_frame_number"] == len(between) - len(keys)


@dataclass(frozen=True, kw_only=True)
class Killed:
    """A recorder that was killed while it wrote video, as it left its session, and the one after it."""

    session: Path
    n_pictures: int
    scene: dict[str, np.ndarray]
    gaze: dict[str, np.ndarray]
    damage: tuple[str, ...]
    backups: tuple[list[str], list[str]]
    recordings: tuple[list[dict[str, Any]], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    session = tmp_path_factory.mktemp("killed") / "session"
    with SimulatedNeon(OPTIONS) as phone:
        # Over TCP: a machine that is busy enough loses datagrams.
        command = tool("record", "--neon", f"{phone.host}:{phone.port}", "--neon-tcp", "--out", session)
        recorder = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_until(lambda: n_recorded(session, "neon_scene") >= 12, "for video")
        os.kill(recorder.pid, KILL)
        recorder.wait()
        left: dict[str, Any] = {
            "n_pictures": n_pictures(session / "video" / "neon_scene" / "00000.mp4"),
            "scene": rows_of(session, "neon_scene"),
            "gaze": rows_of(session, "neon_gaze"),
            "damage": tuple(
                damage
                for segment in read_segments(session / "streams" / "neon_gaze")
                for damage in segment.damage
            ),
        }
        backups, recordings = backups_of(session), [dict(r) for r in phone.recordings]
        recorded(command, session, (session / "video" / "neon_scene" / "00001.mp4").exists)
        return Killed(
            session=session,
            backups=(backups, backups_of(session)),
            recordings=(recordings, [dict(r) for r in phone.recordings]),
            **left,
        )


def test_a_killed_recorder_leaves_a_video_that_plays_and_gaze_without_a_hole(killed: Killed) -> None:
    written = killed.scene["frame_in_file"]
    assert np.array_equal(written, np.arange(written.size))
    # The container writes a picture when the next one tells how long it lasts: the newest may go with the process.
    assert killed.n_pictures >= written.size - 1
    assert np.array_equal(np.diff(killed.gaze["frame_number"]), np.ones(killed.gaze["frame_number"].size - 1))
    assert only_unfinished(killed.damage)
    videos = sorted(path.name for path in (killed.session / "video" / "neon_scene").glob("*.mp4"))
    assert videos == ["00000.mp4", "00001.mp4"], "the next recorder touches nothing"


def test_the_next_recorder_ends_the_phones_recording_of_the_killed_one(killed: Killed) -> None:
    ((before,), (after,)) = killed.recordings
    assert (before["action"], after["action"]) == ("START", "SAVE")
    assert before["id"] == after["id"]
    began = f"phone recording {after['id']}"
    assert killed.backups == ([began], [began, f"{began} goes on", f"{began} ended"])


def test_a_full_disk_for_the_video_does_not_stop_gaze(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="this system cannot limit the size of a file")
    session = tmp_path / "session"
    code = """
        import resource, sys
        from gazecapture.cli import main
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
        main()
        """

    def not_written() -> list[str]:
        told = [str(m["detail"]) for m in marks_of(session) if m["stream_id"] == "neon_scene"]
        return [detail for detail in told if detail.startswith("video not written")]

    with SimulatedNeon(replace(OPTIONS, video_scale=0.5, noise_sd=40.0)) as phone:
        arguments = ("record", "--neon", f"{phone.host}:{phone.port}", "--neon-tcp", "--out", session)
        recorded(
            [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
            session,
            lambda: not_written() and n_recorded(session, "neon_gaze") > 400,
        )
        sent = {(p.ssrc, p.sequence): p for p in phone.truth.packets("gaze")}
    gaze, scene = rows_of(session, "neon_gaze"), rows_of(session, "neon_scene")
    keys = [(int(s), int(q)) for s, q in zip(gaze["ssrc"], gaze["rtp_sequence"], strict=True)]
    samples = [sent[key].sample for key in keys]
    assert samples == list(range(samples[0], samples[0] + len(samples)))
    assert len(samples) > 400
    in_first = scene["file_number"] == 0
    assert 0 < in_first.sum() < scene["file_number"].size
    # The picture on which the disk was full may be torn.
    assert n_pictures(session / "video" / "neon_scene" / "00000.mp4") >= in_first.sum() - 1
