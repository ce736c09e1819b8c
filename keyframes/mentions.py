"""Which of the 14 labels of the CheXpert labeller a sentence speaks of, and how sure it is: by our own rules.

A table of what radiologists call the labels, and cues of negation and doubt around them in the manner of NegEx (Chapman
et al. 2001) and of NegBio (Peng et al. 2018). It reads English and knows nothing of sides. It is not the CheXpert
labeller nor one of its successors, and its output says so (`RULES_NAME`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["LABELS", "RULES_NAME", "Certainty", "Mention", "find_mentions", "mentions"]

RULES_NAME = "gazecapture-rules-1"
"""What found the mentions; raised with every change of the rules."""

Certainty = Literal["positive", "uncertain", "negative"]
_ORDER: tuple[Certainty, ...] = ("positive", "uncertain", "negative")
"""Of several in one sentence the first counts, as the CheXpert labeller aggregates."""
NO_FINDING = "No Finding"
DEVICES = "Support Devices"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A label and how sure a sentence is of it."""

    label: str
    certainty: Certainty


def find_mentions(text: str) -> tuple[Mention, ...]:
    """Return the labels that a sentence speaks of, in the order of `LABELS`.

    No Finding is there only where nothing else is, devices apart.
    """
    found = [
        Mention(label=label, certainty=next(level for level in _ORDER if level in levels))
        for label in LABELS
        if (levels := _certainties(text, label))
    ]
    if any(m.label not in (NO_FINDING, DEVICES) and m.certainty != "negative" for m in found):
        found = [m for m in found if m.label != NO_FINDING]
    return tuple(m for m in found if m.label != NO_FINDING or m.certainty == "positive")


def mentions(text: str, label: str) -> frozenset[bool]:
    """Say how a sentence speaks of a CheXpert label: {True} affirmed or in doubt, {False} denied, both, or not at all.

    A label without rules is looked for word by word.
    """
    return frozenset(certainty != "negative" for certainty in _certainties(text, label))


def _certainties(text: str, label: str) -> set[Certainty]:
    rule = _RULES.get(label) or _Rule(term=re.escape(label.lower()))
    found: set[Certainty] = set()
    for clause in _CLAUSE_END.split(text.lower()):
        rest = clause
        fixed: tuple[tuple[str, Certainty], ...] = ((rule.denied, "negative"), (rule.affirmed, "positive"))
        for pattern, certainty in fixed:
            if pattern and re.search(pattern, rest):
                found.add(certainty)
                # What a fixed phrase says is not judged again by the words that it is made of.
                rest = re.sub(pattern, " ", rest)
        if rule.term:
            found |= {_certainty(rest, match) for match in re.finditer(rule.term, rest)}
    return found


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
    r"|,\s*(?=\w+(?: \w+)? (?:in place|in situ|unchanged)\b)"
    r"|(?:,|\band\b)\s*"
    r"(?=(?:a|an|there|tiny|small|mild|moderate|large|marked|possibl[ey]|probabl[ey]|likely|suspected)\b)"
)
"""Where a negation ends; a comma alone does not end it ("no effusion, edema or pneumothorax")."""
_VERB = r"(?:is|are|indicates?|suggests?|represents?|shows?)"
_CUE_BEFORE = re.compile(
    rf"\b(?:no|not|neither|nor|never|without(?!.*\b{_VERB}\b)|absent|absence of|free of|clear of|negative for|"
    r"denies|exclude[sd]?|resolution of|resolved|unlikely)\b|n't\b"
)
"""Without ends at a verb: "a line without markings beyond it indicates a pneumothorax"."""
_CUE_AFTER = re.compile(
    r"\b(?:absent|excluded|ruled out|resolved|unlikely|not (?:seen|present|identified|visible|evident))\b"
)
_NOT_A_CUE = re.compile(r"\bno (?:change|interval change|significant change)\b|\bnot (?:only|changed)\b")
_CANNOT_EXCLUDE = (
    r"(?:can ?not|could not|cannot be|not|difficult to|hard to) (?:be )?(?:entirely |completely |fully )?"
    r"(?:excluded?|ruled? out)"
)
_DOUBT_BEFORE = re.compile(
    rf"\b(?:may|might|could|possib\w+|probabl[ey]|likely|suspect\w*|suspicious for|suspicion (?:of|for)|suggest\w*|"
    rf"concern\w* for|question(?:able| of)|equivocal|versus|vs|rule out|evaluate for|potential\w*|presum\w+|perhaps|"
    rf"{_CANNOT_EXCLUDE})\b"
)
_DOUBT_AFTER = re.compile(
    rf"\b(?:{_CANNOT_EXCLUDE}|(?:is|are|seems|remains?) (?:possible|probable|likely|suspected|questionable|equivocal)|"
    r"versus|vs|suspected|in question)\b"
)


def _certainty(clause: str, match: re.Match[str]) -> Certainty:
    """Judge a term by what stands right after it, else by the nearest cue before its end (or in it)."""
    after = clause[match.end() :]
    if _DOUBT_AFTER.search(after):
        return "uncertain"
    if _CUE_AFTER.search(after):
        return "negative"
    before = _NOT_A_CUE.sub(lambda cue: " " * len(cue[0]), clause[: match.end()])
    doubt = max((cue.end() for cue in _DOUBT_BEFORE.finditer(before)), default=-1)
    # "Cannot exclude" holds words that deny elsewhere.
    denial_text = _DOUBT_BEFORE.sub(lambda cue: " " * len(cue[0]), before)
    denial = max((cue.end() for cue in _CUE_BEFORE.finditer(denial_text)), default=-1)
    if doubt == denial == -1:
        return "positive"
    return "uncertain" if doubt > denial else "negative"


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
LABELS = tuple(_RULES)
"""The 14 labels of CheXpert (Irvin et al. 2019)."""
