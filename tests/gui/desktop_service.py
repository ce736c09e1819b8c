"""A desktop that can be asked to hold its screen saver and its notifications back; run as a process by a test.

Prints ``ready``, then a line for each call.
"""

from __future__ import annotations

import sys
from typing import Any

from PyQt6.QtCore import QCoreApplication, QObject, pyqtClassInfo, pyqtSlot
from PyQt6.QtDBus import QDBusConnection

class_info: Any = pyqtClassInfo  # its types say that it gives nothing
EVERYTHING = QDBusConnection.RegisterOption.ExportAllSlots
WELL_KNOWN = {
    "org.freedesktop.ScreenSaver": "/org/freedesktop/ScreenSaver",
    "org.freedesktop.Notifications": "/org/freedesktop/Notifications",
}


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@class_info("D-Bus Interface", "org.freedesktop.ScreenSaver")
class ScreenSaver(QObject):
    @pyqtSlot(str, str, result="uint")
    def Inhibit(self, who: str, why: str) -> int:  # noqa: N802 - the interface's name
        say(f"screen saver off for {who}: {why}")
        return 77

    @pyqtSlot("uint")
    def UnInhibit(self, cookie: int) -> None:  # noqa: N802 - the interface's name
        say(f"screen saver on again {cookie}")


@class_info("D-Bus Interface", "org.freedesktop.Notifications")
class Notifications(QObject):
    @pyqtSlot(str, str, "QVariantMap", result="uint")
    def Inhibit(self, who: str, _why: str, _hints: dict[str, str]) -> int:  # noqa: N802 - the interface's name
        say(f"notifications off for {who}")
        return 78

    @pyqtSlot("uint")
    def UnInhibit(self, cookie: int) -> None:  # noqa: N802 - the interface's name
        say(f"notifications on again {cookie}")


if __name__ == "__main__":
    application = QCoreApplication(sys.argv)
    bus = QDBusConnection.sessionBus()
    objects = [ScreenSaver(), Notifications()]
    for thing, (service, path) in zip(objects, WELL_KNOWN.items(), strict=True):
        if not bus.registerService(service) or not bus.registerObject(path, thing, EVERYTHING):
            raise SystemExit(bus.lastError().message())
    say("ready")
    application.exec()
