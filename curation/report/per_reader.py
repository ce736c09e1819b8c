"""Figures per reader: only where they are asked for, under codes that mean nothing, and of five readers or more."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curation.report.agreement import Agreement, mean_known
from curation.report.gathered import Gathered
from keyframes.errors import PrivacyError

__all__ = ["MIN_READERS", "ReaderFigures", "figures_per_reader"]

MIN_READERS = 5
"""Of fewer readers a colleague knows who is who."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderFigures:
    """Medians over one reader's readings; NaN where nothing is known."""

    code: str
    """Random, another one in every report."""
    n_readings: int
    duration_s: float
    loss_share: float
    accuracy_deg: float
    n_letters: float
    """Letters looked at."""
    attention_with_others: float
    """Mean cosine with the other readers of the same studies."""


def figures_per_reader(
    readings: Sequence[Gathered], agreement: Agreement | None
) -> tuple[ReaderFigures, ...]:
    """Return a row per reader in the order of their random codes.

    Raises PrivacyError (GT-FEW-READERS) where there are fewer than `MIN_READERS`.
    """
    by_reader: dict[str, list[Gathered]] = defaultdict(list)
    for reading in readings:
        by_reader[reading.reader_code].append(reading)
    if len(by_reader) < MIN_READERS:
        raise PrivacyError(
            f"figures per reader need {MIN_READERS} readers, there are {len(by_reader)}",
            hint="Leave out --per-reader.",
            code="GT-FEW-READERS",
        )
    codes: set[str] = set()
    while len(codes) < len(by_reader):
        codes.add(secrets.token_hex(3))
    with_others = {} if agreement is None else agreement.with_others
    rows = [
        ReaderFigures(
            code=code,
            n_readings=len(own),
            duration_s=_median([reading.duration_s for reading in own]),
            loss_share=_median([reading.metrics.get("loss_share", float("nan")) for reading in own]),
            accuracy_deg=_median([reading.metrics.get("accuracy", float("nan")) for reading in own]),
            n_letters=mean_known(
                len({v.letter for v in reading.visits}) for reading in own if reading.visits
            ),
            attention_with_others=with_others.get(reader, float("nan")),
        )
        for code, (reader, own) in zip(_shuffled(codes), by_reader.items(), strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: row.code))


def _shuffled(codes: set[str]) -> list[str]:
    listed = sorted(codes)
    secrets.SystemRandom().shuffle(listed)
    return listed


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if known else float("nan")
