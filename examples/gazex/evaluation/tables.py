"""Scores as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from examples.gazex.evaluation.measures import Estimate
from examples.gazex.evaluation.readers import Counts, as_table

__all__ = ["Results", "write_scores"]

Results = Mapping[str, Mapping[str, Estimate]]
"""Estimates by control and measure."""


def write_scores(out: Path, results: Results, readers: Mapping[str, Mapping[str, Counts]]) -> None:
    """Write ``scores.json``, ``readers.json`` and ``scores.md``; readers: counts by rule and reader."""
    content = {name: {m: asdict(e) for m, e in found.items()} for name, found in results.items()}
    (out / "scores.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    counts = {rule: {who: asdict(c) for who, c in found.items()} for rule, found in readers.items()}
    (out / "readers.json").write_text(json.dumps(counts, indent=1), encoding="utf-8")
    measures = list(dict.fromkeys(m for found in results.values() for m in found))
    lines = [
        "Value and 95 % interval over patients. Controls tell what needs no picture, no gaze or no training.\n",
        f"| measure | {' | '.join(results)} |",
        f"|---|{'---|' * len(results)}",
        *(f"| {m} | {' | '.join(_cell(found.get(m)) for found in results.values())} |" for m in measures),
    ]
    for rule, found in readers.items():
        if found:
            lines += [f"\nFindings against the majority of readers, rule {rule}.\n", *as_table(found)]
    (out / "scores.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _cell(estimate: Estimate | None) -> str:
    if estimate is None or not np.isfinite(estimate.value):
        return ""
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f}, n {estimate.n})"
