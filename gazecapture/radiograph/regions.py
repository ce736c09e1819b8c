"""Where the region map of a picture comes from: a chain of providers, the surest first."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from keyframes.regions import atlas
from keyframes.regions.region_map import RegionMap

__all__ = ["PROVIDERS", "RegionProvider", "region_map"]

LATERAL_VIEWS = frozenset({"LL", "RL", "LATERAL", "LAT", "LLD", "RLD"})
"""DICOM View Position (0018,5101) of lateral and decubitus views: the frontal template does not hold there."""


class RegionProvider(Protocol):
    """Gives the region map of a picture, or None where it has nothing to say of it."""

    def __call__(self, grey8: NDArray[np.uint8], *, view_position: str) -> RegionMap | None:
        """Return a region map in image px of ``grey8`` (h, w, bright = dense), or None."""
        ...


def _from_atlas(grey8: NDArray[np.uint8], *, view_position: str) -> RegionMap:
    """Return the built-in atlas's map; a plain template of low confidence for a lateral view."""
    if view_position.strip().upper() in LATERAL_VIEWS:
        return atlas.plain(grey8)
    return atlas.fit(grey8)


PROVIDERS: tuple[RegionProvider, ...] = (_from_atlas,)
"""In the order in which they are asked; the atlas, which always answers, is last."""


def region_map(grey8: NDArray[np.uint8], *, view_position: str = "") -> RegionMap:
    """Return the map of the first provider that has one.

    grey8 : (h, w) uint8 as displayed, bright = dense. ``view_position`` as in DICOM, empty where unknown.
    Raises ImageError where ``grey8`` is no 2-D uint8 picture.
    """
    for provider in PROVIDERS[:-1]:
        found = provider(grey8, view_position=view_position)
        if found is not None:
            return found
    return _from_atlas(grey8, view_position=view_position)
