"""A simulated Neon recorded with its scene video: gaze ends on the screen where the wearer looked."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gazecapture.screen.tags import tag_layout
from gazecapture.session.gaze_stream import load_gaze, put_on_screen
from gazecapture.session.journal import read_journal
from gazecapture.session.recorder import record_session
from gazecapture.session.scene_mapping import scene_map_of
from gazecapture.session.schema import SessionInfo, read_session_info, write_session_info
from gazecapture.sources.neon import NeonSource
from gazecapture.sources.neon_options import NeonOptions
from gazecapture.sources.neon_simulator import SimulatedNeon, SimulatorOptions
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


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A session of some seconds with the tags of its screen, and the simulator's truth."""
    folder = tmp_path_factory.mktemp("neon")
    session, truth = folder / "session", folder / "truth.parquet"
    # Over TCP: where this machine is busy, datagrams of a large picture are lost.
    options = NeonOptions(tcp=True)
    with SimulatedNeon(OPTIONS) as phone:
        source = NeonSource(phone.host, phone.port, session=session, options=options)
        with stopped_when(session, lambda: n_recorded(session, "neon_scene") >= N_PICTURES):
            record_session(session, connect=lambda: [source])
        phone.write_truth(truth)
    info = read_session_info(session)
    write_session_info(session, replace(info, display=OPTIONS.display, tags=TAGS))
    return session, truth


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
    truth = pq.read_table(truth_file)
    truth = truth.filter([name == "gaze" for name in truth["sensor"].to_pylist()])
    sent = {key: place for place, key in enumerate(zip(*(truth[k].to_pylist() for k in KEYS), strict=True))}
    rows = read_journal(session / "streams" / "neon_gaze").table
    received = zip(rows["ssrc"].to_pylist(), rows["rtp_sequence"].to_pylist(), strict=True)
    of = [sent[int(ssrc), int(sequence)] for ssrc, sequence in received]
    taken_s = truth["t_session_s"].to_numpy()[of]
    # As sure as the echoes of the phone's clock were: that says how busy this machine was.
    offsets = read_journal(session / "offsets" / "neon_gaze").table
    largest_error_s = max(2e-3, float(offsets["uncertainty_s"].to_numpy().max()))
    assert np.abs(gaze.t_ns / 1e9 - taken_s).max() <= largest_error_s
    looked = [truth[f"{axis}_screen_px"].to_numpy(zero_copy_only=False)[of] for axis in "xy"]
    error_px = np.hypot(gaze.gaze["x_screen_px"] - looked[0], gaze.gaze["y_screen_px"] - looked[1])
    error_deg = error_px / OPTIONS.display.px_per_deg()[0]
    inside = (gaze.t_ns >= scene.t_ns[0]) & (gaze.t_ns <= scene.t_ns[-1])
    seen = np.isfinite(raw.gaze["x_scene_px"])
    assert inside.sum() > 200
    assert np.isfinite(error_deg[inside & seen]).mean() > 0.95
    assert not np.isfinite(error_deg[~inside]).any(), (
        "before the first picture and after the last nothing is held"
    )
    assert np.nanmedian(error_deg) <= 0.1
    assert np.nanpercentile(error_deg, 95) <= 0.2
    assert (gaze.gaze["valid"] == np.isfinite(gaze.gaze["x_screen_px"])).all()


def test_the_map_is_made_once_and_anew_when_what_it_rests_on_changes(recorded: tuple[Path, Path]) -> None:
    session, _ = recorded
    info = info_of(session)
    first = scene_map_of(session, info)
    calls: list[int] = []
    again = scene_map_of(session, info, progress=lambda done, _all: calls.append(done))
    assert first is not None
    assert again is not None
    assert not calls
    np.testing.assert_array_equal(again.matrices, first.matrices)
    fewer = replace(info, tags=info.tags[:4])
    other = scene_map_of(session, fewer, progress=lambda done, _all: calls.append(done))
    assert calls
    assert other is not None
    assert other.n_tags.max() == 4
    if sys.platform != "win32":
        assert (session / "mapping").stat().st_mode & 0o077 == 0


def test_without_tags_nothing_is_mapped_and_without_calibration_it_is_told(
    recorded: tuple[Path, Path],
) -> None:
    session, _ = recorded
    info = info_of(session)
    assert scene_map_of(session, replace(info, tags=())) is None
    calibration = session / "video" / "neon_scene" / "calibration.json"
    kept = calibration.read_bytes()
    calibration.unlink()
    try:
        with pytest.raises(SchemaError, match="no calibration"):
            scene_map_of(session, info)
    finally:
        calibration.write_bytes(kept)


def test_a_video_cut_by_a_kill_gives_what_is_left(recorded: tuple[Path, Path]) -> None:
    session, _ = recorded
    info = info_of(session)
    whole = scene_map_of(session, info)
    video = session / "video" / "neon_scene" / "00000.mp4"
    kept = video.read_bytes()
    video.write_bytes(kept[: len(kept) * 2 // 3])
    try:
        part = scene_map_of(session, info)
    finally:
        video.write_bytes(kept)
    assert whole is not None
    assert part is not None
    assert 5 < part.t_ns.size < whole.t_ns.size
    np.testing.assert_array_equal(part.t_ns, whole.t_ns[: part.t_ns.size])
