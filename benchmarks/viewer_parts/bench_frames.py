"""Frame times of the real window, offscreen."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from PyQt6.QtWidgets import QApplication

from gazecapture.radiograph.decode import load_radiograph
from gazecapture.viewer.model import Action, ViewerModel
from gazecapture.viewer.qt.header import ImageLabel
from gazecapture.viewer.qt.window import ReadingWindow
from gazecapture.viewer.render import Picture

SIDE_PX = 3000

Frame = Callable[[int], None]


def synthetic_film(path: Path, *, seed: int = 1) -> Path:
    """Write a synthetic 16-bit film: a slope and noise."""
    rng = np.random.default_rng(seed)
    slope = np.add.outer(np.arange(SIDE_PX), np.arange(SIDE_PX)) * 10
    Image.fromarray((slope + rng.integers(0, 900, slope.shape)).astype(np.uint16)).save(path)
    return path


def opened_window(path: Path, size: tuple[int, int]) -> ReadingWindow:
    """Show the film in a window of its own."""
    screen = QApplication.primaryScreen()
    if screen is None:
        raise SystemExit("there is no screen")
    model = ViewerModel((0.0, 0.0, 1.0, 1.0))
    window = ReadingWindow(model, screen, on_presented=lambda: (model.presented(0), None)[1])
    window.resize(*size)
    window.show()
    picture = Picture(load_radiograph(path), 0)
    model.open_study(1, [picture.view])
    window.show_study([picture], "synthetic", [ImageLabel(role="current")])
    QApplication.processEvents()
    return window


def measure(n_frames: int, act: Frame, show: Callable[[], None]) -> dict[str, float]:
    """Return p50 and p95 of wall and CPU time per frame, ms; from the action to the end of the paint."""
    wall, cpu = [], []
    for frame in range(n_frames + 3):
        wall_began, cpu_began = time.perf_counter(), time.process_time()
        act(frame)
        show()
        QApplication.processEvents()
        if frame >= 3:  # the first ones fill caches
            wall.append((time.perf_counter() - wall_began) * 1e3)
            cpu.append((time.process_time() - cpu_began) * 1e3)
    names = (("wall", wall), ("cpu", cpu))
    return {f"{name}_p{p}": float(np.percentile(values, p)) for name, values in names for p in (50, 95)}


def our_frames(path: Path, size: tuple[int, int], n_frames: int) -> dict[str, dict[str, float]]:
    """Measure our window; large screens are drawn coarsely while the image moves."""
    window = opened_window(path, size)

    def show() -> None:
        window.canvas.present_now(refined=False)

    def change_window(frame: int) -> None:
        window.act(Action(kind="window", x=30000 + 40 * frame, y=20000 + 100 * frame))

    def change_all(frame: int) -> None:
        change_window(frame)
        x, y = size[0] / 2, size[1] / 2
        window.act(Action(kind="zoom", x=x, y=y, amount=0.25 if frame % 40 < 20 else -0.25))
        window.act(Action(kind="pan", x=3.0 if frame % 20 < 10 else -3.0, y=2.0))

    found = {"window": measure(n_frames, change_window, show)}
    found["zoom + pan + window"] = measure(n_frames, change_all, show)
    found["refined when idle"] = measure(
        5, lambda frame: window.act(Action(kind="pan", x=1.0, y=float(frame % 2))), window.canvas.present_now
    )
    window.act(Action(kind="one_to_one"))
    window.canvas.present_now()
    found["window at 1:1"] = measure(n_frames, change_window, show)
    window.hide()
    window.deleteLater()
    return found
