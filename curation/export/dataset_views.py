"""The views of a dataset: which ones, written beside its shards, listed in its manifest, put in place whole."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from curation.config import settings_hash
from curation.export.read import ShardReader
from curation.export.views import View, view_named
from curation.view_settings import ViewOptions, ViewsConfig
from gazecapture import __version__
from gazecapture.files import (
    as_tool_error,
    make_private_folder,
    replace_patiently,
    sha256_of,
    sync_folder,
    sync_tree,
    write_json_atomically,
)
from keyframes.errors import UsageError

__all__ = ["VIEWS_FOLDER", "ViewRequest", "add_views", "listed_files", "requested_views", "write_views"]

VIEWS_FOLDER = "views"
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewRequest:
    """A view and what it is to be written by."""

    view: View[Any]
    options: ViewOptions

    def key(self, dataset_key: str) -> str:
        """Return what changes whenever the view would be another one."""
        return settings_hash(
            {
                "view": [self.view.name, self.view.version, __version__],
                "options": self.options.model_dump(mode="json"),
                "dataset": dataset_key,
            }
        )


def requested_views(
    config: ViewsConfig, names: Iterable[str], manifest: Mapping[str, Any]
) -> tuple[ViewRequest, ...]:
    """Return the views of the settings, those named, and those that a dataset has already, in order of name.

    A view that is only in the dataset keeps its options. Raises UsageError for a name that no view has.
    """
    wanted: dict[str, ViewOptions] = {}
    for name, entry in manifest.get(VIEWS_FOLDER, {}).items():
        try:
            wanted[name] = ViewsConfig.model_validate({name: entry["options"]}).options_of(name)
        except (ValidationError, KeyError, TypeError, AttributeError):
            _LOGGER.warning("view %s of the dataset is of another version of this tool and is dropped", name)
    for name in (*config.names, *names):
        if name not in config.known_views():
            raise UsageError(f"there is no view {name!r}", hint=f"Views: {', '.join(config.known_views())}.")
        wanted[name] = config.options_of(name)
    return tuple(ViewRequest(view=view_named(name), options=wanted[name]) for name in sorted(wanted))


def write_views(
    shards: Path, folder: Path, requests: Sequence[ViewRequest], dataset_key: str
) -> dict[str, dict[str, Any]]:
    """Write views of the dataset in ``shards`` to ``folder/views/NAME``; return their entries in the manifest."""
    entries = {}
    for request in requests:
        place = make_private_folder(folder / VIEWS_FOLDER / request.view.name)
        result = request.view.write(ShardReader(shards), place, request.options)
        entries[request.view.name] = {
            "key": request.key(dataset_key),
            "version": request.view.version,
            "options": request.options.model_dump(mode="json"),
            **asdict(result),
        }
    return entries


def add_views(
    out: Path,
    manifest: dict[str, Any],
    requests: Sequence[ViewRequest],
    *,
    manifest_name: str,
    check: Callable[[Path], None],
) -> dict[str, Any]:
    """Bring a finished dataset's views up to date; return its new manifest, or the same one if nothing was missing.

    A view that is to be replaced leaves the manifest before its folder goes, and enters it once it is whole, so the
    dataset is sound at every moment. check : raises where what was written may not stay; then nothing has changed.
    """
    there = manifest.get(VIEWS_FOLDER, {})
    _remove_unlisted(out, there)
    todo = [r for r in requests if there.get(r.view.name, {}).get("key") != r.key(manifest["key"])]
    gone = there.keys() - {request.view.name for request in requests}
    if not todo and not gone:
        return manifest
    staging = make_private_folder(out / f".{uuid.uuid4().hex[:8]}.partial")
    try:
        entries = write_views(out, staging, todo, manifest["key"])
        check(staging)
        files = listed_files(staging)
        replaced = {*entries, *gone}
        kept = {
            **manifest,
            "files": [f for f in manifest["files"] if _view_of(f["path"]) not in replaced],
            VIEWS_FOLDER: {name: entry for name, entry in there.items() if name not in replaced},
        }
        if replaced & there.keys():
            write_json_atomically(out / manifest_name, kept)
        make_private_folder(out / VIEWS_FOLDER)
        # A power cut must not find half-written files under the names that the manifest is about to list.
        sync_tree(staging)
        for name in sorted(replaced):
            shutil.rmtree(out / VIEWS_FOLDER / name, ignore_errors=True)
            if name in entries:
                replace_patiently(staging / VIEWS_FOLDER / name, out / VIEWS_FOLDER / name)
        sync_folder(out / VIEWS_FOLDER)
        whole = {
            **kept,
            "files": sorted([*kept["files"], *files], key=lambda file: str(file["path"])),
            VIEWS_FOLDER: {**kept[VIEWS_FOLDER], **entries},
        }
        write_json_atomically(out / manifest_name, whole)
    except OSError as error:
        raise as_tool_error(error, out, "putting a view in place") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return whole


def _remove_unlisted(out: Path, there: Mapping[str, Any]) -> None:
    """Remove the views that a killed command put in place and had not yet entered in the manifest."""
    for folder in (out / VIEWS_FOLDER).glob("*/"):
        if folder.name not in there:
            shutil.rmtree(folder, ignore_errors=True)


def listed_files(folder: Path, *, hash_of: Callable[[Path], str] = sha256_of) -> list[dict[str, Any]]:
    """Return path, size and SHA-256 of every file, as a manifest lists them; ``hash_of`` gives the last."""
    # As bare strings: a dataset has three files and more of each reading.
    found = [f"{place}{os.sep}{name}" for place, _, names in os.walk(folder) for name in names]
    below = len(f"{folder}{os.sep}")
    return [
        {
            "path": Path(path[below:]).as_posix(),
            "bytes": Path(path).stat().st_size,
            "sha256": hash_of(Path(path)),
        }
        for path in sorted(found)
    ]


def _view_of(path: str) -> str | None:
    """Return which view a listed file belongs to."""
    parts = path.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == VIEWS_FOLDER else None
