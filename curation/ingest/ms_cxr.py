"""Format ``ms-cxr``: MS-CXR 1.1.0 (Boecking et al. 2022), phrases of reports and boxes of where they are.

::

    SOURCE/MS_CXR_Local_Alignment_v1.1.0.csv    category_name, label_text, path, image_width, image_height, x, y, w, h,
                                                dicom_id, split (absent before 1.1.0)
    SOURCE/MS_CXR_Local_Alignment_v1.1.0.json   the same as COCO: images, annotations (bbox, label_text), categories

One reading per picture. Its phrases are sentences, its boxes findings that name their sentence.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.ingest.corpus import CODE, CorpusImage, CorpusIngester, Record, box_on, corpus_reading, side_of
from curation.ingest.csv_files import malformed, stream_rows
from curation.ingest.json_stream import read_json
from curation.ingest.mimic_pictures import MIMIC_PATH
from curation.ingest.protocol import Ingested
from gazecapture.store import KeyedHash
from keyframes.errors import UsageError
from keyframes.reading import FINDINGS, WORDS
from keyframes.sentences import split_sentences

__all__ = ["MsCxrIngester"]

_TABLE = "MS_CXR_Local_Alignment_v*.csv"
_COCO = "MS_CXR_Local_Alignment_v*.json"
_COLUMNS = (
    "category_name",
    "label_text",
    "path",
    "image_width",
    "image_height",
    "x",
    "y",
    "w",
    "h",
    "dicom_id",
)
_MAX_PHRASE_LETTERS = 2000
_MAX_WORD_LETTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class MsCxrIngester(CorpusIngester):
    """Reads the table, or the COCO file where there is no table."""

    @property
    def name(self) -> str:
        """See `curation.ingest.protocol.Ingester.name`."""
        return "ms-cxr"

    def find(self, source: Path) -> list[Path]:
        """Return the table. See `curation.ingest.protocol.Ingester.find`."""
        for pattern in (_TABLE, _COCO):
            if found := sorted(source.glob(pattern)):
                return found[-1:]  # of two versions the newer one
        what = f"holds no {_TABLE}" if source.is_dir() else "is no folder"
        raise UsageError(f"{source} {what}", path=source, code="GT-NOT-MS-CXR")

    def records(self, unit: Path, refuse: Callable[[int | str, str], None]) -> Iterator[tuple[str, Record]]:
        """See `CorpusIngester.records`."""
        rows = stream_rows(unit, _COLUMNS, code=CODE) if unit.suffix == ".csv" else _coco_rows(unit)
        for number, row in enumerate(rows, start=2):
            match = MIMIC_PATH.fullmatch(f"{row['path'].rpartition('.')[0]}.dcm")
            if match is None or match[4] != row["dicom_id"]:
                refuse(number, "path and dicom_id are not of one picture of MIMIC-CXR")
            else:
                yield match[4], {**row, "subject_id": match[2], "study_id": match[3]}

    def reading(self, key: str, records: Sequence[Record], unit: Path, pseudonym: KeyedHash) -> Ingested:
        """See `CorpusIngester.reading`."""
        sizes = {(side_of(row["image_width"]), side_of(row["image_height"])) for row in records}
        owners = {(row["subject_id"], row["study_id"]) for row in records}
        if len(sizes) > 1 or len(owners) > 1:
            malformed("a picture has several sizes or patients", unit, record=key, code=CODE)
        (size,), ((subject_id, study_id),) = sizes, owners
        issues: Counter[str] = Counter()
        words, sentences = _sentences(records, unit, key)
        findings = _findings(records, sentences, size, issues)
        splits = {row.get("split", "").strip() for row in records} - {""}
        issues["GI-SPLIT-CONFLICT"] += len(splits) > 1
        return corpus_reading(
            self.name,
            key,
            [CorpusImage.of(dicom_id=key, subject_id=subject_id, study_id=study_id, width_px=size[0],
                            height_px=size[1])],
            folder=self.images or unit.parent,
            pseudonym=pseudonym,
            issues=issues,
            split=splits.pop() if len(splits) == 1 else "",
            tables=lambda _index, _images: {"words": words, "findings": findings},
        )  # fmt: skip


def _sentences(records: Sequence[Record], unit: Path, key: str) -> tuple[pa.Table, dict[str, list[str]]]:
    """Return table ``words``, each phrase closed by a full stop, and the ids of each phrase's sentences."""
    rows: list[dict[str, Any]] = []
    ends: list[tuple[str, int]] = []
    for phrase in dict.fromkeys(_phrase(row) for row in records):
        said = phrase.rstrip(".").split()
        if len(phrase) > _MAX_PHRASE_LETTERS or any(len(word) > _MAX_WORD_LETTERS for word in said):
            malformed("a phrase is too long", unit, record=key, code=CODE)
        for word in [*said, "."] if said else []:
            rows.append(
                {
                    "word_index": len(rows), "t_start_ns": 0, "t_end_ns": 0, "word": word, "supported": True,
                    "source": "imported",
                }
            )  # fmt: skip
        ends.append((phrase, len(rows)))
    words = pa.Table.from_pylist(rows, schema=WORDS)
    ids = split_sentences(words).column("sentence_id").to_pylist()
    found, before = {}, 0
    for phrase, end in ends:
        n = split_sentences(words.slice(0, end)).num_rows
        found[phrase] = ids[before:n]
        before = n
    return words, found


def _findings(
    records: Sequence[Record],
    sentences: Mapping[str, Sequence[str]],
    size: tuple[int, int],
    issues: Counter[str],
) -> pa.Table:
    rows = []
    for place, row in enumerate(records):
        box = box_on([_number(row[name]) for name in "xywh"], *size)
        if box is None:
            issues["GI-BOX"] += 1
            continue
        rows.append(
            {
                "finding_id": f"b{place}", "label": row["category_name"].strip() or "Unnamed", "present": True,
                "shape": "box", "sentence_ids": list(sentences[_phrase(row)]), "source": "ms-cxr", "image_index": 0,
                "box": box,
            }
        )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=FINDINGS)


def _phrase(row: Mapping[str, str]) -> str:
    return " ".join(row["label_text"].split())


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        malformed("a box holds what is no number", Path(), code=CODE)
    return value


def _coco_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the annotations of a COCO file as rows of the table."""
    content = read_json(path, code=CODE)
    try:
        categories = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
        images = {entry["id"]: entry for entry in content["images"]}
        annotations = list(content["annotations"])
    except (KeyError, TypeError):
        malformed("it is no COCO file", path, code=CODE)
    for number, entry in enumerate(annotations):
        try:
            image = images[entry["image_id"]]
            text = entry["label_text"]
            x, y, w, h = entry["bbox"]
            row = {
                "category_name": categories[entry["category_id"]],
                "label_text": text if isinstance(text, str) else " ".join(text),
                "path": image["path"], "dicom_id": str(image["file_name"]).rpartition(".")[0],
                "image_width": image["width"], "image_height": image["height"], "x": x, "y": y, "w": w, "h": h,
                "split": entry.get("split", ""),
            }  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError):
            malformed("an annotation is none of MS-CXR's", path, record=number, code=CODE)
        yield {name: str(value) for name, value in row.items()}
