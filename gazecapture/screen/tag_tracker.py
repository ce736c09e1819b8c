"""Follows the screen from picture to picture: tags are looked for where they were, which costs a twentieth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gazecapture.screen.homography import MIN_TAGS, ScreenHomography, fit_homography
from gazecapture.screen.scene_camera import SceneCamera
from gazecapture.screen.tag_detectors import TagDetector
from gazecapture.screen.tags import ScreenTag

__all__ = ["TagTracker"]

FloatArray = NDArray[np.float64]

MARGIN_SIDES, MARGIN_PX = 1.0, 12.0
"""Around a tag's last place: its own side and 12 px, about 36 px, which a head that turns by 70 degrees per second
leaves between two pictures at 30 Hz."""
LOOK_ANEW_EVERY = 30
"""Pictures, a second: as often the whole picture is searched while a tag is missing, which may be back by then."""


class TagTracker:
    """Gives the homography of one picture after the other."""

    def __init__(self, tags: Sequence[ScreenTag], camera: SceneCamera, detector: TagDetector) -> None:
        self._tags = {tag.tag_id: tag for tag in tags}
        self._camera = camera
        self._detector = detector
        self._last: ScreenHomography | None = None
        self._n_since_whole = 0

    def next(self, grey: NDArray[np.uint8]) -> ScreenHomography | None:
        """Return the map of a picture, (h, w) grey; None where fewer than three tags are seen."""
        found = self._where_they_were(grey)
        if len(found) < MIN_TAGS or (len(found) < len(self._tags) and self._n_since_whole >= LOOK_ANEW_EVERY):
            found = {**self._detector.find(grey, self._tags), **found}
            self._n_since_whole = 0
        self._n_since_whole += 1
        self._last = fit_homography(found, self._tags, self._camera)
        return self._last

    def forget(self) -> None:
        """Say that the next picture does not follow the last one."""
        self._last = None

    def _where_they_were(self, grey: NDArray[np.uint8]) -> dict[int, FloatArray]:
        if self._last is None or not self._detector.prefers_crops:
            return {}
        height, width = grey.shape
        found: dict[int, FloatArray] = {}
        for number, tag in self._tags.items():
            expected = self._camera.project(self._last.to_rays(tag.corners_screen_px()))
            if not np.isfinite(expected).all():
                continue
            low, high = expected.min(axis=0), expected.max(axis=0)
            margin = MARGIN_SIDES * float((high - low).max()) + MARGIN_PX
            x0, y0 = (max(0, int(v - margin)) for v in low)
            x1, y1 = (int(v + margin) + 1 for v in high)
            crop = grey[y0 : min(y1, height), x0 : min(x1, width)]
            if min(crop.shape) < 1:
                continue
            corners = self._detector.find(np.ascontiguousarray(crop), (number,), is_crop=True)
            if number in corners:
                found[number] = corners[number] + (x0, y0)
        return found
