"""Finding the screen's tags in a picture: one protocol, two libraries.

Corners are in scene px (whole numbers at the pixels' middles), (4, 2): top left, top right, bottom right, bottom left
of the tag's black square as it is drawn.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Collection, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gazecapture.screen.scene_camera import import_cv2

__all__ = ["AprilTagDetector", "ArucoTagDetector", "TagDetector", "best_detector"]

Corners = Mapping[int, NDArray[np.float64]]

FAMILY = "tag36h11"
MOST_WRONG_BITS = 1
"""Of 36; the family's codes differ in 11, so that one wrong bit never makes another tag."""
LEAST_MARGIN = 25.0
"""Grey levels between a tag's dark and light modules; tags in full view have 60 and more, ghosts in noise under 10."""
PIXEL_MIDDLE = 0.5
"""px; pupil-apriltags has its origin at the first pixel's outer corner. Measured: 0.50 on simulated pictures."""


@runtime_checkable
class TagDetector(Protocol):
    """Finds tags; not shared between threads."""

    prefers_crops: bool
    """Eight small searches cost it less than one of the whole picture."""

    def find(self, grey: NDArray[np.uint8], wanted: Collection[int], *, is_crop: bool = False) -> Corners:
        """Return corners by tag id, of those in ``wanted``.

        grey    : (h, w), contiguous.
        is_crop : a small part of a picture, in which every pixel is worth looking at.
        """
        ...


class AprilTagDetector:
    """By pupil-apriltags: corners to 0.1 px.

    Whole pictures are searched at half resolution, which costs a fifth and loses nothing on tags of 20 px and more.
    """

    prefers_crops = True

    def __init__(self) -> None:
        self._whole, self._crop = _library_detector(2.0), _library_detector(1.0)

    def find(self, grey: NDArray[np.uint8], wanted: Collection[int], *, is_crop: bool = False) -> Corners:
        """See `TagDetector`."""
        found = (self._crop if is_crop else self._whole).detect(grey)
        return {
            # It gives top right, top left, bottom left, bottom right.
            tag.tag_id: np.asarray(tag.corners, np.float64)[[1, 0, 3, 2]] - PIXEL_MIDDLE
            for tag in found
            if tag.tag_id in wanted and tag.hamming <= MOST_WRONG_BITS and tag.decision_margin >= LEAST_MARGIN
        }


def _library_detector(decimate: float) -> Any:
    """Return the library's detector, which is never torn down: it frees its tag family twice then, and may crash."""
    library: Any = importlib.import_module("pupil_apriltags")
    kept = type("KeptDetector", (library.Detector,), {"__del__": lambda _self: None})
    return kept(families=FAMILY, nthreads=1, quad_decimate=decimate)


class ArucoTagDetector:
    """By OpenCV's ArUco with contour refinement: corners to 0.7 px, a whole picture in a fifth of the time."""

    prefers_crops = False

    def __init__(self) -> None:
        cv2 = import_cv2()
        parameters = cv2.aruco.DetectorParameters()
        # Not APRILTAG, which shifts corners by half a pixel and takes seconds.
        parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_CONTOUR
        family = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
        self._detector = cv2.aruco.ArucoDetector(family, parameters)

    def find(self, grey: NDArray[np.uint8], wanted: Collection[int], *, is_crop: bool = False) -> Corners:
        """See `TagDetector`; a crop is no different here."""
        corners, ids, _ = self._detector.detectMarkers(grey)
        numbers = [] if ids is None else np.ravel(ids).tolist()
        return {
            number: np.asarray(found, np.float64).reshape(4, 2)
            for number, found in zip(numbers, corners, strict=True)
            if number in wanted
        }


def best_detector() -> TagDetector:
    """Return the more exact of the detectors that are installed. Raises UsageError where there is none."""
    if importlib.util.find_spec("pupil_apriltags") is not None:
        return AprilTagDetector()
    return ArucoTagDetector()
