"""``croissant.json``: the dataset for catalogues, as Croissant 1.1 with the fields of its responsible-AI extension.

Lists the shards and tables with their SHA-256 and describes the tables' columns as record sets. It names no file of
``samples/``, ``images/`` and ``views/``; `dataset.json` does.

Source: docs.mlcommons.org/croissant, format 1.1 and RAI 1.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from curation.export.card import NOT_STATED, CardFacts, authors_of, citation_of, licence_of
from curation.export.tables.columns import TABLES, Column, Table
from gazecapture.files import sha256_of

__all__ = ["CROISSANT_FILE", "croissant"]

CROISSANT_FILE = "croissant.json"
_CONTEXT: Final[Mapping[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_TYPES: Final = {"text": "sc:Text", "integer": "sc:Integer", "number": "sc:Float", "flag": "sc:Boolean"}
_ENCODINGS: Final = {
    ".parquet": "application/vnd.apache.parquet",
    ".h5": "application/x-hdf5",
    ".csv": "text/csv",
}


def croissant(
    dataset: Path, facts: CardFacts, *, hash_of: Callable[[Path], str] = sha256_of
) -> dict[str, Any]:
    """Return the description of a dataset whose shards and tables are there.

    hash_of : gives the SHA-256 of a file; who needs that of the shards elsewhere too keeps it.
    """
    generated = sum(meta.synthetic for meta in facts.metas)
    return {
        "@context": dict(_CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": "readings-with-gaze",
        "description": (
            f"{len(facts.metas)} readings of radiographs with gaze, key frames and inspection trajectories; "
            f"{generated} of them generated. Access tier {facts.access_tier}, gaze tier {facts.gaze_tier}. "
            "Research use only, not for diagnosis."
        ),
        "version": "1.0.0",
        "license": licence_of(facts),
        "citeAs": citation_of(facts),
        "creator": [{"@type": "sc:Organization", "name": name} for name in authors_of(facts) or [NOT_STATED]],
        "keywords": ["eye tracking", "radiology", "radiograph", *(["synthetic"] if generated else [])],
        "conditionsOfAccess": facts.access_tier,
        "rai:dataCollection": (
            "Readers looked at radiographs on a screen while an eye tracker recorded where they looked, and "
            "dictated or typed what they saw."
        ),
        "rai:dataCollectionType": ["Observations", "Physical data collection"],
        "rai:dataAnnotationProtocol": (
            "Fixations, regions, key frames and trajectories are computed; findings are the reader's own; truth is "
            "that of the source."
        ),
        "rai:dataPreprocessingProtocol": [
            "Headers are rebuilt from an allow-list, texts freed of words that could name somebody, times are relative."
        ],
        "rai:personalSensitiveInformation": [
            "Gaze identifies people: every row is personal data of its reader. Radiographs are health data."
        ],
        "rai:dataUseCases": [
            "Training and evaluation of gaze-supervised models",
            "Research into visual search",
        ],
        "rai:dataLimitations": [
            "Regions of the built-in atlas are coarse; `provider` and `confidence` say whose they are.",
            "Columns of reference lesions are for measures only.",
        ],
        "rai:dataBiases": [
            "Few readers, each with habits of their own; splits are by patient, not by reader."
        ],
        "distribution": [_file(dataset, path, hash_of) for path in _listed(dataset)],
        "recordSet": [_records(table) for table in TABLES],
    }


def _listed(dataset: Path) -> Iterable[Path]:
    patterns = ("readings/*.parquet", "hdf5/*.h5", "tables/*.csv")
    return sorted(path for pattern in patterns for path in dataset.glob(pattern))


def _file(dataset: Path, path: Path, hash_of: Callable[[Path], str]) -> dict[str, Any]:
    name = path.relative_to(dataset).as_posix()
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name.replace("/", "-"),
        "contentUrl": name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": _ENCODINGS[path.suffix],
        "sha256": hash_of(path),
    }


def _records(table: Table) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "name": table.name,
        "description": table.about,
        "field": [_field(table, column) for column in table.columns],
        **({"key": {"@id": f"{table.name}/reading_id"}} if table.name == "readings" else {}),
    }


def _field(table: Table, column: Column) -> dict[str, Any]:
    unit = f" ({column.unit})" if column.unit else ""
    return {
        "@type": "cr:Field",
        "@id": f"{table.name}/{column.name}",
        "name": column.name,
        "description": f"{column.about}{unit}",
        "dataType": _TYPES[column.kind],
        "source": {
            "fileObject": {"@id": f"tables/{table.name}.csv"},
            "extract": {"column": column.name},
        },
    }
