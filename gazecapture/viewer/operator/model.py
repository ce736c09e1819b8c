"""What goes on in a sitting, made of its news: gaze, events found online, dwell by letter, worries. No Qt.

For the operator's eyes only: everything is made again from the whole recording later, and nothing here is kept.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gazecapture.session.schema import SessionInfo, StudyInfo
from gazecapture.session.status import RecorderStatus, StreamStatus
from gazecapture.viewer.dictation_status import DictationStatus
from gazecapture.viewer.operator.feed import News, display_table
from gazecapture.viewer.operator.worries import Worry, dictation_worry, recorder_worries
from keyframes.errors import TimestampError
from keyframes.events import OnlineDetector
from keyframes.events.online import OnlineMessage
from keyframes.geometry import map_gaze
from keyframes.live import LiveFixation, LiveKeyFrames, ProvisionalKeyFrame
from keyframes.quality import loss_share, moving
from keyframes.regions.assignment import primary_region
from keyframes.regions.region_map import RegionMap
from keyframes.regions.schemes import Scheme, load_scheme

__all__ = ["LetterDwell", "OperatorModel", "OperatorView", "SeenFixation"]

TRAIL_S = 0.8
QUALITY_S = 10.0
"""Over which loss and precision are told: long enough for a few fixations, short enough to act on."""
PRECISION_WINDOW_S = 0.1
"""Short enough that most windows lie in one fixation of the usual 0.25 s, so that the median knows no saccade."""
LOST_SHARE = 0.5
"""Of the last seconds of a reading, above which the operator is told."""
N_RECENT = 12
"""Fixations that are drawn."""
N_WORDS = 14
MAX_FIXATIONS = 20_000
"""Per reading: more than an hour of them."""
MAX_SAMPLES = 50_000
"""Kept for trail and quality: ten seconds at 2000 Hz twice over."""

Row = Mapping[str, Any]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFixation:
    """A fixation that ended, where it was on the screen and on which image."""

    t_start_s: float
    duration_s: float
    x_screen_px: float
    y_screen_px: float
    image_index: int | None
    x_image_px: float
    y_image_px: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterDwell:
    """How long the regions of one letter were looked at in this reading."""

    letter: str
    title: str
    dwell_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorView:
    """Everything that the window shows, at one moment."""

    t_ns: int
    info: SessionInfo | None
    status: RecorderStatus | None
    reading_number: int
    """0 between readings."""
    n_read: int
    reading_s: float
    """Since image on."""
    display: tuple[Row, ...]
    """The newest row of each viewport that shows an image."""
    trail_x_screen_px: FloatArray
    trail_y_screen_px: FloatArray
    recent: tuple[SeenFixation, ...]
    now: str
    """fixation, saccade or loss; empty without degrees."""
    counts: Mapping[str, int]
    """Events of this reading that began, by kind."""
    loss_share: float
    """Of the last seconds; NaN without samples."""
    rms_s2s_deg: float
    """Median over windows of `PRECISION_WINDOW_S`; NaN where it is unknown."""
    accuracy_deg: float | None
    light: str
    dwell: tuple[LetterDwell, ...]
    keyframes: tuple[ProvisionalKeyFrame, ...]
    words: str
    dictation: DictationStatus | None
    """None where nobody dictates."""
    worries: tuple[Worry, ...]
    trouble: str = ""

    @property
    def streams(self) -> tuple[StreamStatus, ...]:
        """As the recorder knows them."""
        return () if self.status is None else self.status.streams

    @property
    def study(self) -> StudyInfo | None:
        """The one on the screen."""
        studies = () if self.info is None else self.info.studies
        return next((s for s in studies if s.reading_number == self.reading_number), None)

    @property
    def is_over(self) -> bool:
        """Say whether the recorder has ended."""
        return self.status is not None and self.status.state == "stopped"


@dataclass(slots=True)
class _Reading:
    """What is known of the reading on the screen."""

    number: int = 0
    on_ns: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    fixations: deque[SeenFixation] = field(default_factory=lambda: deque(maxlen=MAX_FIXATIONS))
    keyframes: list[ProvisionalKeyFrame] = field(default_factory=list)


class OperatorModel:
    """Takes the news of a session in order.

    Parameters
    ----------
    maps : region map by SHA-256 of a picture; filled by whoever decodes it, at any time.
    """

    def __init__(self, maps: Mapping[str, RegionMap] | None = None, *, scheme: Scheme | None = None) -> None:
        self._maps = {} if maps is None else maps
        self._scheme = scheme or load_scheme()
        self._info: SessionInfo | None = None
        self._status: RecorderStatus | None = None
        self._reading = _Reading()
        self._read: set[int] = set()
        self._detector: OnlineDetector | None = None
        self._px_per_deg: tuple[float, float] | None = None
        self._live = LiveKeyFrames()
        self._t = np.empty(0, np.int64)
        self._x = np.empty(0)
        self._y = np.empty(0)
        self._offset = (0.0, 0.0)
        self._accuracy: tuple[float | None, str] = (None, "")
        self._words: deque[str] = deque(maxlen=N_WORDS)
        self._dictation: DictationStatus | None = None
        self._trouble = ""

    def take(self, news: News) -> None:
        """Take what is new."""
        self._info, self._status, self._trouble = news.info, news.status, news.trouble
        self._dictation = news.dictation
        if self._px_per_deg is None and news.info is not None and news.info.display is not None:
            display = news.info.display
            self._px_per_deg = display.px_per_deg() if display.knows_degrees else None
        if news.validations is not None:
            self._take_validations(news)
        for row in news.display:
            self._take_display(row)
        self._take_samples(news)
        for row in news.words:
            self._words.append(row["word"])
            self._reading.keyframes += self._live.add_word(
                row["word"], row["t_start_ns"] / 1e9, row["t_end_ns"] / 1e9
            )

    def view(self, now_ns: int) -> OperatorView:
        """Return what there is to see at ``now_ns``, session clock."""
        if self._t.size:
            self._reading.keyframes += self._live.tick(now_ns / 1e9)
        last = self._t >= now_ns - round(QUALITY_S * 1e9)
        trail = self._t >= now_ns - round(TRAIL_S * 1e9)
        loss = float(loss_share(self._x[last], self._y[last])) if last.any() else float("nan")
        worries = recorder_worries(self._status, now_ns)
        if (worry := dictation_worry(self._dictation, now_ns)) is not None:
            worries.append(worry)
        if self._reading.number and loss > LOST_SHARE:
            text = f"gaze is lost: {100 * loss:.0f} % of the last {QUALITY_S:.0f} s"
            worries.append(Worry(severity="notice", text=text))
        if self._accuracy[1] == "red":
            worries.append(Worry(severity="notice", text="the last validation was red"))
        return OperatorView(
            t_ns=now_ns,
            info=self._info,
            status=self._status,
            reading_number=self._reading.number,
            n_read=len(self._read),
            reading_s=(now_ns - self._reading.on_ns) / 1e9 if self._reading.number else 0.0,
            display=self._shown(),
            trail_x_screen_px=self._x[trail],
            trail_y_screen_px=self._y[trail],
            recent=tuple(list(self._reading.fixations)[-N_RECENT:]),
            now="" if self._detector is None else self._detector.kind,
            counts=dict(self._reading.counts),
            loss_share=loss,
            rms_s2s_deg=self._precision_deg(last),
            accuracy_deg=self._accuracy[0],
            light=self._accuracy[1],
            dwell=self._dwell(),
            keyframes=tuple(self._reading.keyframes),
            words=" ".join(self._words),
            dictation=self._dictation,
            worries=tuple(sorted(worries, key=lambda one: one.severity != "alarm")),
            trouble=self._trouble,
        )

    def _precision_deg(self, chosen: NDArray[np.bool_]) -> float:
        """Return the median of RMS-S2S in short windows, which most of the time lie in fixations; NaN without."""
        t_ns = self._t[chosen]
        if self._px_per_deg is None or t_ns.size < 2:
            return float("nan")
        order = np.argsort(t_ns, kind="stable")  # what is known of the sender's clock may have stepped back
        x, y = (
            v[chosen][order] / scale for v, scale in zip((self._x, self._y), self._px_per_deg, strict=True)
        )
        rms = moving("rms_s2s_deg", t_ns[order] / 1e9, x, y, window_s=PRECISION_WINDOW_S)
        known = rms[np.isfinite(rms)]
        return float(np.median(known)) if known.size else float("nan")

    def _take_validations(self, news: News) -> None:
        assert news.validations is not None  # noqa: S101 - asked before
        rows = [row for row in news.validations.rows if row["event"] == "summary"]
        if rows:
            newest = [row for row in rows if row["validation_id"] == rows[-1]["validation_id"]]
            best = next((row for row in newest if row["eye"] == "both"), newest[-1])
            self._accuracy = best["accuracy_deg"], best["light"] or ""
        now_ns = self._reading.on_ns or int(np.iinfo(np.int64).max)
        self._offset = news.validations.offset_screen_px(now_ns)

    def _take_display(self, row: dict[str, Any]) -> None:
        number = row["reading_number"]
        if row["event"] == "off":
            if number == self._reading.number:
                self._reading.keyframes += self._live.press_key(row["t_ns"] / 1e9)
                self._reading = _Reading()
            self._read.add(number)
        elif row["event"] == "on" and (number, row["t_ns"]) != (self._reading.number, self._reading.on_ns):
            self._reading = _Reading(number=number, on_ns=row["t_ns"], rows=[row])
        elif number == self._reading.number:
            self._reading.rows.append(row)

    def _shown(self) -> tuple[Row, ...]:
        newest = {row["viewport_id"]: row for row in self._reading.rows}
        return tuple(row for _, row in sorted(newest.items()) if row["image_index"] is not None)

    def _take_samples(self, news: News) -> None:
        if not news.t_ns.size:
            return
        self._t = np.concatenate((self._t, news.t_ns))[-MAX_SAMPLES:]
        self._x = np.concatenate((self._x, news.x_screen_px))[-MAX_SAMPLES:]
        self._y = np.concatenate((self._y, news.y_screen_px))[-MAX_SAMPLES:]
        if self._px_per_deg is None:
            return
        if self._detector is None:
            self._detector = OnlineDetector(*self._px_per_deg)
        try:
            said = self._detector.push(news.t_ns / 1e9, news.x_screen_px, news.y_screen_px)
        except TimestampError:
            # The sender's clock, or what is known of it, stepped back.
            self._detector = OnlineDetector(*self._px_per_deg)
            return
        for message in said:
            self._take_event(message)

    def _take_event(self, message: OnlineMessage) -> None:
        if not self._reading.number:
            return
        if message.edge == "onset":
            self._reading.counts[message.kind] += 1
        elif message.kind == "fixation" and message.t_onset_s * 1e9 >= self._reading.on_ns:
            self._take_fixation(message)

    def _take_fixation(self, message: OnlineMessage) -> None:
        assert self._px_per_deg is not None  # noqa: S101 - the detector needs it
        middle_ns = round((message.t_onset_s + message.t_event_s) / 2 * 1e9)
        x, y = message.x_px - self._offset[0], message.y_px - self._offset[1]
        mapped = map_gaze([middle_ns], [x], [y], display_table(self._reading.rows))
        index = int(mapped.image_index[0])
        seen = SeenFixation(
            t_start_s=message.t_onset_s,
            duration_s=message.t_event_s - message.t_onset_s,
            x_screen_px=x,
            y_screen_px=y,
            image_index=None if index < 0 else index,
            x_image_px=float(mapped.x_image_px[0]),
            y_image_px=float(mapped.y_image_px[0]),
        )
        self._reading.fixations.append(seen)
        if index >= 0:
            self._live.add_fixation(
                LiveFixation(
                    t_start_s=seen.t_start_s,
                    t_end_s=message.t_event_s,
                    image_index=index,
                    x_image_px=seen.x_image_px,
                    y_image_px=seen.y_image_px,
                    px_per_deg_x=float(mapped.image_px_per_screen_px_x[0]) * self._px_per_deg[0],
                    px_per_deg_y=float(mapped.image_px_per_screen_px_y[0]) * self._px_per_deg[1],
                )
            )

    def _dwell(self) -> tuple[LetterDwell, ...]:
        """Sum up fixations by letter; empty until a picture's regions are known."""
        if self._info is None or not self._reading.number:
            return ()
        study = next((s for s in self._info.studies if s.reading_number == self._reading.number), None)
        dwell: dict[str, float] = {}
        for image in study.images if study is not None else ():
            known = self._maps.get(image.sha256)
            own = [f for f in self._reading.fixations if f.image_index == image.image_index]
            if known is None:
                continue
            dwell |= {letter: dwell.get(letter, 0.0) for letter, _ in self._scheme.letters}
            names = primary_region(
                known, self._scheme, [f.x_image_px for f in own], [f.y_image_px for f in own]
            )
            for seen, name in zip(own, names.tolist(), strict=True):
                if name:
                    dwell[self._scheme.letter_of(name)] += seen.duration_s
        titles = dict(self._scheme.letters)
        return tuple(LetterDwell(letter=k, title=titles[k], dwell_s=v) for k, v in dwell.items())
