"""``gazecurate status``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from curation.cli.options import as_json, config_file, store_folder
from curation.config import load_config, remembered_config
from curation.consent import Consents
from curation.funnel import Funnel, state_of
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
    funnel = Funnel()
    failed: list[Failure] = []
    newest = last_lines(store_root)
    for plan in plan_store(store, config):
        state, codes, failure = state_of(plan, newest.get(plan.reading_id), store, consents)
        funnel.add(state, codes)
        if failure is not None:
            failed.append(failure)
        if not isinstance(plan, Failure):
            done.update(step.stage for step in plan.stages if not step.reason)
    reasons = funnel.to_dict()["reasons"]
    result: dict[str, Any] = {
        "store": str(store_root),
        "readings": funnel.n_readings,
        "curated": funnel.n_by_state["kept"],
        "rejected": funnel.n_by_state["rejected"],
        "rejected_by": reasons["rejected"],
        "held_back": funnel.n_by_state["held_back"],
        "held_back_by": reasons["held_back"],
        "failed": [failure.model_dump() for failure in failed],
        "to_do": funnel.n_by_state["unfinished"],
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
    for state in ("rejected", "held_back"):
        lines += [f"  {state.replace('_', ' ')}: {n} by {code}" for code, n in result[f"{state}_by"].items()]
    lines += [f"  failed: {failure.one_line()}" for failure in failed]
    if result["in_use_by_process"] is not None:
        lines.append(f"in use by process {result['in_use_by_process']}")
    return "\n".join(lines)
