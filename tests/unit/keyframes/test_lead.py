"""The gaze lead of simulated readers, whose lead is known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from gazecapture.radiograph.presets import Preset
from gazecapture.simulation.content import generic_content
from gazecapture.simulation.performer import VIRTUAL_DISPLAY
from gazecapture.simulation.plan import ReadingPlan, plan_reading
from gazecapture.simulation.style import ReaderStyle
from gazecapture.viewer.model import ImageView
from keyframes.errors import DataError
from keyframes.lead import CANDIDATES_S, MIN_SENTENCES, N_FOLDS, fit_lead, lead_scores
from keyframes.looks import Looks
from keyframes.reading import SENTENCES

IMAGE = ImageView(
    image_index=0,
    width_px=2048,
    height_px=2500,
    presets=(Preset(preset_id="window:0", name="default", center=2048.0, width=4096.0, voi="LINEAR"),),
)
LEAD_SD_S = 0.3
"""s from sentence to sentence."""
ERROR_DEG = 0.5
DETOURS = 0.15
"""Share of fixations that lie anywhere."""
N_READINGS = 8


@cache
def read(seed: int, name: str, lead_s: float) -> ReadingPlan:
    style = replace(ReaderStyle.from_seed(seed), lead_mean_s=lead_s, lead_sd_s=LEAD_SD_S)
    return plan_reading(
        style,
        generic_content(name, (IMAGE,)),
        reading_number=1,
        display=VIRTUAL_DISPLAY,
        area=(0.0, 0.0, 1920.0, 1080.0),
        images=(IMAGE,),
    )


def looks_of(plan: ReadingPlan, seed: int) -> Looks:
    """Return the fixations with a tracker's error, some of them elsewhere."""
    rng = np.random.default_rng(seed)
    own = [f for f in plan.path.fixations if f.image_index == 0 and f.t_start_s < plan.duration_s]
    n = len(own)
    per_deg = np.full(n, 85.0)
    xy = np.array([(f.x, f.y) for f in own])
    away = rng.random(n) < DETOURS
    xy[away] = rng.uniform(0.0, 1.0, (int(away.sum()), 2)) * (IMAGE.width_px, IMAGE.height_px)
    xy += rng.normal(0.0, ERROR_DEG * 85.0 / 2, (n, 2))
    start, end = (np.array([round(getattr(f, name) * 1e9) for f in own]) for name in ("t_start_s", "t_end_s"))
    end = np.minimum(end, round(plan.duration_s * 1e9))
    return Looks(
        event_index=np.arange(n), t_start_ns=start, t_end_ns=end, image_index=np.zeros(n, np.int64),
        x_image_px=xy[:, 0], y_image_px=xy[:, 1], px_per_deg_x=per_deg, px_per_deg_y=per_deg,
        shown_rects=np.tile([0.0, 0.0, 2048.0, 2500.0], (n, 1)), weight=np.ones(n), dwell_s=(end - start) / 1e9,
    )  # fmt: skip


def sentences_of(plan: ReadingPlan, *, later_s: float = 0.0) -> pa.Table:
    rows = [
        {
            "sentence_id": f"s{place}",
            "sentence_index": place,
            "text": "x",
            "t_start_ns": round((s.t_start_s + later_s) * 1e9),
            "t_end_ns": round((s.t_end_s + later_s) * 1e9),
            "finding_ids": [],
        }
        for place, s in enumerate(plan.sentences)
    ]
    return pa.Table.from_pylist(rows, schema=SENTENCES)


def scores_of(seed: int, lead_s: float) -> list[NDArray[np.float64]]:
    plans = [read(seed, f"S{number}", lead_s) for number in range(N_READINGS)]
    return [lead_scores(looks_of(p, number), sentences_of(p)) for number, p in enumerate(plans)]


@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize("lead_s", [1.0, 2.9, 4.0])
def test_the_lead_of_a_simulated_reader_is_found(lead_s: float, seed: int) -> None:
    fit = fit_lead(scores_of(seed, lead_s))
    assert fit.n_sentences >= MIN_SENTENCES
    assert fit.lead_s is not None
    assert fit.lead_s == pytest.approx(lead_s, abs=0.35)
    assert fit.gain_nats is not None
    assert fit.gain_error_nats is not None
    assert fit.gain_nats > fit.gain_error_nats > 0


def test_a_reader_with_the_usual_lead_keeps_it() -> None:
    fit = fit_lead(scores_of(4, 2.0))
    assert fit.best_s == pytest.approx(2.0, abs=0.35)
    assert fit.lead_s is None or abs(fit.lead_s - 2.0) <= 0.2
    assert fit_lead(scores_of(4, 2.0), usual_s=4.0).lead_s == fit.best_s


def test_gaze_that_has_nothing_to_do_with_the_words_gives_no_lead() -> None:
    found = 0
    for seed in range(3, 6):
        plans = [read(seed, f"S{number}", 2.0) for number in range(N_READINGS)]
        others = [read(seed + 40, f"T{number}", 2.0) for number in range(N_READINGS)]
        scores = [
            lead_scores(looks_of(p, n), sentences_of(o))
            for n, (p, o) in enumerate(zip(plans, others, strict=True))
        ]
        found += fit_lead(scores).lead_s is not None
    assert found == 0


def test_few_sentences_settle_nothing() -> None:
    scores = np.concatenate(scores_of(3, 2.9))
    assert fit_lead([scores[: MIN_SENTENCES - 1]]).lead_s is None
    assert fit_lead([scores[:MIN_SENTENCES]]).best_s is not None
    assert fit_lead([]).n_sentences == 0


def test_a_shift_of_the_clock_changes_nothing() -> None:
    plan = read(3, "S0", 2.9)
    looks, later = looks_of(plan, 0), 1000 * 10**9
    moved = replace(looks, t_start_ns=looks.t_start_ns + later, t_end_ns=looks.t_end_ns + later)
    np.testing.assert_allclose(
        lead_scores(moved, sentences_of(plan, later_s=1000.0)),
        lead_scores(looks, sentences_of(plan)),
        atol=1e-5,
    )


def test_a_reading_without_gaze_or_sentences_says_nothing() -> None:
    plan = read(3, "S0", 2.9)
    looks, sentences = looks_of(plan, 0), sentences_of(plan)
    none = lead_scores(looks.part(np.zeros(looks.event_index.size, np.bool_)), sentences)
    assert none.shape == (sentences.num_rows, len(CANDIDATES_S))
    assert not none.any()
    assert lead_scores(looks, sentences.slice(0, 0)).shape == (0, len(CANDIDATES_S))


def test_a_lead_that_only_some_sentences_ask_for_is_not_kept() -> None:
    scores = np.zeros((40, len(CANDIDATES_S)))
    scores[: 40 // N_FOLDS, 30] = 50.0  # one block alone
    fit = fit_lead([scores])
    assert fit.lead_s is None
    assert fit.best_s == CANDIDATES_S[30]
    scores[:, 30] = 1.0 + 0.01 * np.arange(40)
    assert fit_lead(np.array_split(scores, 3)).lead_s == CANDIDATES_S[30]


def test_scores_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match="46 leads"):
        fit_lead([np.full((3, len(CANDIDATES_S)), np.nan)])
