"""Performs planned readings in real time: samples when they are due, words when they end, actions when planned."""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from gazecapture.radiograph.presets import Preset
from gazecapture.simulation.content import generic_content
from gazecapture.simulation.dictation import SpokenWord
from gazecapture.simulation.feed import DueSamples, GazeFeed
from gazecapture.simulation.plan import DEFAULT_DURATION_S, ReadingPlan, plan_reading
from gazecapture.simulation.style import ReaderStyle
from gazecapture.viewer.model import ImageView
from keyframes.geometry import Display

__all__ = ["TICK_S", "VIRTUAL_DISPLAY", "EndlessReader", "Performer", "Sink", "word_message"]

TICK_S = 0.004
"""s between two looks at what is due; a chunk of 4 samples at 1000 Hz costs a tenth of four single ones."""
VIRTUAL_DISPLAY = Display(width_px=1920, height_px=1080, width_mm=531.0, height_mm=299.0, distance_mm=650.0)
"""A 24 inch screen at 65 cm, for a simulated reader without a viewer."""
_VIRTUAL_IMAGE = ImageView(
    image_index=0,
    width_px=2140,
    height_px=1760,
    presets=(Preset(preset_id="window:0", name="default", center=2048.0, width=4096.0, voi="LINEAR"),),
)
"""What a simulated reader without a viewer believes to see."""
IDLE_S = 1.5
"""s between two readings of a simulated reader without a viewer."""


class Sink(Protocol):
    """Where samples and words go."""

    def push_gaze(self, due: DueSamples) -> None:
        """Take samples, in order."""
        ...

    def push_word(self, message: str, t_s: float) -> None:
        """Take one word (`word_message`) that ended at ``t_s`` on the session clock."""
        ...


def word_message(word: SpokenWord, image_on_s: float) -> str:
    """Return a word as the words stream carries it: one JSON object, times in s on the session clock."""
    return json.dumps(
        {
            "word": word.word,
            "t_start_s": round(image_on_s + word.t_start_s, 6),
            "t_end_s": round(image_on_s + word.t_end_s, 6),
            "confidence": word.confidence,
        }
    )


@dataclass(order=True, slots=True)
class _Due:
    t_s: float
    number: int
    do: Callable[[], None]


class Performer:
    """Gives samples and words to a sink, and calls back for all else; one thread.

    The caller calls `tick` again and again with the session clock.
    """

    def __init__(self, feed: GazeFeed, sink: Sink) -> None:
        self.feed = feed
        self.n_words = 0
        self._sink = sink
        self._due: list[_Due] = []
        self._numbers = itertools.count()

    def perform(self, plan: ReadingPlan, image_on_s: float) -> None:
        """Begin a reading whose image came on at ``image_on_s`` on the session clock."""
        self.feed.follow(plan.path, image_on_s)
        for sentence in plan.sentences:
            for word in sentence.words:
                self._say_later(word, image_on_s)

    def at(self, t_s: float, do: Callable[[], None]) -> None:
        """Call ``do`` at ``t_s`` on the session clock, or at once where that is past."""
        heapq.heappush(self._due, _Due(t_s, next(self._numbers), do))

    def stop_reading(self) -> None:
        """Drop what was still to come; the eyes go on to where they idle."""
        self._due.clear()

    def tick(self, now_s: float) -> float:
        """Do what is due; return how long nothing else will be, s, `TICK_S` at most."""
        due = self.feed.take(now_s)
        if due is not None:
            self._sink.push_gaze(due)
        while self._due and self._due[0].t_s <= now_s:
            heapq.heappop(self._due).do()
        following = self._due[0].t_s - now_s if self._due else TICK_S
        return min(TICK_S, max(0.0, following))

    def _say_later(self, word: SpokenWord, image_on_s: float) -> None:
        def say() -> None:
            self._sink.push_word(word_message(word, image_on_s), image_on_s + word.t_end_s)
            self.n_words += 1

        self.at(image_on_s + word.t_end_s, say)


class EndlessReader:
    """A simulated reader without a viewer: one imagined reading after the other on a virtual display."""

    def __init__(self, performer: Performer, *, seed: int, display: Display = VIRTUAL_DISPLAY) -> None:
        self._performer = performer
        self._style = ReaderStyle.from_seed(seed)
        self._display = display
        self._plans = self._readings()

    def start(self, now_s: float) -> None:
        """Begin the first reading."""
        plan = next(self._plans)
        self._performer.perform(plan, now_s)
        self._performer.at(
            now_s + plan.duration_s + IDLE_S, lambda: self.start(now_s + plan.duration_s + IDLE_S)
        )

    def _readings(self) -> Iterator[ReadingPlan]:
        area = (0.0, 0.0, float(self._display.width_px), float(self._display.height_px))
        for number in itertools.count(1):
            yield plan_reading(
                self._style,
                generic_content(f"imagined-{number}", [_VIRTUAL_IMAGE]),
                reading_number=number,
                display=self._display,
                area=area,
                images=[_VIRTUAL_IMAGE],
                duration_s=DEFAULT_DURATION_S,
            )
