"""How long the viewer takes for one frame.

    python benchmarks/viewer.py [--size 1920x1080] [--frames 200]

A synthetic radiograph of 3000 x 3000 px and 16 bits, in the real window, offscreen. Wall is what a frame takes from
action to end of paint, CPU is this process's time for it, which a busy machine does not change much. The gates of
the design at 1920 x 1080: CPU p95 <= 8 ms for a change of window, <= 16 ms for zoom + pan + window.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# Not this script's own folder: keyframes.py in it would hide the package of that name.
sys.path.pop(0)

import numpy as np
from PIL import Image
from PyQt6.QtWidgets import QApplication

from gazecapture.radiograph.decode import load_radiograph
from gazecapture.viewer.model import Action, ViewerModel
from gazecapture.viewer.qt.header import ImageLabel
from gazecapture.viewer.qt.platform import make_application
from gazecapture.viewer.qt.window import ReadingWindow
from gazecapture.viewer.render import Picture

SIDE_PX = 3000


def synthetic_picture(folder: Path) -> Picture:
    rng = np.random.default_rng(1)
    grey = np.add.outer(np.arange(SIDE_PX), np.arange(SIDE_PX)) * 10 + rng.integers(
        0, 900, (SIDE_PX, SIDE_PX)
    )
    path = folder / "synthetic.png"
    Image.fromarray(grey.astype(np.uint16)).save(path)
    began = time.perf_counter()
    picture = Picture(load_radiograph(path), 0)
    print(f"decoding and pyramid, off the GUI thread: {(time.perf_counter() - began) * 1e3:.0f} ms")
    return picture


def measure(window: ReadingWindow, name: str, n_frames: int, act: Callable[[int], None]) -> None:
    wall, cpu = [], []
    for frame in range(n_frames):
        wall_began, cpu_began = time.perf_counter(), time.process_time()
        act(frame)
        window.canvas.present_now()
        QApplication.processEvents()
        wall.append((time.perf_counter() - wall_began) * 1e3)
        cpu.append((time.process_time() - cpu_began) * 1e3)
    figures = [np.percentile(v, p) for v in (wall, cpu) for p in (50, 95)]
    print(f"{name:28s}" + "".join(f"{value:12.1f}" for value in figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--frames", type=int, default=200)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    application = make_application((width, height))
    screen = application.primaryScreen()
    if screen is None:
        raise SystemExit("there is no screen")
    model = ViewerModel((0.0, 0.0, 1.0, 1.0))

    def presented() -> None:
        model.presented(0)

    window = ReadingWindow(model, screen, on_presented=presented)
    window.showFullScreen()
    with tempfile.TemporaryDirectory() as folder:
        picture = synthetic_picture(Path(folder))
    model.open_study(1, [picture.view])
    window.show_study([picture], "synthetic", [ImageLabel(role="current")])
    QApplication.processEvents()
    print(
        f"{options.size}, {options.frames} frames, ms\n{'':28s}{'wall p50':>12}{'p95':>12}{'CPU p50':>12}{'p95':>12}"
    )

    def drag_window(frame: int) -> None:
        window.act(Action(kind="window", x=30000 + 40 * frame, y=20000 + 100 * frame))

    def drag_all(frame: int) -> None:
        drag_window(frame)
        window.act(Action(kind="zoom", x=width / 2, y=height / 2, amount=0.25 if frame % 40 < 20 else -0.25))
        window.act(Action(kind="pan", x=3.0 if frame % 20 < 10 else -3.0, y=2.0))

    measure(window, "window, fitted", options.frames, drag_window)
    measure(window, "zoom + pan + window", options.frames, drag_all)
    window.act(Action(kind="one_to_one"))
    measure(window, "window, 1:1", options.frames, drag_window)
    window.hide()


if __name__ == "__main__":
    main()
