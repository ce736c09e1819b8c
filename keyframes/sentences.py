"""Dictated words to sentences, and which finding a sentence speaks of (by `keyframes.mentions`)."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from keyframes.mentions import RULES_NAME, Mention, find_mentions, mentions
from keyframes.reading import SENTENCES

__all__ = ["PAUSE_S", "link_findings", "mentions", "sentence_id_of", "split_sentences"]

PAUSE_S = 0.7
"""s without a word that end a sentence where nobody dictates full stops: pauses within a sentence are mostly
shorter than 0.5 s, those between sentences longer than 1 s."""
_STOP = re.compile(r"[.!?]+[\"')\]]*$")
"""Ends a sentence: a word of its own where it was dictated, at the word's end as keyboards and recognisers give it."""
_NO_STOP = re.compile(
    r"[(\[\"']*(?:(?:[a-z]\.)+|\d+\.|(?:dr|mr|mrs|ms|prof|st|vs|cf|ca|approx|incl|resp|fig|ser|img|im)\.)$",
    re.IGNORECASE,
)
"""Letters, numbers and abbreviations whose dot ends no sentence: "e.g.", "2.", "vs."."""
_NO_SPACE_BEFORE = re.compile(r"\s+([.,;:!?)\]])")
_ID_HEX_DIGITS = 16


def split_sentences(words: pa.Table, *, pause_s: float = PAUSE_S) -> pa.Table:
    """Return table ``sentences`` of table ``words``, in order of time.

    Sentences end at full stops, dictated (the word ``.``) or typed (``clear.``, also ``!`` and ``?``; abbreviations
    and numbers end none); where the reading has none at all, at pauses of at least ``pause_s``. What follows the last
    full stop is a sentence too. A sentence lasts from its first word's start to the end of its last word, full stop
    included; sentences may overlap in time where words do. Its text has no space before punctuation.
    ``sentence_id`` is the first 16 hex digits of SHA-256 over the first word's ``t_start_ns`` in decimal digits (a
    further sentence that starts at the same time appends ``#1``, ``#2`` ...). ``finding_ids`` is empty; see
    `link_findings`.
    """
    started: Counter[int] = Counter()
    sentences: list[dict[str, Any]] = []
    for group in _groups(words, pause_s):
        start_ns = group[0]["t_start_ns"]
        sentences.append(
            {
                "sentence_id": sentence_id_of(start_ns, started[start_ns]),
                "sentence_index": len(sentences),
                "text": _text_of(group),
                "t_start_ns": start_ns,
                "t_end_ns": max(row["t_end_ns"] for row in group),
                "finding_ids": [],
            }
        )
        started[start_ns] += 1
    return pa.Table.from_pylist(sentences, schema=SENTENCES)


def supported_texts(words: pa.Table, *, pause_s: float = PAUSE_S) -> list[str]:
    """Return the text of each sentence of `split_sentences` without the words that have no support."""
    return [_text_of([row for row in group if row["supported"]]) for group in _groups(words, pause_s)]


def label_sentences(sentences: pa.Table, supported: Sequence[str]) -> pa.Table:
    """Return ``sentences`` with ``mentions`` and ``mentions_by``: which labels each speaks of, by rule.

    supported : of `supported_texts`. A mention counts where the whole sentence and its supported words agree on it, so
        that neither an invented finding nor an invented "no" makes one.
    """
    found = [
        [{"label": m.label, "certainty": m.certainty} for m in _agreed(text, kept)]
        for text, kept in zip(sentences["text"].to_pylist(), supported, strict=True)
    ]
    for name, values in (("mentions", found), ("mentions_by", [RULES_NAME] * len(found))):
        field = SENTENCES.field(name)
        sentences = sentences.set_column(
            sentences.column_names.index(name), field, pa.array(values, field.type)
        )
    return sentences


def _agreed(text: str, supported: str) -> list[Mention]:
    sure = set(find_mentions(supported))
    return [mention for mention in find_mentions(text) if mention in sure]


def link_findings(
    sentences: pa.Table, findings: pa.Table, *, supported: Sequence[str] | None = None
) -> pa.Table:
    """Return ``sentences`` with ``finding_ids`` of the findings that each speaks of, by rule.

    A finding is linked where its label is said (see `mentions`) with the polarity of its ``present``, and where its
    own ``sentence_ids`` already name the sentence. Sides are not told apart: of two findings with one label both
    are linked. supported : of `supported_texts`; what is said must then be said by the supported words too.
    """
    known = findings.select(["finding_id", "label", "present", "sentence_ids"]).to_pylist()
    linked = []
    rows = sentences.select(["sentence_id", "text"]).to_pylist()
    texts = [row["text"] for row in rows]
    for row, kept in zip(rows, texts if supported is None else supported, strict=True):
        found = [
            finding["finding_id"]
            for finding in known
            if row["sentence_id"] in finding["sentence_ids"]
            or all(finding["present"] in mentions(text, finding["label"]) for text in {row["text"], kept})
        ]
        linked.append(found)
    field = SENTENCES.field("finding_ids")
    place = sentences.column_names.index("finding_ids")
    return sentences.set_column(place, field, pa.array(linked, field.type))


def _groups(words: pa.Table, pause_s: float) -> list[list[Mapping[str, Any]]]:
    """Return the words of each sentence, in order of time."""
    order = pc.sort_indices(words, sort_keys=[("t_start_ns", "ascending"), ("word_index", "ascending")])
    rows = words.take(order).select(["word", "t_start_ns", "t_end_ns", "supported"]).to_pylist()
    with_stops = any(_ends_sentence(row["word"]) for row in rows)
    groups = _at_full_stops(rows) if with_stops else _at_pauses(rows, round(pause_s * 1e9))
    return [group for group in groups if any(row["word"].strip(" .!?") for row in group)]


def _ends_sentence(word: str) -> bool:
    word = word.strip()
    return bool(_STOP.search(word)) and not _NO_STOP.match(word)


def _at_full_stops(rows: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    groups: list[list[Mapping[str, Any]]] = [[]]
    for row in rows:
        groups[-1].append(row)
        if _ends_sentence(row["word"]):
            groups.append([])
    return [group for group in groups if group]


def _at_pauses(rows: Iterable[Mapping[str, Any]], pause_ns: int) -> list[list[Mapping[str, Any]]]:
    groups: list[list[Mapping[str, Any]]] = []
    end_ns = 0
    for row in rows:
        if not groups or row["t_start_ns"] - end_ns >= pause_ns:
            groups.append([])
            end_ns = row["t_end_ns"]
        groups[-1].append(row)
        end_ns = max(end_ns, row["t_end_ns"])
    return groups


def _text_of(group: Sequence[Mapping[str, Any]]) -> str:
    return _NO_SPACE_BEFORE.sub(r"\1", " ".join(" ".join(row["word"] for row in group).split()))


def sentence_id_of(t_start_ns: int, repeat: int = 0) -> str:
    """Return the id of a sentence whose first word starts at ``t_start_ns``; repeat: how many before it start then."""
    key = f"{t_start_ns}#{repeat}" if repeat else f"{t_start_ns}"
    return hashlib.sha256(key.encode()).hexdigest()[:_ID_HEX_DIGITS]
