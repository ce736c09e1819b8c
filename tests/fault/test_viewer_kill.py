"""The viewer is killed while a study is on screen: nothing that was recorded is lost, and the next run goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from gazecapture.session.journal import read_journal
from gazecapture.session.recorder_client import adopt_recorder
from gazecapture.session.schema import ANNOTATIONS, read_session_info
from gazecapture.session.status import read_status
from gazecapture.session.to_readings import to_readings
from tests.waiting import LIMIT_S, n_recorded, only_unfinished, wait_until

SENDER = Path(__file__).with_name("lsl_sender.py")
RATE_HZ = 250


class Driver:
    """Reads in place of a person, over the viewer's own protocol."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(LIMIT_S)
        self.port = self._server.getsockname()[1]

    def accept(self) -> None:
        self._connection, _ = self._server.accept()
        self._connection.settimeout(LIMIT_S)
        self._lines = self._connection.makefile("r")

    def receive(self, kind: str) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._lines.readline())
        assert message["type"] == kind
        return message

    def send(self, **message: Any) -> None:
        self._connection.sendall(json.dumps(message).encode() + b"\n")

    def hang_up(self) -> None:
        self._lines.close()
        self._connection.close()

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def driver() -> Iterator[Driver]:
    made = Driver()
    yield made
    made.close()


@pytest.fixture
def stream() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A synthetic tracker that sends until it is told to stop."""
    name = f"gaze {uuid.uuid4().hex[:6]}"
    sender = subprocess.Popen(
        [sys.executable, str(SENDER), "--name", name, "--rate-hz", str(RATE_HZ), "--seconds", "300"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sender.stdout is not None
    assert sender.stdin is not None
    assert sender.stdout.readline() == "ready\n"
    yield name, sender
    sender.kill()
    sender.wait()
    sender.stdin.close()
    sender.stdout.close()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "session"
    yield folder
    recorder = adopt_recorder(folder)
    if recorder is not None:
        recorder.stop(LIMIT_S)


def worklist(folder: Path, n_studies: int) -> Path:
    """Write synthetic pictures and a list of them."""
    rows = ["study_id,current"]
    for number in range(1, n_studies + 1):
        grey = np.add.outer(np.arange(300), np.arange(200)) * 100 + number
        Image.fromarray(grey.astype(np.uint16)).save(folder / f"{number}.png")
        rows.append(f"S{number},{number}.png")
    path = folder / "list.csv"
    path.write_text("\n".join(rows))
    return path


def start_viewer(listed: Path, session: Path, stream: str, port: int, *more: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if k not in {"DISPLAY", "WAYLAND_DISPLAY"}}
    return subprocess.Popen(
        [
            sys.executable, "-m", "gazecapture", "read", str(listed), "--out", str(session), "--size", "800x600",
            "--stream", stream, "--driver", f"127.0.0.1:{port}", "--json", *(more or ("--wait-s", "120")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )  # fmt: skip


def display_rows(session: Path) -> list[tuple[int, str]]:
    content = read_journal(session / "display")
    assert only_unfinished(content.damage), "a row may be on its way"
    rows = content.table.select(["reading_number", "event"]).to_pylist()
    return [(row["reading_number"], row["event"]) for row in rows]


def test_a_killed_viewer_loses_nothing_and_resumes_at_the_unread_study(
    tmp_path: Path, driver: Driver, stream: tuple[str, subprocess.Popen[str]], session: Path
) -> None:
    name, sender = stream
    listed = worklist(tmp_path, 3)
    viewer = start_viewer(listed, session, name, driver.port)
    driver.accept()
    assert driver.receive("hello")["n_studies"] == 3
    assert driver.receive("image_on")["reading_number"] == 1
    driver.send(type="next")
    driver.receive("image_off")
    assert driver.receive("image_on")["study_id"] == "S2"
    driver.send(type="action", kind="zoom", x=300.0, y=300.0, amount=2.0)
    driver.send(type="finding", finding_id="f1", label="Edema", image_index=0, box=[10, 10, 50, 60])
    wait_until(lambda: (2, "change") in display_rows(session))
    # The finding was sent after the zoom, and may be read after the zoom is painted.
    wait_until(lambda: read_journal(session / "annotations", schema=ANNOTATIONS).table.num_rows)
    viewer.kill()
    viewer.communicate()
    driver.hang_up()

    assert display_rows(session) == [(1, "on"), (1, "off"), (2, "on"), (2, "change")]
    recorder = adopt_recorder(session)
    assert recorder is not None
    before = n_recorded(session)
    wait_until(lambda: n_recorded(session) > before + RATE_HZ // 2)

    viewer = start_viewer(listed, session, name, driver.port)
    driver.accept()
    assert driver.receive("hello")["n_studies"] == 2
    for number in (2, 3):
        message = driver.receive("image_on")
        assert (message["reading_number"], message["study_id"]) == (number, f"S{number}")
        driver.send(type="next")
        driver.receive("image_off")
    driver.receive("session_end")
    assert sender.stdin is not None
    assert sender.stdout is not None
    sender.stdin.write("\n")
    sender.stdin.flush()
    n_sent = int(sender.stdout.readline().removeprefix("sent "))
    wait_until(lambda: n_recorded(session) >= n_sent, "for all samples")
    driver.send(type="done", n_gaze_sent=n_sent, n_words_sent=0)
    output, errors = viewer.communicate(timeout=LIMIT_S)
    driver.hang_up()
    assert viewer.returncode == 0, errors

    summary = json.loads(output)
    assert (summary["n_read"], summary["n_read_now"], summary["n_left"]) == (3, 2, 0)
    assert not recorder.is_alive()
    assert [s["n_samples"] for s in summary["recording"].values()] == [n_sent]
    readings = list(to_readings(session, key=bytes(32)))
    assert [r.reading_number for r in readings] == [1, 2, 3]
    assert all(r.reading is not None for r in readings)
    second = readings[1].reading
    assert second is not None
    # The box that was drawn before the crash is still the reader's, the zoom of then is not shown any more.
    assert second.table("findings").column("label").to_pylist() == ["Edema"]
    assert second.table("display").num_rows == 2
    assert second.table("gaze").num_rows > 0


def test_a_changed_worklist_and_another_reader_are_refused(
    tmp_path: Path, driver: Driver, stream: tuple[str, subprocess.Popen[str]], session: Path
) -> None:
    name, _ = stream
    listed = worklist(tmp_path, 2)
    viewer = start_viewer(listed, session, name, driver.port)
    driver.accept()
    driver.receive("hello")
    driver.receive("image_on")
    driver.hang_up()  # the connection is lost: the session is closed, the study stays unread
    _, errors = viewer.communicate(timeout=LIMIT_S)
    assert viewer.returncode == 1
    assert "closed the connection before the session was over" in errors
    assert display_rows(session) == [(1, "on")]
    assert adopt_recorder(session) is None
    assert read_session_info(session).synthetic

    listed.write_text(listed.read_text().replace("S2,2.png", "S2,1.png"))
    again = start_viewer(listed, session, name, driver.port)
    _, errors = again.communicate(timeout=LIMIT_S)
    assert again.returncode == 2
    assert "the worklist, or its order, is not the one that this session began with" in errors
    assert sum(line.startswith("error: ") for line in errors.splitlines()) == 1, errors


def test_without_a_gaze_stream_there_is_one_clear_line(tmp_path: Path, driver: Driver, session: Path) -> None:
    listed = worklist(tmp_path, 1)
    viewer = start_viewer(listed, session, f"nothing {uuid.uuid4().hex}", driver.port, "--wait-s", "1")
    _, errors = viewer.communicate(timeout=LIMIT_S)
    assert viewer.returncode == 1
    assert errors.strip().splitlines()[-1].startswith("error: ")
    assert display_rows(session) == []


def test_a_killed_recorder_is_started_again_and_ctrl_c_closes_the_session(
    tmp_path: Path, driver: Driver, stream: tuple[str, subprocess.Popen[str]], session: Path
) -> None:
    name, _ = stream
    viewer = start_viewer(worklist(tmp_path, 3), session, name, driver.port)
    driver.accept()
    driver.receive("hello")
    driver.receive("image_on")
    first = read_status(session)
    assert first is not None
    psutil.Process(first.pid).kill()
    driver.send(type="next")
    driver.receive("image_off")
    driver.receive("image_on")

    def runs_again() -> bool:
        status = read_status(session)
        return status is not None and status.pid != first.pid and status.state == "recording"

    wait_until(runs_again)
    viewer.send_signal(signal.SIGINT)
    _, errors = viewer.communicate(timeout=LIMIT_S)
    driver.hang_up()
    assert viewer.returncode == 130, errors
    assert "interrupted" in errors
    assert display_rows(session) == [(1, "on"), (1, "off"), (2, "on")]
    assert adopt_recorder(session) is None
