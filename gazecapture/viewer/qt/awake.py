"""Keeps screen saver, sleep and notifications away while somebody reads, by what each system offers for that."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QMetaType
from PyQt6.QtDBus import (
    QDBusArgument,
    QDBusConnection,
    QDBusMessage,
    QDBusPendingCallWatcher,
    QDBusPendingReply,
)

__all__ = ["INHIBITIONS", "Awake", "Inhibition", "has_bus"]

WHO, WHY = "gazecapture", "Radiographs are being read"
UNSIGNED: Any = QMetaType.Type.UInt.value
"""Qt would send a number of Python's as a signed one, which no desktop takes."""
_WINDOWS_AWAKE = 0x80000000 | 0x00000002 | 0x00000001
"""ES_CONTINUOUS | ES_DISPLAY_REQUIRED | ES_SYSTEM_REQUIRED of SetThreadExecutionState (winbase.h)."""
_WINDOWS_AS_BEFORE = 0x80000000


@dataclass(frozen=True, slots=True, kw_only=True)
class Inhibition:
    """A service of the session bus that can be asked to hold something back."""

    what: str
    service: str
    path: str
    interface: str
    arguments: tuple[Any, ...]


def _freedesktop(what: str, name: str, *further: Any, under: str = "") -> Inhibition:
    """Return a service of freedesktop.org's, all of which are called alike; ``under``: of its path and interface."""
    service = f"org.freedesktop.{name}"
    path, interface = f"/{service.replace('.', '/')}", service
    return Inhibition(
        what=what,
        service=service,
        path=f"{path}/{under}" if under else path,
        interface=f"{interface}.{under}" if under else interface,
        arguments=(WHO, WHY, *further),
    )


INHIBITIONS = (
    _freedesktop("screen saver", "ScreenSaver"),
    _freedesktop("sleep", "PowerManagement", under="Inhibit"),
    _freedesktop("notifications", "Notifications", {}),
)


def has_bus() -> bool:
    """Say whether there is a session bus; asking Qt for one that is not there could start one."""
    if os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return True
    return sys.platform.startswith("linux") and Path(f"/run/user/{os.getuid()}/bus").exists()


class Awake:
    """Begins on `start`, ends on `stop`, or with the process, whatever ends that.

    Nothing here waits for an answer: a desktop that does not answer delays no film.
    """

    def __init__(self) -> None:
        self.held: list[str] = []
        """What was granted until now."""
        self._cookies: list[tuple[Inhibition, int]] = []
        self._watchers: list[QDBusPendingCallWatcher] = []
        self._n_answered = 0
        self._caffeinate: subprocess.Popen[bytes] | None = None

    @property
    def is_answered(self) -> bool:
        """Say whether everything that was asked has answered, or nothing had to be asked."""
        return self._n_answered == len(self._watchers)

    def start(self) -> None:
        """Ask for it."""
        if sys.platform == "win32":
            if ctypes.windll.kernel32.SetThreadExecutionState(_WINDOWS_AWAKE):
                self.held += ["screen saver", "sleep"]
        elif sys.platform == "darwin":
            program = shutil.which("caffeinate")
            if program:
                self._caffeinate = subprocess.Popen([program, "-d", "-i", "-w", str(os.getpid())])
                self.held += ["screen saver", "sleep"]
        elif has_bus():
            for inhibition in INHIBITIONS:
                self._ask(inhibition)

    def stop(self) -> None:
        """Take it back."""
        if sys.platform == "win32":
            ctypes.windll.kernel32.SetThreadExecutionState(_WINDOWS_AS_BEFORE)
        if self._caffeinate is not None:
            self._caffeinate.terminate()
            self._caffeinate.wait()
            self._caffeinate = None
        for inhibition, cookie in self._cookies:
            unsigned = QDBusArgument()
            unsigned.add(cookie, UNSIGNED)
            self._send(inhibition, "UnInhibit", [unsigned])
        self._cookies, self.held = [], []

    def _ask(self, inhibition: Inhibition) -> None:
        watcher = QDBusPendingCallWatcher(self._send(inhibition, "Inhibit", list(inhibition.arguments)))
        watcher.finished.connect(lambda answered: self._answered(inhibition, answered))
        self._watchers.append(watcher)

    def _send(self, inhibition: Inhibition, method: str, arguments: list[Any]) -> Any:
        message = QDBusMessage.createMethodCall(
            inhibition.service, inhibition.path, inhibition.interface, method
        )
        message.setArguments(arguments)
        return QDBusConnection.sessionBus().asyncCall(message)

    def _answered(self, inhibition: Inhibition, watcher: QDBusPendingCallWatcher) -> None:
        self._n_answered += 1
        answer = QDBusPendingReply(watcher)
        if not answer.isError():
            self._cookies.append((inhibition, int(answer.argumentAt(0))))
            self.held.append(inhibition.what)
