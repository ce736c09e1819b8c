"""Each reader's gaze lead: fitted over the readings of a store, kept in ``STORE/readers/{reader_code}.json``.

The key-frame stage takes the fitted lead in place of the configured one, so it is part of that stage's key. A file
says by which sentences, events and settings it was fitted; while these stay the same nothing is fitted again.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curation.config import CurationConfig, settings_hash
from curation.engines.processes import engine_for
from curation.engines.protocol import EngineFor, StopAsked
from gazecapture.files import make_private_folder, write_json_atomically
from gazecapture.store import Store
from keyframes.errors import GazeToolError, RecordingError
from keyframes.lead import LeadFit, fit_lead, lead_scores
from keyframes.looks import image_sizes, looks_on_images
from keyframes.reading import Reading
from keyframes.validation import UNVALIDATED_ERROR_DEG, validation_error_deg

__all__ = [
    "FITTED_STAGES",
    "READERS_FOLDER",
    "ReaderLead",
    "fit_leads",
    "fitted_lead_s",
    "leads_are_fitted",
    "with_lead",
]

READERS_FOLDER = "readers"
FITTED_STAGES = ("dictation", "events")
"""Stages whose tables a lead is fitted on."""
_FITTED_ON = frozenset({"images", "gaze", "display", "validations", "events", "sentences"})
_GAZE_COLUMNS = frozenset({"image_index", "px_per_deg_x", "px_per_deg_y"})
_CODE_VERSION = "2"
"""Raised by hand whenever a fit gives something else for the same input."""
_READINGS_PER_JOB = 64
"""A process takes about two seconds to start, which is as long as the fit of so many readings."""
_PLAIN_CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderLead:
    """What is known of one reader's lead."""

    reader_code: str
    n_readings: int
    n_unreadable: int
    """Readings that are damaged and left out."""
    fit: LeadFit
    was_fitted_before: bool = False
    """The file was there, by the same readings and settings."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values, as in the file."""
        counts = {"n_readings": self.n_readings, "n_unreadable": self.n_unreadable}
        return {"reader_code": self.reader_code, **counts, **asdict(self.fit)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """One reader's readings, by id, and the hash of all that a fit rests on."""

    code: str
    reading_ids: tuple[str, ...]
    inputs: str


def fitted_lead_s(store: Store, reader_code: str) -> float | None:
    """Return the lead on file, s; None where there is no file, it is damaged, or it says that none was found."""
    content = _content(store, reader_code)
    lead_s = None if content is None else content.get("lead_s")
    return float(lead_s) if isinstance(lead_s, int | float) and np.isfinite(lead_s) and lead_s >= 0 else None


def with_lead(config: CurationConfig, lead_s: float | None) -> CurationConfig:
    """Return the settings with a reader's fitted lead; None: as they are."""
    if lead_s is None:
        return config
    return config.model_copy(update={"keyframes": config.keyframes.model_copy(update={"lead_s": lead_s})})


def fit_leads(
    store: Store,
    config: CurationConfig,
    keys: Mapping[str, Mapping[str, str]],
    *,
    jobs: int = 1,
    engines: EngineFor = engine_for,
    restart: bool = False,
) -> list[ReaderLead]:
    """Fit every reader's lead and write the files that change. The caller holds the store's lock.

    keys    : of each reading to fit on, the keys of its stages, `FITTED_STAGES` among them.
    restart : also where nothing changed.

    Returns what is known of each reader, in order of code. The same readings and settings give the same files,
    whatever ``jobs`` is. Raises RecordingError where a process died.
    """
    found: list[ReaderLead] = []
    work: list[_Reader] = []
    for reader in _readers(store, config, keys):
        before = None if restart else _on_file(store, reader)
        if before is None:
            work.append(reader)
        else:
            found.append(before)
    n_readings = sum(len(reader.reading_ids) for reader in work)
    task = functools.partial(_fit, store_root=store.root, config=config)
    engine = engines(max(1, min(jobs, len(work), n_readings // _READINGS_PER_JOB)))
    with contextlib.closing(engine.run(task, work)) as finished:
        for done in finished:
            if done.result is None:
                raise RecordingError(
                    "the process that fitted a reader's gaze lead died, each time that it was tried",
                    hint="Run with fewer jobs (-j) if memory is short.",
                    record=done.item.code,
                    code="GT-WORKER-LOST",
                )
            make_private_folder(store.root / READERS_FOLDER)
            content = {**done.result.to_dict(), "inputs": done.item.inputs}
            write_json_atomically(_path(store, done.item.code), content)
            found.append(done.result)
    return sorted(found, key=lambda lead: lead.reader_code)


def leads_are_fitted(store: Store, config: CurationConfig, keys: Mapping[str, Mapping[str, str]]) -> bool:
    """Say whether `fit_leads` would find all of these on file."""
    return all(_on_file(store, reader) is not None for reader in _readers(store, config, keys))


def _readers(store: Store, config: CurationConfig, keys: Mapping[str, Mapping[str, str]]) -> list[_Reader]:
    by_code: dict[str, list[str]] = {}
    for reading_id in sorted(keys):
        by_code.setdefault(store.meta(reading_id).reader_code, []).append(reading_id)
    settings = {**_settings(config), "code_version": _CODE_VERSION}
    return [
        _Reader(
            code=code,
            reading_ids=tuple(ids),
            inputs=settings_hash(
                {
                    "settings": settings,
                    "readings": {i: [keys[i][name] for name in FITTED_STAGES] for i in ids},
                }
            ),
        )
        for code, ids in sorted(by_code.items())
    ]


def _settings(config: CurationConfig) -> dict[str, float | None]:
    names = ("lead_s", "min_silent_s", "edge_tolerance_deg")
    return {name: getattr(config.keyframes, name) for name in names}


def _fit(
    reader: _Reader, stop_asked: StopAsked, *, store_root: Path, config: CurationConfig
) -> ReaderLead | None:
    store = Store(store_root)
    scores, n_unreadable = [], 0
    for reading_id in reader.reading_ids:
        if stop_asked():
            return None
        try:
            reading = store.load(reading_id, only=_FITTED_ON, gaze_columns=_GAZE_COLUMNS)
            scores.append(_scores(reading, config))
        except GazeToolError:
            n_unreadable += 1  # its own stages say why
    return ReaderLead(
        reader_code=reader.code,
        n_readings=len(reader.reading_ids),
        n_unreadable=n_unreadable,
        fit=fit_lead(scores, usual_s=config.keyframes.lead_s),
    )


def _scores(reading: Reading, config: CurationConfig) -> np.ndarray[Any, np.dtype[np.float64]]:
    settings = config.keyframes
    error_deg = validation_error_deg(reading.table("validations"))
    looks = looks_on_images(
        reading.table("events"),
        reading.table("gaze"),
        reading.table("display"),
        image_sizes(reading.table("images")),
        error_deg=UNVALIDATED_ERROR_DEG if error_deg is None else error_deg,
        edge_tolerance_deg=settings.edge_tolerance_deg,
    )
    return lead_scores(looks, reading.table("sentences"), min_silent_s=settings.min_silent_s)


def _on_file(store: Store, reader: _Reader) -> ReaderLead | None:
    """Return what was fitted before, where it rests on the same."""
    content = _content(store, reader.code)
    if content is None or content.get("inputs") != reader.inputs:
        return None
    try:
        fit = LeadFit(**{name: content[name] for name in LeadFit.__dataclass_fields__})
        return ReaderLead(
            reader_code=reader.code,
            n_readings=content["n_readings"],
            n_unreadable=content["n_unreadable"],
            fit=fit,
            was_fitted_before=True,
        )
    except KeyError:
        return None


def _content(store: Store, reader_code: str) -> Mapping[str, Any] | None:
    try:
        content = json.loads(_path(store, reader_code).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    # Where file names know no capitals, two readers may share one file.
    return content if isinstance(content, dict) and content.get("reader_code") == reader_code else None


def _path(store: Store, reader_code: str) -> Path:
    """Return the reader's file; a code that could be more than a file's name is hashed."""
    name = reader_code if _PLAIN_CODE.fullmatch(reader_code) else store.keyed_hash("reader", reader_code)
    return store.root / READERS_FOLDER / f"{name}.json"
