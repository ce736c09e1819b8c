"""Marks for the tracker: opaque numbers, sent by a thread; what they stand for stays in the session."""

from __future__ import annotations

import http.server
import json
import re
import socket
import sys
import threading
from pathlib import Path

import pytest

from gazecapture.clock import import_pylsl
from gazecapture.session.journal import read_journal
from gazecapture.session.schema import TRACKER_MARKS
from gazecapture.session.tracker_marks import TrackerMarks
from gazecapture.sources.mark_senders import OUTLET_NAME, LslMarks, NeonMarks, mark_sender
from keyframes.errors import DeviceUnavailableError, DeviceUnavailableReason, UsageError
from tests.waiting import LIMIT_S


class Slow:
    """Takes nothing before it may, and refuses every other message."""

    def __init__(self) -> None:
        self.may_take = threading.Event()
        self.texts: list[str] = []
        self.closed = False

    def send(self, text: str) -> None:
        assert self.may_take.wait(LIMIT_S)
        self.texts.append(text)
        if len(self.texts) % 2 == 0:
            raise DeviceUnavailableError("no", reason=DeviceUnavailableReason.BUSY)

    def close(self) -> None:
        self.closed = True


def test_marks_are_opaque_and_never_wait(tmp_path: Path) -> None:
    sender = Slow()
    marks = TrackerMarks(tmp_path, sender)
    for number in range(1, 5):
        marks.mark(number, "on")
    assert sender.texts == [], "whoever marks does not wait for the tracker"
    sender.may_take.set()
    marks.close()
    assert sender.closed
    rows = read_journal(tmp_path / "tracker_marks", schema=TRACKER_MARKS).table.to_pylist()
    assert [(r["reading_number"], r["event"], r["sent"]) for r in rows] == [
        (n, "on", n % 2 == 1) for n in range(1, 5)
    ]
    assert all(re.fullmatch(r"gazecapture-mark \d{9}", text) for text in sender.texts)
    assert [int(text.split()[1]) for text in sender.texts] == [r["mark"] for r in rows]
    assert len({r["mark"] for r in rows}) == 4
    assert rows[1]["detail"] == "DeviceUnavailableError"


def test_a_command_gets_the_text(tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = tmp_path / "script.py"
    script.write_text("import sys; open(sys.argv[1], 'a').write(sys.argv[2])")
    sender = mark_sender(f"command:{sys.executable} {script} {out} {{text}}")
    sender.send("gazecapture-mark 5; rm x")
    assert out.read_text() == "gazecapture-mark 5; rm x"
    failing = mark_sender(f"command:{sys.executable} -c 1/0 {{text}}")
    with pytest.raises(DeviceUnavailableError):
        failing.send("x")


@pytest.mark.parametrize(
    "said", ["", "lsl:x", "neon:", "neon:h:p", "command:", "command:echo", "command:no-such {text}"]
)
def test_what_names_no_sender_is_refused(said: str) -> None:
    with pytest.raises(UsageError):
        mark_sender(said)


def test_a_neon_phone_gets_an_event() -> None:
    got: list[object] = []

    class Phone(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Phone) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        mark_sender(f"neon:127.0.0.1:{server.server_port}").send("gazecapture-mark 7")
        thread.join()
    assert got == [("/api/event", {"name": "gazecapture-mark 7"})]
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # ours, so that nobody else listens there
        with pytest.raises(DeviceUnavailableError):
            NeonMarks(*nobody.getsockname()).send("x")


def test_an_outlet_only_when_asked() -> None:
    pylsl = import_pylsl()
    assert not pylsl.resolve_byprop("name", OUTLET_NAME, timeout=0.3)
    sender = mark_sender("lsl")
    try:
        (found,) = pylsl.resolve_byprop("name", OUTLET_NAME, timeout=180)
        inlet = pylsl.StreamInlet(found)
        inlet.open_stream(timeout=180)
        # It is open before the outlet knows of it; what is sent between the two goes to nobody.
        assert isinstance(sender, LslMarks)
        assert sender._outlet.wait_for_consumers(LIMIT_S)
        sender.send("gazecapture-mark 8")
        sample, _ = inlet.pull_sample(timeout=180)
        assert sample == ["gazecapture-mark 8"]
        inlet.close_stream()
    finally:
        sender.close()
