"""From path lengths to stored values: attenuation, processing as a detector's console does it, noise, marker."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gazecapture.radiograph.phantom_body import Layers
from gazecapture.radiograph.phantom_canvas import Canvas, Map, enlarged, smooth_noise

__all__ = ["BITS_STORED", "WINDOW", "attenuation", "expose", "lung_texture"]

BITS_STORED = 12
MU_SOFT_PER_MM = 0.0185
"""Soft tissue at about 110 kV behind a grid."""
MU_BONE_PER_MM = 0.036
"""Cortical bone beyond the soft tissue that it replaces."""
MU_METAL_PER_MM = 0.6
LUNG_DENSITY = 0.26
"""Of aerated lung as share of soft tissue."""
SCATTER = 0.006
"""Scattered share of the direct beam that passes the grid."""
RANGE_MM = 26.0
"""Blur of the large-scale contrast that processing takes down, so that lungs and mediastinum fit one window."""
RANGE_SHARE = 0.28
EDGE_MM = 2.2
"""Blur of the detail that processing lifts."""
EDGE_GAIN = 0.75
DENSE_PERCENTILE, DENSE_LEVEL = 90, 3.6
"""Processed attenuation at which the denser part of the body is put, as automatic exposure does."""
VALUE_PER_UNIT = 900.0
"""Stored values per unit of processed attenuation."""
QUANTUM_NOISE = 0.0085
"""Relative noise of the direct beam in a detector element of 0.2 mm."""
WINDOW = (2450.0, 2400.0)
"""Centre and width under which the stored values look like a film."""


def attenuation(layers: Layers, lung_texture: Map) -> Map:
    """Return the attenuation along every ray (dimensionless); 0 is the direct beam."""
    held = np.minimum(layers.tissue, layers.lung)
    air_lung = (layers.lung - held) * (1 - LUNG_DENSITY) * (1 + lung_texture)
    soft = np.maximum(layers.body - air_lung - layers.air, 0)
    total = MU_SOFT_PER_MM * soft + MU_BONE_PER_MM * layers.bone + MU_METAL_PER_MM * layers.metal
    scattered: Map = -np.log((np.exp(-total) + SCATTER) / (1 + SCATTER)).astype(np.float32)
    return scattered


def lung_texture(canvas: Canvas, rng: np.random.Generator) -> Map:
    """Return the unevenness of aerated lung, as share of its path."""
    shape = (canvas.height_px, canvas.width_px)
    texture = np.zeros(shape, np.float32)
    for grain_mm, amount in ((18.0, 0.012), (5.0, 0.010), (2.2, 0.012), (1.1, 0.012)):
        texture = texture + amount * smooth_noise(rng, shape, max(1.0, grain_mm / canvas.spacing_mm))
    return texture


def expose(
    canvas: Canvas,
    dense: Map,
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    noise: float = 1.0,
) -> NDArray[np.uint16]:
    """Return stored values of ``shape`` for an attenuation map on a canvas of the same field.

    noise : 1 for a usual exposure; more for a bedside film.
    """
    wide = canvas.blurred(dense, RANGE_MM)
    covered = dense > 0.02
    middle = float(wide[covered].mean()) if covered.any() else 0.0
    processed = dense - RANGE_SHARE * (wide - middle) * np.clip(dense / 0.8, 0, 1)
    processed += EDGE_GAIN * (dense - canvas.blurred(dense, EDGE_MM))
    if covered.any():
        lift = DENSE_LEVEL - np.percentile(processed[covered][::7], DENSE_PERCENTILE)
        processed += np.float32(lift) * np.clip(dense / 0.8, 0, 1)
    fine = enlarged(processed, shape) if processed.shape != shape else processed
    spread = (
        enlarged(np.exp(0.5 * np.minimum(dense, 6)), shape) if dense.shape != shape else np.exp(0.5 * dense)
    )
    pixel_mm = canvas.spacing_mm * canvas.height_px / shape[0]
    grain = rng.standard_normal(shape, np.float32)
    # Neighbouring detector elements share light.
    grain[:, 1:] = 0.83 * grain[:, 1:] + 0.56 * grain[:, :-1]
    fine += (QUANTUM_NOISE * noise * min(1.0, 0.2 / pixel_mm)) * spread * grain
    values = np.clip(fine * VALUE_PER_UNIT + 60, 0, (1 << BITS_STORED) - 1)
    return (values + 0.5).astype(np.uint16)
