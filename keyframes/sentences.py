"""Dictated words to sentences, and which finding a sentence speaks of.

Linking is rule-based: a small table of what radiologists call the labels of the CheXpert labeller, with a check of
negation in the manner of NegEx (Chapman et al. 2001). It reads English and knows nothing of sides.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

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
    order = pc.sort_indices(words, sort_keys=[("t_start_ns", "ascending"), ("word_index", "ascending")])
    rows = words.take(order).select(["word", "t_start_ns", "t_end_ns"]).to_pylist()
    with_stops = any(_ends_sentence(row["word"]) for row in rows)
    groups = _at_full_stops(rows) if with_stops else _at_pauses(rows, round(pause_s * 1e9))
    started: Counter[int] = Counter()
    sentences: list[dict[str, Any]] = []
    for group in groups:
        if not any(row["word"].strip(" .!?") for row in group):
            continue
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


def link_findings(sentences: pa.Table, findings: pa.Table) -> pa.Table:
    """Return ``sentences`` with ``finding_ids`` of the findings that each speaks of, by rule.

    A finding is linked where its label is said (see `mentions`) with the polarity of its ``present``, and where its
    own ``sentence_ids`` already name the sentence. Sides are not told apart: of two findings with one label both
    are linked.
    """
    known = findings.select(["finding_id", "label", "present", "sentence_ids"]).to_pylist()
    linked = []
    for row in sentences.select(["sentence_id", "text"]).to_pylist():
        found = [
            finding["finding_id"]
            for finding in known
            if row["sentence_id"] in finding["sentence_ids"]
            or finding["present"] in mentions(row["text"], finding["label"])
        ]
        linked.append(found)
    field = SENTENCES.field("finding_ids")
    place = sentences.column_names.index("finding_ids")
    return sentences.set_column(place, field, pa.array(linked, field.type))


def mentions(text: str, label: str) -> frozenset[bool]:
    """Say how a sentence speaks of a CheXpert label: {True} affirmed, {False} denied, both, or not at all.

    A label without rules is looked for word by word.
    """
    rule = _RULES.get(label) or _Rule(term=re.escape(label.lower()))
    found = set()
    for clause in _CLAUSE_END.split(text.lower()):
        rest = clause
        for pattern, polarity in ((rule.denied, False), (rule.affirmed, True)):
            if pattern and re.search(pattern, rest):
                found.add(polarity)
                # What a fixed phrase says is not judged again by the words that it is made of.
                rest = re.sub(pattern, " ", rest)
        if rule.term:
            found |= {not _is_negated(rest, match) for match in re.finditer(rule.term, rest)}
    return frozenset(found)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """How one label is said; regular expressions over lower-case text."""

    term: str = ""
    """Names the label; the words around it say whether it is there."""
    affirmed: str = ""
    """Says that it is there, whatever stands around."""
    denied: str = ""
    """Says that it is not there."""


_CLAUSE_END = re.compile(
    r"[.;:]|\b(?:but|however|although|though|otherwise|except)\b"
    r"|(?:,|\band\b)\s*(?=(?:a|an|there|tiny|small|mild|moderate|large|marked)\b)"
)
"""Where a negation ends; a comma alone does not end it ("no effusion, edema or pneumothorax")."""
_VERB = r"(?:is|are|indicates?|suggests?|represents?|shows?)"
_CUE_BEFORE = re.compile(
    rf"\b(?:no|not|neither|nor|never|without(?!.*\b{_VERB}\b)|absent|absence of|free of|clear of|negative for|"
    r"denies|exclude[sd]?|resolution of|resolved)\b|n't\b"
)
"""Without ends at a verb: "a line without markings beyond it indicates a pneumothorax"."""
_CUE_AFTER = re.compile(
    r"\b(?:absent|excluded|ruled out|resolved|not (?:seen|present|identified|visible|evident))\b"
)
_NOT_A_CUE = re.compile(r"\bno (?:change|interval change|significant change)\b|\bnot (?:only|changed)\b")


def _is_negated(clause: str, match: re.Match[str]) -> bool:
    """Say whether a negation stands before the end of the term (or in it), or right after it."""
    before = _NOT_A_CUE.sub(" ", clause[: match.end()])
    return bool(_CUE_BEFORE.search(before) or _CUE_AFTER.search(clause[match.end() :]))


_HEART = r"\b(?:heart|cardiac (?:silhouette|shadow|size)|cardiac)\b"
_LUNGS_CLEAR = r"\blungs?\b[^,]{0,30}\bclear\b"

_RULES: Mapping[str, _Rule] = MappingProxyType(
    {
        "No Finding": _Rule(
            term=r"\bnormal (?:chest|radiograph|examination|study|film|x-ray)"
            r"|\bchest (?:radiograph|x-ray|film) is (?:not )?(?:normal|unremarkable)",
            affirmed=r"\bno (?:\w+ ){0,3}(?:abnormalit|disease\b|process\b|finding)",
        ),
        "Enlarged Cardiomediastinum": _Rule(
            term=r"\bmediastin\w*\b.{0,30}\b(?:widen\w*|enlarge\w*|wide)\b"
            r"|\b(?:widen\w*|enlarge\w*|wide)\b.{0,20}\b(?:cardio)?mediastin\w*",
            denied=r"\bmediastin\w*\b.{0,30}\b(?:normal|unremarkable)\b",
        ),
        "Cardiomegaly": _Rule(
            term=rf"\bcardiomegaly\b|{_HEART}.{{0,30}}\b(?:enlarged|wider|big|increased)\b"
            r"|\benlarge\w*\b.{0,20}\b(?:heart|cardiac)\b",
            denied=rf"{_HEART}.{{0,20}}\b(?:normal|unremarkable)\b|\bnormal\b.{{0,12}}{_HEART}",
        ),
        "Lung Lesion": _Rule(term=r"\bnodul\w*|\bmass(?:es)?\b|\blesions?\b|\bmetastas\w+|\btumou?rs?\b"),
        "Lung Opacity": _Rule(
            term=r"\bopaci\w+|\bdensit(?:y|ies)\b|\bground[- ]glass\b|\bhaz(?:e|y)\b|\bshadowing\b",
            denied=_LUNGS_CLEAR,
        ),
        "Edema": _Rule(
            term=r"\bo?edema\b|\bseptal lines\b|\bkerley\b|\b(?:vascular|venous|pulmonary) congestion\b"
        ),
        "Consolidation": _Rule(
            term=r"\bconsolidat\w+|\bair bronchograms?\b|\bair ?space (?:opaci\w+|disease)",
            denied=_LUNGS_CLEAR,
        ),
        "Pneumonia": _Rule(term=r"\bpneumonia\b|\binfiltrat\w+|\binfection\b"),
        "Atelectasis": _Rule(term=r"\batelecta\w+|\bvolume loss\b|\bcollapse[ds]?\b"),
        "Pneumothorax": _Rule(
            term=r"\bpneumothora(?:x|ces)\b|\bpleural line\b|\bair\b.{0,20}\bpleural (?:space|cavity)\b"
        ),
        "Pleural Effusion": _Rule(
            term=r"\beffusions?\b|\bfluid\b.{0,20}\bpleural\b|\bpleural fluid\b|\bcostophrenic\b.{0,30}\bblunt\w*"
            r"|\bblunt\w*\b.{0,30}\bcostophrenic\b",
            denied=r"\bcostophrenic\b.{0,30}\b(?:sharp|clear|free)\b",
        ),
        "Pleural Other": _Rule(term=r"\bpleural (?:thicken\w*|plaques?|scar\w*|calcif\w*)"),
        "Fracture": _Rule(
            term=r"\bfractur\w*|\b(?:ribs?|clavicles?)\b.{0,20}\bbroken\b|\bbroken\b.{0,20}\b(?:ribs?|clavicles?)\b",
            denied=r"\b(?:ribs?|clavicles?|bones?)\b.{0,20}\bintact\b",
        ),
        "Support Devices": _Rule(
            term=r"\bdevices?\b|\bpacemakers?\b|\bdefibrillator\b|\btubes?\b"
            r"|\b(?:venous|picc|central) (?:line|catheter)|\bcatheters?\b|\bdrains?\b|\bport\b|\bleads?\b|\bprosthe\w+"
        ),
    }
)
