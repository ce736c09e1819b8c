"""What the page shows of all readings together, and the same as tables to download."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from curation.funnel import Funnel, State
from curation.report.agreement import MEASURES, Agreement, agreement_of
from curation.report.distributions import LIMITS, Distribution, Limit, distributions
from curation.report.downloads import NumberTable
from curation.report.gathered import Gathered
from curation.report.hints import hint_of_issue
from curation.report.letters import LetterSpread, Strip, Way, letter_spreads, strips, ways
from curation.report.per_reader import ReaderFigures, figures_per_reader

__all__ = ["Cohort", "FunnelStep", "Reason", "cohort_of", "limits_of"]

_STEPS: tuple[tuple[str, State, str], ...] = (
    ("Readable", "failed", "failed"),
    ("Worked through", "unfinished", "still to be done"),
    ("Good enough", "rejected", "rejected by a gate"),
    ("Free to leave", "held_back", "held back"),
)
"""What is left after a state is taken off, the state, and what it means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why readings dropped out."""

    code: str
    n: int
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelStep:
    """One line of the funnel."""

    label: str
    n_left: int
    n_lost: int
    lost_as: str
    reasons: tuple[Reason, ...]
    left_percent: float
    lost_percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """All that is said of the readings together."""

    n_readings: int
    n_studies: int
    n_readers: int
    hours: float
    funnel: tuple[FunnelStep, ...]
    """Empty where nobody knows what was left out."""
    n_by_split: Mapping[str, int]
    distributions: tuple[Distribution, ...]
    letters: tuple[LetterSpread, ...]
    ways: tuple[Way, ...]
    strips: tuple[Strip, ...]
    n_without_strip: int
    agreement: Agreement | None
    readers: tuple[ReaderFigures, ...]
    tables: tuple[NumberTable, ...]
    """All of it as numbers."""


def limits_of(settings: Mapping[str, object]) -> dict[str, list[Limit]]:
    """Return the gates of settings ``[quality]``, by metric; of settings that are none, none."""
    found: dict[str, list[Limit]] = {}
    for metric, gates in LIMITS.items():
        for name, effect in gates:
            value = settings.get(name)
            if isinstance(value, int | float) and np.isfinite(value):
                found.setdefault(metric, []).append(Limit(value=float(value), effect=effect))
    return found


def cohort_of(
    readings: Sequence[Gathered],
    *,
    letters: Mapping[str, str],
    limits: Mapping[str, Sequence[Limit]],
    funnel: Funnel | None,
    n_by_split: Mapping[str, int],
    max_strips: int,
    per_reader: bool,
) -> Cohort:
    """Return what the page shows of these readings.

    letters : letter -> what it stands for.
    Raises PrivacyError where figures per reader are asked for of too few readers.
    """
    spreads = letter_spreads(readings, letters)
    drawn = strips(readings[:max_strips])
    cohort = Cohort(
        n_readings=len(readings),
        n_studies=len({reading.study_key for reading in readings}),
        n_readers=len({reading.reader_code for reading in readings}),
        hours=sum(reading.duration_s for reading in readings) / 3600,
        funnel=() if funnel is None else tuple(_steps(funnel)),
        n_by_split={split: n for split, n in n_by_split.items() if split},
        distributions=distributions(readings, limits),
        letters=spreads,
        ways=ways(readings),
        strips=drawn,
        n_without_strip=sum(bool(reading.visits) for reading in readings[max_strips:]),
        agreement=(agreement := agreement_of(readings)),
        readers=figures_per_reader(readings, agreement) if per_reader else (),
        tables=(),
    )
    return _with_tables(cohort, readings, max_strips)


def _steps(funnel: Funnel) -> Iterator[FunnelStep]:
    total = funnel.n_readings
    left = total
    yield FunnelStep(
        label="Came in", n_left=total, n_lost=0, lost_as="", reasons=(), left_percent=100.0 * bool(total),
        lost_percent=0.0,
    )  # fmt: skip
    for label, state, lost_as in _STEPS:
        n = funnel.n_by_state[state]
        left -= n
        yield FunnelStep(
            label=label,
            n_left=left,
            n_lost=n,
            lost_as=lost_as,
            reasons=tuple(
                Reason(code=code, n=count, hint=hint_of_issue(code))
                for code, count in sorted(
                    funnel.reasons.get(state, {}).items(), key=lambda item: (-item[1], item[0])
                )
                if count
            ),
            left_percent=100 * left / total if total else 0.0,
            lost_percent=100 * n / total if total else 0.0,
        )


def _with_tables(cohort: Cohort, readings: Sequence[Gathered], max_strips: int) -> Cohort:
    return replace(cohort, tables=tuple(t for t in _tables(cohort, readings, max_strips) if t.rows))


def _tables(cohort: Cohort, readings: Sequence[Gathered], max_strips: int) -> Iterator[NumberTable]:
    yield NumberTable.of(
        "funnel",
        "readings that came in, were left and were lost, and why",
        (
            {
                "step": s.label,
                "left": s.n_left,
                "lost": s.n_lost,
                "lost_as": s.lost_as,
                "code": None if reason is None else reason.code,
                "n_by_code": None if reason is None else reason.n,
            }
            for s in cohort.funnel
            for reason in s.reasons or (None,)
        ),
    )
    metrics = {name: unit for reading in readings for name, unit in reading.units.items()}
    yield NumberTable.of(
        "quality",
        "figures of quality of every reading",
        (
            {"reading_id": r.reading_id}
            | {f"{m}_{unit}": r.metrics.get(m) for m, unit in sorted(metrics.items())}
            for r in readings
        ),
    )  # fmt: skip
    yield NumberTable.of(
        "quality_summary",
        "how the figures of quality are spread",
        (
            {
                "metric": d.metric, "unit": d.unit, "n": d.n, "min": d.low, "q1": d.quarter, "median": d.median,
                "q3": d.three_quarters, "max": d.high,
            }
            for d in cohort.distributions
        ),
    )  # fmt: skip
    yield NumberTable.of(
        "quality_histograms",
        "bars of the histograms",
        (
            {"metric": d.metric, "unit": d.unit, "from": d.edges[k], "to": d.edges[k + 1], "n": n}
            for d in cohort.distributions
            for k, n in enumerate(d.counts)
        ),
    )
    yield NumberTable.of(
        "letters_summary",
        "letters over all readings",
        (
            {
                "letter": s.letter, "name": s.name, "n_readings": s.n, "share_p5": s.shares[0], "share_q1": s.shares[1],
                "share_median": s.shares[2], "share_q3": s.shares[3], "share_p95": s.shares[4],
                "median_dwell_s": s.median_dwell_s, "median_first_s": s.median_first_s,
                "median_covered_share": s.median_covered, "n_never_looked": s.never, "n_begin_with_it": s.first,
            }
            for s in cohort.letters
        ),
    )  # fmt: skip
    yield NumberTable.of(
        "letters",
        "letters of every reading",
        (
            {
                "reading_id": r.reading_id, "letter": letter, "dwell_s": look.dwell_s, "dwell_share": look.dwell_share,
                "t_first_s": look.t_first_s, "n_visits": look.n_visits, "covered_share": look.covered_share,
            }
            for r in readings
            for letter, look in r.letters.items()
        ),
    )  # fmt: skip
    yield NumberTable.of(
        "transitions",
        "how often gaze went from letter to letter",
        ({"from": w.start, "to": w.end, "n": w.n, "share_of_ways_out": w.share} for w in cohort.ways),
    )
    yield NumberTable.of(
        "trajectories",
        "visits of the readings that are drawn",
        (
            {
                "reading_id": r.reading_id, "letter": v.letter, "image_index": v.image_index, "t_start_s": v.t_start_s,
                "t_end_s": v.t_end_s,
            }
            for r in readings[:max_strips]
            for v in r.visits
        ),
    )  # fmt: skip
    agreement = cohort.agreement
    if agreement is not None:
        yield NumberTable.of(
            "agreement",
            "agreement by study, means over the pairs of its readers",
            (
                {"study_key": s.study_key, "n_readers": s.n_readers, "n_pairs": len(s.pairs)}
                | {name: s.mean(name) for name in MEASURES}
                for s in agreement.studies
            ),
        )
        yield NumberTable.of(
            "agreement_summary",
            "agreement over all studies, and between readings of different studies",
            (
                {
                    "measure": name, "mean": agreement.mean(name), "n_studies": len(agreement.studies),
                    "different_studies": agreement.chance[name], "n_different_pairs": agreement.n_chance_pairs,
                }
                for name in MEASURES
            ),
        )  # fmt: skip
        yield NumberTable.of(
            "centroids_icc",
            "intraclass correlation of centroids",
            (
                {
                    "centroid": c.kind, "axis": c.axis, "form": c.form, "icc": c.value, "n_targets": c.n_targets,
                    "n_readers": c.n_readers,
                }
                for c in agreement.centroids
            ),
        )  # fmt: skip
    yield NumberTable.of(
        "readers",
        "figures per reader under random codes",
        (
            {
                "reader": r.code, "n_readings": r.n_readings, "median_duration_s": r.duration_s,
                "median_loss_share": r.loss_share, "median_accuracy_deg": r.accuracy_deg, "mean_letters": r.n_letters,
                "attention_with_others": r.attention_with_others,
            }
            for r in cohort.readers
        ),
    )  # fmt: skip
