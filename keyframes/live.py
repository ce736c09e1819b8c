"""Provisional key frames while a reading goes on, for the operator's eyes only.

They show that gaze and words arrive and fit together; what is exported is made afterwards from the whole recording
(`keyframes.frames`), and nothing from here is ever written to a Reading.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from keyframes.clusters import NOISE, cluster_fixations
from keyframes.errors import DataError
from keyframes.frames import CLUSTER_RADIUS_DEG, MIN_DWELL_S
from keyframes.sentence_time import LEAD_S
from keyframes.sentences import PAUSE_S
from keyframes.speech import SpeechChange

__all__ = ["LiveFixation", "LiveKeyFrames", "ProvisionalKeyFrame"]

SegmentSource = Literal["words", "speech", "key"]

MAX_FIXATIONS: Final = 1200
"""Kept at most, the newest: five minutes of fixations, longer than any sentence."""
MAX_SEGMENT_S: Final = 60.0
"""s after which a segment is closed although nobody paused: an open microphone, a key that was forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFixation:
    """A fixation that ended, on an image."""

    t_start_s: float
    t_end_s: float
    image_index: int
    x_image_px: float
    y_image_px: float
    px_per_deg_x: float
    """Image px per degree at that moment, zoom included."""
    px_per_deg_y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionalKeyFrame:
    """One cluster of fixations of a closed segment on one image."""

    segment: int
    """From 0, in order of closing."""
    source: SegmentSource
    """What cut the segment."""
    order: int
    """From 0 within the segment, by first look."""
    image_index: int
    t_start_s: float
    t_end_s: float
    dwell_s: float
    n_fixations: int
    x_image_px: float
    """Mean weighted by dwell."""
    y_image_px: float


class LiveKeyFrames:
    """Takes fixations and the marks of segments as they come; gives the key frames of each segment that closes.

    Where words come they alone cut: a segment closes at a full stop or after a pause of ``pause_s``. Without words
    speech does, closing at the start of its pause; until there was either, the reader's key does. A better source
    takes over when it first speaks, and stays. All times are seconds on one clock. Memory is bounded.

    Parameters
    ----------
    lead_s : gaze leads speech by so long; a segment takes fixations from that long before its first word (or sound).
        A segment of the key takes those since the last one.
    """

    def __init__(
        self,
        *,
        lead_s: float = LEAD_S,
        pause_s: float = PAUSE_S,
        cluster_radius_deg: float = CLUSTER_RADIUS_DEG,
        min_dwell_s: float = MIN_DWELL_S,
    ) -> None:
        if not (lead_s >= 0 and pause_s > 0 and cluster_radius_deg > 0 and min_dwell_s >= 0):
            raise DataError("live key frames: lead, pause, radius and dwell must be positive numbers")
        self._lead_s, self._pause_s = lead_s, pause_s
        self._radius_deg, self._min_dwell_s = cluster_radius_deg, min_dwell_s
        self._fixations: deque[LiveFixation] = deque(maxlen=MAX_FIXATIONS)
        self._source: SegmentSource = "key"
        self._open_since_s: float | None = None
        self._last_word_end_s = float("-inf")
        self._taken_until_s = float("-inf")
        self._n_segments = 0

    @property
    def source(self) -> SegmentSource:
        """What cuts the segments now."""
        return self._source

    @property
    def n_waiting(self) -> int:
        """Fixations in memory, which belong to no closed segment."""
        return len(self._fixations)

    def add_fixation(self, fixation: LiveFixation) -> None:
        """Take a fixation that ended. One whose numbers are not finite or that has no length is left out."""
        numbers = (
            fixation.t_start_s, fixation.t_end_s, fixation.x_image_px, fixation.y_image_px,
            fixation.px_per_deg_x, fixation.px_per_deg_y,
        )  # fmt: skip
        if np.isfinite(numbers).all() and fixation.t_end_s > fixation.t_start_s and min(numbers[4:]) > 0:
            self._fixations.append(fixation)

    def add_word(self, word: str, t_start_s: float, t_end_s: float) -> list[ProvisionalKeyFrame]:
        """Take a recognised word, a full stop among them; return the key frames of what it closed."""
        self._take_over("words")
        made = self.tick(t_start_s)
        if self._open_since_s is None:
            self._open_since_s = t_start_s
        self._last_word_end_s = max(self._last_word_end_s, t_end_s)
        if word.rstrip().endswith((".", "!", "?")):
            made += self._close(t_end_s)
        return made

    def add_speech(self, change: SpeechChange) -> list[ProvisionalKeyFrame]:
        """Take a change of `keyframes.speech.SpeechActivity`; ignored where words come."""
        if self._source == "words":
            return []
        self._take_over("speech")
        if not change.is_speech:
            return self._close(change.t_s) if self._open_since_s is not None else []
        if self._open_since_s is None:
            self._open_since_s = change.t_s
        return []

    def press_key(self, t_s: float) -> list[ProvisionalKeyFrame]:
        """Take the reader's key, which ends a segment; ignored where words or speech come."""
        return self._close(t_s) if self._source == "key" else []

    def tick(self, t_s: float) -> list[ProvisionalKeyFrame]:
        """Say what time it is; closes a segment whose words paused, or that has lasted too long."""
        if self._open_since_s is None:
            return []
        if self._source == "words" and t_s - self._last_word_end_s >= self._pause_s:
            return self._close(self._last_word_end_s)
        return self._close(t_s) if t_s - self._open_since_s > MAX_SEGMENT_S else []

    def _take_over(self, source: SegmentSource) -> None:
        if self._source != source:
            self._source, self._open_since_s = source, None

    def _close(self, t_end_s: float) -> list[ProvisionalKeyFrame]:
        """Close the segment at ``t_end_s``; its fixations are forgotten, and so are earlier ones."""
        start_s = self._taken_until_s
        if self._open_since_s is not None:
            start_s = max(start_s, self._open_since_s - self._lead_s)
        self._open_since_s, self._taken_until_s = None, t_end_s
        inside = [f for f in self._fixations if f.t_end_s > start_s and f.t_start_s < t_end_s]
        later = [f for f in self._fixations if f.t_start_s >= t_end_s]
        self._fixations = deque(later, maxlen=MAX_FIXATIONS)
        segment, self._n_segments = self._n_segments, self._n_segments + 1
        parts = [
            part
            for image in dict.fromkeys(f.image_index for f in inside)
            for part in self._clusters([f for f in inside if f.image_index == image])
        ]
        parts.sort(key=lambda part: (part[0].t_start_s, part[0].image_index))
        return [_key_frame(part, segment, self._source, order) for order, part in enumerate(parts)]

    def _clusters(self, fixations: list[LiveFixation]) -> Iterable[list[LiveFixation]]:
        """Return the clusters of enough dwell among fixations of one image."""
        labels = cluster_fixations(
            [f.x_image_px for f in fixations],
            [f.y_image_px for f in fixations],
            [f.t_end_s - f.t_start_s for f in fixations],
            [f.px_per_deg_x for f in fixations],
            [f.px_per_deg_y for f in fixations],
            radius_deg=self._radius_deg,
            min_dwell_s=self._min_dwell_s,
        )
        for k in sorted(set(labels.tolist()) - {NOISE}):
            part = [f for f, label in zip(fixations, labels, strict=True) if label == k]
            # A core may owe its dwell to a neighbour that another cluster got.
            if sum(f.t_end_s - f.t_start_s for f in part) >= self._min_dwell_s:
                yield part


def _key_frame(
    part: list[LiveFixation], segment: int, source: SegmentSource, order: int
) -> ProvisionalKeyFrame:
    dwell_s = np.array([f.t_end_s - f.t_start_s for f in part])
    return ProvisionalKeyFrame(
        segment=segment,
        source=source,
        order=order,
        image_index=part[0].image_index,
        t_start_s=part[0].t_start_s,
        t_end_s=max(f.t_end_s for f in part),
        dwell_s=float(dwell_s.sum()),
        n_fixations=len(part),
        x_image_px=float(np.average([f.x_image_px for f in part], weights=dwell_s)),
        y_image_px=float(np.average([f.y_image_px for f in part], weights=dwell_s)),
    )
