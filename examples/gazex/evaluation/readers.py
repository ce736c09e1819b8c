"""What each reader and the model found, against what the other readers found."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from examples.gazex.data.rows import Row
from examples.gazex.evaluation.answered import Answered

__all__ = ["MODEL", "Counts", "Rule", "against_majority", "as_table", "model_labels", "reader_labels"]

Rule = Literal["leave-one-out", "published"]
"""leave-one-out: what more than half of the other readers found; published: what two or more found, the judged one
among them."""
PUBLISHED_VOTES = 2
MIN_READERS = 3
"""A majority of others needs two of them."""
MODEL = "model"

Labels = Mapping[str, Mapping[str, frozenset[str]]]
"""Of a study, by reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """True positives, false negatives and false positives over studies, and how many judgements they are of."""

    tp: int = 0
    fn: int = 0
    fp: int = 0
    n: int = 0

    def plus(self, reference: frozenset[str], own: frozenset[str]) -> Counts:
        """Return the counts with one more judgement."""
        return Counts(
            tp=self.tp + len(reference & own),
            fn=self.fn + len(reference - own),
            fp=self.fp + len(own - reference),
            n=self.n + 1,
        )


def reader_labels(rows: Iterable[Row]) -> dict[str, dict[str, frozenset[str]]]:
    """Return by study and reader the labels that were marked as present; readings without a study or reader not."""
    found: dict[str, dict[str, frozenset[str]]] = defaultdict(dict)
    for row in rows:
        if row["study_key"] and row["reader_code"]:
            marked = frozenset(f["label"] for f in row["findings"] or () if f["present"])
            before = found[row["study_key"]].get(row["reader_code"], frozenset())
            found[row["study_key"]][row["reader_code"]] = before | marked
    return dict(found)


def model_labels(answered: Iterable[Answered], study_of: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Return by study the labels to which the model said yes; of a picture it says the same each time."""
    said: dict[str, set[str]] = defaultdict(set)
    for one in answered:
        if one.example.task == "presence" and one.example.reading_id in study_of:
            study = said[study_of[one.example.reading_id]]
            if one.text == "yes":
                study.add(one.example.about("label") or "")
    return {study: frozenset(labels) for study, labels in said.items()}


def against_majority(
    readers: Labels, model: Mapping[str, frozenset[str]], rule: Rule = "leave-one-out"
) -> dict[str, Counts]:
    """Return counts by reader, and of `MODEL`.

    leave-one-out : a reader is judged by the majority of the others, the model by each of the same references in turn,
    so that both meet the same standard. Studies with fewer than three readers say nothing.
    published     : one reference per study, of labels that at least two readers named; every reader is part of his own.
    """
    counts: dict[str, Counts] = defaultdict(Counts)
    for study, by_reader in sorted(readers.items()):
        if rule == "published":
            reference = _voted(by_reader.values(), PUBLISHED_VOTES)
            for reader, own in sorted(by_reader.items()):
                counts[reader] = counts[reader].plus(reference, own)
            if study in model:
                counts[MODEL] = counts[MODEL].plus(reference, model[study])
            continue
        if len(by_reader) < MIN_READERS:
            continue
        for reader, own in sorted(by_reader.items()):
            others = [labels for name, labels in by_reader.items() if name != reader]
            reference = _voted(others, len(others) // 2 + 1)
            counts[reader] = counts[reader].plus(reference, own)
            if study in model:
                counts[MODEL] = counts[MODEL].plus(reference, model[study])
    return dict(counts)


def _voted(votes: Iterable[frozenset[str]], enough: int) -> frozenset[str]:
    numbers = Counter(label for labels in votes for label in labels)
    return frozenset(label for label, n in numbers.items() if n >= enough)


def as_table(counts: Mapping[str, Counts]) -> Sequence[str]:
    """Return lines of a Markdown table; none without counts."""
    if not counts:
        return []
    return [
        "| who | found | overlooked | found by no majority | judgements |",
        "|---|---|---|---|---|",
        *(f"| {who} | {c.tp} | {c.fn} | {c.fp} | {c.n} |" for who, c in sorted(counts.items())),
    ]
