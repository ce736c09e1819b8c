"""Where the region map of a picture comes from: a chain of providers, the surest first.

Manual adjustment, imported annotations, a configured segmenter, the built-in atlas. A region is taken from the first
provider that has it, so that two imported lungs keep the atlas's trachea beside them; each keeps its provider and
confidence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gazecapture.radiograph.film import Film
from keyframes.regions import atlas
from keyframes.regions.chest_box import CHEST_BOX_CONFIDENCE, regions_in_chest_box
from keyframes.regions.region_map import RegionMap

__all__ = ["PROVIDERS", "RegionProvider", "from_atlas", "region_map", "regions_of_film"]

LATERAL_VIEWS = frozenset({"LL", "RL", "LATERAL", "LAT", "LLD", "RLD"})
"""DICOM View Position (0018,5101) of lateral and decubitus views: the frontal template does not hold there."""
MAMMOGRAPHIC_VIEWS = frozenset(
    {"CC", "MLO", "ML", "LM", "LMO", "SIO", "XCC", "XCCL", "XCCM", "FB", "AT", "CV"}
)
"""DICOM context group 4014 by its short names: no chest is shown."""
MIN_CHEST_AGREEMENT = 0.75
"""Of the atlas's lungs with a person's chest box. On films where it is right it reached 0.78 to 0.98, and there its
lungs (Dice 0.90) are better than the template in the true box (0.86)."""
CHEST_PARTS = ("CHEST", "THORA", "LUNG", "RIB", "HEART", "CLAVICLE", "STERNUM")
"""In Body Part Examined (0018,0015): the picture may show a chest."""


KEPT_FITS = 128
"""Maps of the atlas, some 150 kB each, that a process keeps: several readers read one film, each of them once."""
_fits: dict[tuple[object, ...], RegionMap] = {}


class RegionProvider(Protocol):
    """Gives the region map of a picture, or None where it has nothing to say of it."""

    def __call__(self, film: Film) -> RegionMap | None:
        """Return a region map in image px of the film, or None."""
        ...


def from_atlas(film: Film) -> RegionMap | None:
    """Return the built-in atlas's map, None for a breast or where there is neither picture nor chest box.

    A person's chest box judges the atlas: where it puts the lungs elsewhere, its template is laid into the box. Where
    the header names another body part, the picture must show a thorax plainly; where it names none, and for a
    lateral view, a plain template of low confidence may be returned.
    """
    view = film.view_position.strip().upper()
    if film.body_part == "BREAST" or view in MAMMOGRAPHIC_VIEWS:
        return None
    if film.grey8 is None:
        return _template(film)
    if view in LATERAL_VIEWS:
        return atlas.plain(film.grey8)
    found = _fitted(film.grey8)
    if film.chest_box is not None:
        return found if _agreement(found, film.chest_box) >= MIN_CHEST_AGREEMENT else _template(film)
    is_chest = not film.body_part or any(part in film.body_part for part in CHEST_PARTS)
    return found if is_chest or found.confidence >= atlas.FOUND_CONFIDENCE else None


def _template(film: Film) -> RegionMap | None:
    """Return the atlas's template in the chest box; None where there is no box."""
    if film.chest_box is None:
        return None
    size = {"width_px": film.width_px, "height_px": film.height_px}
    return RegionMap.build(
        **size,
        regions=regions_in_chest_box(film.chest_box, **size),
        provider="imported",
        confidence=CHEST_BOX_CONFIDENCE,
    )


def _agreement(found: RegionMap, box: tuple[float, float, float, float]) -> float:
    """Return intersection over union of the lungs' common box with a box."""
    lungs = [found.regions[name].box for name in ("left lung", "right lung")]
    x0, y0 = (min(lung[side] for lung in lungs) for side in (0, 1))
    x1, y1 = (max(lung[side] for lung in lungs) for side in (2, 3))
    common = max(0.0, min(x1, box[2]) - max(x0, box[0])) * max(0.0, min(y1, box[3]) - max(y0, box[1]))
    both = (x1 - x0) * (y1 - y0) + (box[2] - box[0]) * (box[3] - box[1])
    return common / (both - common)


def _fitted(grey8: NDArray[np.uint8]) -> RegionMap:
    """Return the atlas's map of a picture; of one that this process has seen lately, the one that it found then."""
    key = (atlas.fit, grey8.shape, hashlib.sha256(np.ascontiguousarray(grey8).data).digest())
    found = _fits.get(key)
    if found is None:
        found = _fits[key] = atlas.fit(grey8)
        while len(_fits) > KEPT_FITS:
            _fits.pop(next(iter(_fits)), None)
    return found


PROVIDERS: tuple[RegionProvider, ...] = (from_atlas,)
"""Those that need no settings, in the order in which they are asked."""


def regions_of_film(film: Film, providers: Sequence[RegionProvider]) -> RegionMap | None:
    """Return the regions of all providers, each from the first that has it; None where none has any.

    A map below `atlas.FOUND_CONFIDENCE` is a guess: it is taken only where there is nothing else.
    Raises ImageError where the picture is no 2-D uint8 one, SchemaError or GeometryError where a source is off.
    """
    found: list[RegionMap] = []
    for provider in providers:
        known = provider(film)
        if known is not None and (not found or known.confidence >= atlas.FOUND_CONFIDENCE):
            found.append(known)
    return RegionMap.merged(found)


def region_map(grey8: NDArray[np.uint8], *, view_position: str = "") -> RegionMap:
    """Return the regions of a frontal or lateral chest picture of which nothing else is known.

    grey8 : (h, w) uint8 as displayed, bright = dense. ``view_position`` as in DICOM, empty where unknown.
    Raises ImageError where ``grey8`` is no 2-D uint8 picture.
    """
    height, width = grey8.shape if grey8.ndim == 2 else (0, 0)  # the atlas refuses what is no picture
    film = Film(width_px=width, height_px=height, grey8=grey8, view_position=view_position)
    found = regions_of_film(film, PROVIDERS)
    return atlas.plain(grey8) if found is None else found
