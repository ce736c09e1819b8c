"""A patch that flips in a real window, and a sensor over a real stream that sees it 25 ms later."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gazecapture.clock import import_pylsl
from gazecapture.session.schema import read_session_info
from gazecapture.viewer.qt.display_lag import FlipWindow, measure_screen
from gazecapture.viewer.station import Station
from keyframes.errors import DeviceUnavailableError

LAG_S = 0.025
SENSOR_RATE_HZ = 500


def test_the_screens_lag_is_measured_and_kept(qtbot: QtBot, tmp_path: Path) -> None:
    pylsl = import_pylsl()
    name = f"photodiode {uuid.uuid4().hex[:6]}"
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Light", 1, SENSOR_RATE_HZ, "float32", name))
    sent_s = pylsl.local_clock()

    def see() -> None:
        """Send all samples that are due: what the patch was 25 ms before each."""
        nonlocal sent_s
        windows = [w for w in QApplication.topLevelWidgets() if isinstance(w, FlipWindow)]
        # Of the last 25 ms the window has perhaps not yet said that it flipped.
        while windows and sent_s < pylsl.local_clock() - LAG_S:
            sent_s += 1 / SENSOR_RATE_HZ
            seen_ns = (sent_s - LAG_S) * 1e9
            flips = [b for t, b in zip(windows[0].flip_ns, windows[0].is_bright, strict=True) if t <= seen_ns]
            outlet.push_sample([1.0 if flips and flips[-1] else 0.0], sent_s)

    timer = QTimer()
    timer.timeout.connect(see)
    timer.start(5)
    lag = measure_screen(tmp_path / "s", Station(), reader_code="R1", sensor=name, n_flips=10)
    timer.stop()
    assert lag is not None
    assert lag.n_seen == 10
    # Every flip is stamped, and so is every sample; how far apart their clocks are is measured, as well as a busy
    # machine lets it.
    assert lag.lag_ms == pytest.approx(1e3 * LAG_S, abs=10)
    info = read_session_info(tmp_path / "s")
    assert (info.display_lag_ms, info.display_lag_sd_ms) == (lag.lag_ms, lag.sd_ms)


def test_without_its_sensor_nothing_is_measured(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gazecapture.sources.light_sensor.RESOLVE_S", 0.3)
    with pytest.raises(DeviceUnavailableError, match="0 streams"):
        measure_screen(tmp_path / "s", Station(), reader_code="R1", sensor=uuid.uuid4().hex, n_flips=10)
