"""Evidence made by hand, of everything that a page must show; every value is generated."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from examples.gazex.evidence.model import Evidence

BOX = (0.55, 0.5, 0.85, 0.8)


def film() -> Image.Image:
    """Return a picture with a bright spot where `BOX` is."""
    rows, columns = np.mgrid[0:400, 0:320] / np.array([400, 320]).reshape(2, 1, 1)
    lungs = np.exp(-(((columns - 0.3) / 0.14) ** 2 + ((rows - 0.45) / 0.3) ** 2)) + np.exp(
        -(((columns - 0.72) / 0.14) ** 2 + ((rows - 0.45) / 0.3) ** 2)
    )
    spot = np.exp(-(((columns - 0.7) / 0.08) ** 2 + ((rows - 0.65) / 0.08) ** 2))
    return Image.fromarray(np.clip(180 - 130 * lungs + 110 * spot, 0, 255).astype(np.uint8))


def region(role: str, box: tuple[float, ...] = BOX, by: str = "box") -> dict[str, Any]:
    """Return a region about the middle of a box."""
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    return {"role": role, "box_share": box, "centroid_share": centre, "centroid_by": by}


def faithful(masked: float, controls: tuple[float, ...], other: float | None = 0.4) -> dict[str, Any]:
    """Return what became of a probability of 0.93."""
    whole = 0.93
    falls = [whole - p for p in controls]
    return {
        "probability": whole,
        "cited": {"box_share": BOX, "probability": masked},
        "controls": [
            {"box_share": (0.05, 0.02 + 0.08 * k, 0.35, 0.32 + 0.08 * k), "probability": p}
            for k, p in enumerate(controls)
        ],
        "change_cited": whole - masked,
        "change_control": sum(falls) / len(falls) if falls else None,
        "flips_cited": masked < 0.5,
        "flip_rate_control": sum(p < 0.5 for p in controls) / len(controls) if controls else None,
        "probability_without_picture": 0.04,
        "probability_other_patient": other,
    }


def finding(
    label: str, letter: str, probability: float, proof: dict[str, Any] | None, **more: Any
) -> dict[str, Any]:
    """Return a finding; present ones have the place `BOX`."""
    present = probability >= 0.5
    return {
        "label": label, "letter": letter, "probability": probability, "mass": 0.98, "present": present,
        "region": region("finding") if proof else None, "steps": (3,) if present else (), "faithfulness": proof,
    } | more  # fmt: skip


def evidence(**changes: Any) -> Evidence:
    """Return evidence with everything in it; ``changes`` replace parts."""
    sentences = [
        ("The cardiac silhouette is not enlarged.", [region("observation", (0.35, 0.42, 0.7, 0.72))]),
        (
            "A homogeneous airspace opacity is consistent with consolidation.",
            [
                region("clue", (0.56, 0.52, 0.72, 0.66), "model"),
                region("clue", (0.68, 0.6, 0.84, 0.78)),
                region("observation"),
            ],
        ),
        ("There is no pneumothorax.", []),
    ]
    steps = [
        ("A", "trachea", (0.45, 0.0, 0.53, 0.34)),
        ("B", "right upper lung zone", (0.17, 0.15, 0.43, 0.37)),
        ("B", "left lower lung zone", (0.6, 0.5, 0.86, 0.76)),
        ("C", "cardiac silhouette", (0.35, 0.4, 0.74, 0.7)),
        ("D", "left hemidiaphragm", (0.56, 0.68, 0.85, 0.78)),
        ("E", "spine", (0.42, 0.0, 0.54, 1.0)),
        ("F", "device", (0.67, 0.33, 0.82, 0.45)),
    ]
    content = {
        "study": {
            "name": "phantom-7", "kind": "picture", "sha256": "0" * 64, "width_px": 1280, "height_px": 1600,
            "seen_width_px": 320, "seen_height_px": 400,
        },
        "model": {
            "family": "qwen2_vl", "prompts": "v1", "steps": 600, "n_readings": 29, "tiers": ("open",),
            "gaze_taught": True,
        },
        "report": {
            "text": " ".join(text for text, _ in sentences),
            "sentences": [
                {"number": n, "text": text, "regions": found} for n, (text, found) in enumerate(sentences, start=1)
            ],
        },
        "answers": [{"question": "Is the heart enlarged?", "text": "no", "probability": 0.83}],
        "findings": [
            finding("Consolidation", "B", 0.93, faithful(0.12, (0.91, 0.94, 0.9, 0.92, 0.89, 0.93, 0.88, 0.92))),
            finding("Support Devices", "F", 0.93, faithful(0.9, (0.91, 0.3, 0.85, 0.92)), mass=0.6),
            finding("Lung Opacity", "B", 0.93, faithful(0.95, ()), steps=()),
            finding("Edema", "B", 0.71, None),
            finding("Pneumothorax", "B", 0.22, None),
            finding("Cardiomegaly", "C", 0.04, None),
        ],
        "trajectory": {
            "kind": "predicted",
            "steps": [
                {"number": n, "letter": letter, "region_name": name, "region": region("step", box)}
                for n, (letter, name, box) in enumerate(steps, start=1)
            ],
        },
        "masks": {"fill": "surround", "fill_in_words": "mean brightness of a ring", "n_controls": 8, "seed": 0},
        "n_answers_read": 9,
        "problems": [
            {"part": "sentence 3", "what": "no box", "answer": "clear"},
            {"part": "finding Edema", "what": "a box has 3 numbers", "answer": "<|box_start|>(1,2),(3<|box_end|>"},
        ],
    }  # fmt: skip
    return Evidence.model_validate(content | changes)
