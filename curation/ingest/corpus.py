"""What readings of corpora without gaze have in common: MIMIC-CXR's ids and pictures, no reader, no time.

Ids and pictures are those of MIMIC-CXR. Nobody's eyes were followed, so gaze, display and times are empty.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, Self

import pyarrow as pa

from curation.ingest.csv_files import malformed
from curation.ingest.grouped import grouped
from curation.ingest.mimic_pictures import find_mimic_picture, picture_columns
from curation.ingest.protocol import Ingested
from curation.ingest.terms import TERMS
from curation.issues import source_issues_entry
from gazecapture import __version__
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.store import KeyedHash
from keyframes.errors import GazeToolError, ImageError, UsageError
from keyframes.reading import IMAGES, Reading, ReadingMeta

__all__ = ["CODE", "CorpusImage", "CorpusIngester", "Record", "box_on", "corpus_reading"]

CODE = "GT-CORPUS"
MAX_RECORDS = 5000
"""Of one reading: the largest study has some ten pictures, the most asked-about picture some hundred questions."""
MAX_REFUSED = 1000
"""Rows without usable ids after which the file is taken for another one."""
_SUBJECT = re.compile(r"p?([0-9]{1,12})")
_STUDY = re.compile(r"s?([0-9]{1,12})")
_DICOM_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_MAX_SIDE_PX = 50_000
_LATERAL = frozenset({"LATERAL", "LL", "RL", "LLD", "RLD"})
"""View positions of MIMIC-CXR that are no frontal view; decubitus films are listed as ``LLD`` and ``RLD``."""

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusImage:
    """A picture as a corpus names it."""

    dicom_id: str
    subject_id: str
    study_id: str
    width_px: int | None = None
    height_px: int | None = None
    """None where the corpus does not say; then the picture itself must."""
    view_position: str = ""

    @classmethod
    def of(cls, *, dicom_id: str, subject_id: str, study_id: str, **more: Any) -> Self:
        """Raise DataError (GT-CORPUS) where an id is none of MIMIC-CXR's."""
        subject, study = _SUBJECT.fullmatch(subject_id.strip()), _STUDY.fullmatch(study_id.strip())
        if subject is None or study is None or not _DICOM_ID.fullmatch(dicom_id):
            malformed("an id is none of MIMIC-CXR's", Path(), code=CODE)
        return cls(dicom_id=dicom_id, subject_id=subject[1], study_id=study[1], **more)

    @property
    def file(self) -> str:
        """Path below the pictures' folder, without suffix."""
        subject = f"p{self.subject_id}"
        return f"files/{subject[:3]}/{subject}/s{self.study_id}/{self.dicom_id}"

    @property
    def is_lateral(self) -> bool:
        """Say whether it is a lateral view."""
        return self.view_position.upper() in _LATERAL


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusIngester(ABC):
    """Reads records of several files, brings them together by reading, and lets one bad reading fail alone."""

    images: Path | None = None
    """Folder of MIMIC-CXR's pictures; by default the one that the source's tables are in."""

    @property
    @abstractmethod
    def name(self) -> str:
        """See `curation.ingest.protocol.Ingester.name`."""

    def with_images(self, folder: Path) -> Self:
        """See `curation.ingest.protocol.TakesImages`."""
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder", path=folder, hint="Give the folder of the pictures.")
        return replace(self, images=folder)

    @abstractmethod
    def records(self, unit: Path, refuse: Callable[[int | str, str], None]) -> Iterator[tuple[str, Record]]:
        """Yield (key of the reading, record) in any order; ``refuse(row, why)`` notes one that belongs to none."""

    @abstractmethod
    def reading(self, key: str, records: Sequence[Record], unit: Path, pseudonym: KeyedHash) -> Ingested:
        """Return one reading. Raises GazeToolError where its records cannot be one."""

    def readings(self, unit: Path, *, key: bytes) -> Iterator[Ingested]:
        """See `curation.ingest.protocol.Ingester.readings`."""
        refused: list[GazeToolError] = []

        def refuse(record: int | str, why: str) -> None:
            try:
                malformed(why, unit, record=record, code=CODE)
            except GazeToolError as error:
                refused.append(error)
            if len(refused) >= MAX_REFUSED:
                malformed(f"{MAX_REFUSED} rows cannot be used", unit, hint="Is it the right file?", code=CODE)

        pseudonym = KeyedHash(key)
        try:
            for name, records in grouped(self.records(unit, refuse)):
                try:
                    if len(records) > MAX_RECORDS:
                        malformed(f"a reading has {len(records)} records", unit, record=name, code=CODE)
                    yield self.reading(name, records, unit, pseudonym)
                except GazeToolError as error:
                    yield Ingested(label=name, error=error)
        except GazeToolError as error:
            yield Ingested(label=unit.name, error=error)
        for found in refused:
            yield Ingested(label=f"{unit.name} row {found.record}", error=found)


def corpus_reading(
    source_format: str,
    label: str,
    images: Iterable[CorpusImage],
    *,
    folder: Path,
    pseudonym: KeyedHash,
    issues: Counter[str],
    split: str = "",
    tables: Callable[[Mapping[str, int], pa.Table], Mapping[str, pa.Table]] | None = None,
    **meta: Any,
) -> Ingested:
    """Return a reading of these pictures, all of one study, in which no eye was followed.

    folder : where the pictures are sought. A picture that is not there has the size that the corpus says, or is left
             out where it says none; both are noted (GI-NO-PICTURE).
    tables : given the index of each picture by its DICOM id and table ``images``, returns the other tables.
    meta   : further fields of `ReadingMeta`.
    Raises ImageError where a picture is damaged or of another size than the corpus says.
    """
    wanted = sorted(images, key=lambda image: (image.is_lateral, image.dicom_id))
    terms = TERMS[source_format]
    rows: list[dict[str, Any]] = []
    pictures: dict[int, Path] = {}
    for image in wanted:
        row: dict[str, Any] = {
            "image_index": len(rows),
            "role": "lateral" if image.is_lateral else "current",
            "sha256": "",
        }
        row |= {"public_dicom_id": image.dicom_id, "view_position": image.view_position or None}
        row |= {"spacing_kind": "unknown", "width_px": image.width_px, "height_px": image.height_px}
        path = find_mimic_picture(folder, image.file)
        if path is None:
            issues["GI-NO-PICTURE"] += 1
            if image.width_px is None:
                continue
        else:
            row |= _of_picture(image, path)
            pictures[len(rows)] = path
        rows.append(row)
    table = pa.Table.from_pylist(rows, schema=IMAGES)
    first = wanted[0]
    index = {row["public_dicom_id"]: int(row["image_index"]) for row in rows}
    made = {} if tables is None else dict(tables(index, table))
    return Ingested(
        label=label,
        images=pictures,
        reading=Reading.build(
            ReadingMeta(
                reading_id=pseudonym(source_format, label),
                source_format=source_format,
                time_origin="none",
                reader_code=source_format,
                study_key=pseudonym("study", first.study_id),
                patient_key=pseudonym("patient", first.subject_id),
                public_patient_id=first.subject_id,
                public_study_id=first.study_id,
                duration_ns=0,
                split_official=split,
                provenance={"tool_version": __version__, **source_issues_entry(issues), **terms.provenance},
                **terms.of_reading,
                **meta,
            ),
            {"images": table, **made},
        ),
    )


def box_on(box: Sequence[float], width_px: int, height_px: int) -> list[float] | None:
    """Return (x, y, width, height) as (x0, y0, x1, y1) cut at the image's edges; None where its middle is off them."""
    x, y, width, height = box
    if not (width > 0 and height > 0 and 0 <= x + width / 2 <= width_px and 0 <= y + height / 2 <= height_px):
        return None
    return [max(x, 0.0), max(y, 0.0), min(x + width, float(width_px)), min(y + height, float(height_px))]


def side_of(text: str) -> int:
    """Return a number of px. Raises SchemaError (GT-CORPUS) where it is none."""
    try:
        side = float(text)
    except (ValueError, OverflowError):
        side = float("nan")
    if not (0 < side <= _MAX_SIDE_PX and side == int(side)):
        refused_size()
    return int(side)


def refused_size() -> NoReturn:
    """Raise the error for an image's size that is none."""
    malformed("an image's size is no number of px", Path(), code=CODE)


def _of_picture(image: CorpusImage, path: Path) -> dict[str, Any]:
    radiograph = load_radiograph(path)
    found = (radiograph.width_px, radiograph.height_px)
    if image.width_px is not None and found != (image.width_px, image.height_px):
        raise ImageError(
            f"the picture is {found[0]} x {found[1]} px, the corpus says {image.width_px} x {image.height_px}",
            hint="Give the pictures at full size, as MIMIC-CXR and MIMIC-CXR-JPG have them.",
            path=path,
            code="GT-PICTURE-SIZE",
        )
    columns = picture_columns(radiograph, path)
    known = columns.pop("view_position") or image.view_position or None
    return {**columns, "view_position": known, "width_px": found[0], "height_px": found[1]}
