"""Forgetting a reader or a reading: out of the store, the sessions it came from and every dataset it went into.

What is to be done is written down first (`curation.forget_plan`); each step may be done twice. So a killed command is
completed by whichever command takes the store's lock next (`curation.lock`), before that one does anything else.
A tombstone stays (`curation.tombstones`), which keeps the reading from being ingested again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from curation.export.dataset import export_dataset
from curation.export.switch import REPORT, complete_switch, remove_dataset
from curation.forget_plan import ForgetIntent, HeldDataset
from curation.funnel import funnel_as_recorded
from curation.lead import READERS_FOLDER
from curation.lock import INTENT
from curation.manifest import MANIFEST_NAME
from curation.run import sweep_scratch
from curation.sessions import remember_sessions
from curation.stages import STAGES
from curation.tombstones import Tombstones
from gazecapture.access_log import log_access, read_access_log
from gazecapture.files import write_bytes_atomically
from gazecapture.session.removal import remove_reading, remove_session
from gazecapture.store import Store
from keyframes.errors import PrivacyError, SchemaError

__all__ = ["ForgetSummary", "RewrittenDataset", "complete_pending", "forget"]

_LOGGER = logging.getLogger(__name__)
_LINES_OF_READINGS = (MANIFEST_NAME, "consent.jsonl")
"""Files of the store with lines that name a reading or a reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewrittenDataset:
    """What became of a dataset that held what was forgotten."""

    folder: str
    outcome: Literal["rewritten", "removed", "gone"]
    """removed: no reading is left in it, or it could not be written again without an identifier."""
    n_readings: int = 0
    n_left_out: int = 0
    """Other readings that it held and that are not curated at this moment; the next run brings them back."""
    key_before: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetSummary:
    """What a withdrawal did."""

    n_readings: int
    """That were in the store."""
    n_sessions_removed: int
    n_sessions_cut: int
    datasets: tuple[RewrittenDataset, ...]
    may_have_been_passed_on: tuple[dict[str, Any], ...]
    """Every version that was ever exported to those folders; any of them may hold what was forgotten."""

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON-ready values."""
        return asdict(self)


def forget(store: Store, intent: ForgetIntent) -> ForgetSummary:
    """Carry out a withdrawal. The caller holds the store's lock.

    Raises the error of a session or dataset that cannot be written; what is left to do stays written down then.
    """
    write_bytes_atomically(store.root / INTENT, intent.model_dump_json().encode())
    return _carry_out(store, intent)


def complete_pending(store: Store) -> ForgetSummary | None:
    """Do what a killed withdrawal left to do, if there is one. The caller holds the store's lock.

    Raises SchemaError where the record of it is damaged, else as `forget`.
    """
    path = store.root / INTENT
    try:
        intent = ForgetIntent.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise SchemaError(
            "the record of a withdrawal that was interrupted is damaged",
            hint="Remove the file, then forget the same reader or reading again.",
            path=path,
        ) from error
    _LOGGER.warning("completing a `gazecurate forget` that was interrupted")
    return _carry_out(store, intent)


def _carry_out(store: Store, intent: ForgetIntent) -> ForgetSummary:
    sweep_scratch(store)
    tombstones = Tombstones.of(store)
    if intent.kind == "reader":
        tombstones.put("reader", [intent.name])
    tombstones.put("reading", intent.reading_ids)
    tombstones.put_films(store, intent.reading_ids)
    n_readings = sum(_remove_from_store(store, reading_id) for reading_id in intent.reading_ids)
    _remove_traces(store, intent)
    for session in intent.sessions:
        remove_session(session)
    for session, reading_number in intent.session_readings:
        if session.is_dir():
            remove_reading(session, reading_number)
    remember_sessions(store.root, ())
    done = tuple(_rewrite(store, dataset) for dataset in intent.datasets)
    passed_on = _versions(store, intent)
    log_access(
        store.root, command="forget", n_readings=n_readings,
        may_have_been_passed_on=tuple(version["key"] for version in passed_on),
    )  # fmt: skip
    (store.root / INTENT).unlink()
    return ForgetSummary(
        n_readings=n_readings,
        n_sessions_removed=len(intent.sessions),
        n_sessions_cut=len(intent.session_readings),
        datasets=done,
        may_have_been_passed_on=passed_on,
    )


def _remove_from_store(store: Store, reading_id: str) -> bool:
    """Remove a reading's folder; from the first moment on there is no such reading."""
    folder = store.folder(reading_id)
    if not folder.is_dir():
        return False
    removed = folder.with_name(f".{reading_id}.removed.partial")
    shutil.rmtree(removed, ignore_errors=True)
    folder.rename(removed)
    shutil.rmtree(removed)
    return True


def _remove_traces(store: Store, intent: ForgetIntent) -> None:
    """Remove what other files of the store say of the readings, or were made from them."""
    for path in (store.root / READERS_FOLDER).glob("*.json"):
        if _reader_of(path) in (*intent.reader_codes, None):
            path.unlink()
    store.drop_links(frozenset(intent.reading_ids))
    for name in _LINES_OF_READINGS:
        _drop_lines(store.root / name, intent)
    (store.root / REPORT).unlink(missing_ok=True)


def _reader_of(path: Path) -> str | None:
    """Return whose lead a file holds; None where it is damaged: it is fitted again then."""
    try:
        return str(json.loads(path.read_bytes())["reader_code"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _drop_lines(path: Path, intent: ForgetIntent) -> None:
    """Drop the lines about the readings, about the reader if all is forgotten of them, and torn ones."""
    if not path.is_file():
        return
    ids, lines = frozenset(intent.reading_ids), path.read_bytes().splitlines(keepends=True)
    kept = []
    for line in lines:
        with contextlib.suppress(ValueError, AttributeError, RecursionError):
            content = json.loads(line)
            of_reader = intent.kind == "reader" and content.get("reader_code") == intent.name
            if content.get("reading_id") not in ids and not of_reader:
                kept.append(line)
    if len(kept) < len(lines):
        write_bytes_atomically(path, b"".join(kept))


def _rewrite(store: Store, dataset: HeldDataset) -> RewrittenDataset:
    """Write a dataset again without what was forgotten; where nothing is left of it, remove it."""
    folder = dataset.folder
    if not folder.is_dir():
        return RewrittenDataset(folder=str(folder), outcome="gone", key_before=dataset.key)
    complete_switch(folder)
    (folder / REPORT).unlink(missing_ok=True)
    ids = [reading_id for reading_id in dataset.reading_ids if _is_curated(store, reading_id)]
    n_readings = 0
    if ids and dataset.config is not None:
        with contextlib.suppress(PrivacyError):
            n_readings = export_dataset(
                store, folder, reading_ids=ids, config=dataset.config, funnel=funnel_as_recorded(store, ids)
            ).n_readings
    if not n_readings:
        remove_dataset(folder)
    return RewrittenDataset(
        folder=str(folder),
        outcome="rewritten" if n_readings else "removed",
        n_readings=n_readings,
        n_left_out=len(dataset.reading_ids) - n_readings,
        key_before=dataset.key,
    )


def _is_curated(store: Store, reading_id: str) -> bool:
    """Say whether every stage has let the reading pass as it now is, by whatever settings."""
    if not store.has(reading_id):
        return False
    source_hash = store.source_hash(reading_id)
    records = [store.stage_record(reading_id, stage.name) or {} for stage in STAGES]
    return all(r.get("verdict") == "ok" and r.get("source_hash") == source_hash for r in records)


def _versions(store: Store, intent: ForgetIntent) -> tuple[dict[str, Any], ...]:
    """Return, in order of time, what was exported to the datasets' folders before."""
    folders = {dataset.folder for dataset in intent.datasets}
    versions = {
        (str(entry.folder), entry.key): {"folder": str(entry.folder), "key": entry.key, "written": entry.time}
        for entry in read_access_log(store.root)
        if entry.event == "done" and entry.key and entry.folder in folders
    }
    for dataset in intent.datasets:
        if dataset.key:
            unlogged = {"folder": str(dataset.folder), "key": dataset.key, "written": ""}
            versions.setdefault((str(dataset.folder), dataset.key), unlogged)
    return tuple(versions.values())
