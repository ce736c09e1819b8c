"""Procedural chest radiographs with known anatomy and known findings.

A phantom is drawn as path lengths through a body made of curves, tubes and ellipsoids, attenuated, and processed
as a detector's console does it. The same seeds give the same picture. Everything about it is synthetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from gazecapture.radiograph.phantom_anatomy import Anatomy, sample_anatomy
from gazecapture.radiograph.phantom_body import draw_body
from gazecapture.radiograph.phantom_bones import draw_bones
from gazecapture.radiograph.phantom_canvas import FIELD_HEIGHT_MM, FIELD_WIDTH_MM, Canvas, Map, Pose
from gazecapture.radiograph.phantom_dicom import write_dicom
from gazecapture.radiograph.phantom_film import BITS_STORED, attenuation, expose, lung_texture
from gazecapture.radiograph.phantom_findings import CATALOGUE, NO_FINDING
from gazecapture.radiograph.phantom_lesions import Drawn, changed_anatomy, draw_findings
from gazecapture.radiograph.phantom_regions import true_regions
from gazecapture.radiograph.phantom_vessels import draw_vessels
from gazecapture.session.schema import TruthLesion
from keyframes.errors import UsageError
from keyframes.regions.region_map import RegionMap

__all__ = ["DEFAULT_SIZE_PX", "Phantom", "make_phantom", "write_dicom"]

DEFAULT_SIZE_PX = (1760, 2140)
"""Width and height of a 14 x 17 inch detector at 0.2 mm."""
CANVAS_SPACING_MM = 0.4
"""Grid of the drawing; finer than the blur of a real detector and focal spot would leave anything to see."""
MIN_SIZE_PX = 64
MAX_SIZE_PX = 8192
N_NEGATIVES = 4
"""Labels of which the truth says that they are absent."""
MARKER_MM = (16.0, 22.0)
"""Width and height of the lead letter."""
COVERS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "Consolidation": frozenset({"Lung Opacity", "Pneumonia", "Atelectasis"}),
        "Pneumonia": frozenset({"Lung Opacity", "Consolidation"}),
        "Edema": frozenset({"Lung Opacity"}),
        "Atelectasis": frozenset({"Lung Opacity", "Consolidation"}),
        "Lung Lesion": frozenset({"Lung Opacity"}),
        "Lung Opacity": frozenset({"Pneumonia", "Consolidation"}),
        "Pleural Effusion": frozenset({"Lung Opacity", "Atelectasis"}),
    }
)
"""Labels that nobody would deny beside the one that is there."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Phantom:
    """One synthetic radiograph and all that is true of it."""

    pixels: NDArray[np.uint16]
    """(h, w), 12 bit, MONOCHROME2; read-only."""
    spacing_mm: float
    """Between pixels, in the detector's plane."""
    view: str
    region_map: RegionMap
    lesions: tuple[TruthLesion, ...]
    """Present ones with their boxes, image px; absent ones without."""
    labels: Mapping[str, bool]
    """Every label of the catalogue: present or not."""


def make_phantom(
    seed: int,
    *,
    findings: Sequence[str] = (),
    size_px: tuple[int, int] = DEFAULT_SIZE_PX,
    view: str = "PA",
    anatomy_seed: int | None = None,
    image_index: int = 0,
) -> Phantom:
    """Draw one phantom.

    findings     : labels of `phantom_findings.CATALOGUE`; none gives a normal film.
    size_px      : width and height; the field is always that of a 14 x 17 inch detector, or more.
    view         : PA, or AP: nearer to the tube, so a larger heart and more noise.
    anatomy_seed : of the body, ``seed`` where not given; two phantoms of one body are current and prior.
    image_index  : written into the lesions.

    Raises UsageError for an unknown label, view or size.
    """
    wanted = _checked(findings, size_px, view)
    body_seed = seed if anatomy_seed is None else anatomy_seed
    body_rng, gut_rng, bone_rng, vessel_rng = np.random.default_rng([body_seed, 1]).spawn(4)
    pose_rng, change_rng, finding_rng, film_rng, truth_rng = np.random.default_rng([seed, 2]).spawn(5)
    anatomy = changed_anatomy(_posed(sample_anatomy(body_rng), pose_rng, view), wanted, change_rng)
    width, height = size_px
    spacing = max(FIELD_WIDTH_MM / width, FIELD_HEIGHT_MM / height)
    film = Canvas(width_px=width, height_px=height, spacing_mm=spacing, pose=anatomy.pose)
    coarse = max(1.0, CANVAS_SPACING_MM / spacing)
    canvas = Canvas(
        width_px=round(width / coarse),
        height_px=round(height / coarse),
        spacing_mm=spacing * width / round(width / coarse),
        pose=anatomy.pose,
    )
    layers = draw_body(canvas, anatomy, gut_rng)
    draw_bones(canvas, layers, anatomy, bone_rng)
    draw_vessels(canvas, layers, anatomy, vessel_rng)
    drawn = draw_findings(canvas, layers, anatomy, wanted, finding_rng)
    dense = attenuation(layers, lung_texture(canvas, film_rng))
    pixels = expose(canvas, dense, (height, width), film_rng, noise=1.6 if view == "AP" else 1.0)
    _mark_and_collimate(pixels, film, film_rng)
    pixels.setflags(write=False)
    boxes = {d.label: _in_film(d, canvas, film) for d in drawn}
    present = set(wanted) or {NO_FINDING}
    return Phantom(
        pixels=pixels,
        spacing_mm=spacing,
        view=view,
        region_map=true_regions(film, anatomy, boxes.get("Support Devices")),
        lesions=_truth(present, boxes, truth_rng, image_index),
        labels=MappingProxyType({label: label in present for label in CATALOGUE}),
    )


def _checked(findings: Sequence[str], size_px: tuple[int, int], view: str) -> tuple[str, ...]:
    unknown = [label for label in findings if label not in CATALOGUE]
    if unknown:
        raise UsageError(
            f"no finding is called {unknown[0]!r}", hint=f"Known: {', '.join(CATALOGUE)}.", code="GT-PHANTOM"
        )
    wanted = tuple(dict.fromkeys(label for label in findings if label != NO_FINDING))
    if wanted and NO_FINDING in findings:
        raise UsageError(f"{NO_FINDING!r} excludes other findings", code="GT-PHANTOM")
    if not all(MIN_SIZE_PX <= side <= MAX_SIZE_PX for side in size_px):
        raise UsageError(
            f"a phantom of {size_px[0]} x {size_px[1]} px cannot be drawn",
            hint=f"Each side may have {MIN_SIZE_PX} to {MAX_SIZE_PX} px.",
            code="GT-PHANTOM",
        )
    if view not in {"PA", "AP"}:
        raise UsageError(f"view {view!r} is not drawn; PA and AP are", code="GT-PHANTOM")
    return wanted


def _posed(anatomy: Anatomy, rng: np.random.Generator, view: str) -> Anatomy:
    """Return the body as it stands this time: nobody stands twice in the same way."""
    pose = anatomy.pose
    moved = Pose(
        scale=pose.scale * (1.03 if view == "AP" else 1.0),
        tilt_rad=pose.tilt_rad + float(rng.normal(0, 0.008)),
        x_shift_mm=pose.x_shift_mm + float(rng.normal(0, 3)),
        y_shift_mm=pose.y_shift_mm + float(rng.normal(0, 3)),
    )
    share = anatomy.heart_share * (1.1 if view == "AP" else 1.0)
    return replace(anatomy, pose=moved, heart_share=share)


def _in_film(drawn: Drawn, canvas: Canvas, film: Canvas) -> tuple[float, float, float, float]:
    x, y = film.width_px / canvas.width_px, film.height_px / canvas.height_px
    x0, y0, x1, y1 = drawn.box
    return round(x0 * x, 1), round(y0 * y, 1), round(x1 * x, 1), round(y1 * y, 1)


def _truth(
    present: set[str],
    boxes: Mapping[str, tuple[float, float, float, float]],
    rng: np.random.Generator,
    image_index: int,
) -> tuple[TruthLesion, ...]:
    unsaid = set().union(*(COVERS.get(label, frozenset()) for label in present))
    free = [c for c in CATALOGUE if c not in present and c not in unsaid and c != NO_FINDING]
    absent = set(rng.choice(free, size=min(N_NEGATIVES, len(free)), replace=False).tolist())
    said = [label for label in CATALOGUE if label in present or label in absent]
    return tuple(
        TruthLesion(
            finding_id=f"truth-{number}",
            label=label,
            present=label in present,
            image_index=image_index,
            box=boxes.get(label),
            source="phantom",
        )
        for number, label in enumerate(said, start=1)
    )


def _mark_and_collimate(pixels: NDArray[np.uint16], film: Canvas, rng: np.random.Generator) -> None:
    """Put a lead R beside the patient's right shoulder, and darken what the collimator cut off."""
    white = (1 << BITS_STORED) - 1
    wide, tall = MARKER_MM
    left, top = -152 + float(rng.normal(0, 4)), 26 + float(rng.normal(0, 6))
    strokes = np.array([
        (0, 1, 0, 0), (0, 0, 0.6, 0), (0.6, 0, 0.95, 0.12), (0.95, 0.12, 1, 0.28), (1, 0.28, 0.92, 0.42),
        (0.92, 0.42, 0.6, 0.52), (0.6, 0.52, 0, 0.52), (0.45, 0.52, 1, 1),
    ])  # fmt: skip
    flat = replace(film, pose=Pose())
    lead: Map = flat.tubes(
        left + wide * strokes[:, [0, 2]], top + tall * strokes[:, [1, 3]], np.full(len(strokes), 1.5)
    )
    share = np.clip(lead / 1.5, 0, 1)
    pixels[:] = (pixels + share * (0.96 * white - pixels)).astype(np.uint16)
    margins = np.round(np.clip(rng.normal(2.5, 2.5, 4), 0, 8) / film.spacing_mm).astype(int)
    for edge, n in zip((pixels, pixels[::-1], pixels.T, pixels.T[::-1]), margins, strict=True):
        edge[: int(n)] = 0
