"""The same frames by pyqtgraph's ImageItem, where that is installed."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from bench_frames import measure
from PIL import Image
from PyQt6.QtWidgets import QApplication


def peer_frames(path: Path, size: tuple[int, int], n_frames: int) -> dict[str, dict[str, float]] | None:
    """Measure pyqtgraph: levels for the window, the view's range for zoom and pan. None where it is not installed."""
    if importlib.util.find_spec("pyqtgraph") is None:
        return None
    pyqtgraph: Any = importlib.import_module("pyqtgraph")
    values = np.asarray(Image.open(path)).astype(np.uint16)
    widget = pyqtgraph.GraphicsLayoutWidget()
    widget.resize(*size)
    view = widget.addViewBox()
    view.setAspectLocked(True)
    view.invertY(True)
    item = pyqtgraph.ImageItem(values, axisOrder="row-major", levels=(0, 65535))
    view.addItem(item)
    widget.show()
    QApplication.processEvents()

    def show() -> None:
        widget.viewport().repaint()

    def change_window(frame: int) -> None:
        center, width = 30000 + 40 * frame, 20000 + 100 * frame
        item.setLevels((center - width / 2, center + width / 2))

    def change_all(frame: int) -> None:
        change_window(frame)
        factor = 2**-0.0625 if frame % 40 < 20 else 2**0.0625
        view.scaleBy((factor, factor))
        view.translateBy(x=5.0 if frame % 20 < 10 else -5.0, y=3.0)

    found = {"window": measure(n_frames, change_window, show)}
    found["zoom + pan + window"] = measure(n_frames, change_all, show)
    widget.hide()
    widget.deleteLater()
    return found
