"""What was decided about one reading: every line, what stands, and how a new line is added. No Qt.

A line is never changed. Undo adds a line with what stood before, or null where nothing did.
"""

from __future__ import annotations

import contextlib
import math
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gazecapture.session.decisions import append_decision
from gazecapture.session.lock import FolderLock
from keyframes.errors import RecordingError, UsageError

__all__ = [
    "MAX_SENTENCE_LETTERS",
    "THE_READING",
    "Box",
    "DecisionBook",
    "DecisionFile",
    "NewDecision",
    "Standing",
]

THE_READING = "reading"
"""Target of a verdict."""
MAX_SENTENCE_LETTERS = 10_000
"""As curation takes it."""
LOCK_PATIENCE_S = 5.0
"""s to wait for another reviewer's line, which takes milliseconds; a command that holds a store takes longer."""
_PAUSE_S = 0.01
SMALLEST_SIDE_PX = 1.0

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDecision:
    """A line to be added."""

    kind: str
    target: str
    """In the reading's own file: ``reading``, a sentence's id, an image's index."""
    value: Any
    reason: str = ""
    decision_id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A line of the file, or one that is about to be."""

    decision_id: str
    kind: str
    target: str
    value: Any
    reason: str
    reviewer: str
    time: str
    """ISO 8601, UTC; empty until it is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionFile:
    """Where the decisions on one reading are.

    read   : gives the reading's lines.
    prefix : of the targets, in a file of a whole session: ``3/``; empty in a reading's own.
    lock   : folder and name of the lock file that its writers hold for one line.
    """

    path: Path
    read: Callable[[], Sequence[dict[str, Any]]]
    prefix: str = ""
    lock: tuple[Path, str]

    def append(self, decision: NewDecision, *, reviewer: str, patience_s: float = LOCK_PATIENCE_S) -> str:
        """Add a line, durably, and return its id.

        Raises RecordingError (GT-BUSY) where the lock is held for longer than ``patience_s``: nothing is written then.
        """
        target = f"{self.prefix}{decision.target}"
        if self.prefix and decision.target == THE_READING:
            target = self.prefix.rstrip("/")
        with _held(*self.lock, patience_s=patience_s):
            return append_decision(
                self.path,
                kind=decision.kind,
                target=target,
                value=decision.value,
                reviewer=reviewer,
                reason=decision.reason,
                decision_id=decision.decision_id,
            )


@contextlib.contextmanager
def _held(folder: Path, name: str, *, patience_s: float) -> Iterator[None]:
    lock = FolderLock(folder, name=name)
    end_s = time.monotonic() + patience_s
    while True:
        try:
            lock.acquire()
            break
        except RecordingError as error:
            if error.code != "GT-BUSY" or time.monotonic() >= end_s:
                raise
            time.sleep(_PAUSE_S)
    try:
        yield
    finally:
        lock.release()


class DecisionBook:
    """The decisions on one reading, as one reviewer sees and makes them.

    Parameters
    ----------
    file     : where they are.
    reviewer : a code, never a name.
    write    : takes a line to be added; by default it is added at once. A window hands it to a thread.
    """

    def __init__(
        self,
        file: DecisionFile,
        *,
        reviewer: str,
        write: Callable[[DecisionFile, NewDecision], None] | None = None,
    ) -> None:
        if not reviewer.strip():
            raise UsageError("a decision needs its reviewer's code", hint="Use a code, never a name.")
        self.file = file
        self.reviewer = reviewer
        self._write = write or (lambda file, line: _append(file, line, reviewer))
        self._undoable: list[tuple[NewDecision, Standing | None]] = []
        """Own decisions of this sitting, each with what stood before."""
        self._own: list[Standing] = []
        self._lines: list[Standing] = []
        self.reload()

    def reload(self) -> None:
        """Read the file again: others may have decided meanwhile. Raises SchemaError where a line is no decision."""
        self._lines = [_standing(line) for line in self.file.read()]

    @property
    def history(self) -> list[Standing]:
        """Every line, in order; own ones that are still to be written come last."""
        written = {line.decision_id for line in self._lines}
        return [*self._lines, *(line for line in self._own if line.decision_id not in written)]

    def standing(self, kind: str, target: str) -> Any:
        """Return the value that counts, None where there is none."""
        line = self.last(kind, target)
        return None if line is None else line.value

    def last(self, kind: str, target: str) -> Standing | None:
        """Return the last line on one thing, or None."""
        return next((one for one in reversed(self.history) if (one.kind, one.target) == (kind, target)), None)

    @property
    def can_undo(self) -> bool:
        """Say whether this reviewer decided anything in this sitting that can be taken back."""
        return bool(self._undoable)

    def decide(self, kind: str, target: str, value: Any, *, reason: str = "") -> bool:
        """Decide one thing; say False where that stands already, and write nothing.

        Raises UsageError where the value is none that this kind of decision has.
        """
        value = checked_value(kind, value)
        if kind == "verdict" and value == "reject" and not reason.strip():
            raise UsageError("a rejection needs its reason", code="GT-NO-REASON")
        before = self.last(kind, target)
        if before is not None and before.value == value and before.reason == reason:
            return False
        line = NewDecision(kind=kind, target=target, value=value, reason=reason)
        self._undoable.append((line, before))
        self._hand_over(line)
        return True

    def undo(self) -> NewDecision | None:
        """Take back the last own decision by a further line; return that line, None where there is nothing.

        Raises UsageError (GT-DECIDED-SINCE) where somebody else decided on the same thing since: theirs stays.
        """
        if not self._undoable:
            return None
        self.reload()
        line, before = self._undoable.pop()
        now = self.last(line.kind, line.target)
        own = {one.decision_id for one in self._own}
        if now is None or now.decision_id not in own or now.value != line.value:
            raise UsageError(
                "somebody else decided on this since",
                hint="Look at it and decide again.",
                code="GT-DECIDED-SINCE",
            )
        back = NewDecision(
            kind=line.kind,
            target=line.target,
            value=None if before is None else before.value,
            reason="undo" if before is None or not before.reason else before.reason,
        )
        self._hand_over(back)
        return back

    def _hand_over(self, line: NewDecision) -> None:
        self._own.append(
            Standing(
                decision_id=line.decision_id,
                kind=line.kind,
                target=line.target,
                value=line.value,
                reason=line.reason,
                reviewer=self.reviewer,
                time="",
            )
        )
        self._write(self.file, line)


def checked_value(kind: str, value: Any) -> Any:
    """Return a decision's value as the file holds it. Raises UsageError where it is none of its kind."""
    if value is None:
        return None
    if kind == "verdict" and value in ("accept", "reject"):
        return value
    if kind == "sentence_text" and isinstance(value, str) and value.strip():
        text = " ".join(value.split())
        if len(text) <= MAX_SENTENCE_LETTERS:
            return text
    if kind == "sentence_bounds" and len(value) == 2:
        start, end = (round(t) for t in value)
        if start < end:
            return [start, end]
    if kind == "burned_in":
        if value == "ok":
            return value
        if value and not isinstance(value, str):
            return [_box(box) for box in value]
    if kind == "region_boxes" and isinstance(value, dict):
        return {str(name): None if box is None else _box(box) for name, box in value.items()}
    raise UsageError(f"this is no decision of kind {kind!r}", code="GT-DECISION")


def _box(box: Sequence[float]) -> list[float]:
    x0, y0, x1, y1 = (float(side) for side in box)
    if (
        not all(map(math.isfinite, (x0, y0, x1, y1)))
        or x1 - x0 < SMALLEST_SIDE_PX
        or y1 - y0 < SMALLEST_SIDE_PX
    ):
        raise UsageError("a box has no area", code="GT-DECISION")
    return [x0, y0, x1, y1]


def _append(file: DecisionFile, line: NewDecision, reviewer: str) -> None:
    file.append(line, reviewer=reviewer)


def _standing(line: dict[str, Any]) -> Standing:
    said = {
        name: str(line.get(name, ""))
        for name in ("decision_id", "kind", "target", "reason", "reviewer", "time")
    }
    return Standing(value=line["value"], **said)
