"""The viewer's end of the conversation with a simulated reader: one JSON object per line over TCP on loopback.

What the other end asks for goes through the same calls as keys and mouse. Messages: docs/architecture.md.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from typing import Any

from PyQt6.QtCore import QObject, QTimer, pyqtSignal
from PyQt6.QtNetwork import QAbstractSocket, QTcpSocket

from gazecapture.viewer.findings import Finding
from gazecapture.viewer.model import Action, ViewerModel
from gazecapture.viewer.session import ReadingSession
from keyframes.errors import DataError, StreamLostError

__all__ = ["DriverClient", "hello_message", "image_on_message", "parse_action"]

_LOGGER = logging.getLogger(__name__)

CONNECT_TIMEOUT_MS = 10_000
"""ms; the other end listens before it starts the viewer, so that seconds are plenty."""
DONE_TIMEOUT_MS = 30_000
"""ms from session_end to done: the other end only sends what it still has in hand."""
LONGEST_LINE_BYTES = 1 << 20
"""A message is a few hundred bytes; more than this is not our protocol."""


class DriverClient(QObject):
    """Talks to the process that reads in place of a person.

    Parameters
    ----------
    host, port : where it listens.
    """

    connected = pyqtSignal()
    action_asked = pyqtSignal(Action)
    finding_asked = pyqtSignal(Finding)
    next_asked = pyqtSignal()
    screenshot_asked = pyqtSignal(str)
    done = pyqtSignal(dict)
    """The other end has sent all it had; holds its own counts."""
    lost = pyqtSignal(Exception)
    """The connection failed, ended too early, or spoke something else."""

    def __init__(self, host: str, port: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._address = f"{host}:{port}"
        self._buffer = b""
        self._over = False
        self._socket = QTcpSocket(self)
        self._socket.connected.connect(self._on_connected)
        self._socket.readyRead.connect(self._on_bytes)
        self._socket.disconnected.connect(self._on_disconnected)
        self._socket.errorOccurred.connect(self._on_error)
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.timeout.connect(self._on_silence)
        self._host, self._port = host, port

    def connect_to_reader(self) -> None:
        """Begin to connect; `connected` or `lost` follows."""
        self._patience.start(CONNECT_TIMEOUT_MS)
        self._socket.connectToHost(self._host, self._port)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one message; returns at once."""
        line = json.dumps(message, allow_nan=False, separators=(",", ":"))
        self._socket.write(line.encode() + b"\n")

    def end_session(self) -> None:
        """Say that there are no more studies; `done` or `lost` follows."""
        self.send({"type": "session_end"})
        self._patience.start(DONE_TIMEOUT_MS)

    def close(self) -> None:
        """Send what is still in hand and close the connection."""
        self._over = True
        self._patience.stop()
        self._socket.flush()
        self._socket.disconnectFromHost()

    def _on_connected(self) -> None:
        self._patience.stop()
        self._socket.setSocketOption(QAbstractSocket.SocketOption.LowDelayOption, 1)
        self.connected.emit()

    def _on_bytes(self) -> None:
        self._buffer += self._socket.readAll().data()
        *lines, self._buffer = self._buffer.split(b"\n")
        if len(self._buffer) > LONGEST_LINE_BYTES:
            self._fail("sent a line of more than 1 MiB")
            return
        for line in lines:
            if line.strip():
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
            kind = message["type"]
        except (ValueError, KeyError, TypeError):
            self._fail("sent a line that is no message")
            return
        try:
            match kind:
                case "action":
                    self.action_asked.emit(parse_action(message))
                case "finding":
                    self.finding_asked.emit(Finding.from_message(message))
                case "next":
                    self.next_asked.emit()
                case "screenshot":
                    self.screenshot_asked.emit(str(message.get("name", "screenshot")))
                case "done":
                    self._over = True
                    self._patience.stop()
                    self.done.emit(message)
                case _:
                    _LOGGER.warning("the driver sent an unknown message type; it is ignored")
        except DataError as error:
            self._fail(f"sent a message that cannot be carried out ({error})")

    def _on_disconnected(self) -> None:
        if not self._over:
            self._fail("closed the connection before the session was over")

    def _on_error(self, error: QAbstractSocket.SocketError) -> None:
        # Qt calls a connection that the other end closed an error too; `disconnected` tells that one.
        if not self._over and error != QAbstractSocket.SocketError.RemoteHostClosedError:
            self._fail(f"cannot be reached ({self._socket.errorString()})")

    def _on_silence(self) -> None:
        self._fail("does not answer")

    def _fail(self, what: str) -> None:
        if self._over:
            return
        self._over = True
        self._patience.stop()
        self.lost.emit(
            StreamLostError(
                f"the simulated reader at {self._address} {what}",
                hint="What was recorded is kept; run the same command again to go on.",
                code="GT-DRIVER",
            )
        )


def hello_message(session: ReadingSession) -> dict[str, Any]:
    """Return the first message of the viewer: its screen, and how much there is to read."""
    info = session.info
    return {
        "type": "hello",
        "display": None if info.display is None else dataclasses.asdict(info.display),
        "refresh_hz": info.refresh_hz,
        "n_studies": len(session.unread()),
    }


def image_on_message(model: ViewerModel, study_id: str, t_ns: int) -> dict[str, Any]:
    """Return what the reader must know of the study that came on the screen."""
    return {
        "type": "image_on",
        "reading_number": model.reading_number,
        "study_id": study_id,
        "t_ns": t_ns,
        "area": list(model.area),
        "images": [dataclasses.asdict(v.image) for v in model.viewports],
        "panels": [dataclasses.asdict(p) for p in model.panels],
    }


def parse_action(message: Mapping[str, Any]) -> Action:
    """Build an action from a message. Raises DataError where a field is impossible."""
    try:
        return Action(
            kind=message["kind"],
            viewport_id=int(message.get("viewport_id", 0)),
            x=float(message.get("x", 0.0)),
            y=float(message.get("y", 0.0)),
            amount=float(message.get("amount", 0.0)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"an action lacks or has an impossible field: {error}") from None
