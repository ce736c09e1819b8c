"""All stages of one reading: what a worker does, and the boundary at which one reading's errors end."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from curation.config import CurationConfig
from curation.decided import decided_output
from curation.decisions import read_decisions
from curation.engines.protocol import StopAsked
from curation.lead import with_lead
from curation.manifest import Failure, ManifestLine
from curation.plan import ReadingPlan, stage_record
from curation.stages import stage_named
from curation.stages.protocol import Stage, StageContext, StageOutput, Verdict
from gazecapture.radiograph.annotations.hashes import remember_hashes_in
from gazecapture.store import Store
from keyframes.errors import DataError, DiskFullError
from keyframes.reading import Reading

__all__ = ["ReadingOutcome", "curate_reading"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOutcome:
    """What became of one reading in this run."""

    reading_id: str
    lines: tuple[ManifestLine, ...] = ()
    """For the manifest: one per stage that was done or failed."""
    verdict: Verdict = "ok"
    reason: str = ""
    failure: Failure | None = None
    is_fatal: bool = False
    """The failure concerns the whole store: no room left, no permission. The run must end."""
    is_stopped: bool = False
    """The run was being stopped; what was finished is kept."""


def curate_reading(
    plan: ReadingPlan, stop_asked: StopAsked, *, store_root: Path, config: CurationConfig
) -> ReadingOutcome:
    """Do what ``plan`` asks for; errors come back as a record, never as an exception.

    Stages that have to be redone are dropped first, so that a failure never leaves old results beside new ones.
    """
    store, config = Store(store_root), with_lead(config, plan.lead_s)
    remember_hashes_in(store.hashes_file)
    lines: list[ManifestLine] = []
    at = "load"
    try:
        for todo in plan.todo:
            store.drop_stage(plan.reading_id, todo.stage)
        reading = store.load(plan.reading_id, gaze_columns=_gaze_columns(plan))
        keys: dict[str, str] = {}
        decisions = read_decisions(store.folder(plan.reading_id))
        context = StageContext(
            config=config,
            image_path=lambda index: store.image_path(plan.reading_id, index),
            decisions=decisions,
            lead_is_fitted=plan.lead_s is not None,
        )
        for step in plan.stages:
            keys[step.stage] = step.key
            if not step.reason:
                continue
            if stop_asked():
                return ReadingOutcome(reading_id=plan.reading_id, lines=tuple(lines), is_stopped=True)
            at, started = step.stage, time.perf_counter()
            stage = stage_named(at)
            output = decided_output(at, stage.run(reading, context), reading, decisions)
            reading = _keep(
                store,
                reading,
                stage,
                output,
                stage_record(stage, config, source_hash=plan.source_hash, keys=keys, decisions=decisions),
            )
            lines.append(
                ManifestLine(
                    reading_id=plan.reading_id,
                    stage=at,
                    key=step.key,
                    verdict=output.verdict,
                    seconds=round(time.perf_counter() - started, 4),
                )
            )
            if output.verdict != "ok":
                return ReadingOutcome(
                    reading_id=plan.reading_id,
                    lines=tuple(lines),
                    verdict=output.verdict,
                    reason=output.reason,
                )
    except Exception as error:
        logger.debug("reading %s, stage %s", plan.reading_id, at, exc_info=True)
        failure = Failure.of(error, reading_id=plan.reading_id, stage=at)
        lines.append(ManifestLine(reading_id=plan.reading_id, stage=at, verdict="failed", error=failure))
        return ReadingOutcome(
            reading_id=plan.reading_id,
            lines=tuple(lines),
            failure=failure,
            is_fatal=isinstance(error, DiskFullError) or failure.code == "GT-PERMISSION",
        )
    return ReadingOutcome(reading_id=plan.reading_id, lines=tuple(lines))


def _gaze_columns(plan: ReadingPlan) -> frozenset[str] | None:
    """Return the columns of the gaze that are needed for what is to be done; None for all."""
    wanted = [stage_named(todo.stage).gaze_columns for todo in plan.todo]
    known = [columns for columns in wanted if columns is not None]
    return frozenset().union(*known) if len(known) == len(wanted) else None


def _keep(
    store: Store, reading: Reading, stage: Stage, output: StageOutput, identity: Mapping[str, object]
) -> Reading:
    """Write a stage's tables and record; return the reading with them."""
    if set(output.tables) != set(stage.tables):
        raise DataError(
            f"stage {stage.name} gave tables {sorted(output.tables)}, expected {sorted(stage.tables)}",
            code="GT-STAGE",
        )
    whole: dict[str, pa.Table] = {name: table.combine_chunks() for name, table in output.tables.items()}
    reading = reading.with_tables(**whole)
    record = {
        **identity,
        "verdict": output.verdict,
        "reason": output.reason,
        "notes": dict(output.notes),
        "rows": {name: table.num_rows for name, table in sorted(whole.items())},
    }
    store.write_stage(
        reading.meta.reading_id, stage.name, {name: reading.table(name) for name in stage.tables}, record
    )
    return reading
