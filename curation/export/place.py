"""Give a staged dataset its manifest; say what may stand nowhere in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from curation.config import CurationConfig
from curation.export.dataset_views import VIEWS_FOLDER, listed_files
from curation.export.plan import ExportPlan
from curation.export.schema import SHARD_SCHEMA_VERSION
from curation.privacy import Redactor, load_lexicon
from gazecapture import __version__
from gazecapture.files import sha256_of
from gazecapture.store import Store

__all__ = ["make_manifest", "private_strings"]

_OWN_NAMES = "names"
"""The setting whose keys are not ours: what a source calls a region."""


def make_manifest(
    staging: Path,
    plan: ExportPlan,
    config: CurationConfig,
    views: Mapping[str, Any],
    *,
    hash_of: Callable[[Path], str] = sha256_of,
) -> dict[str, Any]:
    """Return dataset.json of what is staged: every file with its size and SHA-256, and what each view has."""
    return {
        "schema_version": SHARD_SCHEMA_VERSION,
        "tool_version": __version__,
        "key": plan.key,
        "config": _shareable(config.model_dump(exclude={"views"}), Redactor(lexicon=load_lexicon())),
        "n_readings": len(plan.reading_ids),
        "access_tier": plan.tier,
        "gaze_tier": config.privacy.gaze_tier,
        "picture_salt": plan.picture_salt,
        "files": listed_files(staging, hash_of=hash_of),
        VIEWS_FOLDER: dict(views),
    }


def _shareable(settings: Any, redactor: Redactor) -> Any:
    """Return settings, JSON-ready, without what a lab's own files and names in them would tell."""
    if isinstance(settings, Mapping):
        return {
            name: {redactor(k): _shareable(v, redactor) for k, v in value.items()}
            if name == _OWN_NAMES
            else _shareable(value, redactor)
            for name, value in settings.items()
        }
    if isinstance(settings, list | tuple):
        return [_shareable(value, redactor) for value in settings]
    if isinstance(settings, Path):
        return "(a file)"
    return redactor(settings) if isinstance(settings, str) else settings


def private_strings(store: Store, config: CurationConfig) -> list[str]:
    """Return what may stand nowhere in the output, apart from what the headers give."""
    # With a separator at its end: a home folder "/root" must not be found in "apex/root".
    return [
        f"{store.root.resolve()}",
        f"{Path.home()}{os.sep}",
        store.pseudonym_key.hex(),
        *map(str, _paths_in(config.model_dump())),
    ]


def _paths_in(settings: Any) -> Iterator[Path]:
    if isinstance(settings, Path):
        yield settings.absolute()
    elif isinstance(settings, Mapping | list | tuple):
        for value in settings.values() if isinstance(settings, Mapping) else settings:
            yield from _paths_in(value)
