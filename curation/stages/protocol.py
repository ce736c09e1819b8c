"""What a stage is: tables in, its own tables out; it knows no store, no other stage and no engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol, runtime_checkable

import pyarrow as pa

from curation.config import CurationConfig
from curation.decisions import Decisions
from keyframes.reading import Reading

__all__ = ["Stage", "StageContext", "StageOutput", "Verdict"]

Verdict = Literal["ok", "rejected", "held_back"]
"""ok: go on. rejected: a gate of the quality stage, a result. held_back: privacy does not let it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageContext:
    """What a stage may use besides the reading itself."""

    config: CurationConfig
    image_path: Callable[[int], Path | None]
    """The stored picture of an image index; None where it is not attached."""
    decisions: Decisions = field(default_factory=Decisions)
    """What people decided about the reading in review."""

    lead_is_fitted: bool = False
    """``config.keyframes.lead_s`` is this reader's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOutput:
    """What a stage gives back for one reading."""

    tables: Mapping[str, pa.Table] = field(default_factory=lambda: MappingProxyType({}))
    """Exactly the tables that `Stage.tables` names."""
    notes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """JSON-ready facts for the stage's record; never patient data, never a path or a wall-clock time."""
    verdict: Verdict = "ok"
    reason: str = ""
    """Why it is rejected or held back; one line with codes, never patient data."""


@runtime_checkable
class Stage(Protocol):
    """One step of the curation of one reading.

    A stage is a stateless object; the same reading, context and code give the same output to the byte.
    """

    @property
    def name(self) -> str:
        """Name of its folder in the store and of its lines in the manifest."""
        ...

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that it writes; no other stage writes them."""
        ...

    @property
    def code_version(self) -> str:
        """Raised by hand whenever the output changes for an unchanged input."""
        ...

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Names of the stages whose tables it reads."""
        ...

    @property
    def gaze_columns(self) -> frozenset[str] | None:
        """Names of the columns of table ``gaze`` that it reads besides ``t_ns``; None: any of them."""
        ...

    def config_part(self, config: CurationConfig) -> Mapping[str, Any]:
        """Return the settings, JSON-ready, that can change its output."""
        ...

    def run(self, reading: Reading, context: StageContext) -> StageOutput:
        """Compute the stage's tables. Raises GazeToolError where this reading cannot be worked on."""
        ...
