"""The built-in atlas: a region map for any radiograph, from the picture alone, with an honest confidence."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from keyframes.errors import ImageError
from keyframes.regions.devices import DEVICE, find_device
from keyframes.regions.locations import regions_of
from keyframes.regions.region_map import RegionMap
from keyframes.regions.thorax import Thorax, find_thorax, plain_thorax

__all__ = ["FOUND_CONFIDENCE", "PROVIDER", "fit", "plain"]

PROVIDER = "atlas"
FOUND_CONFIDENCE = 0.3
"""A map with less is the plain template: no thorax was found."""
FOUND_SCORE = 0.68
"""Score from which a thorax counts as found. Frontal chests measured reach 0.69 to 0.90; knees, hips, hands, breasts,
test pictures, and chests inverted, lying, upside down or halved at most 0.68."""
FULL_SCORE = 0.88
"""Score of the clearest frontal films."""
BEST_CONFIDENCE = 0.8
"""An atlas never knows more: a person's or a trained model's map comes before it."""
PLAIN_CONFIDENCE = 0.1


def fit(grey8: NDArray[np.uint8]) -> RegionMap:
    """Return the region map that the atlas finds on a frontal radiograph.

    grey8 : (h, w) uint8 in display polarity, bright = dense; any size.

    Regions are polygons in image px, "left" and "right" the patient's. ``confidence`` is 0.3 to 0.8 where a thorax
    was found; else (another body part, a lateral view, a blank picture) it is below 0.3 and the map is the
    template in the middle of the picture. Raises ImageError where ``grey8`` is no 2-D uint8 array with pixels.
    """
    height, width = _size(grey8)
    thorax = find_thorax(grey8)
    if thorax.score < FOUND_SCORE:
        share = max(0.0, thorax.score) / FOUND_SCORE
        return _map(plain_thorax(width, height), width, height, PLAIN_CONFIDENCE * (1 + share))
    share = min(1.0, (thorax.score - FOUND_SCORE) / (FULL_SCORE - FOUND_SCORE))
    found = _map(thorax, width, height, FOUND_CONFIDENCE + share * (BEST_CONFIDENCE - FOUND_CONFIDENCE))
    return _with_device(found, grey8)


def plain(grey8: NDArray[np.uint8]) -> RegionMap:
    """Return the template in the middle of the picture, for views that the atlas does not know."""
    height, width = _size(grey8)
    return _map(plain_thorax(width, height), width, height, PLAIN_CONFIDENCE)


def _size(grey8: NDArray[np.uint8]) -> tuple[int, int]:
    """Return height and width of a picture that can be searched."""
    if grey8.ndim != 2 or grey8.dtype != np.uint8 or grey8.size == 0:
        raise ImageError(
            f"the atlas needs a 2-D uint8 picture, found {grey8.dtype} of shape {grey8.shape}",
            hint="Give it the picture as displayed, 8-bit grey.",
        )
    return grey8.shape[0], grey8.shape[1]


def _with_device(found: RegionMap, grey8: NDArray[np.uint8]) -> RegionMap:
    """Add an implanted device's body, where one is plain to see."""
    boxes = [found.regions[name].box for name in ("left lung", "right lung")]
    x0, y0 = (min(box[side] for box in boxes) for side in (0, 1))
    x1, y1 = (max(box[side] for box in boxes) for side in (2, 3))
    device = find_device(grey8, (x0, y0, x1, y1))
    if device is None:
        return found
    return replace(found, regions=MappingProxyType({**found.regions, DEVICE: device}))


def _map(thorax: Thorax, width: int, height: int, confidence: float) -> RegionMap:
    """Return the region map of a thorax."""
    return RegionMap.build(
        width_px=width,
        height_px=height,
        regions=regions_of(thorax, width, height),
        provider=PROVIDER,
        confidence=round(confidence, 3),
    )
