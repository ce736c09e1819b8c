"""Which film comes next, and what is told between two."""

from __future__ import annotations

from gazecapture.viewer.film_check import GazeCount, Loudness, problems_of_film
from gazecapture.viewer.flow import ReadingFlow, ReadingRules


def test_a_break_is_offered_once_after_so_many_films() -> None:
    flow = ReadingFlow(ReadingRules())
    offered = []
    for number in range(1, 61):
        flow.opens(number)
        flow.closed(number)
        offered.append(flow.takes_break())
    assert [number for number, due in enumerate(offered, start=1) if due] == [25, 50]
    never = ReadingFlow(ReadingRules(break_every_films=0))
    never.closed(1)
    assert not never.takes_break()


def test_a_film_that_was_given_up_comes_again_and_back_leads_to_the_last_closed_one() -> None:
    flow = ReadingFlow(ReadingRules(), last_closed=7)
    assert flow.last_closed == 7
    flow.opens(8)
    flow.gave_up(8)
    assert flow.place == 7


def test_what_went_wrong_is_told_and_nothing_else() -> None:
    good = GazeCount(n_samples=1000, n_valid=900)
    said = Loudness(recorded_s=5.0, loudest_dbfs=-20.0)
    assert problems_of_film(good, said) == ()
    assert problems_of_film(None, None) == ()
    assert "100%" not in problems_of_film(GazeCount(n_samples=10, n_valid=1), said)[0]
    assert problems_of_film(GazeCount(), None) == ("No gaze came from the tracker.",)
    assert problems_of_film(good, Loudness(recorded_s=5.0, loudest_dbfs=-80.0)) == (
        "The microphone heard nothing.",
    )
    assert problems_of_film(good, Loudness(recorded_s=0.0, loudest_dbfs=-90.0)) == ()  # nobody spoke
    broken = Loudness(recorded_s=1.0, loudest_dbfs=-20.0, trouble="the stream ended")
    assert problems_of_film(good, broken) == ("The microphone stopped: the stream ended.",)
    earlier = GazeCount(n_samples=400, n_valid=400)
    assert good.since(earlier) == GazeCount(n_samples=600, n_valid=500)
