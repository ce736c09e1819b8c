"""Speed of the event detectors, and their agreement with human coders where Lund2013 is at hand.

    python benchmarks/events.py [FOLDER]

FOLDER holds manifest.json and the Parquet files that it names, with one column label_<coder> per coder
(Andersson et al. 2017, Behavior Research Methods 49:616-637). Without it only the speed is measured, on
synthetic gaze. Kappa is "this event or anything else", pooled over the samples of all recordings of a kind of
stimulus; F1 pools events, intersection over union >= 0.5; * merges pursuit into fixation on both sides. Cells
are "first coder / second coder".
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from keyframes.events import METHODS, detect

REPEATS = 5
CODES = {"fixation": 1, "saccade": 2, "pso": 3}


def synthetic_gaze(duration_s: float, rate_hz: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return time and px at 40 px per degree: steps of 30 ms about three times a second, 0.02 degree of noise."""
    rng = np.random.default_rng(0)
    n = round(duration_s * rate_hz)
    t = np.arange(n) / rate_hz
    onsets = np.cumsum(rng.lognormal(np.log(0.25), 0.4, round(4 * duration_s)) + 0.03)
    targets = np.cumsum(rng.normal(0, 120, (onsets.size + 1, 2)), axis=0)
    index = np.searchsorted(onsets, t)
    since = np.clip((t - np.concatenate([[-1.0], onsets])[index]) / 0.03, 0, 1)
    curve = 10 * since**3 - 15 * since**4 + 6 * since**5
    before = targets[np.maximum(index - 1, 0)]
    xy = before + (targets[index] - before) * curve[:, None] + rng.normal(0, 0.02 * 40, (n, 2))
    return t, xy[:, 0], xy[:, 1]


def print_speed() -> None:
    t, x, y = synthetic_gaze(600.0, 1000.0)
    print(f"\n{t.size:,} samples (10 min at 1 kHz), median of {REPEATS}, checks and table included\n")
    print("| method | s | million samples/s |\n|---|---|---|")
    for method in METHODS:
        detect(t[:5000], x[:5000], y[:5000], 40.0, 40.0, method=method)  # compile or load from the cache
        taken = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            detect(t, x, y, 40.0, 40.0, method=method)
            taken.append(time.perf_counter() - start)
        median_s = statistics.median(taken)
        print(f"| {method} | {median_s:.3f} | {t.size / median_s / 1e6:.1f} |")


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Return half-open runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def kappa(found: list[np.ndarray], truth: list[np.ndarray], code: int) -> float:
    a, b = np.concatenate(found) == code, np.concatenate(truth) == code
    by_chance = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    return float(((a == b).mean() - by_chance) / (1 - by_chance)) if by_chance < 1 else float("nan")


def event_f1(found: list[np.ndarray], truth: list[np.ndarray], code: int) -> float:
    hits = total = 0
    for one, other in zip(found, truth, strict=True):
        mine, theirs = runs(one == code), runs(other == code)
        total += len(mine) + len(theirs)
        for a, b in mine:
            for c, d in theirs:
                shared = min(b, d) - max(a, c)
                if shared > 0 and 2 * shared >= max(b, d) - min(a, c):
                    hits += 1
                    theirs.remove((c, d))
                    break
    return 2 * hits / total if total else float("nan")


def print_agreement(folder: Path) -> None:
    items = json.loads((folder / "manifest.json").read_text())
    for stimulus in dict.fromkeys(item["stim"] for item in items):
        chosen = [item for item in items if item["stim"] == stimulus]
        tables = [pq.read_table(folder / item["file"]) for item in chosen]
        coders = chosen[0]["coders"]
        truth = {c: [t.column(f"label_{c}").to_numpy() for t in tables] for c in coders}
        print(f"\n{stimulus}: {len(chosen)} recordings, {sum(item['n'] for item in chosen):,} samples")
        print(f"coders {' / '.join(coders)}\n")
        names = ["k fix", "k fix*", "k sac", "k PSO", "F1 fix", "F1 fix*", "F1 sac", "fixations"]
        print("| method | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))
        rows = {
            method: [
                detect(
                    table.column("t_ms").to_numpy() / 1000.0,
                    table.column("x_px").to_numpy(),
                    table.column("y_px").to_numpy(),
                    *item["px_per_deg_center"],
                    method=method,
                ).labels
                for item, table in zip(chosen, tables, strict=True)
            ]
            for method in METHODS
        }
        if len(coders) == 2:
            rows = {f"{coders[1]} against {coders[0]}": truth[coders[1]], **rows}
        for name, labels in rows.items():
            against = coders[:1] if "against" in name else coders
            cells: list[list[float]] = []
            for coder in against:
                merged = [np.where(one == 4, 1, one) for one in truth[coder]]
                own = [np.where(one == 4, 1, one) for one in labels]
                cells.append(
                    [
                        kappa(labels, truth[coder], CODES["fixation"]),
                        kappa(own, merged, CODES["fixation"]),
                        kappa(labels, truth[coder], CODES["saccade"]),
                        kappa(labels, truth[coder], CODES["pso"]),
                        event_f1(labels, truth[coder], CODES["fixation"]),
                        event_f1(own, merged, CODES["fixation"]),
                        event_f1(labels, truth[coder], CODES["saccade"]),
                    ]
                )
            shown = [" / ".join(f"{value:.2f}" for value in column) for column in zip(*cells, strict=True)]
            fixations = sum(len(runs(one == CODES["fixation"])) for one in labels)
            print(f"| {name} | " + " | ".join(shown) + f" | {fixations} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, help="the Lund2013 recordings")
    arguments = parser.parse_args()
    print_speed()
    if arguments.folder is not None:
        print_agreement(arguments.folder)


if __name__ == "__main__":
    main()
