"""Frames per second while gaze arrives at 1000 Hz and is recorded; and how long it takes from study to study."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
from bench_frames import opened_window
from PyQt6.QtWidgets import QApplication

from gazecapture.session.journal import read_journal
from gazecapture.viewer.live_gaze import LiveGaze, live_source
from gazecapture.viewer.loader import StudyLoader
from gazecapture.viewer.model import Action, ViewerModel
from gazecapture.viewer.qt.header import ImageLabel
from gazecapture.viewer.qt.screens import display_of
from gazecapture.viewer.qt.window import ReadingWindow
from gazecapture.viewer.recording import SessionRecorder
from gazecapture.viewer.session import PreparedStudy, ReadingSession, SessionSetup
from gazecapture.worklist import load_worklist

SENDER = Path(__file__).resolve().parents[1] / "acquisition_parts" / "sender.py"
RATE_HZ = 1000.0
FRAME_S = 1 / 60
START_S = 30.0


def opened_session(films: Path, folder: Path) -> ReadingSession:
    """Make a session of a folder of films."""
    screen = QApplication.primaryScreen()
    if screen is None:
        raise SystemExit("there is no screen")
    setup = SessionSetup(
        reader_code="R1", display=display_of(screen, size_mm=(531, 299), distance_mm=650), synthetic=True
    )
    return ReadingSession.open(folder, load_worklist(films), setup)


def live_frames(films: Path, folder: Path, size: tuple[int, int], seconds: float) -> dict[str, float]:
    """Zoom, pan and window at every frame while gaze arrives; return frames per second and samples lost."""
    name = f"viewer-{uuid.uuid4().hex[:8]}"
    options = ["--name", name, "--rate-hz", f"{RATE_HZ:g}", "--seconds", f"{seconds + START_S:g}"]
    with subprocess.Popen([sys.executable, str(SENDER), *options], stdout=subprocess.DEVNULL) as sender:
        session = opened_session(films, folder)
        recorder = SessionRecorder(folder, stream=name, wait_s=START_S)
        recorder.start(lambda _line: None)
        gaze = LiveGaze(live_source(folder, wait_s=START_S), session.info.display)
        gaze.start()
        window = opened_window(next(films.iterdir()), size)
        counted, cpu_began, began = gaze.count(), time.process_time(), time.perf_counter()
        n_frames, late = 0, 0
        while (now := time.perf_counter() - began) < seconds:
            window.act(Action(kind="window", x=30000 + n_frames % 99, y=20000 + n_frames % 77))
            window.act(Action(kind="pan", x=2.0 if n_frames % 20 < 10 else -2.0, y=1.0))
            window.act(
                Action(kind="zoom", x=size[0] / 2, y=size[1] / 2, amount=0.1 if n_frames % 20 < 10 else -0.1)
            )
            window.canvas.present_now(refined=False)
            QApplication.processEvents()
            n_frames += 1
            wait_s = n_frames * FRAME_S - (time.perf_counter() - began)
            late += wait_s < 0
            time.sleep(max(0.0, wait_s))
        came = gaze.count().since(counted)
        cpu = (time.process_time() - cpu_began) / now
        gaze.close()
        recorder.stop()
        sender.kill()
        window.hide()
        window.deleteLater()
    (stream,) = [path.parent for path in (folder / "streams").glob("*/stream.json")]
    numbers = np.unique(read_journal(stream).table["c2"].to_numpy()).astype(int)
    return {
        "frames_per_s": n_frames / now,
        "late_frames": float(late),
        "gaze_hz_in_viewer": came.n_samples / now,
        "n_recorded": float(numbers.size),
        "n_lost": float(numbers[-1] - numbers[0] + 1 - numbers.size),
        "cpu_share": cpu,
    }


def study_to_study(films: Path, folder: Path, size: tuple[int, int]) -> dict[str, list[float]]:
    """Return ms, wall and CPU, from the ask for a prepared study to the end of its first paint."""
    session = opened_session(films, folder)
    outcomes: list[PreparedStudy | Exception] = []
    loader = StudyLoader(session, on_ready=outcomes.append)
    window = opened_window(next(films.iterdir()), size)
    wall, cpu = [], []
    for number in range(1, session.n_studies + 1):
        loader.read_ahead(number).result()
        wall_began, cpu_began = time.perf_counter(), time.process_time()
        loader.open(number).result()
        (outcome,) = outcomes
        outcomes.clear()
        if not isinstance(outcome, PreparedStudy):
            raise outcome
        _show(window, window.model, outcome)
        wall.append((time.perf_counter() - wall_began) * 1e3)
        cpu.append((time.process_time() - cpu_began) * 1e3)
    loader.close()
    window.hide()
    window.deleteLater()
    return {"wall": wall, "cpu": cpu}


def _show(window: ReadingWindow, model: ViewerModel, outcome: PreparedStudy) -> None:
    model.close_study(0)
    model.open_study(outcome.reading_number, [p.view for p in outcome.pictures])
    window.show_study(outcome.pictures, "", [ImageLabel(role=i.role) for i in outcome.images])
    window.canvas.present_now()
    QApplication.processEvents()
