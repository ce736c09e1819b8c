"""The films that a DICOMDIR lists, study by study.

Source: DICOM PS3.3 annex F (basic directory), PS3.10 section 8 (file ids).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from keyframes.errors import UsageError

__all__ = ["DICOMDIR_NAME", "ListedFilm", "films_of_dicomdir"]

DICOMDIR_NAME = "DICOMDIR"
CODE = "GT-WORKLIST"
MAX_RECORDS = 200_000
"""Directory records that are read; a day of a department has some thousand."""
_FILMS = frozenset({"CR", "DX", "MG", "RG", "XA", "RF", "OT", ""})
"""Modalities whose images can be plain films; others (CT, MR, US) are passed over."""
_LATERAL = frozenset({"LL", "RL", "LAT", "LATERAL", "LLO", "RLO"})
"""Values of View Position; oblique ones are read beside the frontal film, as laterals are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFilm:
    """One image of the directory."""

    study_number: int
    """From 1, in the directory's order."""
    path: Path
    is_lateral: bool


def films_of_dicomdir(path: Path) -> tuple[ListedFilm, ...]:
    """Return the plain films of a DICOMDIR, in its order.

    Raises UsageError where it is no DICOMDIR, or names a file that is absent or outside its own folder.
    """
    with warnings.catch_warnings(action="ignore"):
        # pydicom warns of every name in lower case, and quotes it.
        return _listed(path)


def _listed(path: Path) -> tuple[ListedFilm, ...]:
    try:
        directory = pydicom.dcmread(path)
        records = list(directory.DirectoryRecordSequence)
    except (InvalidDicomError, AttributeError, TypeError, ValueError, EOFError, OSError):
        raise UsageError(
            f"{path} is no DICOMDIR", hint="Give the folder of its films instead.", path=path, code=CODE
        ) from None
    if len(records) > MAX_RECORDS:
        raise UsageError(f"{path} has more than {MAX_RECORDS} records", path=path, code=CODE)
    return tuple(_films(path, records))


def _films(path: Path, records: list[Dataset]) -> Iterator[ListedFilm]:
    """Go through the records as they stand: what follows a study, up to the next one, belongs to it."""
    study, modality = 0, ""
    for number, record in enumerate(records, start=1):
        kind = str(record.get("DirectoryRecordType", ""))
        if kind == "STUDY":
            study, modality = study + 1, ""
        elif kind == "SERIES":
            modality = str(record.get("Modality", "")).upper()
        elif kind == "IMAGE" and study and modality in _FILMS:
            film = _file(path, number, record)
            yield ListedFilm(study_number=study, path=film, is_lateral=_is_lateral(film))


def _file(path: Path, number: int, record: Dataset) -> Path:
    named = record.get("ReferencedFileID") or []
    parts = [named] if isinstance(named, str) else [str(part) for part in named]
    folder = path.parent.resolve()
    file = folder.joinpath(*parts).resolve()
    if not parts or folder not in file.parents or not file.is_file():
        raise UsageError(
            f"{path}, record {number}: its file does not exist in the folder of the DICOMDIR",
            hint="Copy the whole medium, not the DICOMDIR alone.",
            path=path,
            record=number,
            code=CODE,
        )
    return file


def _is_lateral(film: Path) -> bool:
    """Ask the film itself; one whose header cannot be read is told when it is shown."""
    try:
        header = pydicom.dcmread(film, stop_before_pixels=True, specific_tags=["ViewPosition"])
        return str(header.get("ViewPosition", "")).upper() in _LATERAL
    except (InvalidDicomError, AttributeError, TypeError, ValueError, EOFError, OSError):
        return False
