"""``gazecurate status``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from curation.cli.options import as_json, config_file, store_folder
from curation.config import load_config, remembered_config
from curation.consent import Consents
from curation.lock import lock_owner
from curation.manifest import Failure, last_lines
from curation.run import plan_store
from curation.stages import STAGES
from gazecapture.console import echo_result
from gazecapture.store import Store
from keyframes.errors import ExitCode

__all__ = ["status"]


@click.command()
@store_folder
@config_file
@as_json
def status(*, store_root: Path, config_path: Path | None, as_json: bool) -> ExitCode:
    """Say what is done, what is left and what failed; by the settings of the last run unless -c names others."""
    store = Store.open(store_root)
    config = load_config(config_path) if config_path else remembered_config(store_root)
    consents = Consents.of(store)
    done: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    failed: list[Failure] = []
    newest = last_lines(store_root)
    n_readings = 0
    for plan in plan_store(store, config):
        n_readings += 1
        if isinstance(plan, Failure):
            failed.append(plan)
            verdicts["failed"] += 1
            continue
        done.update(step.stage for step in plan.stages if not step.reason)
        if not plan.todo:
            allowed = plan.verdict != "ok" or consents.permission(store.meta(plan.reading_id))
            verdicts[plan.verdict if allowed else "held_back"] += 1
            continue
        line = newest.get(plan.reading_id)
        if line is not None and line.error is not None:
            failed.append(line.error)
            verdicts["failed"] += 1
        else:
            verdicts["to_do"] += 1
    result: dict[str, Any] = {
        "store": str(store_root),
        "readings": n_readings,
        "curated": verdicts["ok"],
        "rejected": verdicts["rejected"],
        "held_back": verdicts["held_back"],
        "failed": [failure.model_dump() for failure in failed],
        "to_do": verdicts["to_do"],
        "stages_done": {stage.name: done[stage.name] for stage in STAGES},
        "in_use_by_process": lock_owner(store_root),
    }
    echo_result(result, as_json=as_json, text=_text(result, failed))
    return ExitCode.OK


def _text(result: dict[str, Any], failed: list[Failure]) -> str:
    lines = [
        f"{result['readings']} readings: {result['curated']} curated, {result['rejected']} rejected, "
        f"{result['held_back']} held back, {len(failed)} failed, {result['to_do']} to do"
    ]
    lines += [f"  {name:<12}{n}/{result['readings']}" for name, n in result["stages_done"].items()]
    lines += [f"  failed: {failure.one_line()}" for failure in failed]
    if result["in_use_by_process"] is not None:
        lines.append(f"in use by process {result['in_use_by_process']}")
    return "\n".join(lines)
