"""What a tracker's messages say of the display: image on and off, and which part of the image was shown where.

Understood are: words for on and off as in XDF files (``image_on NAME``, ``trial end``), with the picture's name after
them where it is one; the opaque numbers that `gazecapture.session.tracker_marks` sends, by turns on and off; and
``source_rect`` and ``dest_rect`` with four numbers x0 y0 x1 y1, as REFLACX's recordings have them.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from curation.ingest.markers import spans_of
from curation.ingest.trackers.trials import Rect, Trial, safe_name
from gazecapture.session.tracker_marks import MARK_TEXT
from gazecapture.trackers import TrackerRecording
from keyframes.errors import DataError

__all__ = ["View", "trials_of_messages", "views_of_messages"]

_MARK = re.compile(MARK_TEXT.format(mark=r"(\d{1,18})"))
_PREFIX = re.compile(r"^\s*CustomEvent\s+")
"""What Tobii's software puts before a message that was sent to it."""
_NAME = re.compile(r"^\s*\w{1,20}[ _-]?(?:on|onset|start|begin)\s+(\S{1,200})\s*$", re.IGNORECASE)
_NUMBER = r"(-?\d{1,7}(?:\.\d{1,9})?)"
_RECT = re.compile(r"\b(source|dest)_rect\b[\s:=(\[]{0,8}" + r"[\s,]{1,8}".join([_NUMBER] * 4))
MAX_VIEWS = 20_000
"""Changes of the display in one reading; a reader who zooms without a break makes some hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What part of the image was shown where, from a moment on."""

    t_ns: int
    source: Rect
    """Image px."""
    dest: Rect
    """Screen px."""


def trials_of_messages(recording: TrackerRecording) -> list[Trial]:
    """Return what the messages say of images, in time order; nothing where they say nothing.

    Raises DataError (GT-MARKS) where numbers were sent and one of a pair is missing: nobody can tell which then.
    """
    messages = _messages(recording)
    marks: dict[str, int] = {}
    for t_ns, text in messages:
        if found := _MARK.search(text):
            marks.setdefault(found[1], t_ns)
    times = sorted(marks.values())
    if len(times) % 2:
        raise DataError(
            f"{len(times)} marks of images on and off were found: one of a pair is missing",
            hint="Say when each image was shown with a table of trials (--trials).",
            code="GT-MARKS",
        )
    spans = [(a, b) for a, b in zip(times[::2], times[1::2], strict=True) if b > a] or spans_of(messages)
    names = {t_ns: found[1] for t_ns, text in messages if (found := _NAME.match(text))}
    return [
        Trial(
            label=f"message {number}", t_start_ns=on_ns, t_end_ns=off_ns, image=_image(names.get(on_ns, ""))
        )
        for number, (on_ns, off_ns) in enumerate(spans, start=1)
    ]


def views_of_messages(recording: TrackerRecording, trial: Trial, issues: Counter[str]) -> list[View]:
    """Return what was shown where during a trial; the state at its start comes first.

    Raises DataError (GT-MARKS) where the display changes more often than any reader makes it.
    """
    state: dict[str, Rect] = {}
    views: dict[int, View] = {}
    for t_ns, text in _messages(recording):
        if t_ns >= trial.t_end_ns:
            break
        for found in _RECT.finditer(text):
            x0, y0, x1, y1 = (float(number) for number in found.groups()[1:])
            if x1 <= x0 or y1 <= y0:
                issues["GI-RECT-MESSAGE"] += 1
                continue
            state[found[1]] = x0, y0, x1, y1
            if len(state) == 2:
                from_ns = max(t_ns, trial.t_start_ns)
                views[from_ns] = View(t_ns=from_ns, source=state["source"], dest=state["dest"])
    if len(views) > MAX_VIEWS:
        raise DataError(f"the display changes {len(views)} times in one reading", code="GT-MARKS")
    return list(views.values())


def _messages(recording: TrackerRecording) -> list[tuple[int, str]]:
    """Return (t_ns, text) in time order."""
    table = recording.messages
    pairs = zip(table.column("t_ns").to_pylist(), table.column("text").to_pylist(), strict=True)
    return sorted(((t, _PREFIX.sub("", text)) for t, text in pairs), key=lambda pair: pair[0])


def _image(name: str) -> str:
    """Return a picture's name; a message is as free as its writer, and what is no name is none."""
    try:
        return safe_name(name)
    except DataError:
        return ""
