"""The atlas on any phantom: what lies above, below, right and left of what in a chest."""

from __future__ import annotations

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gazecapture.radiograph.phantom import make_phantom
from keyframes.regions import atlas

ORDER = (
    ("aortic arch", "carina"), ("carina", "cardiac silhouette"), ("cardiac silhouette", "left hemidiaphragm"),
    ("left upper lung zone", "left mid lung zone"), ("left mid lung zone", "left lower lung zone"),
    ("right apical zone", "right mid lung zone"), ("right hilar structures", "right hemidiaphragm"),
    ("right hilar structures", "right costophrenic angle"), ("left hilar structures", "left cardiophrenic angle"),
)  # fmt: skip
"""(above, below), by the middles of their boxes."""


MIDDLE = ("trachea", "carina", "spine", "mediastinum", "cardiac silhouette", "aortic arch", "svc")
"""Lies between the outer walls of the lungs."""
IN_LUNG = (
    "apical zone", "upper lung zone", "mid lung zone", "lower lung zone", "hilar structures", "cardiophrenic angle",
    "costophrenic angle",
)  # fmt: skip
FINDINGS = ("Cardiomegaly", "Pleural Effusion", "Consolidation", "Edema", "Support Devices")


@settings(max_examples=6, deadline=None, phases=[Phase.generate])
@given(
    seed=st.integers(0, 10_000),
    finding=st.sampled_from((None, *FINDINGS)),
    view=st.sampled_from(("PA", "AP")),
)
def test_regions_stand_in_anatomical_order(seed: int, finding: str | None, view: str) -> None:
    made = make_phantom(seed, findings=[finding] if finding else [], size_px=(264, 321), view=view)
    found = atlas.fit((made.pixels >> 4).astype(np.uint8))
    boxes = {name: region.box for name, region in found.regions.items()}
    for above, below in ORDER:
        assert boxes[above][1] + boxes[above][3] < boxes[below][1] + boxes[below][3], (above, below)
    for name, (x0, _, x1, _) in boxes.items():
        if name.startswith("right ") and name != "right atrium":
            left = boxes[name.replace("right ", "left ", 1)]
            assert x0 + x1 < left[0] + left[2], name
    wall_right, wall_left = boxes["right lung"][0], boxes["left lung"][2]
    for name in MIDDLE:
        assert wall_right < boxes[name][0] < boxes[name][2] < wall_left, name
    for side in ("right", "left"):
        lung = boxes[f"{side} lung"]
        beyond_px = 0.1 * (lung[2] - lung[0])
        for part in IN_LUNG:
            x0, y0, x1, y1 = boxes[f"{side} {part}"]
            assert lung[0] - beyond_px < (x0 + x1) / 2 < lung[2] + beyond_px, (side, part)
            assert lung[1] - beyond_px < (y0 + y1) / 2 < lung[3] + beyond_px, (side, part)
