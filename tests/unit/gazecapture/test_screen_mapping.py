"""From scene px to screen px: camera, homography, what counts as fresh, and a whole recorded session."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gazecapture.screen.homography import ScreenHomography, fit_homography
from gazecapture.screen.scene_camera import SceneCamera, read_scene_camera
from gazecapture.screen.scene_map import FRESH_NS, SceneMap
from gazecapture.screen.tag_detectors import AprilTagDetector
from gazecapture.screen.tag_tracker import TagTracker
from gazecapture.screen.tags import tag_layout
from gazecapture.sources.neon_simulator.camera import SceneCamera as SimulatedCamera
from gazecapture.sources.neon_simulator.options import SCREEN
from gazecapture.sources.neon_simulator.wearer import Wearer
from keyframes.errors import SchemaError

TAGS = tag_layout(1920, 1080, width_mm=SCREEN.width_mm, height_mm=SCREEN.height_mm)
BY_ID = {tag.tag_id: tag for tag in TAGS}
PX_PER_DEG = SCREEN.px_per_deg()[0]
RATE_HZ = 30.0


@pytest.fixture(scope="module")
def wearer() -> Wearer:
    return Wearer(SCREEN, seed=1)


@pytest.fixture(scope="module")
def simulated(wearer: Wearer) -> SimulatedCamera:
    return SimulatedCamera(wearer, SCREEN, scale=1.0, noise_sd=2, blur_px=0.8, seed=1)


@pytest.fixture(scope="module")
def camera(simulated: SimulatedCamera) -> SceneCamera:
    return SceneCamera(matrix=simulated.matrix, distortion=simulated.distortion)


def exact_corners(simulated: SimulatedCamera, t_s: float) -> dict[int, NDArray[np.float64]]:
    return {
        tag.tag_id: np.array([simulated.project(x, y, t_s) for x, y in tag.corners_screen_px()])
        for tag in TAGS
    }


def test_directions_and_px_undo_each_other(camera: SceneCamera) -> None:
    x, y = np.meshgrid(np.linspace(0, 1599, 15), np.linspace(0, 1199, 11))
    rays = camera.rays(x, y)
    np.testing.assert_allclose(camera.project(rays), np.column_stack([x.ravel(), y.ravel()]), atol=1e-4)
    assert np.isnan(camera.rays([np.nan, 800.0], [600.0, 600.0])[0]).all()
    assert np.isfinite(camera.rays([np.nan, 800.0], [600.0, 600.0])[1]).all()


def test_a_calibration_is_read_and_what_is_none_is_refused(tmp_path: Path, camera: SceneCamera) -> None:
    file = tmp_path / "calibration.json"
    scene = {
        "camera_matrix": camera.matrix.tolist(),
        "distortion_coefficients": camera.distortion.tolist(),
        "more": 1,
    }
    file.write_text(json.dumps({"version": 1, "scene": scene}))
    read = read_scene_camera(file)
    np.testing.assert_array_equal(read.matrix, camera.matrix)
    for text in ("{}", "[", json.dumps({"scene": {**scene, "camera_matrix": [[1.0]]}})):
        file.write_text(text)
        with pytest.raises(SchemaError, match="no calibration"):
            read_scene_camera(file)


def test_exact_corners_give_exact_places(simulated: SimulatedCamera, camera: SceneCamera) -> None:
    found = fit_homography(exact_corners(simulated, 4.25), BY_ID, camera)
    assert found is not None
    assert found.n_tags == 8
    assert found.residual_px < 0.01
    places = np.array([(100.0, 100.0), (960.0, 540.0), (1900.0, 1000.0)])
    scene = np.array([simulated.project(x, y, 4.25) for x, y in places])
    np.testing.assert_allclose(found.to_screen(camera.rays(*scene.T)), places, atol=0.05)
    np.testing.assert_allclose(camera.project(found.to_rays(places)), scene, atol=0.02)


def test_a_tag_taken_for_another_drops_out(simulated: SimulatedCamera, camera: SceneCamera) -> None:
    corners = exact_corners(simulated, 0.0)
    corners[0], corners[7] = corners[7], corners[0]
    corners[3] = corners[3] + 40.0
    found = fit_homography(corners, BY_ID, camera)
    assert found is not None
    assert found.n_tags == 5
    assert found.residual_px < 0.01


def test_two_tags_are_too_few(simulated: SimulatedCamera, camera: SceneCamera) -> None:
    corners = exact_corners(simulated, 0.0)
    assert fit_homography({n: corners[n] for n in (0, 7)}, BY_ID, camera) is None
    assert fit_homography({}, BY_ID, camera) is None
    assert fit_homography({n: corners[n] for n in (0, 2, 6)}, BY_ID, camera) is not None
    others = {100: corners[0], 101: corners[1], 102: corners[2], 0: corners[0]}
    assert fit_homography(others, BY_ID, camera) is None


def test_gaze_of_a_moving_head_is_where_it_was_looked_at(
    wearer: Wearer, simulated: SimulatedCamera, camera: SceneCamera
) -> None:
    """Pictures, detector, tracker, interpolation: all of it, at the greatest yaw."""
    t_s = 3.9 + np.arange(18) / RATE_HZ
    tracker = TagTracker(TAGS, camera, AprilTagDetector())
    found = [tracker.next(simulated.picture(t, n)) for n, t in enumerate(t_s)]
    scene = SceneMap.build(np.round(t_s * 1e9).astype(np.int64), found, camera)
    assert scene.n_tags.min() >= 6
    gaze_s = np.arange(t_s[0], t_s[-1], 1 / 200)
    looked = np.array([wearer.gaze_screen_px(t) for t in gaze_s])
    seen = np.array([simulated.project(x, y, t) for (x, y), t in zip(looked, gaze_s, strict=True)])
    x, y = scene.to_screen(np.round(gaze_s * 1e9).astype(np.int64), *seen.T)
    error_deg = np.hypot(x - looked[:, 0], y - looked[:, 1]) / PX_PER_DEG
    assert np.isfinite(error_deg).all()
    assert np.median(error_deg) < 0.01
    assert error_deg.max() < 0.1


def test_the_screen_is_found_again_after_it_was_out_of_sight(
    simulated: SimulatedCamera, camera: SceneCamera
) -> None:
    tracker = TagTracker(TAGS, camera, AprilTagDetector())
    pictures = [simulated.picture(t, 0) for t in (0.0, 8.0)]
    assert tracker.next(pictures[0]) is not None
    assert tracker.next(np.zeros_like(pictures[0])) is None
    again = tracker.next(pictures[1])
    assert again is not None
    assert again.n_tags == 8
    hidden = pictures[1].copy()
    hidden[:, 700:] = 90  # a shoulder before two thirds of the screen: three tags are left
    partly = tracker.next(hidden)
    assert partly is not None
    assert partly.n_tags == 3
    hidden[:, :] = 90
    assert tracker.next(hidden) is None, "nothing is held"


def shifting_map(t_ns: list[int], camera: SceneCamera) -> SceneMap:
    """A screen that moves 1000 px a second to the right."""
    homographies = [
        ScreenHomography(
            matrix=np.array([[1000.0, 0, 960 + t / 1e6], [0, 1000.0, 540], [0, 0, 1]]),
            n_tags=8,
            residual_px=0.1,
        )
        for t in t_ns
    ]
    return SceneMap.build(t_ns, list(homographies), camera)


@settings(max_examples=60, deadline=None)
@given(
    t_ms=st.lists(st.integers(0, 3000), min_size=1, max_size=40, unique=True),
    asked_ms=st.lists(st.integers(-200, 3200), min_size=1, max_size=40),
)
def test_a_sample_is_mapped_between_two_fresh_pictures_and_never_held(
    t_ms: list[int], asked_ms: list[int], camera: SceneCamera
) -> None:
    pictures = np.sort(np.array(t_ms, np.int64)) * 1_000_000
    scene = shifting_map(pictures.tolist(), camera)
    asked = np.array(asked_ms, np.int64) * 1_000_000
    middle = np.full(asked.size, camera.matrix[0, 2]), np.full(asked.size, camera.matrix[1, 2])
    x, y = scene.to_screen(asked, *middle)
    for t, x_px, y_px in zip(asked.tolist(), x, y, strict=True):
        before, after = pictures[pictures <= t], pictures[pictures > t]
        exact = before.size and before[-1] == t
        bracketed = before.size and after.size and after[0] - before[-1] <= FRESH_NS
        if bracketed or (exact and not after.size):
            assert x_px == pytest.approx(960 + t / 1e6, abs=1e-6)
            assert y_px == pytest.approx(540)
        else:
            assert np.isnan([x_px, y_px]).all()


def test_lost_gaze_stays_lost_and_no_picture_maps_nothing(camera: SceneCamera) -> None:
    scene = shifting_map([0, 33_000_000], camera)
    x, _ = scene.to_screen([10_000_000, 10_000_000], [np.nan, 800.0], [600.0, np.nan])
    assert np.isnan(x).all()
    empty = SceneMap.build([0, 1], [None, None], camera)
    x, y = empty.to_screen([0, 1, 2], [800.0] * 3, [600.0] * 3)
    assert np.isnan([x, y]).all()
    one = replace(scene, t_ns=scene.t_ns[:1], matrices=scene.matrices[:1])
    assert np.isfinite(one.to_screen([0], [800.0], [600.0])[0]).all()
