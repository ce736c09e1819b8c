"""Agreement with the coders, by the shared scorer's rules.

Kappa is "this event or anything else", pooled over all samples; F1 pools events, intersection over union >= 0.5, one
to one; * merges pursuit into fixation on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType

import numpy as np
from events_data import Labels, Recording
from numpy.typing import NDArray

__all__ = ["MEASURES", "Scores", "counts_of", "mean_of", "pooled", "score"]

MEASURES = {"k fix*": "kappa", "k sac": "kappa", "k PSO": "kappa", "F1 fix*": "f1", "F1 sac": "f1"}
"""Measure, and what the scorer calls it."""

_CODES = {"fix*": 1, "sac": 2, "PSO": 3}

Scores = dict[str, dict[str, float]]
"""By measure and coder."""


def score(scorer: ModuleType, recordings: list[Recording], labels: Mapping[str, Labels]) -> Scores:
    """Return the scorer's own figures against each coder."""
    found: Scores = {name: {} for name in MEASURES}
    items = [one.for_scorer() for one in recordings]
    for coder in recordings[0].truth:
        events = scorer.score(items, labels, coder)
        for name, key in MEASURES.items():
            event = events[name.split()[1].lower()]
            # A detector that names no oscillation makes no claim about them.
            silent = name == "k PSO" and event["pred"]["n"] == 0
            found[name][coder] = float("nan") if silent else event[key]
    return found


def mean_of(scores: Sequence[Scores]) -> Scores:
    """Return the means over repeats."""
    return {
        name: {coder: float(np.mean([one[name][coder] for one in scores])) for coder in scores[0][name]}
        for name in scores[0]
    }


def counts_of(
    scorer: ModuleType, recording: Recording, labels: Labels
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Return what a recording adds to each measure and coder: samples in all, of both, of each; events likewise."""
    counts = {}
    for coder, theirs in recording.truth.items():
        for name in MEASURES:
            code = _CODES[name.split()[1]]
            mine, truth = labels, theirs
            if name.endswith("*"):
                mine, truth = np.where(mine == 4, 1, mine), np.where(truth == 4, 1, truth)
            if MEASURES[name] == "kappa":
                a, b = mine == code, truth == code
                counts[name, coder] = np.array([a.size, (a & b).sum(), a.sum(), b.sum()], np.float64)
            else:
                found, marked = scorer.runs(mine, code), scorer.runs(truth, code)
                counts[name, coder] = np.array(
                    [0, len(scorer.match(found, marked)), len(found), len(marked)], np.float64
                )
    return counts


def pooled(counts: Sequence[Mapping[tuple[str, str], NDArray[np.float64]]]) -> dict[str, float]:
    """Return the measures, by ``measure coder``, of the recordings together."""
    measured = {}
    for name, coder in counts[0]:
        n, both, mine, theirs = np.sum([one[name, coder] for one in counts], axis=0)
        if MEASURES[name] == "f1":
            measured[f"{name} {coder}"] = 2 * both / (mine + theirs) if mine + theirs else float("nan")
        else:
            by_chance = (mine * theirs + (n - mine) * (n - theirs)) / n**2
            agreed = (n - mine - theirs + 2 * both) / n
            measured[f"{name} {coder}"] = (
                (agreed - by_chance) / (1 - by_chance) if by_chance < 1 else float("nan")
            )
    return measured
