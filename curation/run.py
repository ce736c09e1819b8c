"""A batch: plan every reading of a store, do what is missing, keep the books."""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from curation.config import CurationConfig, config_hash, settings_hash
from curation.engines.processes import engine_for
from curation.engines.protocol import EngineFor
from curation.funnel import Funnel, codes_in
from curation.lead import FITTED_STAGES, READERS_FOLDER, fit_leads, leads_are_fitted
from curation.manifest import Failure, ManifestLine, append_lines
from curation.plan import Planner, ReadingPlan
from curation.sharding import Shard
from curation.stages import STAGES
from curation.stages.keyframes import KEYFRAMES_STAGE
from curation.stages.protocol import Stage
from curation.work import ReadingOutcome, curate_reading
from gazecapture import __version__
from gazecapture.files import sweep_scratch as sweep_folder
from gazecapture.store import Store
from keyframes.errors import ExitCode, GazeToolError, RecordingError

__all__ = [
    "BatchSummary",
    "Progress",
    "curate",
    "curate_shard",
    "keys_to_fit_on",
    "plan_store",
    "sweep_scratch",
]

_READINGS_PER_JOB = 16
"""Of the stages from the key frames on; a process takes as long to start as these take for so many readings."""

Progress = Callable[[int, int, int], None]
"""Called with (readings done, readings to do, readings failed)."""


@dataclass(slots=True, kw_only=True)
class BatchSummary:
    """What became of every reading; the lists are sorted by reading id."""

    n_readings: int
    kept: list[str] = field(default_factory=list)
    """Every stage finished with verdict ok."""
    rejected: dict[str, str] = field(default_factory=dict)
    """Reading id -> codes of the gates."""
    held_back: dict[str, str] = field(default_factory=dict)
    """Reading id -> why privacy does not let it out."""
    failed: list[Failure] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    """Of all readings, those for which nothing had to be done."""
    seconds: float = 0.0

    @property
    def n_unchanged(self) -> int:
        """How many readings nothing had to be done for."""
        return len(self.unchanged)

    @property
    def exit_code(self) -> ExitCode:
        """4 where nothing is left, 3 where some failed or were held back, else 0. Rejection is a result."""
        if not self.kept:
            return ExitCode.NOTHING_LEFT
        return ExitCode.SOME_FAILED if self.failed or self.held_back else ExitCode.OK

    def book_failures(self, failures: Iterable[Failure]) -> None:
        """Count readings as failed that had passed every stage: they turned out to be damaged at export."""
        self.failed = sorted([*self.failed, *failures], key=lambda failure: failure.reading_id)
        failed = {failure.reading_id for failure in self.failed}
        self.kept = [reading_id for reading_id in self.kept if reading_id not in failed]

    def book_held_back(self, held_back: Mapping[str, str]) -> None:
        """Count readings as held back that had passed every stage: their readers did not agree to an export."""
        self.held_back = dict(sorted({**self.held_back, **held_back}.items()))
        self.kept = [reading_id for reading_id in self.kept if reading_id not in held_back]

    def funnel(self) -> Funnel:
        """Return the readings counted by what became of them, and why."""
        funnel = Funnel()
        for _ in self.kept:
            funnel.add("kept")
        for reason in self.rejected.values():
            funnel.add("rejected", codes_in(reason))
        for reason in self.held_back.values():
            funnel.add("held_back", codes_in(reason))
        for failure in self.failed:
            funnel.add("failed", [failure.code])
        return funnel

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON-ready values."""
        content = asdict(self)
        del content["unchanged"]
        failed = [failure.model_dump() for failure in self.failed]
        return {**content, "n_unchanged": self.n_unchanged, "failed": failed}


def plan_store(
    store: Store, config: CurationConfig, *, stages: Sequence[Stage] = STAGES, restart: bool = False
) -> Iterator[ReadingPlan | Failure]:
    """Plan every reading of the store, in order of id; a reading that cannot be read comes as its failure."""
    yield from _plans(store, config, store.reading_ids(), stages=stages, restart=restart)


def _plans(
    store: Store,
    config: CurationConfig,
    reading_ids: Iterable[str],
    *,
    stages: Sequence[Stage],
    restart: bool,
) -> Iterator[ReadingPlan | Failure]:
    planner = Planner(store, config, stages=stages, restart=restart)
    for reading_id in reading_ids:
        try:
            yield planner.plan(reading_id)
        except GazeToolError as error:
            yield Failure.of(error, reading_id=reading_id, stage="load")


def curate(
    store: Store,
    config: CurationConfig,
    *,
    stages: Sequence[Stage] = STAGES,
    jobs: int = 1,
    engines: EngineFor = engine_for,
    restart: bool = False,
    fail_fast: bool = False,
    refit_leads: bool = True,
    progress: Progress | None = None,
    manifest_part: str = "",
) -> BatchSummary:
    """Do what is missing for every reading. The caller holds the store's lock.

    stages      : the first ones of `STAGES`, or all.
    jobs        : readings worked on at once; ``engines`` gives the engine for so many.
    refit_leads : fit the readers' gaze leads once the stages before the key frames are done for all readings;
                  false: take those on file.
    manifest_part : see `curation.manifest.append_lines`.

    One bad reading never stops the batch, unless ``fail_fast``. An interrupt leaves what is finished in place.
    Raises the error itself where the store as a whole cannot be written.
    """
    started = time.perf_counter()
    batch = functools.partial(
        _batch, store, config, engines=engines, fail_fast=fail_fast, progress=progress, part=manifest_part
    )
    before = _before_leads(stages)
    fits_leads = before != tuple(stages) and refit_leads and config.keyframes.takes_fitted_leads
    plans = [] if restart else list(plan_store(store, config, stages=stages))
    if plans and _is_finished(store, config, plans, fits_leads=fits_leads):
        summary = _books(plans)
    elif not fits_leads:
        summary = batch(store.reading_ids(), stages=stages, jobs=jobs, restart=restart)
    else:
        summary = batch(store.reading_ids(), stages=before, jobs=jobs, restart=restart)
        if not (fail_fast and summary.failed):
            if restart:
                _drop(store, summary.kept, stages[len(before) :])
            fit_leads(
                store, config, keys_to_fit_on(store, config), jobs=jobs, engines=engines, restart=restart
            )
            few = max(1, min(jobs, len(summary.kept) // _READINGS_PER_JOB))
            summary = _joined(summary, batch(summary.kept, stages=stages, jobs=few, restart=False))
    summary.seconds = round(time.perf_counter() - started, 3)
    return summary


def curate_shard(
    store: Store,
    config: CurationConfig,
    shard: Shard,
    *,
    jobs: int = 1,
    engines: EngineFor = engine_for,
    restart: bool = False,
    fail_fast: bool = False,
    progress: Progress | None = None,
) -> tuple[BatchSummary, bool]:
    """Do one shard's readings, and all that is left once every shard is done. The caller holds the shard's lock.

    Readers' gaze leads rest on all of a reader's readings, so that the stages from the key frames on have to wait for
    the other shards: whichever ends last does them, for all readings.

    Returns the books of this shard, or of all readings where it was the last, and whether the store is finished as far
    as this shard can tell.
    """
    started = time.perf_counter()
    ids = store.reading_ids()
    mine, part = shard.of(ids), shard.label
    batch = functools.partial(
        _batch, store, config, engines=engines, fail_fast=fail_fast, progress=progress, part=part
    )
    if not config.keyframes.takes_fitted_leads:
        summary = batch(mine, stages=STAGES, jobs=jobs, restart=restart)
        summary.seconds = round(time.perf_counter() - started, 3)
        return summary, True
    identity = settings_hash({"settings": config_hash(config), "version": __version__, "readings": ids})
    shard.unmark(store.root)
    before = _before_leads()
    summary = batch(mine, stages=before, jobs=jobs, restart=restart)
    if restart:
        _drop(store, summary.kept, STAGES[len(before) :])
    is_last = False
    if not (fail_fast and summary.failed):
        shard.mark(store.root, identity)
        with shard.finishing(store.root, identity) as is_last:
            if is_last:
                summary = curate(
                    store,
                    config,
                    jobs=jobs,
                    engines=engines,
                    fail_fast=fail_fast,
                    progress=progress,
                    manifest_part=part,
                )
    summary.seconds = round(time.perf_counter() - started, 3)
    return summary, is_last


def _drop(store: Store, reading_ids: Iterable[str], stages: Iterable[Stage]) -> None:
    for reading_id, stage in itertools.product(reading_ids, tuple(stages)):
        store.drop_stage(reading_id, stage.name)


def _before_leads(stages: Sequence[Stage] = STAGES) -> tuple[Stage, ...]:
    """Return the stages that come before the one that takes the readers' gaze leads."""
    return tuple(itertools.takewhile(lambda stage: stage.name != KEYFRAMES_STAGE.name, stages))


def keys_to_fit_on(store: Store, config: CurationConfig) -> dict[str, dict[str, str]]:
    """Return the stage keys of each reading whose events are done and that no gate rejects."""
    return _fitted_keys(plan_store(store, config, stages=STAGES[: _n_fitted()]))


def _n_fitted() -> int:
    """Return how many stages are done before a lead is fitted."""
    return 1 + max(place for place, stage in enumerate(STAGES) if stage.name in FITTED_STAGES)


def _fitted_keys(plans: Iterable[ReadingPlan | Failure]) -> dict[str, dict[str, str]]:
    """Return the keys of the stages before a fit, of readings that came through them."""
    n = _n_fitted()
    return {
        plan.reading_id: {step.stage: step.key for step in plan.stages[:n]}
        for plan in plans
        if not isinstance(plan, Failure)
        and not any(step.reason for step in plan.stages[:n])
        and (plan.verdict == "ok" or len(plan.stages) > n)
    }


def _is_finished(
    store: Store, config: CurationConfig, plans: Sequence[ReadingPlan | Failure], *, fits_leads: bool
) -> bool:
    """Say whether nothing at all is to be done: no stage, no reader's lead."""
    if any(isinstance(plan, Failure) or plan.todo for plan in plans):
        return False
    return not fits_leads or leads_are_fitted(store, config, _fitted_keys(plans))


def _batch(
    store: Store,
    config: CurationConfig,
    reading_ids: Sequence[str],
    *,
    stages: Sequence[Stage],
    jobs: int,
    engines: EngineFor,
    restart: bool,
    fail_fast: bool,
    progress: Progress | None,
    part: str,
) -> BatchSummary:
    """Plan these readings and do what is missing."""
    plans = list(_plans(store, config, reading_ids, stages=stages, restart=restart))
    summary = _books(plans)
    work = [plan for plan in plans if not isinstance(plan, Failure) and plan.todo]
    # Readings of one study follow one another: who has fitted the atlas to its film need not do so again.
    work.sort(key=lambda plan: (plan.study_key, plan.reading_id))
    if not (fail_fast and summary.failed):
        _work_off(
            store,
            config,
            work,
            summary,
            jobs=jobs,
            engines=engines,
            fail_fast=fail_fast,
            progress=progress,
            part=part,
        )
    summary.kept.sort()
    summary.failed.sort(key=lambda failure: failure.reading_id)
    summary.rejected = dict(sorted(summary.rejected.items()))
    summary.held_back = dict(sorted(summary.held_back.items()))
    return summary


def _books(plans: Sequence[ReadingPlan | Failure]) -> BatchSummary:
    """Return the books before any work is done."""
    summary = BatchSummary(n_readings=len(plans))
    for plan in plans:
        if isinstance(plan, Failure):
            _take(summary, ReadingOutcome(reading_id=plan.reading_id, failure=plan))
        elif not plan.todo:
            summary.unchanged.append(plan.reading_id)
            outcome = ReadingOutcome(
                reading_id=plan.reading_id, verdict=plan.verdict, reason=plan.verdict_reason
            )
            _take(summary, outcome)
    return summary


def _joined(first: BatchSummary, second: BatchSummary) -> BatchSummary:
    """Return the books of a batch in two parts, of which the second went on with what the first kept."""
    went_on = set(second.unchanged)
    return BatchSummary(
        n_readings=first.n_readings,
        kept=second.kept,
        rejected=dict(sorted({**first.rejected, **second.rejected}.items())),
        held_back=dict(sorted({**first.held_back, **second.held_back}.items())),
        failed=sorted([*first.failed, *second.failed], key=lambda failure: failure.reading_id),
        unchanged=[i for i in first.unchanged if i in went_on or i not in first.kept],
    )


def _work_off(
    store: Store,
    config: CurationConfig,
    work: list[ReadingPlan],
    summary: BatchSummary,
    *,
    jobs: int,
    engines: EngineFor,
    fail_fast: bool,
    progress: Progress | None,
    part: str,
) -> None:
    """Spread the readings over the engine and book what comes back."""
    task = functools.partial(curate_reading, store_root=store.root, config=config)
    engine = engines(min(jobs, max(len(work), 1)))
    if progress is not None and work:
        progress(0, len(work), len(summary.failed))
    with contextlib.closing(engine.run(task, work)) as finished:
        for n_done, done in enumerate(finished, start=1):
            outcome = done.result if done.result is not None else _worker_lost(done.item)
            append_lines(store.root, outcome.lines, part=part)
            if outcome.is_fatal and outcome.failure is not None:
                raise RecordingError(
                    outcome.failure.message, hint=outcome.failure.hint, code=outcome.failure.code
                )
            _take(summary, outcome)
            if progress is not None:
                progress(n_done, len(work), len(summary.failed))
            if fail_fast and summary.failed:
                return


def _take(summary: BatchSummary, outcome: ReadingOutcome) -> None:
    if outcome.failure is not None:
        summary.failed.append(outcome.failure)
    elif outcome.verdict == "rejected":
        summary.rejected[outcome.reading_id] = outcome.reason
    elif outcome.verdict == "held_back":
        summary.held_back[outcome.reading_id] = outcome.reason
    elif not outcome.is_stopped:
        summary.kept.append(outcome.reading_id)


def _worker_lost(plan: ReadingPlan) -> ReadingOutcome:
    """Say that the process died twice over this reading: no memory, or a crash in a library."""
    failure = Failure(
        reading_id=plan.reading_id,
        stage=plan.todo[0].stage,
        code="GT-WORKER-LOST",
        message="the process that worked on it died, each time that it was tried",
        hint="Look at this reading's pictures and size; run with fewer jobs (-j) if memory is short.",
    )
    line = ManifestLine(reading_id=plan.reading_id, stage=failure.stage, verdict="failed", error=failure)
    return ReadingOutcome(reading_id=plan.reading_id, lines=(line,), failure=failure)


def sweep_scratch(store: Store, shard: Shard | None = None) -> int:
    """Remove what killed commands left half-written; return how many. The caller holds the lock.

    shard : only in its readings, because others are at work.
    """
    if shard is None:
        folders = [store.root, store.root / READERS_FOLDER, *store.root.glob("[!.]*/stages")]
    else:
        folders = [store.folder(reading_id) / "stages" for reading_id in shard.of(store.reading_ids())]
    return sum(sweep_folder(folder) for folder in folders)
