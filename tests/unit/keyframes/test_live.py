"""Provisional key frames of a reading in progress, and the speech activity that can cut them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from keyframes.errors import DataError
from keyframes.live import MAX_FIXATIONS, MAX_SEGMENT_S, LiveFixation, LiveKeyFrames, ProvisionalKeyFrame
from keyframes.speech import RATE_HZ, SpeechActivity, SpeechChange


def fixation(t_s: float, x_px: float, *, image: int = 0, length_s: float = 0.4) -> LiveFixation:
    return LiveFixation(
        t_start_s=t_s,
        t_end_s=t_s + length_s,
        image_index=image,
        x_image_px=x_px,
        y_image_px=500.0,
        px_per_deg_x=50.0,
        px_per_deg_y=50.0,
    )


def with_fixations(*places: tuple[float, float]) -> LiveKeyFrames:
    live = LiveKeyFrames()
    for t_s, x_px in places:
        live.add_fixation(fixation(t_s, x_px))
    return live


def places(made: list[ProvisionalKeyFrame]) -> list[tuple[int, float, int]]:
    return [(k.order, round(k.x_image_px, 6), k.n_fixations) for k in made]


def test_a_full_stop_closes_a_sentence_into_its_clusters_by_first_look() -> None:
    live = with_fixations((8.5, 900.0), (9.0, 100.0), (9.5, 940.0), (10.2, 920.0))
    assert live.add_word("clear", 10.0, 10.4) == []
    made = live.add_word(".", 10.5, 10.7)
    assert places(made) == [(0, 920.0, 3), (1, 100.0, 1)]
    assert {(k.segment, k.source) for k in made} == {(0, "words")}
    assert made[0].dwell_s == pytest.approx(1.2)
    assert (made[0].t_start_s, made[0].t_end_s) == (8.5, pytest.approx(10.6))


def test_a_segment_takes_the_lead_before_its_first_word_and_nothing_twice() -> None:
    live = with_fixations((5.0, 100.0), (7.0, 300.0), (9.0, 500.0))
    live.add_word("heart", 9.5, 9.8)  # lead 2 s: from 7.5
    assert places(live.add_word("normal.", 9.8, 10.0)) == [(0, 500.0, 1)]
    live.add_fixation(fixation(10.1, 700.0))
    live.add_word("lungs", 10.3, 10.5)
    made = live.add_word("clear.", 10.5, 10.9)
    assert places(made) == [(0, 700.0, 1)]
    assert made[0].segment == 1
    assert live.n_waiting == 0


def test_without_full_stops_a_pause_closes_at_the_last_word() -> None:
    live = with_fixations((0.2, 100.0), (1.5, 700.0))
    live.add_word("heart", 1.0, 1.3)
    assert live.tick(1.9) == []
    assert places(live.tick(2.0)) == [(0, 100.0, 1)]
    assert live.n_waiting == 1  # began after the last word
    assert live.tick(9.0) == []


def test_the_next_word_after_a_pause_closes_too() -> None:
    live = with_fixations((0.2, 100.0))
    live.add_word("heart", 1.0, 1.3)
    assert places(live.add_word("lungs", 2.0, 2.3)) == [(0, 100.0, 1)]


def test_speech_cuts_without_words_and_is_ignored_with_them() -> None:
    live = with_fixations((0.2, 100.0))
    live.add_speech(SpeechChange(is_speech=True, t_s=1.0))
    made = live.add_speech(SpeechChange(is_speech=False, t_s=1.5))
    assert [(k.source, k.x_image_px) for k in made] == [("speech", 100.0)]
    assert live.press_key(2.0) == []
    live.add_word("heart", 3.0, 3.2)
    assert live.source == "words"
    assert live.add_speech(SpeechChange(is_speech=False, t_s=3.3)) == []
    assert live.source == "words"


def test_the_key_cuts_when_nothing_else_does() -> None:
    live = with_fixations((0.2, 100.0), (60.0, 700.0))
    assert [(k.source, k.segment, round(k.x_image_px, 6)) for k in live.press_key(30.0)] == [
        ("key", 0, 100.0)
    ]
    assert [(k.source, k.segment, round(k.x_image_px, 6)) for k in live.press_key(90.0)] == [
        ("key", 1, 700.0)
    ]


def test_images_are_clustered_apart_and_short_looks_make_nothing() -> None:
    live = LiveKeyFrames()
    live.add_fixation(fixation(0.0, 100.0, image=1))
    live.add_fixation(fixation(0.5, 100.0, image=0))
    live.add_fixation(fixation(1.0, 800.0, image=0, length_s=0.2))
    assert [(k.image_index, k.x_image_px) for k in live.press_key(2.0)] == [(1, 100.0), (0, 100.0)]
    assert live.press_key(3.0) == []


def test_memory_is_bounded_and_an_endless_segment_closes() -> None:
    live = LiveKeyFrames()
    live.add_speech(SpeechChange(is_speech=True, t_s=0.0))
    for i in range(3 * MAX_FIXATIONS):
        live.add_fixation(fixation(i * 0.01, 100.0))
    assert live.n_waiting == MAX_FIXATIONS
    assert live.tick(MAX_SEGMENT_S) == []
    assert len(live.tick(MAX_SEGMENT_S + 0.1)) == 1


def test_impossible_fixations_are_left_out_and_impossible_settings_refused() -> None:
    live = LiveKeyFrames()
    live.add_fixation(fixation(0.0, float("nan")))
    live.add_fixation(fixation(0.0, 1.0, length_s=0.0))
    assert live.n_waiting == 0
    with pytest.raises(DataError):
        LiveKeyFrames(pause_s=0.0)


def sound(*parts: tuple[float, float], seed: int = 0) -> NDArray[np.int16]:
    """Noise of the given lengths (s) and levels (dB of full scale)."""
    rng = np.random.default_rng(seed)
    pieces = [rng.normal(0, 32768 * 10 ** (db / 20), round(length * RATE_HZ)) for length, db in parts]
    return np.clip(np.concatenate(pieces), -32768, 32767).astype(np.int16)


def changes(
    activity: SpeechActivity, samples: NDArray[np.int16], chunk: int, t_s: float = 0.0
) -> list[SpeechChange]:
    return [
        change
        for at in range(0, samples.size, chunk)
        for change in activity.push(t_s + at / RATE_HZ, samples[at : at + chunk])
    ]


ROOM, VOICE = -60.0, -25.0


def test_speech_and_pauses_are_told_at_their_times_whatever_the_chunks() -> None:
    samples = sound((1.0, ROOM), (1.0, VOICE), (0.4, ROOM), (0.6, VOICE), (1.5, ROOM), (0.5, VOICE))
    said = [
        changes(SpeechActivity(pause_s=0.7), samples, chunk, 100.0) for chunk in (160, 1023, samples.size)
    ]
    assert said[0] == said[1] == said[2]
    assert [c.is_speech for c in said[0]] == [True, False, True]
    assert [c.t_s - 100.0 for c in said[0]] == pytest.approx([1.0, 3.0, 4.5], abs=0.021)


def test_clicks_steady_noise_and_an_offset_are_no_speech() -> None:
    click = sound((1.0, ROOM), (0.02, -10.0), (1.0, ROOM))
    assert changes(SpeechActivity(pause_s=0.7), click, 320) == []
    assert changes(SpeechActivity(pause_s=0.7), sound((5.0, -30.0)), 320) == []
    assert changes(SpeechActivity(pause_s=0.7), np.full(32000, 9000, np.int16), 320) == []
    assert changes(SpeechActivity(pause_s=0.7), sound((1.0, -90.0), (1.0, -70.0)), 320) == []


def test_a_fan_that_starts_becomes_noise() -> None:
    said = changes(SpeechActivity(pause_s=0.7), sound((1.0, ROOM), (12.0, -45.0)), 320)
    assert [c.is_speech for c in said] == [True, False]


def test_a_hole_in_the_sound_ends_speech() -> None:
    activity = SpeechActivity(pause_s=0.7)
    changes(activity, sound((0.5, ROOM), (0.5, VOICE)), 320)
    assert activity.is_speech
    (ended,) = activity.push(5.0, np.zeros(320, np.int16))
    assert (ended.is_speech, ended.t_s) == (False, pytest.approx(1.0, abs=0.021))


def test_other_sound_is_refused() -> None:
    with pytest.raises(DataError, match="int16"):
        SpeechActivity(pause_s=0.7).push(0.0, np.zeros(320))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="finite"):
        SpeechActivity(pause_s=0.7).push(float("nan"), np.zeros(320, np.int16))
    with pytest.raises(DataError, match="pause_s"):
        SpeechActivity(pause_s=0.0)
