"""A corrected text on recognised words, dictated punctuation, times for words that nobody measured."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.dictation.placing import place_between
from curation.dictation.punctuation import with_signs
from curation.dictation.realign import realign
from curation.dictation.words import HeardWord

NAN = float("nan")


def heard(text: str, *, step_s: float = 0.5, length_s: float = 0.4) -> list[HeardWord]:
    return [
        HeardWord(word=word, t_start_s=n * step_s, t_end_s=n * step_s + length_s, confidence=0.9)
        for n, word in enumerate(text.split())
    ]


def shown(words: list[HeardWord]) -> list[tuple[str, str]]:
    return [(word.word, word.placing) for word in words]


def test_what_agrees_keeps_its_time_and_what_replaces_lies_within() -> None:
    found = realign(heard("no new motor axis seen"), ["No", "pneumothorax", "seen."])
    assert shown(found) == [("No", "measured"), ("pneumothorax", "interpolated"), ("seen.", "measured")]
    assert (found[1].t_start_s, found[1].t_end_s) == (0.5, pytest.approx(1.9))
    assert found[2].t_start_s == 2.0


def test_several_words_share_a_stretch_by_their_letters() -> None:
    found = realign(heard("the cardiomegaly is mild"), ["the", "big", "heart", "is", "mild"])
    assert [(w.word, w.t_start_s, w.t_end_s) for w in found[1:3]] == [
        ("big", 0.5, pytest.approx(0.65)),
        ("heart", pytest.approx(0.65), pytest.approx(0.9)),
    ]


def test_a_word_put_in_lies_in_the_gap_or_is_marked() -> None:
    gap = [*heard("no"), HeardWord(word="seen", t_start_s=1.0, t_end_s=1.3)]
    assert shown(realign(gap, ["no", "effusion", "seen"]))[1] == ("effusion", "interpolated")
    close = [*heard("no"), HeardWord(word="seen", t_start_s=0.42, t_end_s=0.8)]
    found = realign(close, ["no", "effusion", "seen"])
    assert shown(found)[1] == ("effusion", "unplaced")
    assert not found[1].supported


def test_words_that_were_not_said_are_left_out_and_nothing_else() -> None:
    found = realign(heard("um no no effusion"), ["no", "effusion"])
    assert shown(found) == [("no", "measured"), ("effusion", "measured")]


def test_without_anything_recognised_all_are_kept_and_marked() -> None:
    found = realign([], ["no", "effusion", "."], duration_s=9.0)
    assert shown(found) == [("no", "unplaced"), ("effusion", "unplaced"), (".", "unplaced")]


def test_support_goes_with_the_words_that_it_was_found_for() -> None:
    words = [
        HeardWord(word=w, t_start_s=n, t_end_s=n + 0.5, supported=w != "bad")
        for n, w in enumerate(["no", "bad"])
    ]
    assert [w.supported for w in realign(words, ["no", "effusion"])] == [True, False]


@given(
    st.lists(st.sampled_from(["no", "small", "effusion", "."]), max_size=12),
    st.lists(st.sampled_from(["no", "large", "effusion", ".", "mass"]), max_size=12),
)
def test_every_word_once_in_order_with_times_in_order(old: list[str], new: list[str]) -> None:
    found = realign(heard(" ".join(old)), new)
    assert [word.word for word in found] == new
    assert all(word.t_start_s <= word.t_end_s for word in found)
    assert all(a.t_start_s <= b.t_start_s for a, b in itertools.pairwise(found))
    assert all(word.supported or word.placing == "unplaced" for word in found)


@given(st.lists(st.one_of(st.none(), st.floats(-1.0, 12.0)), max_size=10))
def test_placing_keeps_to_the_clip(starts: list[float | None]) -> None:
    words = [
        HeardWord(word=f"w{n}", t_start_s=NAN if at is None else at, t_end_s=NAN if at is None else at + 0.3)
        for n, at in enumerate(starts)
    ]
    placed = place_between(words, 10.0)
    assert [word.word for word in placed] == [word.word for word in words]
    assert all(0.0 <= word.t_start_s <= word.t_end_s <= 10.0 for word in placed)
    assert all(a.t_start_s <= b.t_start_s for a, b in itertools.pairwise(placed))


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("heart normal full stop no effusion period", "heart normal . no effusion ."),
        ("small comma left comma effusion", "small , left , effusion"),
        ("clear full stop new paragraph heart", "clear . heart"),
        ("clear new paragraph heart", "clear . heart"),
        ("over a period of months", "over a period of months"),
        ("stable in the period since", "stable in the period since"),
        ("is there a new line", "is there a new line"),
        ("clear new line heart", "clear . heart"),
        ("effusion question mark", "effusion ?"),
        ("the lung is full", "the lung is full"),
        ("Period", "."),
    ],
)
def test_dictated_punctuation(said: str, written: str) -> None:
    assert [word.word for word in with_signs(heard(said))] == written.split()


def test_a_sign_lasts_as_long_as_its_command() -> None:
    found = with_signs(heard("clear full stop new paragraph heart"))
    assert (found[1].t_start_s, found[1].t_end_s) == (0.5, 2.4)
