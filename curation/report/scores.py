"""Scores that another program worked out, read from a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.report.hints import number
from keyframes.errors import UsageError

__all__ = ["Score", "ScoreTable", "load_scores", "score_table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One row, ready to be shown."""

    name: str
    value: str
    unit: str
    target: str
    ok: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTable:
    """A titled table of scores."""

    title: str
    rows: tuple[Score, ...]


def load_scores(path: Path) -> ScoreTable:
    """Read ``{"title": ..., "rows": [{"name", "value", "unit", "target", "ok"}]}``; further keys are ignored.

    Raises UsageError where the file is absent or not of that shape.
    """
    try:
        return score_table(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", hint="Check --scores.", path=path) from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{path} holds no scores ({type(error).__name__})",
            hint='Expected {"title": ..., "rows": [{"name", "value", "unit", "target", "ok"}, ...]}.',
            path=path,
        ) from None


def score_table(content: Mapping[str, Any]) -> ScoreTable:
    """Return the table of decoded JSON. Raises TypeError or AttributeError where it is of another shape."""
    rows = content.get("rows", [])
    if not isinstance(rows, list):
        raise TypeError("rows must be a list")
    return ScoreTable(title=str(content.get("title") or "Scores"), rows=tuple(_score(row) for row in rows))


def _score(row: Mapping[str, Any]) -> Score:
    ok = row.get("ok")
    return Score(
        name=str(row.get("name", "")),
        value=number(row.get("value")),
        unit=str(row.get("unit") or ""),
        target=str(row.get("target") or ""),
        ok=ok if isinstance(ok, bool) else None,
    )
