"""What finds tags owes the mapping, checked on each library."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gazecapture.screen.tag_detectors import AprilTagDetector, ArucoTagDetector, TagDetector, best_detector
from gazecapture.screen.tags import ScreenTag, draw_tags, tag_layout
from gazecapture.sources.neon_simulator.camera import SceneCamera as SimulatedCamera
from gazecapture.sources.neon_simulator.options import SCREEN
from gazecapture.sources.neon_simulator.wearer import Wearer

TAGS = tag_layout(1920, 1080, width_mm=SCREEN.width_mm, height_mm=SCREEN.height_mm)
IDS = [tag.tag_id for tag in TAGS]


@pytest.fixture(scope="module")
def camera() -> SimulatedCamera:
    return SimulatedCamera(Wearer(SCREEN, seed=1), SCREEN, scale=1.0, noise_sd=2, blur_px=0.8, seed=1)


@pytest.fixture(scope="module")
def picture(camera: SimulatedCamera) -> NDArray[np.uint8]:
    return camera.picture(4.25, 0)


@pytest.fixture(params=[AprilTagDetector, ArucoTagDetector], scope="module")
def detector(request: pytest.FixtureRequest) -> TagDetector:
    made = request.param()
    assert isinstance(made, TagDetector)
    return made


def truth(camera: SimulatedCamera, tag: ScreenTag) -> NDArray[np.float64]:
    return np.array([camera.project(x, y, 4.25) for x, y in tag.corners_screen_px()])


def test_corners_are_where_the_camera_sees_them_in_the_order_drawn(
    detector: TagDetector, camera: SimulatedCamera, picture: NDArray[np.uint8]
) -> None:
    found = detector.find(picture, IDS)
    assert len(found) >= 7, "yaw is at its greatest here, 15 degrees"
    errors = np.concatenate([found[t.tag_id] - truth(camera, t) for t in TAGS if t.tag_id in found])
    assert np.abs(errors.mean(axis=0)).max() < 0.1, "no shift: the frame is that of OpenCV"
    assert np.hypot(*errors.T).max() < 2.5


def test_a_crop_gives_the_same_corners(
    detector: TagDetector, camera: SimulatedCamera, picture: NDArray[np.uint8]
) -> None:
    tag = TAGS[1]
    expected = truth(camera, tag)
    x0, y0 = (expected.min(axis=0) - 30).astype(int)
    crop = np.ascontiguousarray(picture[y0 : y0 + 90, x0 : x0 + 90])
    found = detector.find(crop, [tag.tag_id], is_crop=True)
    assert np.abs(found[tag.tag_id] + (x0, y0) - expected).max() < 2.5


def test_only_what_is_wanted_is_given(detector: TagDetector, picture: NDArray[np.uint8]) -> None:
    assert set(detector.find(picture, [2, 5])) == {2, 5}
    assert detector.find(picture, []) == {}


def test_noise_and_nothing_hold_no_tag(detector: TagDetector) -> None:
    random = np.random.default_rng(0)
    assert detector.find(np.full((300, 400), 128, np.uint8), IDS) == {}
    for _ in range(3):
        assert detector.find(random.integers(0, 256, (300, 400), np.uint8), IDS) == {}


def test_tags_of_another_family_or_number_are_none(detector: TagDetector) -> None:
    sheet = np.full((600, 800), 255, np.uint8)
    others = [
        ScreenTag(tag_id=100 + n, x0_screen_px=60 + 150 * n, y0_screen_px=60, side_px=96, quiet_px=12)
        for n in range(4)
    ]
    draw_tags(sheet, tuple(others))
    assert detector.find(sheet, IDS) == {}
    assert set(detector.find(sheet, range(100, 104))) == {100, 101, 102, 103}


def test_the_more_exact_one_is_taken_where_it_is_installed() -> None:
    assert isinstance(best_detector(), AprilTagDetector)
