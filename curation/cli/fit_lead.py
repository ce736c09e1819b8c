"""``gazecurate fit-lead``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from curation.cli.options import as_json, config_file, hold_store, jobs_option, store_folder
from curation.config import load_config, remembered_config
from curation.engines.processes import default_jobs
from curation.lead import ReaderLead, fit_leads
from curation.run import keys_to_fit_on
from gazecapture.console import echo_result
from gazecapture.store import Store
from keyframes.errors import ExitCode

__all__ = ["fit_lead"]


@click.command(name="fit-lead")
@store_folder
@config_file
@jobs_option
@click.option("--restart", is_flag=True, help="Fit again where nothing changed.")
@as_json
def fit_lead(
    *, store_root: Path, config_path: Path | None, jobs: int | None, restart: bool, as_json: bool
) -> ExitCode:
    """Fit by how much each reader's gaze leads the words, over all readings whose events are done.

    Writes STORE/readers/CODE.json. `gazecurate run` does the same before it makes key frames. By the settings of the
    last run unless -c names others.
    """
    store = Store.open(store_root)
    config = load_config(config_path) if config_path else remembered_config(store_root)
    with hold_store(store):
        keys = keys_to_fit_on(store, config)
        leads = fit_leads(store, config, keys, jobs=jobs or default_jobs(), restart=restart)
    usual_s = config.keyframes.lead_s
    result = {
        "usual_lead_s": usual_s,
        "readers": [{**lead.to_dict(), "changed": not lead.was_fitted_before} for lead in leads],
    }
    if leads:
        text = "\n".join([_HEADING, *(_line(lead, usual_s) for lead in leads)])
    else:
        text = "no reading's events are done; `gazecurate run` does them"
    echo_result(result, as_json=as_json, text=text)
    return ExitCode.OK if leads else ExitCode.NOTHING_LEFT


_HEADING = f"{'reader':<18}{'readings':>9}{'sentences':>10}{'lead s':>8}{'best s':>8}{'error s':>8}  why"


def _line(lead: ReaderLead, usual_s: float) -> str:
    fit = lead.fit
    used = usual_s if fit.lead_s is None else fit.lead_s
    figures = f"{used:>8.1f}{_figure(fit.best_s, 1)}{_figure(fit.spread_s, 2)}"
    return f"{lead.reader_code:<18}{lead.n_readings:>9}{fit.n_sentences:>10}{figures}  {fit.reason}"


def _figure(value: Any, digits: int) -> str:
    return f"{'-':>8}" if value is None else f"{value:>8.{digits}f}"
