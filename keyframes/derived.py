"""Training material made of key frames: which frame belongs to what, clips, and shuffled sequences to be put in order.

A frame is a key frame that has a picture, that is, a box. Frames are told by ``keyframe_index`` and sentences and
findings by their ids, nowhere by position, so that a sentence without gaze shifts nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from keyframes.errors import UsageError

__all__ = ["CLIPS", "FRAMES", "SHUFFLES", "clips", "frame_index", "order_text", "shuffled_sequences"]

N_SHUFFLES = 3
"""Sequences of each clip."""

_FRAME_NUMBERS = pa.list_(pa.int32())
_IDS = pa.list_(pa.string())


def _schema(fields: Mapping[str, pa.DataType], *, nullable: Sequence[str] = ()) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=name in nullable) for name, kind in fields.items()])


FRAMES = _schema(
    {
        "frame": pa.int32(), "keyframe_index": pa.int32(), "kind": pa.string(), "sentence_id": pa.string(),
        "image_index": pa.int16(), "place_in_sentence": pa.int32(), "n_of_sentence": pa.int32(),
        "t_start_ns": pa.int64(), "t_end_ns": pa.int64(),
    },
    nullable=("sentence_id", "image_index", "place_in_sentence", "n_of_sentence"),
)  # fmt: skip
"""One row per frame. frame: 0-based place among the reading's frames. place_in_sentence: 0-based; both this and
n_of_sentence are null for a silent frame."""

CLIPS = _schema(
    {
        "clip_id": pa.string(), "kind": pa.string(), "finding_id": pa.string(), "label": pa.string(),
        "sentence_ids": _IDS, "keyframe_indexes": _FRAME_NUMBERS,
    },
    nullable=("finding_id", "label"),
)  # fmt: skip
"""One row per clip, at least one frame each, in the order of the reading. kind: reading (all frames), overview (the
holistic ones), sentence, finding (of all sentences that speak of it). clip_id: the kind, and after a colon the id of
the sentence or finding."""

SHUFFLES = _schema(
    {
        "clip_id": pa.string(), "shuffle": pa.int32(), "seed": pa.int64(), "keyframe_indexes": _FRAME_NUMBERS,
        "shown_order": _FRAME_NUMBERS, "inverse_order": _FRAME_NUMBERS, "shown_text": pa.string(),
        "inverse_text": pa.string(),
    },
)  # fmt: skip
"""One row per shuffled sequence. keyframe_indexes: as shown. shown_order: the k-th shown is frame ``shown_order[k]`` of
the clip. inverse_order: frame i of the clip is shown at place ``inverse_order[i]``, so that taking the shown frames in
this order gives the clip back. Both 0-based; the texts are the same, with commas."""


def frame_index(keyframes: pa.Table) -> pa.Table:
    """Return table `FRAMES` of table ``keyframes`` (`keyframes.reading.KEYFRAMES`)."""
    frames = _frames(keyframes)
    of_sentence = Counter(row["sentence_id"] for row in frames)
    place: Counter[str] = Counter()
    rows = []
    for number, row in enumerate(frames):
        sentence_id = row["sentence_id"]
        rows.append(
            {name: row[name] for name in FRAMES.names if name in row}
            | {
                "frame": number,
                "place_in_sentence": None if sentence_id is None else place[sentence_id],
                "n_of_sentence": None if sentence_id is None else of_sentence[sentence_id],
            }
        )
        place[sentence_id] += 1
    return pa.Table.from_pylist(rows, schema=FRAMES)


def clips(keyframes: pa.Table, sentences: pa.Table, findings: pa.Table) -> pa.Table:
    """Return table `CLIPS` of one reading: the whole, its overview, one per sentence, one per finding.

    A finding's frames are those of the sentences that name it (column ``finding_ids``), and those that name it
    themselves, where ``keyframes`` has such a column. What has no frame has no clip.
    """
    frames = _frames(keyframes)
    speaks_of: dict[str | None, list[str]] = {
        row["sentence_id"]: row["finding_ids"]
        for row in sentences.select(["sentence_id", "finding_ids"]).to_pylist()
    }
    rows = [
        _clip("reading", "", frames),
        _clip("overview", "", [row for row in frames if row["kind"] == "holistic"]),
    ]
    rows += [
        _clip("sentence", one, [row for row in frames if row["sentence_id"] == one])
        for one in speaks_of
        if one is not None
    ]
    for finding in findings.select(["finding_id", "label"]).to_pylist():
        one = finding["finding_id"]
        own = [
            row
            for row in frames
            if one in speaks_of.get(row["sentence_id"], ()) or one in (row.get("finding_ids") or ())
        ]
        rows.append(_clip("finding", one, own) | finding)
    return pa.Table.from_pylist([row for row in rows if row["keyframe_indexes"]], schema=CLIPS)


def shuffled_sequences(
    clips: pa.Table, *, reading_id: str, seed: int, n_shuffles: int = N_SHUFFLES
) -> pa.Table:
    """Return table `SHUFFLES`: up to ``n_shuffles`` different sequences of each clip, none in its own order.

    A clip of n frames has at most n! - 1 of them; one of a single frame has that one, as it is. The same clip,
    ``reading_id`` and ``seed`` give the same sequences, whatever other clips there are. Raises UsageError for a
    negative seed or number.
    """
    if seed < 0 or n_shuffles < 0:
        raise UsageError(f"seed {seed} and number of sequences {n_shuffles} must not be negative")
    rows = []
    for clip in clips.select(["clip_id", "keyframe_indexes"]).to_pylist():
        key = f"{seed}\0{reading_id}\0{clip['clip_id']}"
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode()).digest()))
        frames = clip["keyframe_indexes"]
        for number, order in enumerate(_orders(rng, len(frames), n_shuffles)):
            inverse = np.argsort(order).tolist()
            rows.append(
                {
                    "clip_id": clip["clip_id"],
                    "shuffle": number,
                    "seed": seed,
                    "keyframe_indexes": [frames[place] for place in order],
                    "shown_order": order,
                    "inverse_order": inverse,
                    "shown_text": order_text(order),
                    "inverse_text": order_text(inverse),
                }
            )
    return pa.Table.from_pylist(rows, schema=SHUFFLES)


def order_text(order: Iterable[int]) -> str:
    """Return an order as text, with commas: from ten frames on digits alone would be read in several ways.

    >>> order_text([10, 0, 1])
    '10,0,1'
    """
    return ",".join(str(place) for place in order)


def _orders(rng: np.random.Generator, n: int, n_shuffles: int) -> list[list[int]]:
    """Return different permutations of n places, the identity only where there is no other."""
    identity = list(range(n))
    if n < 2:
        return [identity] if n_shuffles else []
    found: list[list[int]] = []
    while len(found) < min(n_shuffles, math.factorial(min(n, 12)) - 1):
        order: list[int] = rng.permutation(n).tolist()
        if order != identity and order not in found:
            found.append(order)
    return found


def _frames(keyframes: pa.Table) -> list[dict[str, Any]]:
    """Return the rows that have a picture, in order."""
    wanted = [
        name for name in (*FRAMES.names, "order", "box", "finding_ids") if name in keyframes.column_names
    ]
    rows = keyframes.sort_by("order").select(wanted).to_pylist()
    return [row for row in rows if row["box"] is not None]


def _clip(kind: str, own_id: str, frames: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "clip_id": f"{kind}:{own_id}" if own_id else kind,
        "kind": kind,
        "sentence_ids": list(dict.fromkeys(row["sentence_id"] for row in frames if row["sentence_id"])),
        "keyframe_indexes": [row["keyframe_index"] for row in frames],
    }
