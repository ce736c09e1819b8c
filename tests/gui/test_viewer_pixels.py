"""What is painted is where the journal says it is: a phantom dot is found in the window's own pixels.

Runs in this process at scale 1, and in processes of their own at the scales that high-resolution screens have.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image
from PyQt6.QtCore import QPoint
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QApplication

from gazecapture.radiograph.decode import load_radiograph
from gazecapture.session.schema import DISPLAY_JOURNAL
from gazecapture.viewer.model import Action, ViewerModel
from gazecapture.viewer.qt.header import ImageLabel
from gazecapture.viewer.qt.platform import make_application
from gazecapture.viewer.qt.window import ReadingWindow
from gazecapture.viewer.render import Picture
from keyframes.geometry import Affine, map_gaze

WIDTH, HEIGHT = 640, 720
DOTS = {0: (211.3, 305.8), 1: (402.6, 377.1)}
"""Where the dot of each image is, image px."""
DOT_SD = 6.0
"""Image px."""
BACKGROUND_8 = 30
LARGEST_ERROR_PX = 0.25
"""Screen px: 8 bits of grey and a bilinear resampling leave less than a quarter of a pixel."""


def dot_picture(folder: Path, index: int) -> Picture:
    """Make a picture with a faint background and one bright dot."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    x_dot, y_dot = DOTS[index]
    dot = np.exp(-((x - x_dot) ** 2 + (y - y_dot) ** 2) / (2 * DOT_SD**2))
    path = folder / f"dot{index}.png"
    Image.fromarray((257 * BACKGROUND_8 + 50000 * dot).astype(np.uint16)).save(path)
    return Picture(load_radiograph(path), index)


def painted(window: ReadingWindow) -> NDArray[np.float64]:
    """Return the grey levels of the window's pixels, as painted."""
    image: QImage = window.grab().toImage().convertToFormat(QImage.Format.Format_Grayscale8)
    buffer: Any = image.constBits()
    buffer.setsize(image.sizeInBytes())
    rows = np.frombuffer(buffer, np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : image.width()].astype(np.float64)


def centroid(grey: NDArray[np.float64], x0: int, x1: int, y0: int) -> tuple[float, float]:
    """Find the dot in columns x0 ... x1 below y0: the mean place of what is brighter than the background."""
    part = np.clip(grey[y0:, x0:x1] - BACKGROUND_8 - 6, 0, None)
    # Only around its peak, for a frame or a line elsewhere is no dot.
    y_peak, x_peak = np.unravel_index(int(part.argmax()), part.shape)
    y, x = np.mgrid[0 : part.shape[0], 0 : part.shape[1]]
    part = np.where((abs(x - x_peak) < 60) & (abs(y - y_peak) < 60), part, 0)
    total = part.sum()
    return float((part * (x + 0.5)).sum() / total) + x0, float((part * (y + 0.5)).sum() / total) + y0


def largest_error_px(folder: Path, n_images: int) -> float:
    """Act, move and resize the window; return the largest distance between painted and journaled dot, screen px."""
    screen = QApplication.primaryScreen()
    assert screen is not None
    model = ViewerModel((0.0, 0.0, 1.0, 1.0))
    rows: list[dict[str, Any]] = []
    clock = iter(range(1_000_000))
    window = ReadingWindow(model, screen, on_presented=lambda: rows.extend(model.presented(next(clock))))
    ratio = screen.devicePixelRatio()
    corner = screen.geometry().topLeft()
    window.setGeometry(corner.x() + 20, corner.y() + 12, 700, 600)
    window.show()
    pictures = [dot_picture(folder, index) for index in range(n_images)]
    model.open_study(1, [picture.view for picture in pictures])
    for index in range(n_images):  # all 16 bits on the screen, so that the dot is nowhere saturated
        model.act(Action(kind="window", viewport_id=index, x=32768.0, y=65536.0))
    window.show_study(pictures, "", [ImageLabel(role="current"), ImageLabel(role="prior")][:n_images])
    errors = []
    last = n_images - 1
    steps: list[Action | tuple[int, int, int, int]] = [
        Action(kind="zoom", viewport_id=last, x=500.0, y=400.0, amount=1.5),
        Action(kind="pan", viewport_id=last, x=11.37, y=-7.81),
        (33, 41, 900, 640),
        Action(kind="flip", viewport_id=0),
        Action(kind="rotate", viewport_id=last),
        (64, 8, 533, 701),
        Action(kind="fit", viewport_id=last),
        Action(kind="one_to_one", viewport_id=0),
    ]
    for step in [None, *steps]:
        if isinstance(step, Action):
            window.act(step)
        elif step is not None:
            window.setGeometry(corner.x() + step[0], corner.y() + step[1], step[2], step[3])
        QApplication.processEvents()
        window.canvas.present_now()
        grey = painted(window)
        place = window.mapToGlobal(QPoint(0, 0)) - corner
        x_window, y_window = round(place.x() * ratio), round(place.y() * ratio)
        for viewport in range(n_images):
            row = next(r for r in reversed(rows) if r["viewport_id"] == viewport)
            x0, y0, x1, _ = row["viewport_rect"]
            found = centroid(
                grey, round(x0 - x_window) + 2, round(x1 - x_window) - 2, round(y0 - y_window) + 2
            )
            journaled = Affine(*row["affine"]).inverse().apply(*DOTS[viewport])
            errors.append(
                float(np.hypot(found[0] + x_window - journaled[0], found[1] + y_window - journaled[1]))
            )
    _check_mapping(rows, next(clock))
    window.hide()
    window.deleteLater()
    return max(errors)


def _check_mapping(rows: list[dict[str, Any]], now: int) -> None:
    """Gaze on the painted dot maps to the dot, on the right image."""
    journal = pa.Table.from_pylist(rows, schema=DISPLAY_JOURNAL)
    last = {row["viewport_id"]: row for row in rows}
    for viewport, row in last.items():
        x, y = Affine(*row["affine"]).inverse().apply(*DOTS[viewport])
        mapped = map_gaze(np.array([now]), np.array([x]), np.array([y]), journal)
        assert mapped.image_index[0] == viewport
        assert abs(mapped.x_image_px[0] - DOTS[viewport][0]) < 0.01
        assert abs(mapped.y_image_px[0] - DOTS[viewport][1]) < 0.01


@pytest.mark.parametrize("n_images", [1, 2])
def test_the_dot_is_painted_where_the_journal_says(qapp: QApplication, tmp_path: Path, n_images: int) -> None:
    assert largest_error_px(tmp_path, n_images) < LARGEST_ERROR_PX


@pytest.mark.parametrize("scale", ["1.25", "2"])
def test_the_dot_is_painted_where_the_journal_says_on_a_scaled_screen(tmp_path: Path, scale: str) -> None:
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path)],
        env={**os.environ, "QT_SCALE_FACTOR": scale, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    assert measured["ratio"] == float(scale)
    assert measured["error_px"] < LARGEST_ERROR_PX


if __name__ == "__main__":
    application = make_application((1920, 1080))
    primary = application.primaryScreen()
    assert primary is not None
    result = {
        "ratio": primary.devicePixelRatio(),
        "error_px": max(largest_error_px(Path(sys.argv[1]), n) for n in (1, 2)),
    }
    sys.stdout.write(json.dumps(result))
