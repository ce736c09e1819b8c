"""Reading with the mouse cursor in place of the gaze, and with nothing: recorded, marked in every row."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gazecapture.session.schema import read_session_info, read_stream_info
from gazecapture.session.to_readings import to_readings
from keyframes.reading import Reading


@pytest.fixture(scope="module", params=["mouse", "none"])
def read(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Two studies, read in one sitting; gives what stood for the gaze, and the session."""
    folder = tmp_path_factory.mktemp(f"read-{request.param}")
    for number in (1, 2):
        Image.fromarray(np.full((300, 200), 60 * number, np.uint8)).save(folder / f"{number}.png")
    (folder / "list.csv").write_text("study_id,current\nS1,1.png\nS2,2.png\n")
    script = Path(__file__).with_name("read_by_hand.py")
    command = [sys.executable, str(script), str(folder / "list.csv"), str(folder / "session"), request.param]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout == "2 read\n", done.stderr
    return request.param, folder / "session"


def readings(session: Path) -> list[Reading]:
    found = list(to_readings(session, key=b"k" * 32))
    assert [item.error for item in found] == [None, None]
    return [item.reading for item in found if item.reading is not None]


def test_every_row_says_what_stood_for_the_gaze(read: tuple[str, Path]) -> None:
    gaze, session = read
    assert read_session_info(session).gaze == gaze
    for reading in readings(session):
        table = reading.to_pandas("gaze")
        if gaze == "none":
            assert len(table) == 0
            assert reading.meta.tracker.profile == "none"
            continue
        assert set(table["source"]) == {"mouse"}
        assert reading.meta.tracker.profile == "mouse"
        # 62.5 Hz, or as often as a busy machine lets the window look.
        assert 0 < (reading.meta.tracker.effective_rate_hz or 0) < 75
        assert len(table) > 5
        seen = table[table["valid"]]
        # Whole px of the screen, by their middle, where the hand moved: 3 down for 5 right.
        np.testing.assert_allclose((seen["y_screen_px"] - 100.5) * 5, (seen["x_screen_px"] - 100.5) * 3)
        assert seen["x_screen_px"].nunique() > 5
        assert reading.meta.synthetic is False


def test_the_stream_of_the_cursor_names_nobody(read: tuple[str, Path]) -> None:
    gaze, session = read
    streams = sorted((session / "streams").glob("*/stream.json"))
    assert len(streams) == (gaze == "mouse")
    for described in streams:
        info = read_stream_info(described.parent)
        assert (info.kind, info.role, info.name) == ("Mouse", "gaze", "Mouse cursor, not gaze")
        sitting = read_session_info(session)
        for private in (sitting.session_id, *(study.study_id for study in sitting.studies)):
            assert private not in info.source_id + info.name
