"""What an exclude list names: readings that stay out of a dataset, such as those that another set tests on.

A text file, one name per line, ``#`` starts a comment. A name is a reading id, a patient or study key, a public
patient, study or dicom id, or the SHA-256 of a picture, of its stored file or as another dataset's shards have it
(``picture_sha256``). With its kind before it (``public_dicom_id:1e64...``) it may be one that the store does not have;
bare it may not, since a slip would let a reading out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from gazecapture.store import Store
from keyframes.errors import DataError, SchemaError, UsageError

__all__ = ["KINDS", "Excluded", "find_excluded"]

KINDS: Final = (
    "reading_id",
    "patient_key",
    "study_key",
    "public_patient_id",
    "public_study_id",
    "public_dicom_id",
    "picture_sha256",
)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """What a list names in a store."""

    reading_ids: frozenset[str]
    n_names: int
    n_unmatched: int
    """Names with their kind that the store does not have."""


def find_excluded(path: Path, store: Store, exported_hashes: Callable[[str], Iterable[str]]) -> Excluded:
    """Return the readings that the list at ``path`` names.

    exported_hashes : gives the SHA-256 of a reading's pictures as an export would write them; asked only while hashes
    are left that no stored file has, since it decodes every picture.

    Raises UsageError for a file that is none, an unknown kind, and a bare name that the store does not have.
    """
    names = _names_in(path)
    wanted: dict[str, set[str | None]] = {}
    for kind, value in names:
        wanted.setdefault(value, set()).add(kind)
    matched: set[str] = set()
    found: set[str] = set()
    left: list[str] = []
    for reading_id in store.reading_ids():
        try:
            own = _names_of(store, reading_id)
        except DataError:
            continue  # the export says that it is damaged, and goes on without it
        hits = {value for kind, value in own if value in wanted and wanted[value] & {kind, None}}
        matched |= hits
        if hits:
            found.add(reading_id)
        else:
            left.append(reading_id)
    hashes = {
        value
        for value, kinds in wanted.items()
        if value not in matched and _SHA256.fullmatch(value) and kinds & {"picture_sha256", None}
    }
    for reading_id in left if hashes else ():
        hits = hashes & set(exported_hashes(reading_id))
        matched |= hits
        if hits:
            found.add(reading_id)
    unmatched = [(kind, value) for kind, value in names if value not in matched]
    bare = [value for kind, value in unmatched if kind is None]
    if bare:
        raise UsageError(
            f"{path} has {len(bare)} names that the store does not have, the first is {bare[0]!r}",
            hint=f"Correct the list, or put the kind before a name of another dataset, as in {KINDS[3]}:ID.",
            path=path,
        )
    return Excluded(reading_ids=frozenset(found), n_names=len(names), n_unmatched=len(unmatched))


def _names_in(path: Path) -> list[tuple[str | None, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", path=path) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a text file", path=path) from None
    names: list[tuple[str | None, str]] = []
    for number, line in enumerate(lines, start=1):
        text = line.split("#", 1)[0].strip()
        kind, colon, value = text.partition(":")
        if colon and kind not in KINDS:
            raise UsageError(
                f"{path}, line {number}: no kind of name is called {kind!r}",
                hint=f"Kinds: {', '.join(KINDS)}.",
                path=path,
            )
        if colon and value.strip():
            names.append((kind, value.strip()))
        elif text and not colon:
            names.append((None, text))
    return list(dict.fromkeys(names))


def _names_of(store: Store, reading_id: str) -> list[tuple[str, str]]:
    meta = store.meta(reading_id)
    names = [
        ("reading_id", reading_id),
        ("patient_key", meta.patient_key),
        ("study_key", meta.study_key),
        ("public_patient_id", meta.public_patient_id),
        ("public_study_id", meta.public_study_id),
    ]
    path = store.folder(reading_id) / "images.parquet"
    try:
        images = pq.read_table(path, use_threads=False, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise SchemaError(
            "table 'images' of the reading cannot be read",
            hint="Ingest the reading again.",
            path=path,
            record=reading_id,
        ) from error
    for column, kind in (("sha256", "picture_sha256"), ("public_dicom_id", "public_dicom_id")):
        if column in images.column_names:
            names += [(kind, value) for value in images.column(column).to_pylist()]
    return [(kind, value) for kind, value in names if value]
