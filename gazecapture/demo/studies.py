"""The studies that a demo reads: synthetic phantoms with their ground truth, or a user's own radiographs.

::

    FOLDER/worklist.csv                       what `gazecapture read` takes
    FOLDER/S001/current.dcm  prior.dcm        the pictures (phantoms only; a user's files stay where they are)
    FOLDER/S001/truth.json                    reference lesions; they travel with the study, for measures only
    FOLDER/ground_truth/S001.anatomy.json     regions and lesions, for simulator and scorer alone
    FOLDER/left_out.csv                       a user's files that cannot be read, and why
"""

from __future__ import annotations

import csv
import io
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gazecapture.files import make_private_folder, write_bytes_atomically, write_json_atomically
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.phantom import DEFAULT_SIZE_PX, Phantom, make_phantom, write_dicom
from gazecapture.session.schema import TruthLesion
from keyframes.errors import ImageError, UsageError
from keyframes.regions.region_map import RegionMap

__all__ = [
    "DemoStudy",
    "NumberedStudy",
    "planned_studies",
    "write_demo_studies",
    "write_demo_study",
    "write_user_studies",
    "write_worklist",
]

Progress = Callable[[int, int], None]

COLUMNS = ("study_id", "current", "prior", "lateral", "indication", "arm", "truth", "synthetic", "licence")
PHANTOM_LICENCE = "Apache-2.0"
"""Of what the project makes itself: the project's own."""
CURRENT_DATE, PRIOR_DATE = "20200101", "20190601"
"""Fixed: the same seed gives the same bytes."""
ANATOMY_SEED_STEP = 1000
"""Between the studies' seeds, so that neighbouring demo seeds share no body."""
MIN_GREY_LEVELS = 16
"""A picture of fewer is a mask or a drawing, not a radiograph."""
_SUFFIXES = frozenset({".dcm", ".dicom", ".png", ".jpg", ".jpeg", ".tif", ".tiff"})
_DICOM_MARK, _DICOM_MARK_AT = b"DICM", 128

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStudy:
    """What one phantom study shows."""

    findings: tuple[str, ...]
    indication: str
    prior_findings: tuple[str, ...] | None = None
    """None: there is no prior."""

    @property
    def n_pictures(self) -> int:
        """Current, and prior where there is one."""
        return 1 + (self.prior_findings is not None)


NumberedStudy = tuple[int, DemoStudy]
"""A study and its place in the worklist, from 1."""

PLAN = (
    DemoStudy(
        findings=("Cardiomegaly", "Pleural Effusion", "Support Devices"),
        indication="Shortness of breath, worse when lying flat.",
    ),
    DemoStudy(
        findings=("Consolidation",), indication="Cough and fever for four days.", prior_findings=()
    ),
    DemoStudy(
        findings=("Pneumothorax", "Lung Lesion"), indication="Sudden chest pain, smoker."
    ),
    DemoStudy(findings=("Edema", "Cardiomegaly"), indication="Swollen legs and dyspnea."),
    DemoStudy(findings=(), indication="Before elective surgery."),
    DemoStudy(findings=("Fracture", "Pneumothorax"), indication="Fall from a ladder."),
    DemoStudy(findings=("Pneumonia",), indication="Fever, raised inflammatory markers."),
    DemoStudy(findings=("Atelectasis", "Support Devices"), indication="Day two after surgery."),
    DemoStudy(findings=("Lung Opacity",), indication="Follow up.", prior_findings=("Lung Opacity",)),
    DemoStudy(findings=(), indication="Routine check."),
)  # fmt: skip
"""Studies in turn; a longer demo begins again with other bodies. Indications name no finding."""


def write_demo_studies(
    folder: Path,
    *,
    n_studies: int = 3,
    seed: int = 7,
    size_px: tuple[int, int] = DEFAULT_SIZE_PX,
    findings: Sequence[Sequence[str]] | None = None,
    with_findings: bool = True,
    progress: Progress | None = None,
) -> Path:
    """Write phantom studies with worklist and ground truth; return the worklist's path.

    findings : per study, in place of the built-in plan. with_findings : False leaves them out of current and
    prior; the bodies stay the same. progress : called with (pictures done, pictures in all).

    The same arguments give the same bytes. Raises UsageError for no study or an unknown label.
    """
    plan = planned_studies(n_studies, findings, with_findings=with_findings)
    make_private_folder(folder)
    total = sum(study.n_pictures for _, study in plan)
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    return write_worklist(
        folder, [write_demo_study(folder, one, seed=seed, size_px=size_px, drawn=one_more) for one in plan]
    )


def planned_studies(
    n_studies: int, findings: Sequence[Sequence[str]] | None = None, *, with_findings: bool = True
) -> list[NumberedStudy]:
    """Return what `write_demo_studies` writes, numbered from 1."""
    if n_studies < 1:
        raise UsageError(f"{n_studies} studies cannot be written", hint="Ask for one or more.")
    plan = [PLAN[i % len(PLAN)] for i in range(n_studies)]
    if findings is not None:
        if len(findings) != n_studies:
            raise UsageError(f"findings are given for {len(findings)} studies, {n_studies} are asked for")
        plan = [replace(study, findings=tuple(labels)) for study, labels in zip(plan, findings, strict=True)]
    if not with_findings:
        plan = [
            replace(s, findings=(), prior_findings=() if s.prior_findings else s.prior_findings) for s in plan
        ]
    return list(enumerate(plan, start=1))


def write_demo_study(
    folder: Path,
    numbered: NumberedStudy,
    *,
    seed: int,
    size_px: tuple[int, int],
    drawn: Callable[[], None] = lambda: None,
) -> dict[str, str]:
    """Write the pictures and the truth of one study; return its row of the worklist.

    drawn : called after each picture. Studies don't depend on each other: several may be written at once.
    """
    number, study = numbered
    study_id = f"S{number:03d}"
    body_seed = seed * ANATOMY_SEED_STEP + number
    make_private_folder(folder / study_id)
    pictures: list[Phantom] = []
    wanted = [("current", study.findings), ("prior", study.prior_findings)]
    for index, (role, labels) in enumerate((r, f) for r, f in wanted if f is not None):
        phantom = make_phantom(
            # Another stand and another film of the same body.
            body_seed + index * 500_000,
            findings=labels,
            size_px=size_px,
            anatomy_seed=body_seed,
            image_index=index,
        )
        write_dicom(
            phantom,
            folder / study_id / f"{role}.dcm",
            patient_id=f"SYN{body_seed:08d}",
            study_uid_seed=f"{body_seed} {role}",
            study_date=CURRENT_DATE if role == "current" else PRIOR_DATE,
        )
        pictures.append(phantom)
        drawn()
    lesions = pictures[0].lesions
    write_json_atomically(folder / study_id / "truth.json", _as_json(lesions))
    _write_anatomy(folder, study_id, [p.region_map for p in pictures], lesions)
    return {
        "study_id": study_id,
        "current": f"{study_id}/current.dcm",
        "prior": f"{study_id}/prior.dcm" if len(pictures) > 1 else "",
        "indication": study.indication,
        "arm": "plain",
        "truth": f"{study_id}/truth.json",
        "synthetic": "true",
        "licence": PHANTOM_LICENCE,
    }


def write_user_studies(
    images_dir: Path, folder: Path, *, limit: int | None = None, progress: Progress | None = None
) -> Path:
    """Write a worklist over a user's own radiographs, with estimated regions; return its path.

    images_dir : searched with its sub-folders, or a single file. limit : studies at most.

    What cannot be decoded is named in the log and in ``left_out.csv``. Raises UsageError where the folder does not
    exist, ImageError where none of its files decodes.
    """
    if not images_dir.exists():
        raise UsageError(f"{images_dir} does not exist", hint="Check the path.", path=images_dir)
    files = sorted(_pictures(images_dir), key=_natural)
    make_private_folder(folder)
    rows: list[dict[str, str]] = []
    left_out: list[ImageError] = []
    for place, file in enumerate(files, start=1):
        try:
            region_map = _estimated_regions(file)
        except ImageError as error:
            left_out.append(error)
            _LOGGER.warning("left out: %s", error.one_line())
        else:
            study_id = f"S{len(rows) + 1:03d}"
            _write_anatomy(folder, study_id, [region_map], ())
            rows.append({"study_id": study_id, "current": _cell(file, folder), "arm": "plain"})
        if progress is not None:
            progress(place, len(files))
        if limit is not None and len(rows) >= limit:
            break
    _write_left_out(folder, left_out)
    if not rows:
        found = f"none of {len(files)} files could be decoded" if files else "no radiograph was found"
        raise ImageError(
            f"{images_dir}: {found}",
            hint="Give a folder of DICOM, PNG, JPEG or TIFF radiographs.",
            path=images_dir,
        )
    return write_worklist(folder, rows)


def _as_json(lesions: Sequence[TruthLesion]) -> list[Any]:
    return [asdict(lesion) for lesion in lesions]


def _write_anatomy(
    folder: Path, study_id: str, maps: Sequence[RegionMap], lesions: Sequence[TruthLesion]
) -> None:
    target = make_private_folder(folder / "ground_truth") / f"{study_id}.anatomy.json"
    write_json_atomically(
        target,
        {
            "study_id": study_id,
            "images": {str(index): region_map.to_dict() for index, region_map in enumerate(maps)},
            "lesions": _as_json(lesions),
        },
    )


def write_worklist(folder: Path, rows: Sequence[dict[str, str]]) -> Path:
    """Write the rows of studies as ``worklist.csv``; return its path."""
    path = folder / "worklist.csv"
    write_bytes_atomically(path, _as_csv(COLUMNS, rows))
    return path


def _write_left_out(folder: Path, errors: Sequence[ImageError]) -> None:
    path = folder / "left_out.csv"
    if not errors:
        path.unlink(missing_ok=True)
        return
    rows = [{"file": str(e.path), "reason": e.message, "hint": e.hint} for e in errors]
    write_bytes_atomically(path, _as_csv(("file", "reason", "hint"), rows))


def _as_csv(columns: Sequence[str], rows: Sequence[dict[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _pictures(place: Path) -> Iterator[Path]:
    """Yield every file that looks like a radiograph, by its suffix or its DICOM mark."""
    if place.is_file():
        yield place
        return
    for root, folders, names in os.walk(place):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in names:
            file = Path(root) / name
            if not name.startswith(".") and (file.suffix.lower() in _SUFFIXES or _has_dicom_mark(file)):
                yield file


def _has_dicom_mark(file: Path) -> bool:
    try:
        with file.open("rb") as handle:
            return handle.read(_DICOM_MARK_AT + len(_DICOM_MARK))[_DICOM_MARK_AT:] == _DICOM_MARK
    except OSError:
        return False


def _natural(file: Path) -> list[tuple[int, str]]:
    """Sort key under which ``film9`` comes before ``film10``."""
    parts = re.split(r"(\d+)", str(file).lower())
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _cell(file: Path, folder: Path) -> str:
    """Return the path as the worklist has it: relative where the file lies below the worklist, else whole."""
    whole = file.resolve()
    root = folder.resolve()
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else str(whole)


def _estimated_regions(file: Path) -> RegionMap:
    """Decode one file and estimate its regions. Raises ImageError."""
    from gazecapture.radiograph.regions import region_map

    radiograph = load_radiograph(file)
    grey = radiograph.grey8()
    if np.count_nonzero(np.bincount(grey.ravel(), minlength=256)) < MIN_GREY_LEVELS:
        raise ImageError(
            f"{file} has fewer than {MIN_GREY_LEVELS} grey levels: a mask or a drawing",
            path=file,
            hint="Only radiographs are read.",
        )
    return region_map(grey, view_position=radiograph.view_position)
