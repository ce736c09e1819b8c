"""Format ``mimic-cxr``: MIMIC-CXR and MIMIC-CXR-JPG 2 (Johnson et al. 2019), reports and pictures, a reading per study.

::

    SOURCE/mimic-cxr-2.0.0-metadata.csv     size and view of each picture (MIMIC-CXR-JPG), or
    SOURCE/cxr-record-list.csv              the pictures of each study (MIMIC-CXR)
    SOURCE/mimic-cxr-2.0.0-split.csv        the official split
    SOURCE/mimic-cxr-2.0.0-chexpert.csv     labels of the report, by CheXpert's labeller
    SOURCE/[mimic-cxr-reports/|reports/]files/p10/p10000032/s50414267.txt

Tables may be packed. Pictures are ``files/p10/.../{dicom_id}.dcm`` or ``.jpg`` below SOURCE or the folder of pictures.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.ingest.corpus import CODE, CorpusImage, CorpusIngester, Record, corpus_reading, side_of
from curation.ingest.csv_files import count_lines, malformed, read_text, stream_rows
from curation.ingest.protocol import Ingested
from curation.ingest.report_sections import report_sections
from gazecapture.store import KeyedHash
from keyframes.errors import UsageError
from keyframes.reading import TRUTH

__all__ = ["MimicCxrIngester"]

_IDS = ("dicom_id", "subject_id", "study_id")
_UNITS = ("mimic-cxr-*-metadata.csv", "cxr-record-list.csv")
"""The first that is there is read."""
_BESIDE = {"split": ("mimic-cxr-*-split.csv", (*_IDS, "split")),
           "labels": ("mimic-cxr-*-chexpert.csv", ("subject_id", "study_id"))}  # fmt: skip
_PACKED = ("", ".gz", ".bz2", ".xz", ".zip")
_REPORTS = ("", "mimic-cxr-reports", "reports")
_STUDY = re.compile(r"[0-9]{1,12}")
_MAX_REPORT_BYTES = 1 << 18
"""The longest report has some 10 kB."""
_INDICATIONS = ("indication", "history")


@dataclass(frozen=True, slots=True, kw_only=True)
class MimicCxrIngester(CorpusIngester):
    """Reads study by study; a study without its report or pictures is noted."""

    @property
    def name(self) -> str:
        """See `curation.ingest.protocol.Ingester.name`."""
        return "mimic-cxr"

    def find(self, source: Path) -> list[Path]:
        """Return the table of pictures. See `curation.ingest.protocol.Ingester.find`."""
        for pattern in _UNITS:
            found = _tables(source, pattern)
            if found:
                return found[:1]
        what = f"holds neither {_UNITS[0]} nor {_UNITS[1]}" if source.is_dir() else "is no folder"
        raise UsageError(
            f"{source} {what}",
            hint="Give the folder that MIMIC-CXR-JPG was downloaded to.",
            path=source,
            code="GT-NOT-MIMIC-CXR",
        )

    def count(self, unit: Path) -> int:
        """See `curation.ingest.protocol.CountsReadings.count`."""
        return count_lines(unit)

    def records(self, unit: Path, refuse: Callable[[int | str, str], None]) -> Iterator[tuple[str, Record]]:
        """See `CorpusIngester.records`."""
        tables: list[tuple[str, Path, tuple[str, ...]]] = [("image", unit, _IDS)]
        for kind, (pattern, columns) in _BESIDE.items():
            tables += [(kind, path, columns) for path in _tables(unit.parent, pattern)[:1]]
        for kind, path, columns in tables:
            for number, row in enumerate(stream_rows(path, columns, code=CODE), start=2):
                study = row["study_id"].strip().removeprefix("s")
                if _STUDY.fullmatch(study):
                    yield study, {"kind": kind, **row}
                elif kind == "image":
                    refuse(number, "a study's id is none of MIMIC-CXR's")

    def reading(self, key: str, records: Sequence[Record], unit: Path, pseudonym: KeyedHash) -> Ingested:
        """See `CorpusIngester.reading`."""
        of_kind = {kind: [r for r in records if r["kind"] == kind] for kind in ("image", "split", "labels")}
        issues: Counter[str] = Counter()
        images = [_image(row) for row in of_kind["image"]]
        if not images:
            malformed(
                "a study is in other tables, but has no picture in this one", unit, record=key, code=CODE
            )
        if len({image.subject_id for image in images}) > 1:
            malformed("a study's pictures are of several patients", unit, record=key, code=CODE)
        if len({image.dicom_id for image in images}) < len(images):
            malformed("a picture stands twice in the table", unit, record=key, code=CODE)
        splits = {row["split"].strip() for row in of_kind["split"]} - {""}
        issues["GI-NO-SPLIT"] += not splits and _is_beside(unit, "split")
        issues["GI-SPLIT-CONFLICT"] += len(splits) > 1
        sections = self._report(images[0], unit, issues)
        truth = _labels(of_kind["labels"][0]) if of_kind["labels"] else TRUTH.empty_table()
        return corpus_reading(
            self.name,
            key,
            images,
            folder=self.images or unit.parent,
            pseudonym=pseudonym,
            issues=issues,
            split=splits.pop() if len(splits) == 1 else "",
            tables=lambda _index, _images: {"truth": truth},
            indication=" ".join(sections.pop(name) for name in _INDICATIONS if name in sections),
            report_sections=sections,
        )

    def _report(self, image: CorpusImage, unit: Path, issues: Counter[str]) -> dict[str, str]:
        name = f"{image.file.rpartition('/')[0]}.txt"
        folders = [unit.parent / part for part in _REPORTS] + ([self.images] if self.images else [])
        path = next((path for folder in folders if (path := folder / name).is_file()), None)
        if path is None:
            issues["GI-NO-REPORT"] += 1
            return {}
        sections = report_sections(read_text(path, limit=_MAX_REPORT_BYTES, code=CODE))
        issues["GI-REPORT-SECTIONS"] += not {"findings", "impression"} & sections.keys()
        return sections


def _tables(folder: Path, pattern: str) -> list[Path]:
    return [path for packed in _PACKED for path in sorted(folder.glob(pattern + packed)) if path.is_file()]


def _is_beside(unit: Path, kind: str) -> bool:
    return bool(_tables(unit.parent, _BESIDE[kind][0]))


def _image(row: Mapping[str, str]) -> CorpusImage:
    known = {}
    if "Rows" in row and "Columns" in row:
        known = {"width_px": side_of(row["Columns"]), "height_px": side_of(row["Rows"])}
    return CorpusImage.of(
        dicom_id=row["dicom_id"],
        subject_id=row["subject_id"],
        study_id=row["study_id"],
        view_position=row.get("ViewPosition", "").strip()[:32],
        **known,
    )


def _labels(row: Mapping[str, str]) -> pa.Table:
    """Return table ``truth``: labels of 1, 0 and -1 (uncertain); nothing of those that the report does not name."""
    rows: list[dict[str, Any]] = []
    for place, (label, text) in enumerate(row.items()):
        value = {"1.0": 1, "1": 1, "0.0": 0, "0": 0, "-1.0": -1, "-1": -1}.get(text.strip())
        if value is not None and label not in ("kind", *_IDS):
            rows.append(
                {
                    "finding_id": f"t{place}", "label": label, "present": value != 0, "shape": "none",
                    "sentence_ids": [], "source": "chexpert", "certainty": 0.5 if value < 0 else None,
                }
            )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=TRUTH)
