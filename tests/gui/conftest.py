"""Where the tests of windows leave their pictures, and an X server for those that need one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for pictures of screens: that of the variable SCREENSHOTS, to keep them, else a temporary one."""
    named = os.environ.get("SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.getbasetemp() / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


SCREEN_PX, SECOND_SCREEN_PX = (1280, 800), (1024, 768)
SERVER_OPTIONS = [
    "-screen", "0", f"{SCREEN_PX[0]}x{SCREEN_PX[1]}x24",
    "-screen", "1", f"{SECOND_SCREEN_PX[0]}x{SECOND_SCREEN_PX[1]}x24", "-nolisten", "tcp",
    # Without it the server begins anew whenever its last client is gone, such as a search for a window that is not
    # there yet, and refuses whoever connects at that moment.
    "-noreset",
    # A key is let go late on a busy machine, and is pressed once all the same.
    "-ardelay", "10000",
]  # fmt: skip


@pytest.fixture
def display() -> Iterator[str]:
    """An X server of this test's own, with two screens: NAME and NAME.1."""
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), *SERVER_OPTIONS],  # noqa: S607 - wherever the system has it
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        number = pipe.readline().strip()
    assert number, "Xvfb did not start"
    yield f":{number}"
    server.terminate()
    server.wait()
