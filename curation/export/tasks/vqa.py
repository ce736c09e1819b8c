"""Question-answer pairs: those of the row as they are, and ones made by rule from findings, regions and letters.

``source`` tells them apart: ``rule:findings``, ``rule:regions`` and ``rule:letters`` are ours, whatever else came with
the row. Reference lesions (``truth``) are for measures and make no question.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from curation.export.tasks.prompts import PromptSet
from curation.export.tasks.protocol import make_record
from curation.export.tasks.reading import TaskReading, sentence_text
from curation.export.tasks.record import LeftOut, Place, TaskRecord
from keyframes.errors import ConfigError
from keyframes.regions.schemes import load_scheme

__all__ = ["vqa"]

_CAPITALISED = re.compile(r"\b[A-Z][a-z]+\b")
REGION_QUESTIONS = 2
"""Of each kind per reading, drawn with the seed: an atlas has 36 regions, which would drown all other questions."""


def vqa(reading: TaskReading, prompts: PromptSet) -> Iterator[TaskRecord | LeftOut]:
    """See the module."""
    if not reading.images:
        yield LeftOut("no picture")
        return
    pairs = [*_given(reading), *_presence(reading), *_location(reading), *_regions(reading)]
    if not pairs:
        yield LeftOut("nothing to ask about")
    for number, pair in enumerate(pairs):
        yield make_record(
            reading, prompts, f"vqa_{pair.pop('template')}", number=number, images=reading.images, **pair
        )


def _given(reading: TaskReading) -> Iterator[dict[str, Any]]:
    for pair in reading.row["qa"] or ():
        if pair["question"] and pair["answer"]:
            yield {
                "template": "given",
                "question": pair["question"],
                "answer": pair["answer"],
                "type": pair["type"],
                "source": pair["source"],
            }


def _presence(reading: TaskReading) -> Iterator[dict[str, Any]]:
    """Ask for every label that the reader spoke of; present wins where both were said."""
    present: dict[str, bool] = {}
    for finding in reading.row["findings"] or ():
        if finding["label"] and finding["present"] is not None:
            present[finding["label"]] = present.get(finding["label"], False) or finding["present"]
    for label, is_present in present.items():
        yield {
            "template": "presence",
            "label": in_a_sentence(label),
            "is_present": is_present,
            "type": "presence",
            "source": "rule:findings",
        }


def _location(reading: TaskReading) -> Iterator[dict[str, Any]]:
    places: dict[str, list[Place]] = {}
    for finding in reading.row["findings"] or ():
        if finding["present"] and finding["label"]:
            place = reading.place(finding, "finding", finding["label"])
            places.setdefault(finding["label"], []).extend([place] if place else [])
    for label, found in places.items():
        if found:
            yield {
                "template": "location",
                "label": in_a_sentence(label),
                "places": found,
                "type": "location",
                "source": "rule:findings",
            }


def _regions(reading: TaskReading) -> Iterator[dict[str, Any]]:
    """Ask where some regions are, and which step of the scheme some belong to."""
    known = [
        (region, place)
        for region in reading.row["regions"] or ()
        if (place := reading.place(region, "region", region["region"])) and place.image == 0
    ]
    if not known:
        return
    key = f"{reading.options.seed}\0{reading.reading_id}\0regions"
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode()).digest()))
    for chosen in rng.permutation(len(known))[:REGION_QUESTIONS]:
        region, place = known[chosen]
        yield {
            "template": "region",
            "region": region["region"],
            "places": [place],
            "type": "region",
            "source": "rule:regions",
        }
    letters = _letters(reading.row["region_scheme"])
    for chosen in rng.permutation(len(known))[:REGION_QUESTIONS]:
        region, _ = known[chosen]
        if region["letter"] in letters:
            yield {
                "template": "letter",
                "region": region["region"],
                "letter": region["letter"],
                "letter_title": letters[region["letter"]],
                "letters": [{"letter": letter, "title": title} for letter, title in letters.items()],
                "type": "letter",
                "source": "rule:letters",
            }


def in_a_sentence(label: str) -> str:
    """Return a label as words within a sentence; abbreviations keep their capitals.

    >>> in_a_sentence("Pleural Effusion"), in_a_sentence("COPD")
    ('pleural effusion', 'COPD')
    """
    return _CAPITALISED.sub(lambda word: word[0].lower(), sentence_text(label))


def _letters(scheme: str | None) -> dict[str, str]:
    """Return the titles of a packaged scheme's letters; of a lab's own, which a shard only names, none."""
    try:
        return dict(load_scheme(scheme).letters) if scheme and "/" not in scheme else {}
    except ConfigError:
        return {}
