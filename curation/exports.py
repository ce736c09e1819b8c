"""What a store keeps of its exports: where to and by which settings, so that each can be written again.

The settings are in ``STORE/exports/{config_hash}.json``, under the hash that every row of the dataset carries; the
folders are in the access log.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from curation.config import CurationConfig, config_hash, remembered_config
from curation.export.switch import MANIFEST
from gazecapture.access_log import log_access, read_access_log
from gazecapture.files import make_private_folder, write_json_atomically

__all__ = ["dataset_manifest", "export_config", "exported_folders", "logged_export"]

_FOLDER = "exports"
_COMMANDS = ("export", "run")


@contextlib.contextmanager
def logged_export(
    store_root: Path, out: Path, config: CurationConfig, *, command: str, n_readings: int
) -> Iterator[None]:
    """Log that a dataset is written to ``out``: before, and with its manifest's key once it is done."""
    path = make_private_folder(store_root / _FOLDER) / f"{config_hash(config)}.json"
    if not path.is_file():
        write_json_atomically(path, config.model_dump(mode="json"))
    log_access(store_root, command=command, event="begins", folder=out, n_readings=n_readings)
    yield
    manifest = dataset_manifest(out)
    if manifest:
        key, n_written = str(manifest.get("key", "")), int(manifest.get("n_readings", 0))
        log_access(store_root, command=command, folder=out, key=key, n_readings=n_written)


def exported_folders(store_root: Path) -> list[Path]:
    """Return every folder that a dataset of this store was written to, sorted."""
    return sorted({e.folder for e in read_access_log(store_root) if e.folder and e.command in _COMMANDS})


def export_config(store_root: Path, wanted: str) -> CurationConfig | None:
    """Return the settings with this hash; None where they are unknown, or of a version that had others."""
    try:
        return CurationConfig.model_validate_json((store_root / _FOLDER / f"{wanted}.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        last = remembered_config(store_root)  # of datasets older than this record
        return last if config_hash(last) == wanted else None


def dataset_manifest(dataset: Path) -> dict[str, Any]:
    """Return what dataset.json says; nothing where there is none or it is damaged."""
    try:
        content = json.loads((dataset / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
