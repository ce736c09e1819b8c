"""What has to be done for a reading, and why: stage keys, and their comparison with what the store records.

A stage's key is a hash over the reading's source, the keys of the stages that it builds on, its part of the
settings (with the reader's fitted gaze lead), what people decided in review as far as it concerns the stage, its code
version and the version of the toolkit, so that one dataset never mixes two versions' results.
A stage whose record has the same key is finished and is not done again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.config import CurationConfig, settings_hash
from curation.decisions import Decisions, read_decisions
from curation.lead import fitted_lead_s, with_lead
from curation.stages.protocol import Stage, Verdict
from gazecapture import __version__
from gazecapture.radiograph.annotations.hashes import forget_hashes, remember_hashes_in
from gazecapture.store import Store

__all__ = ["Planner", "ReadingPlan", "StagePlan", "plan_reading", "stage_record"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """One stage of one reading."""

    stage: str
    key: str
    reason: str
    """Why it has to be done; empty where it is finished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingPlan:
    """All stages of one reading, as far as its present verdict lets them come."""

    reading_id: str
    study_key: str
    source_hash: str
    stages: tuple[StagePlan, ...]
    verdict: Verdict
    """As recorded; ``ok`` where something is still to be done."""
    verdict_reason: str = ""
    lead_s: float | None = None
    """The reader's fitted gaze lead; None: the configured one."""

    @property
    def todo(self) -> tuple[StagePlan, ...]:
        """The stages that have to be done."""
        return tuple(plan for plan in self.stages if plan.reason)


class Planner:
    """Compares what the store records with what the settings ask for.

    stages  : in order; a stage comes after those that it depends on.
    restart : all is to be done again, and every file is hashed again before that: the readings' and those that the
              settings name.

    What does not hang on the reading is worked out once, and each file of a reading is looked at once.
    """

    def __init__(
        self, store: Store, config: CurationConfig, *, stages: Sequence[Stage], restart: bool = False
    ) -> None:
        self._store, self._config, self._stages, self._restart = store, config, stages, restart
        remember_hashes_in(store.hashes_file)
        if restart:
            forget_hashes()
        self._lead_s: dict[str, float | None] = {}
        self._settings: dict[float | None, dict[str, dict[str, Any]]] = {}

    def plan(self, reading_id: str) -> ReadingPlan:
        """Plan one reading. Raises UsageError or SchemaError where the reading itself cannot be read."""
        meta, source_hash = self._store.head(reading_id)
        if self._restart:
            self._store.check_source(reading_id)
        decisions = read_decisions(self._store.folder(reading_id))
        lead_s = self._lead_of(meta.reader_code)
        settings = self._settings_of(lead_s)
        keys: dict[str, str] = {}
        plans: list[StagePlan] = []
        verdict: Verdict = "ok"
        verdict_reason = ""
        for stage in self._stages:
            wanted = _record(
                stage, settings[stage.name], source_hash=source_hash, keys=keys, decisions=decisions
            )
            keys[stage.name] = wanted["key"]
            found = self._store.stage_record(reading_id, stage.name)
            reason = "restart" if self._restart else _why(wanted, found)
            plans.append(StagePlan(stage=stage.name, key=wanted["key"], reason=reason))
            if found is not None and not reason and found["verdict"] != "ok":
                verdict, verdict_reason = found["verdict"], found["reason"]
                break
        return ReadingPlan(
            reading_id=reading_id,
            study_key=meta.study_key,
            source_hash=source_hash,
            stages=tuple(plans),
            verdict=verdict,
            verdict_reason=verdict_reason,
            lead_s=lead_s,
        )

    def _lead_of(self, reader_code: str) -> float | None:
        if not self._config.keyframes.takes_fitted_leads:
            return None
        if reader_code not in self._lead_s:
            self._lead_s[reader_code] = fitted_lead_s(self._store, reader_code)
        return self._lead_s[reader_code]

    def _settings_of(self, lead_s: float | None) -> dict[str, dict[str, Any]]:
        """Return every stage's part of the settings."""
        if lead_s not in self._settings:
            config = with_lead(self._config, lead_s)
            self._settings[lead_s] = {stage.name: dict(stage.config_part(config)) for stage in self._stages}
        return self._settings[lead_s]


def plan_reading(
    store: Store, reading_id: str, config: CurationConfig, *, stages: Sequence[Stage], restart: bool = False
) -> ReadingPlan:
    """Plan a single reading, as `Planner` does."""
    return Planner(store, config, stages=stages, restart=restart).plan(reading_id)


def stage_record(
    stage: Stage,
    config: CurationConfig,
    *,
    source_hash: str,
    keys: Mapping[str, str],
    decisions: Decisions = Decisions(),  # noqa: B008, it is frozen
) -> dict[str, Any]:
    """Return the part of a stage's record that identifies it, ``key`` among it.

    keys : key of every stage before it.
    """
    settings = dict(stage.config_part(config))
    return _record(stage, settings, source_hash=source_hash, keys=keys, decisions=decisions)


def _record(
    stage: Stage,
    settings: dict[str, Any],
    *,
    source_hash: str,
    keys: Mapping[str, str],
    decisions: Decisions,
) -> dict[str, Any]:
    inputs = {
        "source_hash": source_hash,
        "depends_on": {name: keys[name] for name in stage.depends_on},
        "settings": settings,
        "decisions": decisions.hash_for(stage.name),
        "code_version": stage.code_version,
        "tool_version": __version__,
    }
    return {**inputs, "key": settings_hash({"stage": stage.name, **inputs})}


def _why(wanted: Mapping[str, Any], found: Mapping[str, Any] | None) -> str:
    """Say what differs between the record that is wanted and the one that is there."""
    if found is None:
        return "not done yet"
    if found.get("key") == wanted["key"]:
        return "" if {"verdict", "reason"} <= found.keys() else "record damaged"
    if found.get("source_hash") != wanted["source_hash"]:
        return "the reading changed"
    for name in ("tool_version", "code_version"):
        if found.get(name) != wanted[name]:
            return f"{name.replace('_', ' ')} {found.get(name)} -> {wanted[name]}"
    if found.get("settings") != wanted["settings"]:
        before, now = dict(found.get("settings") or {}), wanted["settings"]
        changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        return f"settings changed: {', '.join(changed)}"
    if found.get("decisions") != wanted["decisions"]:
        return "decided otherwise in review"
    before = dict(found.get("depends_on") or {})
    redone = [name for name, key in wanted["depends_on"].items() if before.get(name) != key]
    return f"builds on {', '.join(redone)}" if redone else "record damaged"
