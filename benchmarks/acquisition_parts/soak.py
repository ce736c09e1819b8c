"""Loss at 2000 Hz x 8 while the viewer runs and paints, outlet to disk.

    python benchmarks/acquisition_parts/soak.py [--seconds 600] [--rate-hz 2000]

`gazecapture read` starts the recorder, shows a synthetic radiograph (without a display: offscreen) and is told to
change the window `ACTIONS_PER_S` times a second. Every sample carries its number. Nothing is waited for but the end,
so that a busy machine makes it harder, not wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np
from PIL import Image

from gazecapture.session.journal import read_journal
from gazecapture.session.status import read_status

HERE = Path(__file__).resolve().parent
SIDE_PX = 1024
ACTIONS_PER_S = 20.0
START_S = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate-hz", type=float, default=2000.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        row = soak(Path(scratch), options.rate_hz, options.seconds)
    print(json.dumps([row]))


def soak(folder: Path, rate_hz: float, seconds: float) -> dict[str, object]:
    (folder / "films").mkdir()
    grey = np.add.outer(np.arange(SIDE_PX), np.arange(SIDE_PX)).astype(np.uint16)
    Image.fromarray(grey).save(folder / "films" / "synthetic.png")
    name, session = f"soak-{uuid.uuid4().hex[:8]}", folder / "session"
    sender = subprocess.Popen(
        [sys.executable, str(HERE / "sender.py"), "--name", name, "--rate-hz", f"{rate_hz:g}",
         "--seconds", f"{seconds:g}"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        viewer = subprocess.Popen(
            [sys.executable, "-m", "gazecapture", "read", str(folder / "films"), "--out", str(session),
             "--stream", name, "--wait-s", "60", "--driver", f"127.0.0.1:{port}"],
            env={"QT_QPA_PLATFORM": "offscreen", **os.environ}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        listener.settimeout(START_S)
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            n_actions = drive(connection, lines, sender, viewer)
    n_sent = int((sender.stdout or [""]).readline().removeprefix("sent "))  # type: ignore[union-attr]
    sender.wait()
    viewer.wait()
    final = read_status(session)
    (stream,) = [path.parent for path in (session / "streams").glob("*/stream.json")]
    content = read_journal(stream)
    numbers = content.table["c2"].to_numpy()
    n_lost = n_sent - np.unique(numbers).size
    clean = viewer.returncode == 0 and final is not None and final.state == "stopped" and not content.damage
    detail = (
        f"{n_lost} of {n_sent:,} lost, {numbers.size - np.unique(numbers).size} twice, {n_actions} repaints, "
        f"queue high water {final.queue_high_water if final else '?'}, ended {'cleanly' if clean else 'badly'}"
    )
    minutes = seconds / 60
    return {
        "measure": f"loss at {rate_hz:g} Hz x 8 for {minutes:g} minutes, viewer running",
        "target": "0",
        "measured": detail,
        "met": n_lost == 0 and clean,
    }


def drive(
    connection: socket.socket, lines: object, sender: subprocess.Popen[str], viewer: subprocess.Popen[bytes]
) -> int:
    """Change the window until the sender has sent everything, then end the reading; return how often."""
    reader = iter(lines)  # type: ignore[call-overload]
    for line in reader:
        if json.loads(line)["type"] == "image_on":
            break
    n_actions = 0
    while not _has_sent(sender) and viewer.poll() is None:
        centre = 1000.0 + 500.0 * np.sin(n_actions / 10)
        tell(
            connection,
            {"type": "action", "kind": "window", "viewport_id": 0, "x": centre, "y": 800.0, "amount": 0.0},
        )
        n_actions += 1
        time.sleep(1 / ACTIONS_PER_S)
    tell(connection, {"type": "next"})
    for line in reader:
        if json.loads(line)["type"] == "session_end":
            break
    tell(connection, {"type": "done", "n_gaze_sent": 0, "n_words_sent": 0})
    return n_actions


def _has_sent(sender: subprocess.Popen[str]) -> bool:
    return sender.stdout is not None and bool(select.select([sender.stdout], [], [], 0)[0])


def tell(connection: socket.socket, message: dict[str, object]) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
