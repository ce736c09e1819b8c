"""The proportions of a frontal thorax, as shapes in the thorax's own coordinates.

u runs from -1 (the patient's right chest wall, at the left of a frontal film) over 0 (midline) to 1 (left wall),
v from 0 (apices) to 1 (tips of the costophrenic angles). The proportions are textbook anatomy of an upright
adult in inspiration (e.g. heart half as wide as the thorax, carina at T5, left hilum higher than the right).
"""

from __future__ import annotations

__all__ = ["DOME", "LUNG_OUTLINE", "LUNG_WALL", "MEDIASTINUM_BORDERS", "Outline"]

Outline = tuple[tuple[float, float], ...]

LUNG_OUTLINE: Outline = (
    (0.42, 0.0), (0.56, 0.015), (0.69, 0.06), (0.80, 0.15), (0.88, 0.29), (0.935, 0.46), (0.97, 0.66),
    (0.995, 0.86), (0.985, 1.0), (0.92, 0.96), (0.84, 0.915), (0.72, 0.88), (0.57, 0.865), (0.42, 0.865), (0.28, 0.88),
    (0.18, 0.91), (0.165, 0.80), (0.16, 0.64), (0.155, 0.48), (0.155, 0.34), (0.16, 0.20), (0.19, 0.09),
    (0.28, 0.02),
)  # fmt: skip
"""A lung in (|u|, v), the part behind the heart included: from the apex down the chest wall, along the dome."""

LUNG_WALL: Outline = (LUNG_OUTLINE[-2], LUNG_OUTLINE[-1], *LUNG_OUTLINE[:8])
"""Its outer border: from the apex' inner end down to just above the costophrenic angle."""

DOME: Outline = (
    (0.20, 0.89), (0.28, 0.88), (0.42, 0.865), (0.57, 0.865), (0.72, 0.88), (0.84, 0.915), (0.92, 0.96), (0.985, 1.0),
    (1.05, 1.03),
)  # fmt: skip
"""A hemidiaphragm in (|u|, v), from the midline outwards and on into the wall."""

MEDIASTINUM_BORDERS: dict[int, Outline] = {
    -1: (
        (0.15, 0.0), (0.17, 0.17), (0.19, 0.37), (0.20, 0.46), (0.25, 0.58), (0.285, 0.69), (0.275, 0.80), (0.24, 0.93),
        (0.22, 1.0),
    ),
    1: (
        (0.15, 0.0), (0.17, 0.14), (0.25, 0.19), (0.29, 0.24), (0.29, 0.29), (0.25, 0.335), (0.27, 0.42), (0.32, 0.50),
        (0.43, 0.59), (0.56, 0.71), (0.63, 0.83), (0.61, 0.93), (0.58, 1.0),
    ),
}  # fmt: skip
"""Right (-1) and left (1) border of mediastinum and heart in (|u|, v), downwards: cava and atrium; aortic knob,
pulmonary trunk and ventricle."""
