"""Write down what a person decided in review: one line of ``decisions.jsonl``, of a session or of a reading in a store.

Whoever asks the person (the review window, a command) calls `append_decision`; `curation.decisions` obeys the lines. A
later line with the value null takes back what was decided on the same thing: an undo is a line of its own.
"""

from __future__ import annotations

import json
import re
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gazecapture.files import append_json_line, as_tool_error
from keyframes.errors import SchemaError, UsageError

__all__ = ["append_decision", "copy_decisions", "others_decisions", "reading_decisions", "session_decisions"]

MAX_FILE_BYTES = 1 << 26
CODE = "GT-DECISION"
_TARGET = re.compile(r"([1-9]\d{0,5})(?:/(.{1,64}))?")
"""Reading's number in the session, then the target within the reading; the reading itself where there is none."""
_THE_READING = "reading"


def append_decision(
    file: Path,
    *,
    kind: str,
    target: str | int,
    value: Any,
    reviewer: str,
    reason: str = "",
    decision_id: str = "",
) -> str:
    """Append one decision, durably, and return its id; of two on the same thing the later one counts.

    decision_id : where the caller gave it one already.

    Raises UsageError for a decision that nobody signs.
    """
    if not reviewer.strip():
        raise UsageError("a decision needs its reviewer's code", hint="Use a code, never a name.")
    decision_id = decision_id or uuid.uuid4().hex
    append_json_line(
        file,
        {
            "decision_id": decision_id,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "reviewer": reviewer,
            "kind": kind,
            "target": target,
            "value": value,
            "reason": reason,
        },
    )
    return decision_id


def session_decisions(file: Path) -> dict[int, list[dict[str, Any]]]:
    """Return what was decided about a session's readings, by their number, as lines of a reading's own file.

    A session's targets are ``N``, the reading, or ``N/TARGET``, a thing in it. A last line without its end does not
    count. Raises SchemaError where any other line is none: it could be the one that rejects.
    """
    found: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for number, record in enumerate(_lines(file), start=1):
        target = _TARGET.fullmatch(str(record["target"]))
        if target is None:
            raise SchemaError(
                "a line is no decision on a reading of the session", path=file, record=number, code=CODE
            )
        found[int(target[1])].append({**record, "target": target[2] or _THE_READING})
    return dict(found)


def others_decisions(file: Path, reading_number: int) -> bytes:
    """Return a session's file without what was decided about one reading, and without a torn line at its end.

    A damaged line stays: it could be the one that rejects another reading.
    """
    kept = []
    for line in file.read_bytes().splitlines(keepends=True):
        try:
            target = _TARGET.fullmatch(str(json.loads(line)["target"]))
        except (ValueError, RecursionError, KeyError, TypeError):
            target = None
        if line.endswith(b"\n") and (target is None or int(target[1]) != reading_number):
            kept.append(line)
    return b"".join(kept)


def reading_decisions(file: Path) -> list[dict[str, Any]]:
    """Return the lines of a reading's own file, in order, those that later ones outdo among them. Raises as above."""
    return [{**record, "target": str(record["target"])} for record in _lines(file)]


def _lines(file: Path) -> list[dict[str, Any]]:
    try:
        content = file.read_bytes() if file.stat().st_size <= MAX_FILE_BYTES else None
    except FileNotFoundError:
        return []
    except OSError as error:
        raise as_tool_error(error, file, "reading decisions") from error
    if content is None:
        raise SchemaError(f"it has more than {MAX_FILE_BYTES} bytes", path=file, code=CODE)
    records = []
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
            whole = (
                isinstance(record["decision_id"], str)
                and isinstance(record["kind"], str)
                and {"target", "value"} <= record.keys()
            )
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
            whole = False
        if not whole:
            raise SchemaError(
                "a line is no decision on a reading of the session", path=file, record=number, code=CODE
            )
        records.append(record)
    return records


def copy_decisions(lines: Sequence[Mapping[str, Any]], file: Path) -> int:
    """Append decisions that ``file`` does not have yet, in order; return how many."""
    there = {_id_of(line) for line in file.read_bytes().splitlines()} if file.is_file() else set()
    new = [dict(line) for line in lines if line["decision_id"] not in there]
    for line in new:
        append_json_line(file, line)
    return len(new)


def _id_of(line: bytes) -> str | None:
    try:
        found = json.loads(line)["decision_id"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None
