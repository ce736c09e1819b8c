"""Where the anatomical regions of one image are."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keyframes.errors import SchemaError
from keyframes.regions.bitmap import Bitmap, rasterise

__all__ = ["Region", "RegionMap"]

Box = tuple[float, float, float, float]
FAST = 1
"""Level of zlib: a lung packs to a few kB at any, at this one in a third of the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One named region in image px: a simple polygon, or a mask of any number of components and holes."""

    name: str
    polygon: tuple[tuple[float, float], ...]
    """At least three corners in order; closed by itself. Of a mask, its bounding box."""
    bitmap: Bitmap | None = None
    """Where it is given, it says what lies inside, not the polygon."""
    provider: str = ""
    """Who drew this region, where it is not the map's provider."""
    confidence: float | None = None
    """0 to 1, where it is not the map's."""

    @classmethod
    def from_box(cls, name: str, box: Box) -> Self:
        """Return a rectangular region."""
        x0, y0, x1, y1 = box
        return cls(name=name, polygon=((x0, y0), (x1, y0), (x1, y1), (x0, y1)))

    @classmethod
    def from_bitmap(cls, name: str, bitmap: Bitmap) -> Self:
        """Return a region that is a mask."""
        return replace(cls.from_box(name, bitmap.box), bitmap=bitmap)

    @property
    def box(self) -> Box:
        """The bounding box, half-open."""
        return _outline(self.polygon).box

    @property
    def area_px2(self) -> float:
        """Area: by the shoelace formula, or of the mask's cells."""
        if self.bitmap is not None:
            return self.bitmap.area_px2
        return _outline(self.polygon).area_px2

    def on_grid(self, *, width_px: int, height_px: int) -> NDArray[np.bool_]:
        """Return the region as an (height_px, width_px) mask: a pixel is in where its centre is."""
        if self.bitmap is not None:
            return self.bitmap.on_grid(width_px=width_px, height_px=height_px)
        return rasterise([self.polygon], width_px=width_px, height_px=height_px)

    def contains(self, x_image_px: ArrayLike, y_image_px: ArrayLike) -> NDArray[np.bool_]:
        """Say which points lie inside (even-odd rule); any shape, NaN lies outside."""
        if self.bitmap is not None:
            return self.bitmap.contains(x_image_px, y_image_px)
        from keyframes.regions.polygon import points_in_polygon  # only here: every command would wait for it

        x, y = np.asarray(x_image_px, np.float64), np.asarray(y_image_px, np.float64)
        if x.shape != y.shape:
            x, y = np.broadcast_arrays(x, y)
        outline = _outline(self.polygon)
        inside: NDArray[np.bool_] = points_in_polygon(x.ravel(), y.ravel(), outline.x, outline.y)
        return inside.reshape(x.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outline:
    """What is worked out of a polygon: its corners as arrays (k,), box and area."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    box: Box
    area_px2: float


@lru_cache(maxsize=1024)
def _outline(polygon: tuple[tuple[float, float], ...]) -> _Outline:
    x, y = np.ascontiguousarray(np.asarray(polygon, np.float64).T)
    twice_area = np.dot(x[:-1], y[1:]) - np.dot(y[:-1], x[1:]) + x[-1] * y[0] - y[-1] * x[0]
    box = (float(x.min()), float(y.min()), float(x.max()), float(y.max()))
    return _Outline(x=x, y=y, box=box, area_px2=float(abs(twice_area) / 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionMap:
    """All regions known of one image; they may overlap (the trachea lies in the mediastinum)."""

    width_px: int
    height_px: int
    regions: Mapping[str, Region]
    provider: str
    """atlas, manual, imported, onnx:{hash of the model}, or truth; of a merged map, the surest one's."""
    confidence: float
    """0 (a guess) to 1 (drawn by a person)."""

    @classmethod
    def build(
        cls, *, width_px: int, height_px: int, regions: Mapping[str, Region], provider: str, confidence: float
    ) -> Self:
        """Return a map whose regions cannot be changed."""
        return cls(
            width_px=width_px,
            height_px=height_px,
            regions=MappingProxyType(dict(regions)),
            provider=provider,
            confidence=confidence,
        )

    @classmethod
    def merged(cls, maps: Iterable[Self]) -> Self | None:
        """Return one map of several of the same image, the surest first: it wins where two name a region.

        Every region keeps its own provider and confidence. None where there is no map at all.
        """
        listed = list(maps)
        if len(listed) <= 1:
            return listed[0] if listed else None
        regions: dict[str, Region] = {}
        for found in listed:
            for name, region in found.regions.items():
                regions.setdefault(
                    name,
                    replace(region, provider=found.provider_of(name), confidence=found.confidence_of(name)),
                )
        return replace(listed[0], regions=MappingProxyType(regions))

    def provider_of(self, region: str) -> str:
        """Return who drew a region."""
        return self.regions[region].provider or self.provider

    def confidence_of(self, region: str) -> float:
        """Return how sure a region is, 0 to 1."""
        own = self.regions[region].confidence
        return self.confidence if own is None else own

    def to_dict(self) -> dict[str, Any]:
        """Return the map as JSON-ready values."""
        return {
            "width_px": self.width_px,
            "height_px": self.height_px,
            "provider": self.provider,
            "confidence": self.confidence,
            "regions": {name: _region_content(region) for name, region in self.regions.items()},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Return the map that `to_dict` gave. Raises SchemaError where a field is absent or off."""
        try:
            return cls.build(
                width_px=int(content["width_px"]),
                height_px=int(content["height_px"]),
                provider=str(content["provider"]),
                confidence=float(content["confidence"]),
                regions={name: _region_of(name, value) for name, value in content["regions"].items()},
            )
        except (KeyError, TypeError, ValueError, OverflowError, binascii.Error, zlib.error) as error:
            raise SchemaError(f"a region map's field is absent or off: {error}") from error


def _region_content(region: Region) -> Any:
    """Return a polygon as its corners, anything more as a mapping."""
    if region.bitmap is None and not region.provider and region.confidence is None:
        return [list(p) for p in region.polygon]
    content: dict[str, Any] = {"provider": region.provider, "confidence": region.confidence}
    if region.bitmap is None:
        return content | {"polygon": [list(p) for p in region.polygon]}
    grid = region.bitmap
    return content | {
        "x0_px": grid.x0_px,
        "y0_px": grid.y0_px,
        "scale_x_px": grid.scale_x_px,
        "scale_y_px": grid.scale_y_px,
        "width": grid.width,
        "height": grid.height,
        "cells": base64.b64encode(zlib.compress(np.packbits(grid.array).tobytes(), FAST)).decode(),
    }


def _region_of(name: str, content: Any) -> Region:
    """Return the region that `_region_content` gave."""
    if not isinstance(content, Mapping):
        return Region(name=name, polygon=_corners(content))
    provider = str(content["provider"])
    confidence = None if content["confidence"] is None else float(content["confidence"])
    if "polygon" in content:
        return Region(
            name=name, polygon=_corners(content["polygon"]), provider=provider, confidence=confidence
        )
    width, height = int(content["width"]), int(content["height"])
    n_bytes = (width * height + 7) // 8
    packed = zlib.decompressobj().decompress(base64.b64decode(content["cells"], validate=True), n_bytes)
    if min(width, height) < 1 or len(packed) != n_bytes:
        raise ValueError("a mask does not fill its grid")
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=width * height)
    grid = Bitmap(
        x0_px=float(content["x0_px"]),
        y0_px=float(content["y0_px"]),
        scale_x_px=float(content["scale_x_px"]),
        scale_y_px=float(content["scale_y_px"]),
        width=width,
        height=height,
        cells=bits.tobytes(),
        n_inside=int(np.count_nonzero(bits)),
    )
    return replace(Region.from_bitmap(name, grid), provider=provider, confidence=confidence)


def _corners(points: Any) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in points)
