"""What belongs to a blink: limits of its flanks, of islands in it and of losses inside a fixation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from keyframes.events.labels import BLINK, FIXATION, MASKED, NONE
from keyframes.events.loss import join_fixations, label_blinks, stretches_between_long_losses
from keyframes.events.samples import Samples, prepare

Labels = NDArray[np.int8]
LOST = (400, 440)
"""80 ms at 500 Hz: a blink."""


def still(*lost: tuple[int, int], drift_from: int = 1000, deg_per_s: float = 0.0) -> Samples:
    """Return two seconds of rest at 500 Hz and 40 px per degree, lost in these rows, drifting from one on."""
    t = np.arange(1000) / 500.0
    x = 300.0 + 40.0 * deg_per_s * np.maximum(t - drift_from / 500.0, 0.0)
    for start, end in lost:
        x[start:end] = np.nan
    return prepare(t, x, np.full(t.size, 300.0), 40.0, 40.0)


def rows_of(labels: Labels, code: int) -> tuple[int, int]:
    """Return the first row of a code and the one after its last."""
    rows = np.flatnonzero(labels == code)
    assert rows.size == rows[-1] + 1 - rows[0]
    return int(rows[0]), int(rows[-1]) + 1


def blink(*moves: tuple[int, int], lost: tuple[int, int] = LOST) -> tuple[int, int]:
    """Return the rows of the blink that these movements give."""
    labels = label_blinks(still(lost), np.array(moves, np.int64).reshape(-1, 2))
    return rows_of(labels, BLINK)


def test_movements_at_the_loss_are_its_flanks_and_others_are_not() -> None:
    assert blink() == LOST
    assert blink((380, 395), (445, 460)) == (380, 460)
    # 20 ms of rest, ten samples, may lie between; eleven may not.
    assert blink((380, 390), (450, 460)) == (380, 460)
    assert blink((380, 389), (451, 460)) == LOST
    assert blink((360, 370), (380, 390), (450, 455), (465, 470)) == (360, 470)


@pytest.mark.parametrize("rate_shift_s", [0.0, 1000.0, 86_400.123])
def test_flanks_reach_100_ms_before_and_200_ms_after_whatever_the_last_digit(rate_shift_s: float) -> None:
    assert blink((350, 395)) == (350, 440)
    assert blink((349, 395)) == LOST
    assert blink((445, 540)) == (400, 540)
    assert blink((445, 541)) == LOST
    samples = still(LOST)
    samples = prepare(samples.t_s + rate_shift_s, samples.x_px, samples.y_px, 40.0, 40.0)
    moves = np.array([[350, 395], [445, 540]])
    assert rows_of(label_blinks(samples, moves), BLINK) == (350, 540)


def test_the_lid_s_drift_ends_with_the_flank_s_limit_and_at_the_end_of_the_recording() -> None:
    moves = np.array([[445, 460]])
    for deg_per_s, end in ((20.0, 540), (8.0, 460)):
        labels = label_blinks(still(LOST, drift_from=440, deg_per_s=deg_per_s), moves)
        assert rows_of(labels, BLINK) == (400, end)
    # Less than half of the window is left to measure a drift in.
    labels = label_blinks(still((880, 940), drift_from=940, deg_per_s=20.0), np.array([[945, 960]]))
    end = rows_of(labels, BLINK)[1]
    assert 985 <= end <= 994


def test_a_short_loss_is_a_blink_only_with_a_flank_on_either_side() -> None:
    short = (400, 410)  # 20 ms
    samples = still(short)
    assert blink((390, 398), (412, 420), lost=short) == (390, 420)
    for moves in ([[390, 398]], [[412, 420]]):
        assert not label_blinks(samples, np.array(moves)).any()


def test_losses_with_an_island_between_them_are_one_blink() -> None:
    for gap, joined in ((10, True), (11, False)):  # 20 and 22 ms
        samples = still((400, 440), (440 + gap, 480 + gap))
        labels = label_blinks(samples, np.empty((0, 2), np.int64))
        assert (labels[400 : 480 + gap] == BLINK).all() == joined
        assert (labels[440 : 440 + gap] == NONE).all() != joined


def test_gaze_beside_a_loss_too_long_for_a_blink_is_masked_and_the_loss_is_none() -> None:
    labels = label_blinks(still((300, 600)), np.array([[290, 298], [602, 610]]))
    assert (labels[290:300] == MASKED).all()
    assert (labels[600:610] == MASKED).all()
    assert (labels[300:600] == NONE).all()
    assert BLINK not in labels


def test_a_blink_lasts_half_a_second_at_most_and_a_longer_loss_parts_stretches() -> None:
    for n_rows, is_blink in ((250, True), (251, False)):
        samples = still((300, 300 + n_rows))
        assert (BLINK in label_blinks(samples, np.empty((0, 2), np.int64))) == is_blink
        expected = [(0, 1000)] if is_blink else [(0, 300), (300 + n_rows, 1000)]
        assert stretches_between_long_losses(samples) == expected


@pytest.mark.parametrize(("shift_px", "joined"), [(0.0, True), (19.0, True), (21.0, False)])
def test_a_fixation_goes_on_through_a_loss_unless_gaze_is_half_a_degree_away(
    shift_px: float, joined: bool
) -> None:
    samples = still((400, 430))
    samples.x_px[430:] += shift_px
    labels = np.where(samples.valid, FIXATION, NONE).astype(np.int8)
    join_fixations(samples, labels)
    assert (labels == FIXATION).all() == joined


def test_a_fixation_goes_on_through_75_ms() -> None:
    for n_rows, joined in ((37, True), (38, False)):  # 74 and 76 ms
        samples = still((400, 400 + n_rows))
        labels = np.where(samples.valid, FIXATION, NONE).astype(np.int8)
        join_fixations(samples, labels)
        assert (labels == FIXATION).all() == joined
