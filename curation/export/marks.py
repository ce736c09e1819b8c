"""Check that every shard has the schema, both formats the same rows, and no row what its own marks keep back.

Marks are what a row says of itself (access tier, gaze tier, what its reader agreed to) and what the manifest says of
the dataset. The files may be as their manifest says and still be wrong: whoever made them may have erred.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from curation.export.admission import may_show_public_ids
from curation.export.hdf5_shard import read_hdf5_batches
from curation.export.parquet_shard import parquet_version
from curation.export.read import parquet_batches, projected, split_of
from curation.export.schema import SHARD, SHARD_SCHEMA_VERSION
from curation.export.shards import check_version
from curation.export.splits import SPLITS
from curation.privacy.gaze_tier import GazeTier
from keyframes.access import ACCESS_TIERS, is_laxer
from keyframes.errors import PrivacyError, SchemaError, ShardIntegrityError

__all__ = ["check_marks"]

_COLUMNS = (
    "reading_id", "split", "source_format", "access_tier", "gaze_tier", "consent_scopes", "public_patient_id",
    "public_study_id", "image_info[].public_dicom_id", "words[].source", "sentences[].sentence_id",
    "fixations[].pupil", "saccades[].event_index", "keyframes[].sentence_id", "trajectory[].order",
)  # fmt: skip
_BATCH_ROWS = 64
_OF_THE_EYES = ("fixations", "saccades", "keyframes", "trajectory")
_SAMPLES = "samples/"


def check_marks(dataset: Path, manifest: Mapping[str, Any]) -> None:
    """Look at every row of a dataset whose files are as its manifest says.

    Raises ShardIntegrityError where a shard has not the schema of its version, or a row stands twice, in another split
    than its file, or in one format only; PrivacyError where the dataset's tier lets more people in than a reading's
    does, and where a row or the dataset holds what its gaze tier, its reader's scopes or its tier keep back.
    """
    files = [str(entry["path"]) for entry in manifest["files"]]
    if manifest.get("gaze_tier") == "fixations" and any(name.startswith(_SAMPLES) for name in files):
        _kept_back("the dataset holds samples, its gaze tier is fixations", dataset)
    found: dict[str, set[str]] = {}
    for folder, suffix in (("readings", ".parquet"), ("hdf5", ".h5")):
        paths = [dataset / name for name in files if name.startswith(f"{folder}/") and name.endswith(suffix)]
        if paths:
            found[folder] = set()
        for path in paths:
            for row in _rows(path):
                _check_place(row, path, found[folder])
                _check_row(row, manifest, path)
    if len({frozenset(ids) for ids in found.values()}) > 1:
        raise ShardIntegrityError(
            "the formats do not hold the same readings", path=dataset, hint="Export again."
        )


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    schema = projected(SHARD, _COLUMNS)
    try:
        if path.suffix == ".parquet":
            _check_schema(path)
            batches = parquet_batches(path, schema, _BATCH_ROWS)
        else:
            batches = read_hdf5_batches(path, schema, _BATCH_ROWS)
        for table in batches:
            yield from table.to_pylist()
    except SchemaError as error:
        raise ShardIntegrityError(error.message, path=path, hint=error.hint, code=error.code) from error


def _check_schema(path: Path) -> None:
    """Raise SchemaError where a shard's columns are not those of its version."""
    found = pq.read_schema(path)
    version = parquet_version(found)
    check_version(version, path)
    is_ours = version == SHARD_SCHEMA_VERSION
    if not (found.equals(SHARD) if is_ours else _fits(pa.struct(list(found)), pa.struct(list(SHARD)))):
        odd = {field.name for field in found if field.name not in SHARD.names}
        odd |= {
            field.name
            for field in SHARD
            if field.name in found.names and not found.field(field.name).equals(field)
        }
        odd |= set(SHARD.names) - set(found.names) if is_ours else set()
        raise SchemaError(
            f"columns are not those of shard format {version}: {', '.join(sorted(odd)[:5])}", path=path
        )


def _fits(found: pa.DataType, known: pa.DataType) -> bool:
    """Say whether a type has nothing that the known one has not; an older MINOR lacks members."""
    if pa.types.is_list(found) and pa.types.is_list(known):
        return _fits(found.value_type, known.value_type)
    if pa.types.is_struct(found) and pa.types.is_struct(known):
        names = {field.name for field in known}
        return all(field.name in names and _fits(field.type, known.field(field.name).type) for field in found)
    return bool(found.equals(known))


def _check_place(row: Mapping[str, Any], path: Path, seen: set[str]) -> None:
    reading_id, split = str(row["reading_id"]), row["split"]
    if reading_id in seen:
        _wrong("a reading stands twice", path, reading_id)
    if split not in SPLITS or split != split_of(path):
        _wrong("a row's split is not its file's", path, reading_id)
    seen.add(reading_id)


def _check_row(row: Mapping[str, Any], manifest: Mapping[str, Any], path: Path) -> None:
    reading_id = str(row["reading_id"])
    scopes, tier = set(row["consent_scopes"] or ()), str(manifest.get("access_tier"))
    if row["access_tier"] not in ACCESS_TIERS or row["gaze_tier"] not in {*get_args(GazeTier), "none"}:
        _wrong("a row has no access tier or no gaze tier", path, reading_id)
    if is_laxer(tier, than=row["access_tier"]):
        _kept_back(f"the dataset is {tier}, a reading in it {row['access_tier']}", path, reading_id)
    if row["gaze_tier"] not in {manifest.get("gaze_tier"), "none"}:
        _kept_back("a row's gaze tier is not the dataset's", path, reading_id)
    if row["gaze_tier"] == "fixations" and row["saccades"]:
        _kept_back("a row holds saccades, its gaze tier is fixations", path, reading_id)
    if ("gaze" not in scopes or row["gaze_tier"] == "none") and any(row[name] for name in _OF_THE_EYES):
        _kept_back("a row holds what the eyes did, which nobody agreed to", path, reading_id)
    if "pupil" not in scopes and any(f["pupil"] is not None for f in row["fixations"] or ()):
        _kept_back("a row holds pupil sizes, which nobody agreed to", path, reading_id)
    if "audio" not in scopes and any(word["source"] != "typed" for word in row["words"] or ()):
        _kept_back("a row holds spoken words, which nobody agreed to", path, reading_id)
    if _public_ids(row) and not may_show_public_ids(str(row["source_format"]), _tier(tier)):
        _kept_back(
            "a row holds a published dataset's ids, which the dataset's tier keeps back", path, reading_id
        )


def _public_ids(row: Mapping[str, Any]) -> Collection[str]:
    of_pictures = [image["public_dicom_id"] for image in row["image_info"] or ()]
    return [found for found in (row["public_patient_id"], row["public_study_id"], *of_pictures) if found]


def _tier(text: str) -> Any:
    return text if text in ACCESS_TIERS else ACCESS_TIERS[0]


def _wrong(what: str, path: Path, reading_id: str) -> NoReturn:
    raise ShardIntegrityError(what, path=path, record=reading_id, hint="Export again.")


def _kept_back(what: str, path: Path, reading_id: str | None = None) -> NoReturn:
    raise PrivacyError(what, path=path, record=reading_id, hint="Do not pass it on; export again.")
