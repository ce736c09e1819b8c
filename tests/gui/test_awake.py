"""Screen saver and notifications stay away while somebody reads, on a real bus; without one nothing is claimed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="D-Bus is Linux's")

SERVICE = Path(__file__).with_name("desktop_service.py")
READER = """
import sys, time
from PyQt6.QtCore import QCoreApplication, QEventLoop, QTimer
from PyQt6.QtDBus import QDBusConnection
from gazecapture.viewer.qt.awake import Awake
application = QCoreApplication(sys.argv)
awake = Awake()
awake.start()
end = time.monotonic() + float(sys.argv[1])
while len(awake.held) < 2 and time.monotonic() < end:
    application.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
print(",".join(sorted(awake.held)), flush=True)
awake.stop()
application.processEvents()
QDBusConnection.sessionBus().interface().registeredServiceNames()  # an answer: what was sent before is out
print(len(awake.held), flush=True)
"""


@pytest.fixture
def bus() -> Iterator[str]:
    daemon = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address=1"],  # noqa: S607 - wherever the system has it
        stdout=subprocess.PIPE,
        text=True,
    )
    assert daemon.stdout is not None
    yield daemon.stdout.readline().strip()
    daemon.terminate()
    daemon.wait()
    daemon.stdout.close()


def read(address: str, patience_s: float) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", READER, str(patience_s)],
        env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": address},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout.splitlines()


def test_the_desktop_is_asked_and_told_when_it_is_over(bus: str) -> None:
    desktop = subprocess.Popen(
        [sys.executable, str(SERVICE)],
        env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": bus},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert desktop.stdout is not None
    try:
        assert desktop.stdout.readline() == "ready\n"
        assert read(bus, 180.0) == ["notifications,screen saver", "0"]
        heard = [desktop.stdout.readline().strip() for _ in range(4)]
    finally:
        desktop.kill()
        desktop.wait()
        desktop.stdout.close()
    assert heard == [
        "screen saver off for gazecapture: Radiographs are being read",
        "notifications off for gazecapture",
        "screen saver on again 77",
        "notifications on again 78",
    ]


def test_a_bus_without_a_desktop_delays_nothing_and_nothing_is_claimed(bus: str) -> None:
    assert read(bus, 0.3) == ["", "0"]
