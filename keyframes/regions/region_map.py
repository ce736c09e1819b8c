"""Where the anatomical regions of one image are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keyframes.errors import SchemaError

__all__ = ["Region", "RegionMap"]

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One named region: a simple polygon in image px."""

    name: str
    polygon: tuple[tuple[float, float], ...]
    """At least three corners in order; closed by itself."""

    @classmethod
    def from_box(cls, name: str, box: Box) -> Self:
        """Return a rectangular region."""
        x0, y0, x1, y1 = box
        return cls(name=name, polygon=((x0, y0), (x1, y0), (x1, y1), (x0, y1)))

    @property
    def box(self) -> Box:
        """The polygon's bounding box, half-open."""
        xs, ys = [p[0] for p in self.polygon], [p[1] for p in self.polygon]
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def area_px2(self) -> float:
        """Area by the shoelace formula."""
        x, y = np.asarray(self.polygon, np.float64).T
        return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)

    def contains(self, x_image_px: ArrayLike, y_image_px: ArrayLike) -> NDArray[np.bool_]:
        """Say which points lie inside (even-odd rule); any shape, NaN lies outside."""
        x, y = np.asarray(x_image_px, np.float64), np.asarray(y_image_px, np.float64)
        inside = np.zeros(np.broadcast(x, y).shape, np.bool_)
        corners = self.polygon
        for (xa, ya), (xb, yb) in zip(corners, (*corners[1:], corners[0]), strict=True):
            if ya == yb:
                continue
            crosses = (ya > y) != (yb > y)
            inside ^= crosses & (x < (xb - xa) * (y - ya) / (yb - ya) + xa)
        return inside


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionMap:
    """All regions known of one image; they may overlap (the trachea lies in the mediastinum)."""

    width_px: int
    height_px: int
    regions: Mapping[str, Region]
    provider: str
    """atlas, manual, imported, onnx or truth."""
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

    def to_dict(self) -> dict[str, Any]:
        """Return the map as JSON-ready values."""
        return {
            "width_px": self.width_px,
            "height_px": self.height_px,
            "provider": self.provider,
            "confidence": self.confidence,
            "regions": {name: [list(p) for p in region.polygon] for name, region in self.regions.items()},
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
                regions={
                    name: Region(name=name, polygon=tuple((float(x), float(y)) for x, y in polygon))
                    for name, polygon in content["regions"].items()
                },
            )
        except (KeyError, TypeError, ValueError) as error:
            raise SchemaError(f"a region map's field is absent or off: {error}") from error
