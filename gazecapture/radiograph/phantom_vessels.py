"""The pulmonary vessels of a phantom: trees that grow from the hila and fade towards the pleura."""

from __future__ import annotations

import numpy as np

from gazecapture.radiograph.phantom_anatomy import SIDES, Anatomy, Side
from gazecapture.radiograph.phantom_body import Layers
from gazecapture.radiograph.phantom_canvas import Canvas, Map

__all__ = ["draw_vessels"]

STEP_MM = 3.0
"""Of a growing branch."""
LEAST_RADIUS_MM = 0.28
"""Thinner branches are not drawn one by one."""
TAPER_PER_MM = 0.0115
"""Share of its radius that a vessel loses per mm."""
PLEURA_MM = 6.0
"""Vessels end so far from the chest wall."""
TRUNK_SCALE = 1.35
"""Of the radii in the plan of trunks; makes vessels as plain as on real films."""
THICK_MM = 2.5
"""Pieces of thicker vessels are blurred more, which hides the joints between them."""
THIN_MM = 1.6
THIN_GAIN = 2.0
"""Thin vessels run with a bronchus and a vein, and those in front and behind add up; one tree has them once."""
MAX_PIECES = 14000
"""Per lung."""
BELOW_DOME_MM = 26.0
"""Vessels run on behind the dome, so far."""
N_DRAWS = 400_000
"""Chances per lung: some 25 for every piece."""


def draw_vessels(canvas: Canvas, layers: Layers, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Add both vessel trees to ``layers.tissue``, mm of blood in the place of lung."""
    for side in SIDES:
        x, y, radius = _tree(anatomy, side, rng)
        density = 1 + THIN_GAIN * np.exp(-((radius / THIN_MM) ** 2))
        thick = radius > THICK_MM
        for group, blur_mm in ((~thick, 0.15), (thick, 0.7)):
            tubes = canvas.tubes(x[group], y[group], radius[group], density[group])
            layers.tissue += canvas.blurred(tubes, blur_mm)
        layers.tissue += canvas.blurred(_hilum(canvas, layers, anatomy, side, rng), 1.2)


def _hilum(canvas: Canvas, layers: Layers, anatomy: Anatomy, side: Side, rng: np.random.Generator) -> Map:
    """Return the trunk that runs down beside the bronchus, and a few nodes and vessels seen end on."""
    x, y = anatomy.hilum_mm(side)
    out = -1.0 if side == "right" else 1.0
    along = np.linspace(0, 1, 16)
    line_x = x + out * (-9 + 12 * np.sin(along * 1.9))
    line_y = y - 16 + 58 * along
    radius = np.linspace(7.4, 3.8, 15) * float(rng.uniform(0.9, 1.1))
    total = canvas.tubes(
        np.stack([line_x[:-1], line_x[1:]], 1), np.stack([line_y[:-1], line_y[1:]], 1), radius
    )
    for _ in range(5):
        center = (x + float(rng.normal(0, 5)), y + float(rng.normal(0, 11)))
        size = float(rng.uniform(2.5, 5.0))
        total += canvas.ellipsoid(layers.x, layers.y, center, (size, size * 1.2, size))
    return total


def _trunks(
    anatomy: Anatomy, side: Side, rng: np.random.Generator
) -> list[tuple[float, float, float, float]]:
    """Return the first branches as (x out from the midline, y, direction rad, radius mm); 0 rad points outwards."""
    hilum_x, hilum_y = anatomy.hilum_mm(side)
    out = abs(hilum_x)
    upper = 1.0 + 0.5 * anatomy.edema
    plan = [
        (-1.25, 2.7 * upper, -9), (-0.85, 3.0 * upper, -7), (-0.4, 2.7 * upper, -3), (-1.5, 2.2 * upper, -10),
        (0.05, 3.0, 2), (0.4, 3.2, 6), (0.75, 3.5, 10), (1.02, 4.2, 14), (1.25, 4.6, 16), (1.5, 3.4, 20),
        (0.9, 2.9, 22), (0.55, 2.6, 16),
    ]  # fmt: skip
    return [
        (
            out - 8 + float(rng.normal(0, 2)),
            hilum_y + dy,
            turn + float(rng.normal(0, 0.1)),
            1.75 * r * float(rng.uniform(0.9, 1.12)),
        )
        for turn, r, dy in plan
    ]


def _tree(
    anatomy: Anatomy, side: Side, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from gazecapture.radiograph.phantom_kernel import grown  # with numba, for which only drawing has to wait

    sign = -1.0 if side == "right" else 1.0
    table = grown(
        # Drawn first: the trunks' own chances come after these.
        draws=rng.random(N_DRAWS),
        trunks=np.asarray(_trunks(anatomy, side, rng)),
        floor=np.array([float(anatomy.dome_mm(side, x)) + BELOW_DOME_MM for x in range(200)]),
        edge=anatomy.lateral_mm(np.arange(0, 600)) - PLEURA_MM,
        top=anatomy.apex_y_mm + 8,
        step=STEP_MM,
        taper=TAPER_PER_MM * STEP_MM,
        least_radius=LEAST_RADIUS_MM,
        n_enough=MAX_PIECES,
    )
    return sign * table[:, [0, 2]], table[:, [1, 3]], table[:, 4]
