"""Ways to write a message into the tracker's own recording (`gazecapture.session.tracker_marks.MarkSender`).

::

    lsl                        an LSL outlet of type Markers, for a sender that records markers beside gaze
    neon:HOST[:PORT]           an event in the recording that the Neon phone makes
    command:WORDS {text} ...   a program of one's own, such as a script that calls a vendor's software
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import urllib.request
from typing import Any

from gazecapture.clock import import_pylsl
from gazecapture.session.tracker_marks import MarkSender
from keyframes.errors import DeviceUnavailableError, DeviceUnavailableReason, UsageError

__all__ = ["CommandMarks", "LslMarks", "NeonMarks", "mark_sender"]

TIMEOUT_S = 3.0
"""s for a phone's answer or a command's end; a mark later than half a second is of little use anyway."""
NEON_PORT = 8080
"""Of the phone's REST interface (vendor documentation)."""
OUTLET_NAME = "gazecapture marks"
_TEXT = "{text}"


class LslMarks:
    """Sends messages through an outlet; it is open from now on, on every network interface of this machine."""

    def __init__(self) -> None:
        pylsl = import_pylsl()
        info = pylsl.StreamInfo(
            OUTLET_NAME, "Markers", 1, pylsl.IRREGULAR_RATE, "string", "gazecapture-marks"
        )
        self._outlet: Any = pylsl.StreamOutlet(info)

    def send(self, text: str) -> None:
        """Push the message."""
        self._outlet.push_sample([text])

    def close(self) -> None:
        """Close the outlet."""
        self._outlet = None


class NeonMarks:
    """Posts messages as events to a Neon phone, which stamps them on its own clock."""

    def __init__(self, host: str, port: int = NEON_PORT) -> None:
        self._url = f"http://{host}:{port}/api/event"

    def send(self, text: str) -> None:
        """Post the message. Raises DeviceUnavailableError where the phone does not take it."""
        request = urllib.request.Request(  # noqa: S310 - the scheme is fixed above
            self._url,
            json.dumps({"name": text}).encode(),
            {"Content-Type": "application/json"},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
                pass
        except (OSError, ValueError) as error:
            raise DeviceUnavailableError(
                "the Neon phone does not take events", reason=DeviceUnavailableReason.NOT_FOUND
            ) from error

    def close(self) -> None:
        """Do nothing: every event is a request of its own."""


class CommandMarks:
    """Runs a command for every message; ``{text}`` in it is replaced. No shell is involved."""

    def __init__(self, template: str) -> None:
        try:
            self._words = shlex.split(template)
        except ValueError as error:
            raise UsageError(f"the command for marks cannot be read: {error}") from None
        if not self._words or not any(_TEXT in word for word in self._words):
            raise UsageError(
                "the command for marks has no {text} in it",
                hint="For instance: command:python marks.py {text}",
            )
        if shutil.which(self._words[0]) is None:
            raise UsageError(f"the command for marks does not exist: {self._words[0]}")

    def send(self, text: str) -> None:
        """Run the command. Raises DeviceUnavailableError where it fails or hangs."""
        command = [word.replace(_TEXT, text) for word in self._words]
        try:
            subprocess.run(
                command, check=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise DeviceUnavailableError(
                "the command for marks failed", reason=DeviceUnavailableReason.NOT_FOUND
            ) from error

    def close(self) -> None:
        """Do nothing: every run has ended."""


def mark_sender(said: str) -> MarkSender:
    """Return the sender that ``--tracker-marks`` names. Raises UsageError where it names none."""
    kind, _, rest = said.partition(":")
    if kind == "lsl" and not rest:
        return LslMarks()
    if kind == "command" and rest:
        return CommandMarks(rest)
    if kind == "neon" and rest:
        host, _, port = rest.partition(":")
        if host and (not port or port.isdigit()):
            return NeonMarks(host, int(port or NEON_PORT))
    raise UsageError(
        "marks go to lsl, to neon:HOST[:PORT] or to command:PROGRAM {text}", hint="See docs/backfill.md."
    )
