"""A simulated Neon recorded with its scene video: gaze ends on the screen where the wearer looked."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from gazecapture.files import claim_output_folder
from gazecapture.screen.tags import tag_layout
from gazecapture.session.gaze_stream import load_gaze, put_on_screen
from gazecapture.session.journal import read_journal
from gazecapture.session.recorder import record_session
from gazecapture.session.scene_mapping import scene_map_of
from gazecapture.session.schema import SessionInfo, read_session_info, write_session_info
from gazecapture.sources.neon import NeonSource
from gazecapture.sources.neon_options import NeonChoice, NeonOptions
from gazecapture.sources.neon_simulator import SimulatedNeon, SimulatorOptions
from gazecapture.viewer.operator.feed import News, SessionFeed
from keyframes.errors import SchemaError
from tests.waiting import n_recorded, stopped_when

N_PICTURES = 45
KEYS = ("ssrc", "sequence")
OPTIONS = SimulatorOptions(video_rate_hz=15.0, imu=False, eye_events=False)
TAGS = tag_layout(
    OPTIONS.display.width_px,
    OPTIONS.display.height_px,
    width_mm=OPTIONS.display.width_mm,
    height_mm=OPTIONS.display.height_mm,
)


@dataclass(frozen=True)
class Watched:
    """A session of some seconds with the tags of its screen, the simulator's truth, and what an operator saw of it."""

    session: Path
    truth: Path
    news: tuple[News, ...]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    folder = tmp_path_factory.mktemp("neon")
    session, truth = folder / "session", folder / "truth.parquet"
    claim_output_folder(session, kind="session")
    info = SessionInfo(
        session_id="s",
        reader_code="R1",
        created_unix_ns=1,
        tool_version="0",
        display=OPTIONS.display,
        tags=TAGS,
    )
    write_session_info(session, info)
    news: list[News] = []
    with SimulatedNeon(OPTIONS) as phone:
        # Over TCP: where this machine is busy, datagrams of a large picture are lost.
        neon = NeonChoice(host=phone.host, port=phone.port, options=NeonOptions(tcp=True))
        source = NeonSource(neon.host, neon.port, session=session, options=neon.options)
        feed = SessionFeed(session, neon=neon)

        def is_enough() -> bool:
            news.append(feed.look())
            n_seen = sum(int(np.isfinite(one.x_screen_px).sum()) for one in news)
            return n_seen >= 200 and n_recorded(session, "neon_scene") >= N_PICTURES

        with stopped_when(session, is_enough):
            record_session(session, connect=lambda: [source])
        feed.close()
        phone.write_truth(truth)
    return Watched(session, truth, tuple(news))


@pytest.fixture(scope="module")
def recorded(watched: Watched) -> tuple[Path, Path]:
    return watched.session, watched.truth


def truth_of(path: Path) -> tuple[NDArray[np.float64], ...]:
    """Return when gaze was taken, s of the session clock, and where on the screen it was."""
    truth = pq.read_table(path)
    truth = truth.filter([name == "gaze" for name in truth["sensor"].to_pylist()]).sort_by("t_session_s")
    names = ("t_session_s", "x_screen_px", "y_screen_px")
    return tuple(truth[name].to_numpy(zero_copy_only=False) for name in names)


def test_an_operator_sees_gaze_on_the_screen_while_it_is_recorded(watched: Watched) -> None:
    t_ns, x, y = (
        np.concatenate([getattr(one, name) for one in watched.news])
        for name in ("t_ns", "x_screen_px", "y_screen_px")
    )
    seen = np.isfinite(x)
    assert seen.sum() >= 200
    taken_s, x_truth, y_truth = truth_of(watched.truth)
    # The phone tells its clock to some ms, in which an eye that moves goes far: most of the time it rests.
    nearest = np.clip(np.searchsorted(taken_s, t_ns[seen] / 1e9 - 0.0025), 0, taken_s.size - 1)
    error_px = np.hypot(x[seen] - x_truth[nearest], y[seen] - y_truth[nearest])
    assert np.median(error_px) / OPTIONS.display.px_per_deg()[0] <= 0.15
    assert watched.news[-1].trouble == ""


def test_without_the_phone_an_operator_is_told_why_there_is_no_gaze(watched: Watched) -> None:
    news = SessionFeed(watched.session).look()
    assert news.t_ns.size == 0
    assert "--neon HOST" in news.trouble


def info_of(session: Path) -> SessionInfo:
    return read_session_info(session)


def test_gaze_is_where_the_wearer_looked(recorded: tuple[Path, Path]) -> None:
    session, truth_file = recorded
    info = info_of(session)
    steps: list[tuple[int, int]] = []
    scene = scene_map_of(session, info, progress=lambda *step: steps.append(step))
    assert scene is not None
    assert steps[-1][0] == steps[-1][1] == scene.t_ns.size, "every picture has its tags"
    raw = load_gaze(session, info.display)
    assert not np.isfinite(raw.gaze["x_screen_px"]).any(), "nobody has mapped it yet"
    gaze = put_on_screen(raw, scene)
