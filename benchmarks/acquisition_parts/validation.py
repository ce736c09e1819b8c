"""How long a validation takes: by a reader who looks at every point, and by one whose eyes the tracker never sees.

    python benchmarks/acquisition_parts/validation.py

`gazecapture validate` runs as it does for a person (without a display: offscreen); this script is the eyes: it is told
which point is on the screen and sends synthetic gaze as a stream of Lab Streaming Layer, 0.3 degrees beside it.
Prints one JSON list of rows.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pylsl

TARGET_S = 60.0
RATE_HZ = 250.0
START_S = 60.0
SIZE_PX, SIZE_MM, DISTANCE_MM = (1280, 1024), (376.0, 301.0), 600.0
OFF_DEG, NOISE_DEG = 0.3, 0.05
PX_PER_DEG = 2 * DISTANCE_MM * np.tan(np.radians(0.5)) * SIZE_PX[0] / SIZE_MM[0]


class Eyes:
    """Gaze, pushed from a thread."""

    def __init__(self, name: str, *, are_seen: bool) -> None:
        header = pylsl.StreamInfo(name, "Gaze", 4, RATE_HZ, "double64", name)
        channels = header.desc().append_child("channels")
        for eye in ("left", "right"):
            for axis in "XY":
                node = channels.append_child("channel")
                for tag, text in (
                    ("label", f"{eye}{axis}"), ("type", f"Screen{axis}"), ("eye", eye), ("unit", "pixels"),
                ):  # fmt: skip
                    node.append_child_value(tag, text)
        self._outlet = pylsl.StreamOutlet(header)
        self._are_seen = are_seen
        self.at = np.array(SIZE_PX) / 2
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send no more."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        random, start, n = np.random.default_rng(1), pylsl.local_clock(), 0
        while not self._end.wait(1 / RATE_HZ):
            while start + n / RATE_HZ < pylsl.local_clock():
                gaze = self.at + PX_PER_DEG * (OFF_DEG / np.sqrt(2) + random.normal(0, NOISE_DEG, 2))
                gaze = gaze if self._are_seen else np.full(2, np.nan)
                self._outlet.push_sample([*gaze, *gaze], start + n / RATE_HZ)
                n += 1


def validated(session: Path, *, are_seen: bool) -> dict[str, Any]:
    """Return what the command says of one validation."""
    name = f"validation-{uuid.uuid4().hex[:8]}"
    eyes = Eyes(name, are_seen=are_seen)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(START_S)
        command = subprocess.Popen(
            [sys.executable, "-m", "gazecapture", "validate", "--out", str(session), "--stream", name, "--wait-s", "60",
             "--size", f"{SIZE_PX[0]}x{SIZE_PX[1]}", "--display-mm", f"{SIZE_MM[0]:g}x{SIZE_MM[1]:g}",
             "--distance-mm", f"{DISTANCE_MM:g}", "--driver", f"127.0.0.1:{listener.getsockname()[1]}", "--json"],
            env={"QT_QPA_PLATFORM": "offscreen", **os.environ}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                message = json.loads(line)
                if message["type"] == "look":
                    time.sleep(0.2)  # the eye's own time to react and to get there
                    eyes.at = np.array([message["x_screen_px"], message["y_screen_px"]])
                elif message["type"] == "session_end":
                    done = {"type": "done", "n_gaze_sent": 0, "n_words_sent": 0}
                    connection.sendall(json.dumps(done).encode() + b"\n")
                    break
    said = json.loads(command.communicate()[0])
    eyes.close()
    return dict(said)


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for are_seen, who in ((True, "a reader who looks"), (False, "nobody's eyes seen")):
            said = validated(Path(scratch) / f"session-{are_seen}", are_seen=are_seen)
            found = [eye["accuracy_deg"] for eye in said["eyes"] if eye["eye"] == "both"]
            off = "none" if found[0] is None else f"{found[0]:.2f}"
            rows.append(
                {
                    "measure": f"validation, 9 points, {who}: duration, s",
                    "target": f"< {TARGET_S:g}",
                    "measured": f"{said['duration_s']:.1f} ({said['light']}; {len(said['timed_out'])} points timed "
                    f"out; gaze {OFF_DEG} deg off, found {off})",
                    "met": said["duration_s"] < TARGET_S,
                }
            )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
