"""What people decided in review, put into what the stages made and into the words that leave the store.

The stages know nothing of it; boxes of regions and of burned-in text are inputs of their stages, which ask for them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.decisions import Decisions
from curation.stages.protocol import StageOutput
from keyframes.reading import ISSUES, Reading
from keyframes.sentences import link_findings, sentence_id_of

__all__ = ["decided_output", "with_corrected_words"]

REVIEWED: Final = "typed"
"""Source of a word that a person put in."""


def decided_output(stage: str, output: StageOutput, reading: Reading, decisions: Decisions) -> StageOutput:
    """Return a stage's output as people decided it; that of most stages unchanged.

    quality   : a reading that a person rejected is rejected; one that a person accepted passes, its errors then are
                warnings only.
    dictation : sentences have the bounds and the text that a person gave them, and keep their ids; what a corrected
                sentence speaks of is found anew. ``notes["n_decisions_without_sentence"]`` counts decisions on
                sentences that are there no more.

    Raises SchemaError for a decision that is none.
    """
    if stage == "quality":
        return _judged(output, decisions)
    if stage == "dictation":
        return _corrected(output, reading, decisions)
    return output


def with_corrected_words(reading: Reading, decisions: Decisions) -> Reading:
    """Return the reading in whose ``words`` stand the corrected texts of its sentences.

    A word that was said keeps its time; others share the time between their neighbours, without confidence. The reading
    must have its ``sentences``.
    """
    texts = decisions.sentence_texts()
    sentences = reading.table("sentences")
    known = set(sentences.column("sentence_id").to_pylist())
    if not texts.keys() & known:
        return reading
    words = reading.table("words")
    order = pc.sort_indices(words, sort_keys=[("t_start_ns", "ascending"), ("word_index", "ascending")])
    rows = words.take(order).to_pylist()
    starts = _starts(rows, known)
    made: list[dict[str, Any]] = rows[: min(starts.values(), default=len(rows))]
    places = sorted(starts.items(), key=lambda item: item[1])
    for (sentence_id, start), end in zip(places, [*(at for _, at in places[1:]), len(rows)], strict=True):
        said = rows[start:end]
        made += _aligned(said, texts[sentence_id].split()) if sentence_id in texts else said
    made = [{**row, "word_index": index} for index, row in enumerate(made)]
    return reading.with_tables(words=pa.Table.from_pylist(made, schema=words.schema))


def _judged(output: StageOutput, decisions: Decisions) -> StageOutput:
    verdict = decisions.verdict()
    if verdict is None:
        return output
    issues = output.tables["issues"].to_pylist()
    if verdict == "accept":
        issues = [{**row, "severity": "warning"} if row["severity"] == "error" else row for row in issues]
        note = {
            "code": "GQ-REVIEW-ACCEPTED",
            "severity": "info",
            "message": "a reviewer accepted the reading",
        }
    else:
        note = {
            "code": "GQ-REVIEW-REJECTED",
            "severity": "error",
            "message": "a reviewer rejected the reading",
        }
    table = pa.Table.from_pylist([*issues, {**note, "sentence_id": None}], schema=ISSUES)
    return replace(
        output,
        tables={**output.tables, "issues": table},
        notes={**output.notes, "n_issues": table.num_rows},
        verdict="ok" if verdict == "accept" else "rejected",
        reason="" if verdict == "accept" else note["code"],
    )


def _corrected(output: StageOutput, reading: Reading, decisions: Decisions) -> StageOutput:
    bounds, texts = decisions.sentence_bounds(), decisions.sentence_texts()
    if not bounds and not texts:
        return output
    sentences = output.tables["sentences"]
    rows = sentences.to_pylist()
    known = {row["sentence_id"] for row in rows}
    for row in rows:
        if row["sentence_id"] in bounds:
            row["t_start_ns"], row["t_end_ns"] = bounds[row["sentence_id"]]
        if row["sentence_id"] in texts:
            row["text"] = " ".join(texts[row["sentence_id"]].split())
    table = pa.Table.from_pylist(rows, schema=sentences.schema)
    linked = link_findings(table, reading.table("findings")).column("finding_ids").to_pylist()
    for row, finding_ids in zip(rows, linked, strict=True):
        if row["sentence_id"] in texts:
            row["finding_ids"] = finding_ids
    rows.sort(key=lambda row: (row["t_start_ns"], row["sentence_index"]))
    for index, row in enumerate(rows):
        row["sentence_index"] = index
    return replace(
        output,
        tables={**output.tables, "sentences": pa.Table.from_pylist(rows, schema=sentences.schema)},
        notes={
            **output.notes,
            "n_sentences_decided": len(known & {*bounds, *texts}),
            "n_decisions_without_sentence": len({*bounds, *texts} - known),
        },
    )


def _starts(rows: Sequence[Mapping[str, Any]], known: set[str]) -> dict[str, int]:
    """Return, by id of the sentences that are there, the place of the word that it begins with."""
    found: dict[str, int] = {}
    repeats: dict[int, int] = {}
    for place, row in enumerate(rows):
        t_ns = row["t_start_ns"]
        sentence_id = sentence_id_of(t_ns, repeats.get(t_ns, 0))
        if sentence_id in known:
            found[sentence_id] = place
            repeats[t_ns] = repeats.get(t_ns, 0) + 1
    return found


def _aligned(said: Sequence[dict[str, Any]], text: Sequence[str]) -> list[dict[str, Any]]:
    """Return the words of ``text``: those that were said as they were, the others in the time of what they replace."""
    spoken = [row["word"].casefold() for row in said]
    made: list[dict[str, Any]] = []
    matcher = difflib.SequenceMatcher(a=spoken, b=[word.casefold() for word in text], autojunk=False)
    for kind, a0, a1, b0, b1 in matcher.get_opcodes():
        if kind == "equal":
            made += [
                {**row, "word": word, "transcript": "reviewed"}
                for row, word in zip(said[a0:a1], text[b0:b1], strict=True)
            ]
            continue
        before = said[a0 - 1]["t_end_ns"] if a0 else said[0]["t_start_ns"]
        after = said[a1]["t_start_ns"] if a1 < len(said) else said[-1]["t_end_ns"]
        start, end = (
            (said[a0]["t_start_ns"], said[a1 - 1]["t_end_ns"]) if a1 > a0 else (before, max(before, after))
        )
        edges = np.linspace(0, end - start, b1 - b0 + 1).astype(np.int64) + start
        made += [
            {
                **dict.fromkeys(said[0]),
                "word": word, "t_start_ns": int(edges[k]), "t_end_ns": int(edges[k + 1]), "supported": True,
                "source": REVIEWED, "placing": "interpolated", "transcript": "reviewed",
            }
            for k, word in enumerate(text[b0:b1])
        ]  # fmt: skip
    return made
