"""What a withdrawal touches, found before anything is changed and written down as ``STORE/forget.json``.

A killed command is completed by this file, so it holds all that can no longer be found once the work has begun: ids,
sessions, and of each dataset the readings that it held and the settings that it was written by.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from curation.config import CurationConfig, config_hash
from curation.export.contents import rows_in
from curation.export.switch import complete_switch
from curation.exports import dataset_manifest, export_config, exported_folders
from curation.ingest.session import SessionIngester
from curation.sessions import known_sessions
from curation.tombstones import Kind, Tombstones
from gazecapture.files import as_tool_error, claim_output_folder
from gazecapture.session.addenda import session_reading_id
from gazecapture.session.removal import check_idle
from gazecapture.session.schema import read_session_info
from gazecapture.store import KeyedHash, Store
from keyframes.errors import GazeToolError, UsageError

__all__ = ["ForgetIntent", "HeldDataset", "plan_forget"]

_CHANGE = os.W_OK | os.X_OK


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HeldDataset(_Frozen):
    """A dataset that holds something of what is to be forgotten."""

    folder: Path
    reading_ids: tuple[str, ...]
    """All others that it held."""
    key: str
    """Of its manifest; empty where an export was killed before there was one."""
    config: CurationConfig | None
    """What it was written by; None where there is no manifest: such a dataset is removed, it never was one."""


class ForgetIntent(_Frozen):
    """One withdrawal."""

    kind: Kind
    name: str
    """Reader code or reading id."""
    reading_ids: tuple[str, ...]
    reader_codes: tuple[str, ...]
    """Readers whose fitted lead rests on what is forgotten."""
    sessions: tuple[Path, ...] = ()
    """To be removed whole."""
    session_readings: tuple[tuple[Path, int], ...] = ()
    """Session and reading number, to be cut out."""
    datasets: tuple[HeldDataset, ...] = ()


def plan_forget(
    store: Store,
    kind: Kind,
    name: str,
    *,
    sessions: Iterable[Path] = (),
    datasets: Iterable[Path] = (),
) -> ForgetIntent:
    """Find everything that a store, its sessions and its datasets have of a reader or a reading.

    sessions, datasets : beside those that the store was filled from and exported to.

    Nothing is changed but for scratch of killed exports. Raises UsageError where nothing of that name was ever here and
    for a folder that is no session or dataset, RecordingError (GT-BUSY) where a session is being written, and the error
    of what cannot be read.
    """
    tombstones = Tombstones.of(store)
    whole, cut, ids, codes = _in_sessions(store, kind, name, sessions)
    ids |= {name} if kind == "reading" else set()
    for reading_id in store.reading_ids():
        code = _reader_code(store, reading_id)
        if reading_id in ids or (kind == "reader" and code == name):
            ids.add(reading_id)
            codes.add(code)
    found_here = any(store.has(reading_id) for reading_id in ids if reading_id.isalnum())
    if not (found_here or whole or cut or tombstones.has(kind, name)):
        raise UsageError(
            f"neither the store nor a session has a {kind} of that name",
            hint="`gazecurate status --json` and `qc` show the ids; --session names a session elsewhere.",
            path=store.root,
            code=f"GT-NO-{kind.upper()}",
        )
    given = [_checked_dataset(folder) for folder in datasets]
    folders = sorted({folder.resolve() for folder in (*exported_folders(store.root), *given)})
    held = [dataset for folder in folders if (dataset := _held(store, folder, ids, tombstones))]
    return ForgetIntent(
        kind=kind,
        name=name,
        reading_ids=tuple(sorted(ids)),
        reader_codes=tuple(sorted(codes)),
        sessions=tuple(whole),
        session_readings=tuple(cut),
        datasets=tuple(held),
    )


def _in_sessions(
    store: Store, kind: Kind, name: str, given: Iterable[Path]
) -> tuple[list[Path], list[tuple[Path, int]], set[str], set[str]]:
    """Return sessions to remove, readings to cut out, and the ids and reader codes of both."""
    pseudonym = KeyedHash(store.pseudonym_key)
    find = SessionIngester().find
    folders = {*known_sessions(store.root), *(f.resolve() for path in given for f in find(path))}
    whole, cut, ids, codes = [], [], set[str](), set[str]()
    for folder in sorted(folders):
        info = read_session_info(folder)
        numbers = {session_reading_id(info, s.reading_number, pseudonym): s for s in info.studies}
        if kind == "reader" and info.reader_code == name:
            whole.append(folder)
            ids |= numbers.keys()
        elif kind == "reading" and name in numbers:
            cut.append((folder, numbers[name].reading_number))
        else:
            continue
        codes.add(info.reader_code)
        check_idle(folder)
        if not (os.access(folder, _CHANGE) and os.access(folder.parent, _CHANGE)):
            raise as_tool_error(PermissionError(), folder, "forgetting")
    return whole, cut, ids, codes


def _reader_code(store: Store, reading_id: str) -> str:
    try:
        return store.meta(reading_id).reader_code
    except GazeToolError:  # a damaged reading can be forgotten by its id
        return ""


def _checked_dataset(folder: Path) -> Path:
    if not folder.is_dir():
        raise UsageError(f"{folder} does not exist", path=folder, code="GT-NOT-A-DATASET")
    return claim_output_folder(folder, kind="dataset")


def _held(store: Store, folder: Path, ids: set[str], tombstones: Tombstones) -> HeldDataset | None:
    """Return what has to be known of a dataset to write it again; None where it holds nothing of it."""
    if not (folder / ".gazecapture").is_file():
        return None  # removed, or moved: then --dataset names it
    complete_switch(folder)
    rows = rows_in(folder)
    ids_there = {row.reading_id for row in rows}
    gone = {i for i in ids_there if i in ids or tombstones.has("reading", i)}
    if not gone:
        return None
    manifest = dataset_manifest(folder)
    return HeldDataset(
        folder=folder,
        reading_ids=tuple(sorted(ids_there - gone)),
        key=str(manifest.get("key", "")),
        config=_settings(store, folder, {row.config_hash for row in rows}) if manifest else None,
    )


def _settings(store: Store, folder: Path, hashes: set[str]) -> CurationConfig:
    """Return the settings that a dataset was written by. Raises ConfigError where a file that they name is gone."""
    config = export_config(store.root, hashes.pop()) if len(hashes) == 1 else None
    if config is None:
        raise UsageError(
            "the settings that the dataset was written by are not known, so it cannot be written again",
            hint="Export it again or remove its folder, then forget.",
            path=folder,
            code="GT-DATASET-SETTINGS",
        )
    config_hash(config)  # reads every file that the export is going to need
    return config
