"""Write down what a person decided in review: one line of ``decisions.jsonl``, of a session or of a reading in a store.

Whoever asks the person (the review window, a command) calls `append_decision`; `curation.decisions` obeys the lines.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gazecapture.files import append_json_line
from keyframes.errors import UsageError

__all__ = ["append_decision"]


def append_decision(
    file: Path, *, kind: str, target: str | int, value: Any, reviewer: str, reason: str = ""
) -> str:
    """Append one decision, durably, and return its id; of two on the same thing the later one counts.

    Raises UsageError for a decision that nobody signs.
    """
    if not reviewer.strip():
        raise UsageError("a decision needs its reviewer's code", hint="Use a code, never a name.")
    decision_id = uuid.uuid4().hex
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
