"""Worklists: which studies a reader gets, and in which order. Knows no pixels and no Qt.

A worklist is a CSV file with one study per row, a folder of images with one study per file, or a DICOMDIR. Image and
truth paths of a CSV are relative to the folder that it lies in.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from gazecapture.radiograph.dicomdir import DICOMDIR_NAME, films_of_dicomdir
from gazecapture.session.schema import StudyInfo, TruthLesion
from keyframes.access import ACCESS_TIERS
from keyframes.errors import UsageError
from keyframes.reading import IMAGE_ROLES

__all__ = [
    "WorklistImage",
    "WorklistOrder",
    "WorklistStudy",
    "fingerprint",
    "load_worklist",
    "order_for_reader",
]

WorklistOrder = Literal["listed", "shuffled"]

_LOGGER = logging.getLogger(__name__)

_TEXTS = ("indication", "arm", "view", "age_band", "sex")
_TERMS = ("licence", "access_tier")
_COLUMNS = ("study_id", *IMAGE_ROLES, *_TEXTS, *_TERMS, "truth", "synthetic", "practice", "repeat_of")
_NEEDED = ("study_id", "current")
_TRUE = {"1", "true", "yes", "y"}
_SUFFIXES = {".dcm", ".dicom", ".png", ".jpg", ".jpeg", ".tif", ".tiff"}
_DICOM_MARK = b"DICM"
"""At byte 128 of a DICOM file (PS3.10 section 7.1); tells one that has no suffix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistImage:
    """One image file of a study."""

    role: str
    """current, lateral or prior."""
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistStudy:
    """One study of a worklist; its images' order is their ``image_index``."""

    study_id: str
    images: tuple[WorklistImage, ...]
    indication: str = ""
    arm: str = ""
    view: str = ""
    """View position of the current image, for files that do not say."""
    age_band: str = ""
    sex: str = ""
    truth: tuple[TruthLesion, ...] = ()
    synthetic: bool = False
    licence: str = ""
    """Of the films, where they are somebody else's."""
    access_tier: str = ""
    """Of the films (`keyframes.access`); empty: a generated film may go to anybody, any other to nobody."""
    practice: bool = False
    """Read to get used to the tool: comes first, and its reading is not kept as data."""
    repeat_of: str = ""
    """study_id of the study that is read a second time here: how far does a reader agree with himself?"""

    def unopened(self, reading_number: int) -> StudyInfo:
        """Return what a session says of the study before it is opened: everything but its images."""
        return StudyInfo(
            reading_number=reading_number,
            study_id=self.study_id,
            images=(),
            indication=self.indication,
            sex=self.sex,
            age_band=self.age_band,
            arm=self.arm,
            truth=self.truth,
            synthetic=self.synthetic,
            licence=self.licence,
            access_tier=self.access_tier,
            practice=self.practice,
            repeat_of=self.repeat_of,
        )


def load_worklist(path: Path) -> tuple[WorklistStudy, ...]:
    """Read a worklist, in its own order.

    path : a CSV file with the columns study_id and current, and optionally prior, lateral, indication, arm,
        truth (a JSON file with a list of `TruthLesion`), view, age_band, sex, synthetic, licence, access_tier,
        practice, repeat_of; or a folder of images; or a DICOMDIR, or the folder that it lies in.

    Raises UsageError, naming the row, where a file or column is absent, an id occurs twice, or there is no study.
    """
    if path.is_dir():
        listed = path / DICOMDIR_NAME
        return _from_dicomdir(listed) if listed.is_file() else _from_folder(path)
    if not path.is_file():
        raise UsageError(
            f"worklist {path} does not exist",
            hint="Give a CSV file or a folder of radiographs.",
            path=path,
            code="GT-WORKLIST",
        )
    if path.name.upper() == DICOMDIR_NAME:
        return _from_dicomdir(path)
    return _from_csv(path)


def order_for_reader(
    studies: Sequence[WorklistStudy], *, order: WorklistOrder, seed: int, reader_code: str
) -> tuple[WorklistStudy, ...]:
    """Return the studies as listed, or shuffled in a way that depends on seed and reader alone.

    Practice comes first, and a repeat after the study that it repeats.
    """
    if order == "listed":
        return tuple(studies)

    # A keyed hash per study, not a random generator: the order stays the same on every Python version.
    def rank(study: WorklistStudy) -> bytes:
        return hashlib.sha256(f"{seed}\0{reader_code}\0{study.study_id}".encode()).digest()

    ordered = sorted(studies, key=lambda study: (not study.practice, rank(study)))
    place = {study.study_id: at for at, study in enumerate(ordered)}
    for study in studies:
        first, again = place.get(study.repeat_of, -1), place[study.study_id]
        if first > again:
            # Exchanged, so that neither of both is more likely early or late than any other study.
            ordered[first], ordered[again] = ordered[again], ordered[first]
            place[study.repeat_of], place[study.study_id] = again, first
    return tuple(ordered)


def fingerprint(studies: Iterable[WorklistStudy]) -> str:
    """Return a hash of what the worklist says, so that a resumed session notices a change (folders may move)."""
    adapter = TypeAdapter(tuple[TruthLesion, ...])
    content = [
        {
            "study_id": s.study_id,
            "images": [[i.role, i.path.name] for i in s.images],
            "truth": adapter.dump_python(s.truth, mode="json"),
            "synthetic": s.synthetic,
            **{name: getattr(s, name) for name in _TEXTS},
            # Only where said: sessions begun before these columns are gone on with.
            **{name: getattr(s, name) for name in (*_TERMS, "practice", "repeat_of") if getattr(s, name)},
        }
        for s in studies
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _from_folder(folder: Path) -> tuple[WorklistStudy, ...]:
    files = sorted((f for f in folder.iterdir() if _is_image(f)), key=lambda f: _natural(f.name))
    if not files:
        raise UsageError(
            f"folder {folder} holds no radiograph",
            hint=f"Expected files such as {', '.join(sorted(_SUFFIXES))}, or DICOM files without a suffix.",
            path=folder,
            code="GT-WORKLIST",
        )
    stems = [f.stem for f in files]
    return tuple(
        WorklistStudy(
            study_id=f.stem if stems.count(f.stem) == 1 else f.name,
            images=(WorklistImage(role="current", path=f),),
        )
        for f in files
    )


def _from_dicomdir(path: Path) -> tuple[WorklistStudy, ...]:
    """Return a study per frontal film, with the lateral of the same study beside it."""
    films = films_of_dicomdir(path)
    if not films:
        raise UsageError(
            f"{path} lists no plain film",
            hint="CT and the like are not read here.",
            path=path,
            code="GT-WORKLIST",
        )
    studies: list[WorklistStudy] = []
    for number in sorted({film.study_number for film in films}):
        own = [film for film in films if film.study_number == number]
        frontal = [film.path for film in own if not film.is_lateral] or [own[0].path]
        lateral = [film.path for film in own if film.is_lateral and film.path not in frontal]
        for place, current in enumerate(frontal):
            roles = [("current", current), *(("lateral", path) for path in lateral[place : place + 1])]
            studies.append(
                WorklistStudy(
                    study_id=f"{number:04d}" if len(frontal) == 1 else f"{number:04d}-{place + 1}",
                    images=tuple(WorklistImage(role=role, path=file) for role, file in roles),
                )
            )
    return tuple(studies)


def _is_image(file: Path) -> bool:
    if file.name.startswith(".") or not file.is_file():
        return False
    if file.suffix.lower() in _SUFFIXES:
        return True
    if file.suffix and not re.fullmatch(r"\.\d+", file.suffix):  # UIDs as file names end in .<digits>
        return False
    with file.open("rb") as handle:
        return handle.read(132)[128:] == _DICOM_MARK


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key under which ``film9`` comes before ``film10``."""
    return [(int(part), "") if part.isdigit() else (-1, part.lower()) for part in re.split(r"(\d+)", name)]


def _from_csv(path: Path) -> tuple[WorklistStudy, ...]:
    rows = _csv_rows(path)
    studies: list[WorklistStudy] = []
    seen: dict[str, int] = {}
    for number, row in rows:
        study_id = row.get("study_id", "")
        if not study_id:
            raise _row_error(path, number, "study_id is empty")
        if study_id in seen:
            raise _row_error(path, number, f"study_id occurs twice (first in row {seen[study_id]})")
        seen[study_id] = number
        studies.append(_study(path, number, row))
        if row.get("repeat_of", "") == study_id:
            raise _row_error(path, number, "repeat_of names the study itself")
    for study in studies:
        if study.repeat_of and study.repeat_of not in seen:
            raise _row_error(
                path, seen[study.study_id], f"repeat_of is {study.repeat_of!r}, which is no study_id"
            )
    if not studies:
        raise UsageError(
            f"worklist {path} lists no study", hint="Add a row per study.", path=path, code="GT-WORKLIST"
        )
    return tuple(studies)


def _csv_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return (row number as a spreadsheet shows it, cells by column) without blank rows."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UsageError(
            f"worklist {path} is not a CSV text file in UTF-8",
            hint="To read single images, give the folder that holds them.",
            path=path,
            code="GT-WORKLIST",
        )
    first_line = text.split("\n", 1)[0]
    # Spreadsheets of half of Europe write semicolons.
    delimiter = ";" if ";" in first_line and "," not in first_line else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        table = list(reader)
    except csv.Error as error:
        raise _row_error(path, reader.line_num, f"cannot be read as CSV ({error})") from None
    header = [cell.strip().lower() for cell in table[0]] if table else []
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise UsageError(
            f"worklist {path} lacks the column {missing[0]!r} (found: {', '.join(header) or 'nothing'})",
            hint=f"Columns: {', '.join(_COLUMNS)}; study_id and current are needed.",
            path=path,
            code="GT-WORKLIST",
        )
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise _row_error(path, 1, f"column {twice[0]!r} occurs twice")
    unknown = [name for name in header if name and name not in _COLUMNS]
    if unknown:
        _LOGGER.warning("worklist %s: column(s) not used: %s", path, ", ".join(unknown))
    rows: list[tuple[int, dict[str, str]]] = []
    for number, cells in enumerate(table[1:], start=2):
        stripped = [cell.strip() for cell in cells]
        if not any(stripped):
            continue
        if len(stripped) > len(header):
            raise _row_error(path, number, f"has {len(stripped)} cells, the header has {len(header)}")
        rows.append((number, dict(zip(header, stripped, strict=False))))
    return rows


def _study(path: Path, number: int, row: Mapping[str, str]) -> WorklistStudy:
    if not row.get("current"):
        raise _row_error(path, number, "column 'current' is empty")
    images = tuple(
        WorklistImage(role=role, path=_file(path, number, role, row[role]))
        for role in IMAGE_ROLES
        if row.get(role)
    )
    truth: tuple[TruthLesion, ...] = ()
    if row.get("truth"):
        truth = _truth(path, number, _file(path, number, "truth", row["truth"]), len(images))
    tier = row.get("access_tier", "")
    if tier and tier not in ACCESS_TIERS:
        raise _row_error(path, number, f"access_tier is {tier!r}, expected one of {', '.join(ACCESS_TIERS)}")
    return WorklistStudy(
        study_id=row["study_id"],
        images=images,
        truth=truth,
        synthetic=row.get("synthetic", "").lower() in _TRUE,
        practice=row.get("practice", "").lower() in _TRUE,
        repeat_of=row.get("repeat_of", ""),
        **{name: row.get(name, "") for name in (*_TEXTS, *_TERMS)},
    )


def _file(path: Path, number: int, column: str, cell: str) -> Path:
    file = (path.parent / cell.replace("\\", "/")).resolve()
    if not file.is_file():
        raise _row_error(
            path, number, f"column {column!r}: file {cell} does not exist", hint_folder=path.parent
        )
    return file


def _truth(path: Path, number: int, file: Path, n_images: int) -> tuple[TruthLesion, ...]:
    try:
        lesions = TypeAdapter(tuple[TruthLesion, ...]).validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _row_error(path, number, f"truth file {file.name}, field {place!r}: {first['msg']}") from None
    for lesion in lesions:
        if lesion.image_index is not None and not 0 <= lesion.image_index < n_images:
            raise _row_error(
                path,
                number,
                f"truth file {file.name}: image_index {lesion.image_index}, the study has {n_images} image(s)",
            )
    return lesions


def _row_error(path: Path, number: int, what: str, *, hint_folder: Path | None = None) -> UsageError:
    hint = "" if hint_folder is None else f"Paths are relative to {hint_folder}."
    return UsageError(f"worklist {path}, row {number}: {what}", hint=hint, path=path, code="GT-WORKLIST")
