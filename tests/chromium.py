"""A headless Chromium driven through its debugging pipe: real keys, a real pointer, screenshots. No driver needed."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Page", "chromium_page"]

PATIENCE_S = 100
"""For one answer of the browser on a busy machine; its process is ended then."""
COMMANDS_FD, ANSWERS_FD = 3, 4
"""Where Chromium reads commands and writes answers (``--remote-debugging-pipe``)."""
KEY_CODES = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}


@contextmanager
def chromium_page(written: Path, profile: Path, *, width: int = 1400, height: int = 1000) -> Iterator[Page]:
    """Open a file in the browser of `system-packages.txt`; give the page, with everything loaded."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "chromium is not installed: apt-get install chromium"
    with Page(found, profile) as page:
        # A window is never narrower than 500 px; a telephone's screen is emulated.
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        page.call("Emulation.setDeviceMetricsOverride", **size)
        page.open(written.as_uri())
        yield page


class Page:
    """One tab. ``complaints`` holds what the console, the page's errors and its requests said."""

    def __init__(self, browser: str, profile: Path) -> None:
        commands_out, self._commands = os.pipe()
        self._answers, answers_in = os.pipe()
        # The shell moves our ends of the pipes to the numbers that the browser expects.
        moved = f'exec "$@" {COMMANDS_FD}<&{commands_out} {ANSWERS_FD}>&{answers_in}'
        flags = [
            "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", moved, "chromium", browser, *flags],
            pass_fds=(commands_out, answers_in), stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(commands_out)
        os.close(answers_in)
        self._number, self._buffer, self._events = 0, b"", list[dict[str, Any]]()
        self._session: str | None = None
        self.complaints: list[str] = []

    def __enter__(self) -> Self:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)
        # Nothing fades: a picture of the page shows how it ends.
        still = [{"name": "prefers-reduced-motion", "value": "reduce"}]
        self.call("Emulation.setEmulatedMedia", features=still)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        os.close(self._commands)
        os.close(self._answers)

    def open(self, url: str) -> None:
        """Show a page and wait until it is loaded."""
        loader = self.call("Page.navigate", url=url)["loaderId"]
        while not any(
            event["method"] == "Page.lifecycleEvent"
            and (event["params"]["loaderId"], event["params"]["name"]) == (loader, "load")
            for event in self._events
        ):
            self._take()  # the blank page before it may be loaded just now

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key, as the keyboard does it."""
        about = {"key": key, "code": key, "windowsVirtualKeyCode": KEY_CODES[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **about, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def point_at(self, selector: str) -> tuple[float, float]:
        """Move the pointer over the middle of an element; return where that is."""
        x, y = self.evaluate(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)});"
            " found.scrollIntoView({block: 'center'});"
            " const r = found.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        return x, y

    def click(self, selector: str) -> None:
        """Click an element with the pointer."""
        x, y = self.point_at(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write what is seen as PNG; ``whole``: the page in its full length."""
        made = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(made["data"]))

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command of the protocol; return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._take()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result

    def _take(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            got = os.read(self._answers, 1 << 20)
            assert got, "the browser ended"
            self._buffer += got
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if "method" in message:
            self._events.append(message)
            self._note(message["method"], message["params"])
        return message

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            self.complaints.append(json.dumps(params))
        elif method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith(("data:", "file:", "about:")):
                self.complaints.append(f"asked for {url}")
