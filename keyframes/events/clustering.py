"""The clustering detector, for gaze too noisy or too slow for velocity: it finds places, and movements between them.

The recording is cut into fixations, which are random walks seen through noise, and movements, which fit no place
(`segmentation`); fixations on one place are joined, and the edges of each saccade are those of the smooth step that
fits best (`steps`). Blinks and losses are those of every detector. Oscillations and pursuit are not told apart from
fixations: noise that drowns velocity drowns them.

Noise is measured anew between losses too long for a blink, and no fixation goes on across a loss too long for one.
All parameters are in degrees, seconds or multiples of the noise. Fitted to the two-coder images of Lund2013.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from keyframes.events.kinematics import MIN_HALF_WINDOW_S, velocity
from keyframes.events.labels import FIXATION, MASKED, NONE, SACCADE, Detection, runs_of
from keyframes.events.loss import (
    BLINK_MIN_S,
    LOSS_MIN_S,
    drop_short_fixations,
    label_blinks,
    loss_parameters,
)
from keyframes.events.samples import Samples
from keyframes.events.segmentation import Places, cut_into_places, places_of, rows_per_block
from keyframes.events.steps import MAX_SACCADE_S, join_and_refine, mean_beside

__all__ = ["ClusteringParameters", "detect_clustering"]

Labels = NDArray[np.int8]
IntArray = NDArray[np.int64]

KEPT_FIXATION_S: Final = 0.040
"""s. The shortest fixation that coders mark; refined edges may shorten one that was cut longer."""

ON_THE_WAY_DEG: Final = 1.0
"""deg. Gaze that is no farther than this, and half the step, from both places was on its way between them; a lid shifts
it by more."""

ON_THE_WAY_NOISE_MULTIPLE: Final = 4.0
"""Deviations per axis by which noise may take a few samples farther."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusteringParameters:
    """What was fitted; the defaults hold for every rate and noise."""

    drift_deg2_per_s: float = 0.9
    """Variance per axis by which a fixation walks in a second: 0.3 deg in 100 ms, small corrections included."""
    change_penalty: float = 12.0
    """Price of a fixation, in squared noise deviations: a place must explain that much more than its neighbour."""
    movement_noise_multiple: float = 1.9
    """Deviations from the place, above those of the noise itself, from which a sample rather is a movement."""
    min_fixation_s: float = 0.060
    """Shortest stretch that is a place of its own before edges are refined."""
    min_saccade_deg: float = 0.3
    """Places nearer than this are one: coders do not cut there, and noise cannot tell."""
    eye_noise_deg_per_sqrt_hz: float = 0.005
    """What the eye itself adds to the tracker's noise, per axis: small movements inside a fixation that last about
    10 ms, so that a faster tracker sees each more often. 0.04 deg at 60 Hz, 0.11 deg at 500 Hz."""
    side_s: float = 0.040
    """Stretch of a fixation beside a movement whose mean says where gaze came from and went to."""


def detect_clustering(
    samples: Samples, noise_deg: float, parameters: ClusteringParameters | None = None
) -> Detection:
    """Label fixations by place, what is between them saccade, and losses as every detector does."""
    chosen = parameters or ClusteringParameters()
    places = places_of(samples)
    fixations = cut_into_places(
        samples,
        places,
        eye_noise_deg_per_sqrt_hz=chosen.eye_noise_deg_per_sqrt_hz,
        drift_deg2_per_s=chosen.drift_deg2_per_s,
        change_penalty=chosen.change_penalty,
        movement_noise_multiple=chosen.movement_noise_multiple,
        min_fixation_s=chosen.min_fixation_s,
    )
    fixations = join_and_refine(
        samples, places, fixations, min_saccade_deg=chosen.min_saccade_deg, side_s=chosen.side_s
    )
    placed = _inside(samples, fixations)
    on_the_way = _inside(
        samples, _dropouts_on_the_way(samples, places, fixations, chosen.side_s - samples.slack_s)
    )
    flanks = samples.valid & ~placed & ~on_the_way
    labels = label_blinks(samples, runs_of(flanks))
    labels[placed & (labels == NONE)] = FIXATION
    drop_short_fixations(samples, labels, KEPT_FIXATION_S)
    _label_saccades(samples, labels)
    labels[labels == MASKED] = NONE
    return Detection(
        labels=labels,
        velocity=velocity(samples, MIN_HALF_WINDOW_S),
        parameters={
            "noise_rms_s2s_deg": noise_deg,
            "velocity_half_window_s": MIN_HALF_WINDOW_S,
            "block_s": rows_per_block(samples) * samples.interval_s,
            **asdict(chosen),
            "kept_fixation_s": KEPT_FIXATION_S,
            "max_saccade_s": MAX_SACCADE_S,
            **loss_parameters(),
        },
    )


def _inside(samples: Samples, rows: IntArray) -> NDArray[np.bool_]:
    """Return (m,) whether a row is inside one of (k, 2) disjoint ranges."""
    edges = np.zeros(samples.n + 1, np.int8)
    edges[rows[:, 0]] += 1
    edges[rows[:, 1]] -= 1
    return np.cumsum(edges[:-1], dtype=np.int8) > 0


def _between(samples: Samples, fixations: IntArray) -> IntArray:
    """Return (k, 2) rows between neighbouring fixations, where these are as near as a saccade's sides."""
    rows = np.stack([fixations[:-1, 1], fixations[1:, 0]], axis=1)
    lasts_s = samples.t_s[rows[:, 1]] - samples.end_s[rows[:, 0] - 1]
    return rows[lasts_s <= MAX_SACCADE_S + samples.slack_s]


def _losses(samples: Samples, min_s: float) -> IntArray:
    """Return (k, 2) rows of the losses longer than that."""
    lost = runs_of(~samples.valid)
    return lost[samples.end_s[lost[:, 1] - 1] - samples.t_s[lost[:, 0]] > min_s + samples.slack_s]


def _dropouts_on_the_way(samples: Samples, places: Places, fixations: IntArray, side_s: float) -> IntArray:
    """Return the rows of saccades that lost gaze for a moment, which are no flanks of a blink."""
    rows = _between(samples, fixations)
    lost = np.concatenate([[0], np.cumsum(~samples.valid)])
    lost_s = (lost[rows[:, 1]] - lost[rows[:, 0]]) * samples.interval_s
    found = []
    for start, end in rows[(lost_s > 0) & (lost_s < BLINK_MIN_S - samples.slack_s)]:
        x, y, stretch = places.x_deg, places.y_deg, np.searchsorted(places.stretches[:, 0], start) - 1
        before = np.array(mean_beside(samples.t_s, x, y, start - 1, -1, -1, side_s))
        after = np.array(mean_beside(samples.t_s, x, y, end, samples.n, 1, side_s))
        seen = np.stack([x[start:end], y[start:end]], axis=1)[samples.valid[start:end]]
        away = np.minimum(*(np.linalg.norm(seen - place, axis=1) for place in (before, after)))
        noise_deg = np.sqrt(places.noise_deg2[stretch])
        limit = (
            max(ON_THE_WAY_DEG, np.linalg.norm(after - before) / 2) + ON_THE_WAY_NOISE_MULTIPLE * noise_deg
        )
        if (away <= limit).all():
            found.append((start, end))
    return np.array(found, np.int64).reshape(-1, 2)


def _label_saccades(samples: Samples, labels: Labels) -> None:
    """Make saccades, in place, of what lies between two fixations, unless gaze was lost there or it took too long."""
    rows = _between(samples, runs_of(labels == FIXATION))
    lost = _losses(samples, LOSS_MIN_S)
    unlabelled = np.concatenate([[0], np.cumsum(labels == NONE)])
    whole = unlabelled[rows[:, 1]] - unlabelled[rows[:, 0]] == rows[:, 1] - rows[:, 0]
    seen = np.searchsorted(lost[:, 0], rows[:, 0]) == np.searchsorted(lost[:, 0], rows[:, 1])
    labels[_inside(samples, rows[whole & seen])] = SACCADE
