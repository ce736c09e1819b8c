"""Accuracy and speed of the event detectors, beside other libraries in the same run.

    python benchmarks/events.py [--shared DIR] [--pymovements-python PATH] [--remodnav-python PATH]
                                [--cross-validate] [--json FILE]

--shared DIR holds ``data/lund2013`` (recordings with two human coders: Andersson et al. 2017, Behavior Research Methods
49:616-637) and ``bench/score_events.py``; without it only the speed is measured, on synthetic gaze. The two PATHs are
Python interpreters that have pymovements (and I2MC, if it is to be compared) and REMoDNaV; without them their columns
say "not given". All accuracy rows are ``method="auto"`` with its defaults. Cells are "first coder / second coder".
Our figures on these recordings are in-sample where parameters were fitted to them; --cross-validate fits anew, each
time without one person, and reports on that person.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

# Not this script's own folder: keyframes.py in it would hide the package of that name.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().with_name("events_parts")))

import numpy as np
from events_cross_validation import CrossValidation, cross_validate, describe_scatter
from events_data import CONDITIONS, Condition, Labels, Recording, load_recordings, load_scorer, synthetic_gaze
from events_online import announce, measures, push_times_ns
from events_peers import PEERS, Peers
from events_scores import MEASURES, Scores, counts_of, mean_of, pooled, score

from keyframes.events import METHODS, detect
from keyframes.events.adaptive import AdaptiveParameters, detect_adaptive
from keyframes.events.clustering import ClusteringParameters, detect_clustering
from keyframes.events.kinematics import noise_rms_s2s_deg
from keyframes.events.online import OnlineParameters
from keyframes.events.samples import prepare

TARGETS: Mapping[tuple[str, str], tuple[float, ...]] = {
    ("k fix*", "500 Hz"): (0.89, 0.87),
    ("k sac", "500 Hz"): (0.86, 0.85),
    ("k PSO", "500 Hz"): (0.68, 0.66),
    ("F1 fix*", "500 Hz"): (0.97,),
    ("F1 sac", "500 Hz"): (0.93,),
    ("F1 fix*", "+0.3 deg"): (0.88,),
    ("F1 fix*", "+0.5 deg"): (0.87,),
    ("F1 fix*", "62.5 Hz"): (0.94,),
}
"""On images; one value is that against the first coder."""

ONLINE_TARGETS = {"found": 0.99, "median ms": 4.0, "p95 ms": 6.0, "false/s": 0.15, "push us": 1.0}

TARGET_SAMPLES_PER_S = 30e6
TARGET_TIMES_PYMOVEMENTS = 10.0
TARGET_CLUSTERING_SAMPLES_PER_S = 5e6

COLUMNS = ("pm I-VT", "pm E&K", "I2MC", "REMoDNaV")
"""Other detectors beside ours in the tables of accuracy."""

SPEED_SAMPLES = 600_000
SLOW_PEER_SAMPLES = 60_000
"""REMoDNaV and I2MC take seconds for these."""

SPEED_REPEATS = 7

PEERS_OF_CONDITION = {
    "500 Hz": tuple(COLUMNS),
    "+0.3 deg": tuple(COLUMNS),
    "+0.5 deg": tuple(COLUMNS),
    "+0.1 deg": ("pm I-VT", "pm E&K", "REMoDNaV"),
    "10 % lost": ("pm I-VT", "pm E&K", "REMoDNaV"),
}
"""Others only pymovements: REMoDNaV's and I2MC's filters must be set by hand there."""


def main() -> None:
    """Run what was asked for and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, metavar="DIR")
    parser.add_argument("--pymovements-python", type=Path, metavar="PATH")
    parser.add_argument("--remodnav-python", type=Path, metavar="PATH")
    parser.add_argument("--cross-validate", action="store_true", help="takes some minutes more")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers")
    asked = parser.parse_args()
    pythons = {"pymovements": asked.pymovements_python, "remodnav": asked.remodnav_python}
    peers = Peers(pythons={name: path for name, path in pythons.items() if path is not None})
    for name, path in pythons.items():
        if path is None:
            print(f"not given: --{name}-python, so nothing is compared with {name}")
    print(f"Python {platform.python_version()}, {platform.machine()}")
    numbers: dict[str, Any] = {"speed": report_speed(peers)}
    if asked.shared is None:
        print("\nnot given: --shared, so no accuracy, no online latency, no cross-validation")
    else:
        scorer = load_scorer(asked.shared / "bench" / "score_events.py")
        recordings = load_recordings(asked.shared / "data" / "lund2013")
        images = [one for one in recordings if one.stimulus == "image"]
        numbers["accuracy"] = report_accuracy(scorer, recordings, peers)
        numbers["online"] = report_online(images)
        if asked.cross_validate:
            numbers["cross_validation"] = report_cross_validation(scorer, images)
    if asked.json is not None:
        asked.json.write_text(json.dumps(numbers, indent=1))


def report_speed(peers: Peers) -> dict[str, Any]:
    """Print samples per second of processor time, least of some repeats, checks and table included."""
    t, x, y = synthetic_gaze(SPEED_SAMPLES / 1000.0, 1000.0)
    noisy = synthetic_gaze(SPEED_SAMPLES / 500.0, 500.0, noise_deg=0.3)
    rows: dict[str, float] = {}
    for method in METHODS:
        rows[method] = SPEED_SAMPLES / _least_cpu_s(t, x, y, method)
    rows["clustering, 500 Hz, +0.3 deg"] = SPEED_SAMPLES / _least_cpu_s(*noisy, "clustering")
    failed: list[str] = []
    for n, names, repeats in (
        (SPEED_SAMPLES, ("pm I-VT", "pm I-VT, Gaze", "pm E&K"), SPEED_REPEATS),
        (SLOW_PEER_SAMPLES, ("REMoDNaV", "I2MC"), 1),
    ):
        gaze = Recording(
            name="synthetic", stimulus="", subject="", rate_hz=1000.0,
            t_s=t[:n], x_px=x[:n], y_px=y[:n], px_per_deg=(40.0, 40.0), truth={},
        )  # fmt: skip
        _, cpu_s, wrong = peers.run(list(names), [gaze], repeats=repeats)
        failed += wrong
        rows |= {name: n / cpu_s[name] for name in names if name in cpu_s}
    print(f"\n## Speed: {SPEED_SAMPLES:,} samples, million samples per second of one processor\n")
    print(
        f"{SLOW_PEER_SAMPLES:,} samples for REMoDNaV and I2MC; least of {SPEED_REPEATS} (of 1 for those two)."
    )
    print(
        "Ours with checks and the full table; pm as bare functions on arrays, and as Gaze.pos2vel and Gaze.detect.\n"
    )
    print("| detector | million samples/s | target | reached |\n|---|---|---|---|")
    targets = {
        "adaptive": TARGET_SAMPLES_PER_S,
        "clustering, 500 Hz, +0.3 deg": TARGET_CLUSTERING_SAMPLES_PER_S,
    }
    for name in [*rows, *(name for name in PEERS if name not in rows)]:
        value = f"{rows[name] / 1e6:.3g}" if name in rows else _why_absent(name, peers)
        target = targets.get(name)
        print(f"| {name} | {value} | {_target_cells([rows.get(name)], target, scale=1e-6)} |")
    for name in ("pm I-VT", "pm I-VT, Gaze"):
        if name in rows:
            times = rows["adaptive"] / rows[name]
            print(
                f"| adaptive : {name} | {times:.1f} times | {_target_cells([times], TARGET_TIMES_PYMOVEMENTS)} |"
            )
    _print_failed(failed)
    return {"samples_per_s": rows, "failed": failed}


def report_accuracy(scorer: ModuleType, recordings: list[Recording], peers: Peers) -> dict[str, Any]:
    """Print a table per measure: conditions in rows, detectors in columns."""
    images = [one for one in recordings if one.stimulus == "image"]
    found: dict[str, dict[str, Scores]] = {}
    chosen: dict[str, str] = {}
    failed: list[str] = []
    sets = [(name, condition, images) for name, condition in CONDITIONS.items()]
    for stimulus in dict.fromkeys(one.stimulus for one in recordings if one.stimulus != "image"):
        some = [one for one in recordings if one.stimulus == stimulus]
        sets.append((f"{stimulus}, 500 Hz", CONDITIONS["500 Hz"], some))
    for name, condition, some in sets:
        found[name], chosen[name], wrong = _row(scorer, condition, some, peers)
        failed += [f"{name}: {one}" for one in wrong]
    coders = " / ".join(images[0].truth)
    repeats = ", ".join(f"{c.name} {c.repeats}" for c in CONDITIONS.values() if c.repeats > 1)
    print(
        f"\n## Accuracy: {len(images)} recordings of images, then dots and video; {coders}; auto is in-sample\n"
    )
    print(f"auto is the mean over repeats ({repeats}); the others ran on the first of them\n")
    columns = ["human", "auto", *COLUMNS]
    for measure in MEASURES:
        print(f"\n### {measure}\n")
        print("| condition | human | auto | target | reached | " + " | ".join(COLUMNS) + " | auto took |")
        print("|" + "---|" * (len(columns) + 4))
        for name, scores in found.items():
            ours = list(scores["auto"][measure].values())
            cells = {c: _cell(scores[c][measure]) if c in scores else _why_absent(c, peers) for c in columns}
            others = " | ".join(cells[peer] for peer in COLUMNS)
            aim = _target_cells(ours, TARGETS.get((measure, name)))
            print(f"| {name} | {cells['human']} | {cells['auto']} | {aim} | {others} | {chosen[name]} |")
    _print_failed(failed)
    return {"scores": found, "auto_took": chosen, "failed": failed}


def report_online(images: list[Recording]) -> dict[str, float]:
    """Print how the online detector announces the saccades that both coders marked."""
    found = measures([announce(one) for one in images])
    t, x, y = synthetic_gaze(60.0, 500.0)
    push_times_ns(t[:500], x[:500], y[:500])
    # The quietest of some passes: what else runs on the machine is not the detector's.
    taken = min((push_times_ns(t, x, y) for _ in range(5)), key=np.median)
    found |= {
        "push us": float(np.median(taken)) / 1000.0,
        "push p99 us": float(np.percentile(taken, 99)) / 1000.0,
    }
    print(
        "\n## Online, images at 500 Hz: saccades of both coders, latency from their mean onset; in-sample\n"
    )
    print(
        "False alarms are announcements in what both coders call fixation, be it just before a saccade that they "
        "announce; a push is one sample from Python, the clock's own time included, in the quietest of five passes\n"
    )
    print("| measure | value | target | reached |\n|---|---|---|---|")
    for name, value in found.items():
        target = ONLINE_TARGETS.get(name)
        reached = "" if target is None else _yes(value >= target if name == "found" else value <= target)
        print(f"| {name} | {value:.3f} | {'' if target is None else f'{target:g}'} | {reached} |")
    return found


def report_cross_validation(scorer: ModuleType, images: list[Recording]) -> dict[str, Any]:
    """Print what parameters fitted without a person reach on that person."""
    persons = [one.subject for one in images]

    def labels_adaptive(one: Recording, p: AdaptiveParameters) -> Labels:
        samples = prepare(one.t_s, one.x_px, one.y_px, *one.px_per_deg)
        return detect_adaptive(samples, noise_rms_s2s_deg(samples), p).labels[samples.row_of_sample]

    def labels_clustering(one: Recording, p: ClusteringParameters) -> Labels:
        samples = prepare(one.t_s, one.x_px, one.y_px, *one.px_per_deg)
        return detect_clustering(samples, noise_rms_s2s_deg(samples), p).labels[samples.row_of_sample]

    harder = {name: CONDITIONS[name].of(images, 0) for name in ("+0.3 deg", "+0.5 deg", "62.5 Hz")}

    def clustering_counts(p: ClusteringParameters, i: int) -> dict[str, Any]:
        return {
            name: counts_of(scorer, some[i], labels_clustering(some[i], p)) for name, some in harder.items()
        }

    def clustering_measures(found: Sequence[dict[str, Any]]) -> dict[str, float]:
        return {
            f"{name}: {measure}": value
            for name in harder
            for measure, value in pooled([one[name] for one in found]).items()
            if measure.startswith("F1 fix")
        }

    def mean(found: Mapping[str, float]) -> float:
        return float(np.mean(list(found.values())))

    def online_score(found: Mapping[str, float]) -> float:
        """Return minus the sum of the figures in units of their targets."""
        misses = (1.0 - found["found"]) / (1.0 - ONLINE_TARGETS["found"])
        return -misses - sum(
            found[name] / ONLINE_TARGETS[name] for name in ("median ms", "p95 ms", "false/s")
        )

    results: dict[str, CrossValidation] = {
        "adaptive, 500 Hz": cross_validate(
            AdaptiveParameters(),
            persons,
            lambda p, i: counts_of(scorer, images[i], labels_adaptive(images[i], p)),
            pooled,
            mean,
        ),
        "clustering, first repeats": cross_validate(
            ClusteringParameters(), persons, clustering_counts, clustering_measures, mean
        ),
        "online, 500 Hz": cross_validate(
            OnlineParameters(),
            persons,
            lambda p, i: announce(images[i], p),
            lambda f: measures(list(f)),
            online_score,
        ),
    }
    for name, result in results.items():
        print(f"\n## Cross-validation, {name}: {result.n_folds} folds, each without one person\n")
        print(
            "| measure | defaults, in-sample | fitted, in-sample | fitted to the others, held out |\n|---|---|---|---|"
        )
        for measure, value in result.defaults.items():
            print(
                f"| {measure} | {value:.3f} | {result.fitted[measure]:.3f} | {result.held_out[measure]:.3f} |"
            )
        print("\n| parameter | default | folds chose |\n|---|---|---|")
        for parameter, (default, factors) in result.scatter.items():
            print(f"| {parameter} | {default} | {describe_scatter(factors)} |")
    return {name: asdict(result) for name, result in results.items()}


def _row(
    scorer: ModuleType, condition: Condition, recordings: list[Recording], peers: Peers
) -> tuple[dict[str, Scores], str, list[str]]:
    """Return scores by detector, the methods that auto took, and what failed."""
    ours, took = [], Counter[str]()
    for repeat in range(condition.repeats):
        some = condition.of(recordings, repeat)
        labels = {}
        for one in some:
            events = detect(one.t_s, one.x_px, one.y_px, *one.px_per_deg)
            labels[one.name] = events.labels
            took[events.method] += 1
        ours.append(score(scorer, some, labels))
    first = condition.of(recordings, 0)
    found = {"auto": mean_of(ours), "human": _humans(scorer, first)}
    asked = PEERS_OF_CONDITION.get(condition.name, ("pm I-VT", "pm E&K"))
    theirs, _, failed = peers.run([name for name in asked if peers.given(name)], first)
    for name, labels in theirs.items():
        # A recording on which a peer crashed counts as unlabelled.
        whole = {one.name: labels.get(one.name, np.zeros(one.t_s.size, np.int8)) for one in first}
        if labels:
            found[name] = score(scorer, first, whole)
    return found, ", ".join(f"{name} {n / took.total():.0%}" for name, n in took.most_common()), failed


def _humans(scorer: ModuleType, recordings: list[Recording]) -> Scores:
    """Return the second coder's agreement with the first."""
    first, second = recordings[0].truth
    scores = score(scorer, recordings, {one.name: one.truth[second] for one in recordings})
    return {measure: {first: by_coder[first]} for measure, by_coder in scores.items()}


def _least_cpu_s(t: Any, x: Any, y: Any, method: str) -> float:
    detect(t[:5000], x[:5000], y[:5000], 40.0, 40.0, method=method)  # compiled, or loaded from the cache
    taken = []
    for _ in range(SPEED_REPEATS):
        start = time.process_time()
        # Kept until the next one is there, as a caller has it: else a third of the time goes into giving memory back
        # to the system and getting it again.
        events = detect(t, x, y, 40.0, 40.0, method=method)
        taken.append(time.process_time() - start)
    del events
    return min(taken)


def _cell(by_coder: Mapping[str, float]) -> str:
    return " / ".join("-" if math.isnan(value) else f"{value:.3f}" for value in by_coder.values())


def _target_cells(
    values: Sequence[float | None], target: float | tuple[float, ...] | None, *, scale: float = 1.0
) -> str:
    """Return the target and whether it is reached, as two cells."""
    if target is None:
        return " | "
    targets = target if isinstance(target, tuple) else (target,)
    known = [value for value in values if value is not None]
    reached = all(value >= aim for value, aim in zip(known, targets, strict=False))
    return " / ".join(f"{aim * scale:g}" for aim in targets) + f" | {_yes(reached)}"


def _yes(reached: bool) -> str:
    return "yes" if reached else "NO"


def _why_absent(name: str, peers: Peers) -> str:
    return "not run" if name in PEERS and peers.given(name) else "not given"


def _print_failed(failed: list[str]) -> None:
    if failed:
        print("\nFailed (counted as unlabelled):\n")
        for one in dict.fromkeys(failed):
            print(f"- {one}")


if __name__ == "__main__":
    main()
