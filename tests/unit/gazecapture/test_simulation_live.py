"""The simulated reader live: real LSL streams, a real TCP conversation, real processes."""

from __future__ import annotations

import dataclasses
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pylsl
import pytest
from click.testing import CliRunner

from gazecapture.cli.simulate import simulate_command
from gazecapture.console import run_command
from gazecapture.radiograph.presets import ImageView, Preset
from gazecapture.simulation.content import generic_content
from gazecapture.simulation.driver import DriverServer
from gazecapture.simulation.oculomotor import TrackerModel, sample_tracker
from gazecapture.simulation.performer import VIRTUAL_DISPLAY
from gazecapture.simulation.plan import plan_reading
from gazecapture.simulation.style import ReaderStyle
from gazecapture.simulation.truth import TruthWriter, load_truth, truth_head
from gazecapture.sources.lsl_xml import display_from_xml, stream_info_from_xml
from gazecapture.sources.protocol import Source
from gazecapture.sources.simulated import SimulatedSource
from keyframes.errors import ExitCode, StreamLostError
from tests.waiting import LIMIT_S, wait_until

STYLE = ReaderStyle.from_seed(4)
MODEL = TrackerModel()
RATE_HZ = 500.0
AREA = (0.0, 30.0, 1920.0, 1080.0)
VIEW = ImageView(
    image_index=0,
    width_px=500,
    height_px=600,
    presets=(Preset(preset_id="auto", name="auto", center=128.0, width=256.0, voi="LINEAR"),),
)
CASE = "case-7031"


class Listener:
    """Both streams of a driver, received by a thread."""

    def __init__(self, gaze_source_id: str) -> None:
        self.gaze = pylsl.StreamInlet(self._found("source_id", gaze_source_id))
        self.words = pylsl.StreamInlet(self._found("source_id", f"{gaze_source_id}-words"))
        self.samples: list[tuple[float, list[float]]] = []
        self.said: list[tuple[float, dict[str, Any]]] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._pull, daemon=True)
        self.thread.start()

    @staticmethod
    def _found(name: str, value: str) -> pylsl.StreamInfo:
        (info,) = pylsl.resolve_byprop(name, value, timeout=180)
        return info

    def _pull(self) -> None:
        while True:
            last_round = self.stop.is_set()
            values, times = self.gaze.pull_chunk(timeout=0.05, max_samples=4096)
            self.samples += zip(times, values, strict=True)
            words, times = self.words.pull_chunk(timeout=0.0)
            self.said += [(t, json.loads(w[0])) for t, w in zip(times, words, strict=True)]
            if last_round and not values:
                return

    def close(self) -> None:
        self.stop.set()
        self.thread.join()
        self.gaze.close_stream()
        self.words.close_stream()


class Viewer:
    """The other end of the conversation."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rwb")

    def say(self, **message: Any) -> None:
        self.file.write(json.dumps(message).encode() + b"\n")
        self.file.flush()

    def hello(self) -> None:
        display = dataclasses.asdict(VIRTUAL_DISPLAY)
        self.say(type="hello", display=display, refresh_hz=60.0, n_studies=1)

    def show(self, number: int, study_id: str) -> int:
        t_ns: int = round(pylsl.local_clock() * 1e9)
        self.say(
            type="image_on", reading_number=number, study_id=study_id, t_ns=t_ns, area=AREA,
            images=[dataclasses.asdict(VIEW)], panels=[{"name": "caption", "rect": [0.0, 0.0, 1920.0, 30.0]}],
        )  # fmt: skip
        return t_ns

    def hide(self, number: int) -> int:
        t_ns: int = round(pylsl.local_clock() * 1e9)
        self.say(type="image_off", reading_number=number, t_ns=t_ns)
        return t_ns

    def hear(self) -> Iterator[dict[str, Any]]:
        for line in self.file:
            yield json.loads(line)

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.file.close()
        self.socket.close()


@contextmanager
def serving(truth: Path) -> Iterator[tuple[DriverServer, list[object]]]:
    """A driver in a thread; what it returned or raised comes into the list."""
    head = truth_head(STYLE, rate_hz=RATE_HZ, model=MODEL)
    server = DriverServer(
        rate_hz=RATE_HZ,
        style=STYLE,
        contents={},
        truth=TruthWriter(folder=truth, head=head, model=MODEL),
        model=MODEL,
        duration_s=8.0,
    )
    outcome: list[object] = []

    def serve() -> None:
        try:
            outcome.append(server.serve())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server, outcome
    thread.join(LIMIT_S)
    assert not thread.is_alive()


def test_a_whole_conversation_loses_nothing_and_shows_the_planned_eyes(tmp_path: Path) -> None:
    with serving(tmp_path / "truth") as (server, outcome):
        viewer = Viewer(server.port)
        listener = Listener(server.gaze_source_id)
        header = listener.gaze.info().as_xml()
        viewer.hello()
        wait_until(lambda: listener.samples)
        on_ns = viewer.show(1, CASE)
        heard, heard_s = [], []
        for message in viewer.hear():
            heard_s.append(pylsl.local_clock())
            heard.append(message)
            if message["type"] == "next":
                break
        off_ns = viewer.hide(1)
        viewer.say(type="session_end")
        done = next(viewer.hear())
        wait_until(lambda: len(listener.samples) >= done["n_gaze_sent"], "for all samples")
        wait_until(lambda: len(listener.said) >= done["n_words_sent"], "for all words")
        listener.close()
        viewer.close()
    counts = outcome[0]
    assert done == {
        "type": "done",
        "n_gaze_sent": len(listener.samples),
        "n_words_sent": len(listener.said),
    }
    assert counts == server._counts()
    # Streams: complete, on a uniform grid, without the case.
    times = np.array([t for t, _ in listener.samples])
    values = np.array([v for _, v in listener.samples])
    assert np.array_equal(values[:, 6], np.arange(len(times)))
    assert np.abs(np.diff(times) - 1 / RATE_HZ).max() < 1e-6
    assert CASE not in header + listener.words.info().as_xml() + json.dumps([w for _, w in listener.said])
    info = stream_info_from_xml(header)
    assert (info.role, info.tracker.manufacturer, info.nominal_rate_hz) == ("gaze", "synthetic", RATE_HZ)
    assert display_from_xml(header) == VIRTUAL_DISPLAY
    # The same plan, made here.
    plan = plan_reading(
        STYLE, generic_content(CASE, [VIEW]), reading_number=1, display=VIRTUAL_DISPLAY, area=AREA, images=[VIEW],
        duration_s=8.0,
    )  # fmt: skip
    tau = times - on_ns / 1e9
    # When the first message came, the reader knew of the film.
    during = (times > heard_s[0]) & (tau < plan.duration_s)
    assert during.sum() > RATE_HZ
    number = np.floor(tau * RATE_HZ).astype(np.int64)[during]
    expected = sample_tracker(plan.path, tau[during], number, model=MODEL, reader_seed=STYLE.seed)
    for place, column in enumerate(expected.columns()):
        assert np.array_equal(values[during, place], column, equal_nan=True)
    words = [w for s in plan.sentences for w in s.words]
    assert [w["word"] for _, w in listener.said] == [w.word for w in words]
    for (t_s, said), word in zip(listener.said, words, strict=True):
        assert t_s == pytest.approx(on_ns / 1e9 + word.t_end_s, abs=1e-6)
        assert said["t_start_s"] == pytest.approx(on_ns / 1e9 + word.t_start_s, abs=1e-5)
    assert [m["kind"] for m in heard if m["type"] == "action"] == [a.action.kind for a in plan.actions]
    assert {m["type"] for m in heard} >= {"action", "screenshot", "next"}
    truth = load_truth(tmp_path / "truth")
    assert (truth.n_gaze_sent, truth.n_words_sent) == (len(times), len(words))
    (reading,) = truth.readings
    t_ns = np.round(times * 1e9).astype(np.int64)
    assert reading.n_gaze_sent_during == ((t_ns >= on_ns) & (t_ns < off_ns)).sum()
    assert reading.image_on_ns == on_ns


def test_a_viewer_that_goes_leaves_the_truth_of_what_was_finished(tmp_path: Path) -> None:
    with serving(tmp_path / "truth") as (server, outcome):
        viewer = Viewer(server.port)
        listener = Listener(server.gaze_source_id)
        viewer.hello()
        wait_until(lambda: listener.samples)
        on_ns = viewer.show(1, "A")
        time.sleep(1.0)
        off_ns = viewer.hide(1)
        viewer.show(2, "B")
        n_before = len(listener.samples)
        wait_until(lambda: len(listener.samples) > n_before + 100)
        viewer.close()
        listener.close()
    assert isinstance(outcome[0], StreamLostError)
    truth = load_truth(tmp_path / "truth")
    assert [r.study_id for r in truth.readings] == ["A"]
    fixations = truth.readings[0].tables["fixations"]
    assert fixations["t_end_ns"].to_numpy().max() <= off_ns - on_ns, "clipped where the image went off"
    assert truth.n_gaze_sent >= len(listener.samples) > 100


@pytest.mark.parametrize(
    "line", [b"nothing\n", b'{"type":"image_on"}\n', b'{"no":"type"}\n', b'{"type":"hello","display":3}\n']
)
def test_a_viewer_that_speaks_something_else_is_refused(tmp_path: Path, line: bytes) -> None:
    with (
        serving(tmp_path / "truth") as (server, outcome),
        socket.create_connection(("127.0.0.1", server.port)) as other,
    ):
        other.sendall(line)
        other.settimeout(LIMIT_S)
        assert other.recv(100) == b""
    assert isinstance(outcome[0], StreamLostError)
    assert load_truth(tmp_path / "truth").readings == ()


@contextmanager
def command(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "gazecapture", "simulate", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def interrupt(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT_S)
    return process.returncode, err


def test_ctrl_c_while_serving_saves_the_truth(tmp_path: Path) -> None:
    (tmp_path / "film.png").write_bytes(b"not looked at by the simulated reader")
    (tmp_path / "worklist.csv").write_text("study_id,current\nA,film.png\n")
    arguments = ["--serve", "--studies", str(tmp_path), "--truth", str(tmp_path / "truth"), "--seed", "5"]
    with command(*arguments) as process:
        assert process.stdout is not None
        announced = json.loads(process.stdout.readline())
        viewer = Viewer(announced["port"])
        listener = Listener(announced["gaze_source_id"])
        viewer.hello()
        viewer.show(1, "A")
        wait_until(lambda: len(listener.samples) > 100)
        viewer.hide(1)
        viewer.say(type="look", x_screen_px=1700.0, y_screen_px=950.0)
        # Messages are taken in order: when the eyes are there, the end of the film is known.
        wait_until(lambda: np.allclose(listener.samples[-1][1][:2], (1700, 950), atol=100), "for a look")
        process.send_signal(signal.SIGINT)
        viewer.close()
        _, err = process.communicate(timeout=LIMIT_S)
        code = process.returncode
    listener.close()
    assert code == ExitCode.INTERRUPTED, err
    truth = load_truth(tmp_path / "truth")
    assert truth.seed == 5
    assert len(truth.readings) == 1
    assert truth.n_gaze_sent >= len(listener.samples) > 100


def test_a_reader_by_itself_streams_until_ctrl_c() -> None:
    with command("--rate-hz", "120", "--seed", "3") as process:
        (info,) = pylsl.resolve_byprop("name", "Simulated reader", timeout=180)
        inlet = pylsl.StreamInlet(info)
        values: list[list[float]] = []
        while len(values) < 120:
            values += inlet.pull_chunk(timeout=1.0)[0]
        inlet.close_stream()
        code, err = interrupt(process)
    assert code == 0, err
    assert "gaze samples" in err
    assert np.isfinite(np.array(values)[:, :2]).any(), "eyes that blink are open at times"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate-hz", "5"],
        ["--seed", "-1"],
        ["--serve"],
        ["--studies", "x", "--truth", "y"],
        ["--offline"],
        ["--offline", "--out", "x", "--studies", "no", "--readers", "1"],
        ["--offline", "--out", "x", "--studies", "0", "--readers", "1"],
        ["--offline", "--out", "x", "--studies", "1", "--readers", "1", "--size", "big"],
        ["--offline", "--serve", "--out", "x", "--studies", "1", "--readers", "1"],
        ["--without-lesions"],
        ["--style", "systematic"],
        ["--serve", "--studies", "nowhere", "--truth", "y"],
    ],
)
def test_wrong_usage_ends_with_exit_code_2(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(simulate_command, arguments) == ExitCode.USAGE
    assert list(tmp_path.iterdir()) == []


def test_a_truth_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "film.png").write_bytes(b"")
    (tmp_path / "worklist.csv").write_text("study_id,current\nA,film.png\n")
    arguments = ["--serve", "--studies", str(tmp_path), "--truth", str(tmp_path)]
    assert run_command(simulate_command, arguments) == ExitCode.USAGE


def test_help_says_that_all_is_synthetic() -> None:
    assert "synthetic" in CliRunner().invoke(simulate_command, ["--help"]).output


def test_the_source_gives_gaze_and_words_without_lsl_streams() -> None:
    source = SimulatedSource(rate_hz=1000.0, seed=2)
    assert isinstance(source, Source)
    with pytest.raises(StreamLostError):
        source.read(0.0)
    source.open()
    gaze, _ = source.info
    assert [o.offset_s for o in source.offsets()] == [0.0, 0.0]
    assert source.offsets() == []
    frames: list[float] = []
    while len(frames) < 700:
        batch = source.read(0.5)
        assert batch is not None
        if batch.stream_id == gaze.stream_id:
            assert set(batch.columns) == {c.column for c in gaze.channels}
            frames += batch.columns["frame_number"].tolist()
            assert batch.t_received_ns[0] >= round(batch.t_remote_s[-1] * 1e9) - 1000
        time.sleep(0.02)
    assert frames == list(range(len(frames)))
    assert source.marks() == []
    source.close()
    source.close()
    with pytest.raises(StreamLostError):
        source.read(0.1)
