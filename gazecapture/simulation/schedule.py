"""When what is said, and what the eyes are after in the meantime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gazecapture.simulation.dictation import SpokenSentence, Utterance, speak, speaking_time_s
from gazecapture.simulation.style import ReaderStyle

__all__ = ["Interval", "Schedule", "make_schedule", "n_sentences_for", "that_fit"]

SEARCH_BEFORE_S = 1.6
"""s of silent search, at least, before the eyes turn to what the first sentence will be about."""
TAIL_S = 0.8
"""s, at least, after the last full stop."""
MIN_PAUSE_S = 0.5
"""s between two sentences, at least."""
MIN_SILENT_S = 0.6
"""s; a shorter gap between a sentence's end and the next one's lead stays with the sentence."""
SENTENCE_EVERY_S = 4.8
"""s of a reading per sentence: five in 25 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A stretch of a reading during which the eyes are after one thing; s since image on."""

    t_start_s: float
    t_end_s: float
    sentence_index: int | None
    """None: silent search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A reading's sentences and gaze intervals, without a gap."""

    sentences: tuple[SpokenSentence, ...]
    intervals: tuple[Interval, ...]
    duration_s: float


def n_sentences_for(duration_s: float, rng: np.random.Generator) -> int:
    """Return how many sentences a reading of this length gets: 4 to 6 in 25 s."""
    return max(1, round(duration_s / SENTENCE_EVERY_S) + int(rng.integers(-1, 2)))


def that_fit(
    utterances: Sequence[Utterance], style: ReaderStyle, *, duration_s: float
) -> tuple[Utterance, ...]:
    """Return the utterances without as many of the last ones about no present lesion as the time does not allow."""
    kept = list(utterances)
    while _needed_s(kept, style) > duration_s and len(kept) > 1:
        optional = [u for u in kept if u.lesion is None or not u.lesion.present]
        if not optional:
            break
        kept.remove(optional[-1])
    return tuple(kept)


def make_schedule(
    utterances: Sequence[Utterance], style: ReaderStyle, rng: np.random.Generator, *, duration_s: float
) -> Schedule:
    """Give sentences their times and the eyes their intervals.

    The reading is made longer than ``duration_s`` where what must be said does not fit.
    """
    lengths = [speaking_time_s(u.text, style.words_per_s) for u in utterances]
    leads = np.clip(
        rng.normal(style.lead_mean_s, style.lead_sd_s, len(utterances)),
        style.lead_mean_s - 3 * style.lead_sd_s,
        style.lead_mean_s + 3 * style.lead_sd_s,
    )
    first_s = _first_word_s(style)
    n_pauses = max(0, len(utterances) - 1)
    needed = _needed_s(utterances, style)
    slack = max(0.0, duration_s - needed)
    shares = rng.dirichlet(np.full(n_pauses + 2, 0.8))
    sentences = []
    t = first_s + float(shares[0]) * slack
    for place, utterance in enumerate(utterances):
        sentences.append(speak(utterance, start_s=t, words_per_s=style.words_per_s, rng=rng))
        t += lengths[place] + MIN_PAUSE_S + float(shares[place + 1]) * slack
    duration_s = max(duration_s, needed)
    return Schedule(
        sentences=tuple(sentences),
        intervals=tuple(_intervals(sentences, leads.tolist(), duration_s)),
        duration_s=duration_s,
    )


def _first_word_s(style: ReaderStyle) -> float:
    return SEARCH_BEFORE_S + style.lead_mean_s + 3 * style.lead_sd_s


def _needed_s(utterances: Sequence[Utterance], style: ReaderStyle) -> float:
    """Return the shortest reading that all of this fits in, s."""
    spoken = sum(speaking_time_s(u.text, style.words_per_s) for u in utterances)
    return _first_word_s(style) + spoken + max(0, len(utterances) - 1) * MIN_PAUSE_S + TAIL_S


def _intervals(
    sentences: Sequence[SpokenSentence], leads_s: Sequence[float], duration_s: float
) -> list[Interval]:
    turns = [s.t_start_s - lead for s, lead in zip(sentences, leads_s, strict=True)]
    intervals = []
    t = 0.0
    for place, sentence in enumerate(sentences):
        if turns[place] > t:
            intervals.append(Interval(t_start_s=t, t_end_s=turns[place], sentence_index=None))
            t = turns[place]
        following = turns[place + 1] if place + 1 < len(turns) else duration_s
        end = sentence.t_end_s if following - sentence.t_end_s >= MIN_SILENT_S else following
        intervals.append(Interval(t_start_s=t, t_end_s=end, sentence_index=place))
        t = end
    if t < duration_s:
        intervals.append(Interval(t_start_s=t, t_end_s=duration_s, sentence_index=None))
    return intervals
