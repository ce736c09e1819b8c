"""Hold what the pipeline made of a simulated session against what the simulated reader really did.

The only reader of the ground truth. It looks at finished Readings in a store and at the session's raw counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gazecapture.session.journal import read_journal
from gazecapture.session.schema import read_stream_info
from gazecapture.store import Store
from keyframes.frames import sentence_weights
from keyframes.reading import Reading

__all__ = ["Score", "score_session", "scores_document"]

MIN_IOU = 0.5
"""Overlap from which a found and a true event are the same one; the convention of Andersson et al. 2017's users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One figure with what it should be."""

    name: str
    value: float
    unit: str
    target: str
    ok: bool | None
    """None: no target."""


def score_session(
    session: Path, store: Store, truths: Sequence[Path], *, with_letters: bool = True
) -> list[Score]:
    """Score one simulated session.

    truths : the simulated reader's truth folders, one per run of it (an interrupted session has several).
    with_letters : False where the true anatomy is unknown, as on a user's own films.
    """
    by_number = {reading.meta.reading_number: reading for reading in _readings(store)}
    matches = [_match(by_number[n], folder) for n, folder in _truth_folders(truths) if n in by_number]
    scores = list(_counts(session, truths))
    if not matches:
        return scores
    for kind, target in (("fixation", 0.95), ("saccade", 0.85)):
        value = _f1([m.counts[kind] for m in matches])
        scores.append(_at_least(f"{kind} F1 (IoU >= {MIN_IOU})", value, target))
    fixations = pd.concat([m.fixations for m in matches], ignore_index=True)
    spoken = fixations[fixations["true_sentence"] >= 0]
    scores.append(
        _at_least("sentence of a fixation", _share(spoken["sentence"] == spoken["true_sentence"]), 0.98)
    )
    if with_letters:
        scores.append(
            _at_least("letter of a fixation", _share(fixations["letter"] == fixations["true_letter"]), 0.9)
        )
    scores.append(
        Score(
            name="image of a fixation",
            value=_share(fixations["image_index"] == fixations["true_image_index"]),
            unit="share",
            target="1",
            ok=bool((fixations["image_index"] == fixations["true_image_index"]).all()),
        )
    )
    scores.append(
        Score(
            name="fixation position error, median",
            value=float(fixations["error_deg"].median()),
            unit="deg",
            target="",
            ok=None,
        )
    )
    return scores


def scores_document(scores: Sequence[Score]) -> dict[str, Any]:
    """Return the scores as `gazecurate report --scores` takes them."""
    return {
        "title": "Agreement with the simulated reader's ground truth",
        "rows": [asdict(s) for s in scores],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matched:
    """One reading beside its truth."""

    counts: Mapping[str, tuple[int, int, int]]
    """By event kind: matched, found, true."""
    fixations: pd.DataFrame


def _readings(store: Store) -> Iterator[Reading]:
    for reading_id in store.reading_ids():
        yield store.load(reading_id)


def _truth_folders(truths: Sequence[Path]) -> list[tuple[int, Path]]:
    """Return (reading number, folder); of a reading that was done twice, the later run's."""
    found = {int(p.name): p for truth in truths for p in sorted(truth.glob("[0-9]*")) if p.is_dir()}
    return sorted(found.items())


def _counts(session: Path, truths: Sequence[Path]) -> Iterator[Score]:
    """Compare what the simulated reader counted with what lies on disk."""
    sent = {"gaze": 0, "words": 0}
    for truth in truths:
        content = json.loads((truth / "session.json").read_bytes())
        sent["gaze"] += int(content["n_gaze_sent"])
        sent["words"] += int(content["n_words_sent"])
    received = {"gaze": 0, "words": 0}
    for folder in sorted((session / "streams").glob("*/stream.json")):
        role = read_stream_info(folder.parent).role
        if role in received:
            received[role] += read_journal(folder.parent).table.num_rows
    for role, noun in (("gaze", "samples"), ("words", "words")):
        yield Score(name=f"{noun} sent", value=sent[role], unit="", target="", ok=None)
        yield Score(name=f"{noun} received", value=received[role], unit="", target="", ok=None)
        lost = sent[role] - received[role]
        yield Score(name=f"{noun} lost", value=lost, unit="", target="0", ok=lost == 0)


def _match(reading: Reading, truth: Path) -> _Matched:
    events = reading.to_pandas("events")
    true_events = {
        "fixation": pd.read_parquet(truth / "fixations.parquet"),
        "saccade": pd.read_parquet(truth / "saccades.parquet"),
    }
    counts, pairs = {}, {}
    for kind, true in true_events.items():
        found = events[events["kind"] == kind]
        pairs[kind] = match_events(_intervals(found), _intervals(true))
        counts[kind] = (len(pairs[kind]), len(found), len(true))
    fixations = events[events["kind"] == "fixation"].reset_index(drop=True)
    return _Matched(
        counts=counts, fixations=_compare(reading, fixations, true_events["fixation"], pairs["fixation"])
    )


def _compare(
    reading: Reading, found: pd.DataFrame, true: pd.DataFrame, pairs: Sequence[tuple[int, int]]
) -> pd.DataFrame:
    """Put matched fixations beside their truth."""
    at, of = [i for i, _ in pairs], [j for _, j in pairs]
    mine, theirs = found.iloc[at].reset_index(drop=True), true.iloc[of].reset_index(drop=True)
    regions = reading.to_pandas("event_regions")
    letters = regions[regions["is_primary"]].set_index("event_index")["letter"]
    per_deg = _px_per_deg(reading, mine)
    distance = np.hypot(mine["x_image_px"] - theirs["x_image_px"], mine["y_image_px"] - theirs["y_image_px"])
    return pd.DataFrame(
        {
            "image_index": mine["image_index"].astype("Float64").fillna(-1).astype(int),
            "true_image_index": theirs["image_index"].astype("Float64").fillna(-1).astype(int),
            "letter": mine["event_index"].map(letters),
            "true_letter": theirs["letter"],
            "sentence": mine["event_index"].map(_sentence_of(reading)).fillna(-1).astype(int),
            "true_sentence": theirs["sentence_index"].astype("Float64").fillna(-1).astype(int),
            "error_deg": distance / per_deg,
        }
    )


def _sentence_of(reading: Reading) -> dict[int, int]:
    """Return the sentence number with the largest weight of each fixation; silent ones are left out."""
    numbers = dict(
        zip(
            reading.table("sentences").column("sentence_id").to_pylist(),
            reading.table("sentences").column("sentence_index").to_pylist(),
            strict=True,
        )
    )
    weights = sentence_weights(reading.table("events"), reading.table("sentences")).to_pandas()
    best = weights.sort_values("weight").groupby("event_index").last()
    return {int(index): numbers[s] for index, s in best["sentence_id"].items() if s in numbers}


def _px_per_deg(reading: Reading, fixations: pd.DataFrame) -> NDArray[np.float64]:
    gaze = reading.table("gaze")
    t_ns, per_deg = gaze.column("t_ns").to_numpy(), gaze.column("px_per_deg_x").to_numpy()
    middle = (fixations["t_start_ns"].to_numpy() + fixations["t_end_ns"].to_numpy()) // 2
    at = np.clip(np.searchsorted(t_ns, middle), 0, max(0, t_ns.size - 1))
    return np.asarray(per_deg[at], np.float64)


def _intervals(events: pd.DataFrame) -> NDArray[np.int64]:
    return events[["t_start_ns", "t_end_ns"]].to_numpy(np.int64)


def match_events(found: NDArray[np.int64], true: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return one-to-one matches (index found, index true) with IoU >= `MIN_IOU`, best first.

    found, true : (n, 2) int64 ns, start and end, sorted by start.
    """
    candidates = []
    first = 0
    for j, (start, end) in enumerate(true):
        while first < len(found) and found[first, 1] <= start:
            first += 1
        for i in range(first, len(found)):
            if found[i, 0] >= end:
                break
            shared = min(found[i, 1], end) - max(found[i, 0], start)
            iou = shared / (max(found[i, 1], end) - min(found[i, 0], start))
            if iou >= MIN_IOU:
                candidates.append((-iou, i, j))
    used_found: set[int] = set()
    used_true: set[int] = set()
    matches = []
    for _, i, j in sorted(candidates):
        if i not in used_found and j not in used_true:
            used_found.add(i)
            used_true.add(j)
            matches.append((i, j))
    return sorted(matches)


def _f1(counts: Sequence[tuple[int, int, int]]) -> float:
    matched, found, true = (sum(column) for column in zip(*counts, strict=True))
    return 2.0 * matched / (found + true) if found + true else float("nan")


def _share(agree: pd.Series[bool]) -> float:
    return float(agree.mean()) if len(agree) else float("nan")


def _at_least(name: str, value: float, target: float) -> Score:
    return Score(name=name, value=value, unit="share", target=f">= {target}", ok=value >= target)
