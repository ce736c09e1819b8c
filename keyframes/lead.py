"""By how much a reader's gaze leads the words, fitted over that reader's sentences.

A lead is good where it cuts the gaze into stretches that predict themselves: while a sentence is prepared and said
the eyes stay with what it is about, so a fixation lies near the others of its sentence. The score of a lead is the
log-likelihood of every moment of gaze under a mixture of three densities: of the other fixations in its own window
(`keyframes.sentence_time.sentence_windows`), of all other fixations of the reading, and anywhere. What the
same windows score on the same gaze turned in time against the words is taken off, because shorter windows predict
better whatever was said. No word is understood for it, so it holds for any language and any body part.

Simulated readers with 36 or more sentences and leads of 0.7 to 4 s get theirs to 0.3 s. A lead near the time from one
sentence to the next cannot be told from one shorter by that time: the same stretches, one sentence on.

The eyes reach an object about 0.9 s before its name is said (Griffin and Bock 2000, Psychological Science 11:274-279);
before a whole sentence it is longer: the published GazeX scripts take 2 s for everybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from keyframes.errors import DataError
from keyframes.looks import Looks
from keyframes.sentence_time import LEAD_S, MIN_SILENT_S, sentences_in_order, windows_of

__all__ = ["CANDIDATES_S", "MIN_SENTENCES", "LeadFit", "fit_lead", "lead_scores"]

CANDIDATES_S = tuple(round(0.5 + 0.1 * step, 1) for step in range(46))
"""s, 0.5 to 5.0. Finer steps are finer than the spread of one reader's leads from sentence to sentence."""
MIN_SENTENCES = 30
"""Fewer do not settle a lead."""
N_FOLDS = 10

KERNEL_DEG = 1.5
"""Degrees, SD of the density around a fixation: the fovea and a tracker's usual error together."""
OWN_SHARE, READING_SHARE, ANYWHERE_SHARE = 0.7, 0.2, 0.1
"""Of the mixture. A detour in a sentence then costs no more than a factor of three or so."""
ANYWHERE = 0.02
"""Mean of the kernel over a picture of 25 by 25 degrees."""
KEPT_FROM_ERRORS = 2.0
"""Standard errors of the held-out gain from which a lead is kept: chance reaches that in one reader of some thirty."""
N_TURNS = 6
"""Turns of the gaze in time that stand for chance, spaced evenly over the reading."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadFit:
    """What came of fitting one reader's lead."""

    lead_s: float | None
    """None: take the usual one; ``reason`` says why."""
    reason: str
    n_sentences: int
    best_s: float | None = None
    """The lead of the greatest score, kept or not."""
    spread_s: float | None = None
    """Standard error of ``best_s`` by the jackknife over the folds."""
    gain_nats: float | None = None
    """Score on held-out sentences over that of the usual lead; its standard error is ``gain_error_nats``."""
    gain_error_nats: float | None = None


def lead_scores(looks: Looks, sentences: pa.Table, *, min_silent_s: float = MIN_SILENT_S) -> FloatArray:
    """Return (n_sentences, len(CANDIDATES_S)): what each sentence of one reading says for each lead, nats.

    Rows are in order of time. A moment of gaze is booked with the sentence whose usual gaze onset is nearest.
    A reading without gaze gives zeros.
    """
    scores = np.zeros((sentences.num_rows, len(CANDIDATES_S)))
    if not sentences.num_rows or looks.event_index.size < 2:
        return scores
    onsets_s = np.sort(sentences.column("t_start_ns").to_numpy()) / 1e9 - LEAD_S
    rows = sentences_in_order(sentences)
    bounds = [_bounds_s(rows, lead_s=lead_s, min_silent_s=min_silent_s) for lead_s in CANDIDATES_S]
    near, start, end = _nearness(looks), looks.t_start_ns / 1e9, looks.t_end_ns / 1e9
    scores += _booked(near, start, end, bounds, onsets_s)
    length_s = end.max() - start[0]
    for turn in range(1, N_TURNS + 1):
        turned = (start - start[0] + length_s * turn / (N_TURNS + 1)) % length_s + start[0]
        order = np.argsort(turned, kind="stable")
        turned_start = turned[order]
        turned_end = np.minimum(turned_start + (end - start)[order], start[0] + length_s)
        scores -= _booked(near[np.ix_(order, order)], turned_start, turned_end, bounds, onsets_s) / N_TURNS
    return scores


def fit_lead(scores: Sequence[FloatArray], *, usual_s: float = LEAD_S) -> LeadFit:
    """Return the lead of one reader.

    scores : `lead_scores` of each of the reader's readings, always in the same order.

    The sentences are cut into `N_FOLDS` blocks; the lead that is best on the others is held against ``usual_s`` on
    each. It is kept where the held-out gain exceeds `KEPT_FROM_ERRORS` of its own standard errors over the blocks.
    Raises DataError where scores are not those of `CANDIDATES_S`.
    """
    every = np.concatenate([np.empty((0, len(CANDIDATES_S))), *scores])
    if every.shape[1] != len(CANDIDATES_S) or not np.isfinite(every).all():
        raise DataError(f"fit_lead: expected finite scores of {len(CANDIDATES_S)} leads, found {every.shape}")
    n = every.shape[0]
    if n < MIN_SENTENCES:
        return LeadFit(lead_s=None, reason=f"{n} sentences, {MIN_SENTENCES} are needed", n_sentences=n)
    leads, total = np.array(CANDIDATES_S), every.sum(axis=0)
    usual = int(np.argmin(np.abs(leads - usual_s)))
    blocks = np.array([every[block].sum(axis=0) for block in np.array_split(np.arange(n), N_FOLDS)])
    chosen = np.argmax(total - blocks, axis=1)
    gains = blocks[np.arange(N_FOLDS), chosen] - blocks[:, usual]
    gain, gain_error = float(gains.sum()), float(np.sqrt(N_FOLDS) * gains.std(ddof=1))
    spread_s = float(np.sqrt((N_FOLDS - 1) * np.mean((leads[chosen] - leads[chosen].mean()) ** 2)))
    best_s = float(leads[np.argmax(total)])
    keeps = gain > KEPT_FROM_ERRORS * gain_error
    return LeadFit(
        lead_s=best_s if keeps else None,
        reason="fitted"
        if keeps
        else f"{best_s:.1f} s is not clearly better than {usual_s:g} s on held-out sentences",
        n_sentences=n,
        best_s=best_s,
        spread_s=round(spread_s, 3),
        gain_nats=round(gain, 3),
        gain_error_nats=round(gain_error, 3),
    )


def _bounds_s(rows: Sequence[Mapping[str, Any]], *, lead_s: float, min_silent_s: float) -> FloatArray:
    """Return the bounds of all windows, (n_windows + 1,), s; the outer ones are far away."""
    windows = windows_of(rows, lead_s=lead_s, min_silent_s=min_silent_s)
    return np.array([windows[0].t_start_ns, *(window.t_end_ns for window in windows)], np.float64) / 1e9


def _nearness(looks: Looks) -> FloatArray:
    """Return (n, n) the kernel between fixations: 1 at one place, 0 on other images and with itself."""
    x, y = looks.x_image_px, looks.y_image_px
    per_deg_x, per_deg_y = (scale[:, None] + scale for scale in (looks.px_per_deg_x, looks.px_per_deg_y))
    square = (2 * (x[:, None] - x) / per_deg_x) ** 2 + (2 * (y[:, None] - y) / per_deg_y) ** 2
    near = np.exp(-0.5 / KERNEL_DEG**2 * square) * (looks.image_index[:, None] == looks.image_index)
    np.fill_diagonal(near, 0.0)
    return np.asarray(near, np.float64)


def _booked(
    near: FloatArray, start: FloatArray, end: FloatArray, bounds: Sequence[FloatArray], onsets: FloatArray
) -> FloatArray:
    """Return (n_sentences, n_leads) the log-likelihood of the gaze, booked by sentence; times in s, in order."""
    from keyframes.lead_kernel import likelihoods  # only here: every command would wait for it

    end = np.minimum(end, np.append(start[1:], np.inf))
    dwell = np.maximum(end - start, 0.0)
    near = np.ascontiguousarray(near)
    # passed[i, j]: what fixations before j give to fixation i; between, it grows evenly with time.
    passed = np.concatenate([np.zeros((start.size, 1)), np.cumsum(near * dwell, axis=1)], axis=1)
    reading = passed[:, -1] / np.maximum(dwell.sum() - dwell, 1e-9)
    elsewhere = READING_SHARE * reading + ANYWHERE_SHARE * ANYWHERE
    sentence = np.argmin(np.abs((start + end)[:, None] / 2 - onsets), axis=1)
    booked = np.zeros((onsets.size, len(bounds)))
    for lead, bound in enumerate(bounds):
        likelihood = likelihoods(passed, near, start, end, reading, elsewhere, OWN_SHARE, bound)
        np.add.at(booked[:, lead], sentence, likelihood)
    return booked
