"""Which region a gaze position lies in, and how a fixation spreads over regions by the tracker's error."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from keyframes.errors import GeometryError, SchemaError
from keyframes.fixations import Fixations
from keyframes.reading import EVENT_REGIONS, REGIONS
from keyframes.regions.region_map import Region, RegionMap
from keyframes.regions.schemes import Scheme
from keyframes.validation import SD_PER_ERROR, UNVALIDATED_ERROR_DEG

__all__ = ["assign_regions", "primary_places", "primary_region", "region_maps", "region_table"]

FloatArray = NDArray[np.float64]

REACH_SD = 2.0
"""The Gaussian is cut at so many standard deviations: farther gaze is the tracker's failure, not its spread."""
N_SPREAD = 64
"""Points of equal mass that stand for the Gaussian: a weight at a straight border is within 0.05 of the exact one."""
GOLDEN_ANGLE_RAD = np.pi * (3.0 - np.sqrt(5.0))
"""Between successive points of the spiral: no two lie in one direction, no row of them on a region's border."""


def region_table(maps: Mapping[int, RegionMap], scheme: Scheme) -> pa.Table:
    """Return table ``regions``: one row per image and region that the scheme knows.

    ``maps`` holds a region map by image_index. Regions that the scheme does not list are left out: a scheme of
    twelve areas may be used on a map of thirty-six. ``shape`` is the region's outline or mask as JSON, which
    `region_maps` reads.
    """
    rows = []
    for index, found in sorted(maps.items()):
        shapes = found.to_dict()["regions"]
        rows += [
            {
                "image_index": index,
                "region": name,
                "letter": scheme.letter_of(name),
                "box": list(region.box),
                "provider": found.provider_of(name),
                "confidence": found.confidence_of(name),
                "scheme": scheme.name,
                "shape": json.dumps(shapes[name], separators=(",", ":")),
            }
            for name, region in found.regions.items()
            if name in scheme
        ]
    return pa.Table.from_pylist(rows, schema=REGIONS)


def region_maps(regions: pa.Table, sizes: Mapping[int, tuple[int, int]]) -> dict[int, RegionMap]:
    """Return the region maps that table ``regions`` was made of, as far as the scheme knew their regions.

    sizes : width and height by image index, px; an image without is left out, and so is a region without a shape.
    Raises SchemaError where a shape is off.
    """
    found: dict[int, dict[str, str]] = {}
    surest: dict[int, tuple[float, str]] = {}
    columns = (
        regions.column(n).to_pylist() for n in ("image_index", "region", "shape", "confidence", "provider")
    )
    for index, name, shape, confidence, provider in zip(*columns, strict=True):
        if shape is not None and index in sizes:
            found.setdefault(index, {})[name] = shape
            surest[index] = max(surest.get(index, (0.0, "")), (confidence, provider))
    return {index: _map_of(shapes, *sizes[index], *surest[index]) for index, shapes in found.items()}


def _map_of(
    shapes: Mapping[str, str], width_px: int, height_px: int, confidence: float, provider: str
) -> RegionMap:
    try:
        content = {name: json.loads(shape) for name, shape in shapes.items()}
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"table 'regions', column 'shape' holds no JSON: {error}") from error
    return RegionMap.from_dict(
        {
            "width_px": width_px,
            "height_px": height_px,
            "provider": provider,
            "confidence": confidence,
            "regions": content,
        }
    )


def primary_region(
    region_map: RegionMap, scheme: Scheme, x_image_px: ArrayLike, y_image_px: ArrayLike
) -> NDArray[np.str_]:
    """Return the name of the one region that each point belongs to.

    Of the regions that hold a point, the one of the scheme's first group wins, inside a group the smaller one.
    A point in no region, on the image or beyond its edge, belongs to ``scheme.outside``; NaN gives ``""``.
    """
    x, y = np.broadcast_arrays(np.asarray(x_image_px, np.float64), np.asarray(y_image_px, np.float64))
    names, place = primary_places(region_map, scheme, x.ravel(), y.ravel())
    place[~(np.isfinite(x) & np.isfinite(y)).ravel()] = len(names)
    primary: NDArray[np.str_] = np.array([*names, ""])[place].reshape(x.shape)
    return primary


def primary_places(
    region_map: RegionMap, scheme: Scheme, x_image_px: FloatArray, y_image_px: FloatArray
) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Return names, and for each point (n,) the place of its primary region among them; the last is outside."""
    ordered = _by_priority(region_map, scheme)
    return (*(r.name for r in ordered), scheme.outside), _first_hit(ordered, x_image_px, y_image_px)


def assign_regions(
    events: pa.Table,
    gaze: pa.Table,
    maps: Mapping[int, RegionMap],
    scheme: Scheme,
    *,
    error_deg: float = UNVALIDATED_ERROR_DEG,
) -> pa.Table:
    """Return table ``event_regions``: the regions of every fixation that lies on an image with a region map.

    A fixation's weight on a region is the share of the tracker's error, a Gaussian around the fixation, whose
    primary region it is; the weights of a fixation sum to 1. Exactly one row per fixation is primary: the
    primary region at the fixation's mean position, whatever its weight, and the fixation's letter is that region's:
    the mean position is the most likely one, and the letter of most weight prefers large neighbours to a trachea or
    a carina narrower than the error. Where no sample of the fixation knows image px per degree, it counts as a point.
    Gaze beyond the image's edge belongs to ``scheme.outside``.

    Parameters
    ----------
    events : table with ``EVENTS``'s columns; other kinds than fixation, a null image or a NaN position give no row.
    gaze : table with ``GAZE``'s columns, any order; its ``px_per_deg_*`` (image px per degree, NaN where unknown)
        are averaged over the fixation.
    maps : region map by image_index; fixations on an image without one give no row.
    error_deg : the tracker's error in degrees, as `keyframes.validation.validation_error_deg` gives it: the distance
        from a target at which measured gaze lies. It is taken as two standard deviations on each axis, so that the
        Gaussian, cut there, fills a disc of that radius. 0 makes every fixation a point.

    Rows are in order of events, then by falling weight. Raises GeometryError where ``error_deg`` is negative or
    not finite.
    """
    if not (np.isfinite(error_deg) and error_deg >= 0.0):
        raise GeometryError(f"error_deg is {error_deg}, expected a finite number of degrees, 0 or more")
    fixations = Fixations.of(events, gaze)
    x, y, image = fixations.x_image_px, fixations.y_image_px, fixations.image_index
    sd_x, sd_y = (
        error_deg * SD_PER_ERROR * scale for scale in (fixations.px_per_deg_x, fixations.px_per_deg_y)
    )
    row, region, weight, is_primary = [], [], [], []
    for index, region_map in sorted(maps.items()):
        at = np.flatnonzero(image == index)
        if not at.size:
            continue
        ordered = _by_priority(region_map, scheme)
        weights, primary = _spread(ordered, x[at], y[at], sd_x[at], sd_y[at])
        local, column = np.nonzero((weights > 0.0) | primary)
        row.append(at[local])
        region.append(np.array([*(r.name for r in ordered), scheme.outside])[column])
        weight.append(weights[local, column])
        is_primary.append(primary[local, column])
    if not row:
        return EVENT_REGIONS.empty_table()
    rows, names, shares, primaries = (np.concatenate(part) for part in (row, region, weight, is_primary))
    event_index = fixations.event_index[rows]
    order = np.lexsort((-shares, event_index))
    letters = [scheme.letter_of(name) for name in names[order].tolist()]
    return pa.table(
        {
            "event_index": event_index[order],
            "region": names[order].tolist(),
            "letter": letters,
            "weight": shares[order],
            "is_primary": primaries[order],
            "scheme": [scheme.name] * len(letters),
        },
        schema=EVENT_REGIONS,
    )


def _by_priority(region_map: RegionMap, scheme: Scheme) -> list[Region]:
    """Return the map's regions that the scheme knows, the one that wins first."""
    known = [region for name, region in region_map.regions.items() if name in scheme]
    return sorted(known, key=lambda r: (scheme.priority(r.name), r.area_px2, r.name))


def _first_hit(ordered: Sequence[Region], x: FloatArray, y: FloatArray) -> NDArray[np.intp]:
    """Return the place of the first region that holds each point; ``len(ordered)`` where none does."""
    found = np.full(x.shape, len(ordered), np.intp)
    open_points = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    x, y = x[open_points], y[open_points]
    for place, region in enumerate(ordered):
        x0, y0, x1, y1 = region.box
        near = np.flatnonzero((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1))
        if not near.size:
            continue
        inside = near[region.contains(x[near], y[near])]
        found[open_points[inside]] = place
        left = np.ones(x.size, np.bool_)
        left[inside] = False
        open_points, x, y = open_points[left], x[left], y[left]
    return found


def _spread(
    ordered: Sequence[Region], x: FloatArray, y: FloatArray, sd_x: FloatArray, sd_y: FloatArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the (n, regions + 1) weights and which region, one per row, is primary; the last is outside."""
    known = np.isfinite(sd_x) & np.isfinite(sd_y)
    spread_x, spread_y = np.where(known, sd_x, 0.0), np.where(known, sd_y, 0.0)
    offset_x, offset_y = _spiral()
    hit = _first_hit(
        ordered,
        (x[:, None] + spread_x[:, None] * offset_x).ravel(),
        (y[:, None] + spread_y[:, None] * offset_y).ravel(),
    ).reshape(x.shape[0], -1)
    n, width = x.shape[0], len(ordered) + 1
    cells = (np.arange(n)[:, None] * width + hit[:, 1:]).ravel()
    weights = np.bincount(cells, minlength=n * width).reshape(n, width) / N_SPREAD
    primary = np.zeros((n, width), np.bool_)
    primary[np.arange(n), hit[:, 0]] = True
    return weights, primary


@cache
def _spiral() -> tuple[FloatArray, FloatArray]:
    """Return the centre, then N_SPREAD points of equal mass of the cut unit Gaussian: a Fibonacci spiral."""
    rank = (np.arange(N_SPREAD) + 0.5) / N_SPREAD
    radius = np.sqrt(-2.0 * np.log(1.0 - rank * (1.0 - np.exp(-(REACH_SD**2) / 2.0))))
    angle = np.arange(N_SPREAD) * GOLDEN_ANGLE_RAD
    return np.append(0.0, radius * np.cos(angle)), np.append(0.0, radius * np.sin(angle))
