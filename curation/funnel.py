"""What became of the readings of a store, counted by state and by code: how many came in, were left, and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curation.consent import NO_CONSENT, Consents
from curation.manifest import Failure, ManifestLine, last_lines
from curation.plan import ReadingPlan
from curation.stages import STAGES
from gazecapture.store import Store
from keyframes.errors import DataError

__all__ = ["Funnel", "State", "codes_in", "funnel_as_recorded", "funnel_of", "state_of"]

State = Literal["kept", "failed", "unfinished", "rejected", "held_back"]
"""failed: it cannot be read, or a stage ended in an error. held_back: privacy or a consent does not let it out."""

_CODE = re.compile(r"\bG[A-Z]-[A-Z][A-Z0-9-]*")
_Count = Annotated[int, Field(ge=0)]
_Reasons = dict[Annotated[str, Field(pattern=r"^G[A-Z]-[A-Z0-9-]{1,40}$")], _Count]


def codes_in(reason: str) -> list[str]:
    """Return the codes that a reason names, each once, in order."""
    return list(dict.fromkeys(_CODE.findall(reason)))


class _Content(BaseModel):
    """A funnel as a dataset's manifest holds it."""

    model_config = ConfigDict(extra="ignore", strict=True)

    n_by_state: dict[State, _Count]
    reasons: dict[Literal["failed", "rejected", "held_back"], _Reasons]


@dataclass(slots=True, kw_only=True)
class Funnel:
    """Counts; a reading has one state, and may have several codes."""

    n_by_state: Counter[State] = field(default_factory=Counter)
    reasons: dict[State, Counter[str]] = field(default_factory=dict)
    """By state, how many readings name each code."""

    @property
    def n_readings(self) -> int:
        """Of every state."""
        return self.n_by_state.total()

    def add(self, state: State, codes: Iterable[str] = ()) -> None:
        """Count one reading."""
        self.n_by_state[state] += 1
        counts = self.reasons.setdefault(state, Counter())
        counts.update(set(codes))

    def move(self, to: State, codes: Iterable[str] = ()) -> None:
        """Count a reading that was kept so far under another state."""
        self.n_by_state["kept"] -= 1
        self.add(to, codes)

    def after_export(self, *, failed: Iterable[Failure], held_back: Iterable[str]) -> Self:
        """Return the funnel once an export has left out some of the readings that were kept."""
        later = type(self)(
            n_by_state=Counter(self.n_by_state), reasons={s: Counter(c) for s, c in self.reasons.items()}
        )
        for failure in failed:
            later.move("failed", [failure.code])
        for reason in held_back:
            later.move("held_back", codes_in(reason))
        return later

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready counts, the same for the same readings."""
        return {
            "n_by_state": dict(sorted(self.n_by_state.items())),
            "reasons": {
                state: dict(sorted(self.reasons.get(state, Counter()).items()))
                for state in ("failed", "rejected", "held_back")
            },
        }

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> Self | None:
        """Return what a dataset's manifest says; None where it says nothing, or nothing that can be used."""
        try:
            content = _Content.model_validate(manifest.get("funnel"))
        except ValidationError:
            return None
        return cls(
            n_by_state=Counter(content.n_by_state),
            reasons={state: Counter(counts) for state, counts in content.reasons.items()},
        )


def state_of(
    plan: ReadingPlan | Failure, newest: ManifestLine | None, store: Store, consents: Consents
) -> tuple[State, list[str], Failure | None]:
    """Return what became of a reading, by which codes, and its failure if it failed.

    newest : the last line of the manifest about it. Raises GazeToolError where a finished reading cannot be read.
    """
    if isinstance(plan, Failure):
        return "failed", [plan.code], plan
    if plan.todo:
        failure = None if newest is None else newest.error
        return ("unfinished", [], None) if failure is None else ("failed", [failure.code], failure)
    if plan.verdict != "ok":
        return plan.verdict, codes_in(plan.verdict_reason), None
    if consents.permission(store.meta(plan.reading_id)) is None:
        return "held_back", [NO_CONSENT], None
    return "kept", [], None


def funnel_of(
    plans: Iterable[ReadingPlan | Failure], newest: Mapping[str, ManifestLine], store: Store
) -> Funnel:
    """Return the funnel of all readings of a store, as they are by these plans."""
    consents, funnel = Consents.of(store), Funnel()
    for plan in plans:
        state, codes, _ = state_of(plan, newest.get(plan.reading_id), store, consents)
        funnel.add(state, codes)
    return funnel


def funnel_as_recorded(store: Store, kept: Collection[str]) -> Funnel:
    """Return the funnel of all readings of a store, by whatever settings each was worked on; ``kept`` passed."""
    consents, newest, funnel = Consents.of(store), last_lines(store.root), Funnel()
    for reading_id in store.reading_ids():
        if reading_id in kept:
            funnel.add("kept")
            continue
        records = [store.stage_record(reading_id, stage.name) or {} for stage in STAGES]
        stopped = next((r for r in records if r.get("verdict") in ("rejected", "held_back")), None)
        line = newest.get(reading_id)
        try:
            may_leave = consents.permission(store.meta(reading_id)) is not None
        except DataError as error:
            funnel.add("failed", [error.code])
            continue
        if stopped is not None:
            funnel.add(stopped["verdict"], codes_in(str(stopped.get("reason", ""))))
        elif line is not None and line.error is not None:
            funnel.add("failed", [line.error.code])
        elif not may_leave:
            funnel.add("held_back", [NO_CONSENT])
        else:
            funnel.add("unfinished")
    return funnel
