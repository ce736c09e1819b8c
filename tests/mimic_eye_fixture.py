"""Writes small folders in the layout of MIMIC-Eye 1.0.0 out of made-up REFLACX and EGD-CXR folders."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from tests.egd_fixture import FILMS, write_folder
from tests.reflacx_fixture import write_csv, write_tree


def write_patients(root: Path) -> Path:
    """Write a patient with three REFLACX readings and two with one of EGD-CXR each."""
    reflacx = write_tree(root / "patient_90000001" / "REFLACX")
    rows: list[dict[str, str]] = []
    for table in sorted(reflacx.glob("main_data/metadata_phase_*.csv")):
        with table.open(newline="", encoding="utf-8") as stream:
            rows += csv.DictReader(stream)
        table.unlink()
    header = list(dict.fromkeys(name for row in rows for name in row))
    # Labels that a phase lacks are empty; whole numbers beside empty cells are written as 4.0.
    cells = [[row.get(name, "") for name in header] for row in rows]
    cells = [[f"{cell}.0" if cell in "012345" and cell else cell for cell in row] for row in cells]
    write_csv(reflacx / "metadata.csv", header, cells)
    pictures = root / "patient_90000001" / "CXR-JPG"
    for picture in reflacx.glob("images/files/*/*/*/*.jpg"):
        (pictures / picture.parent.name).mkdir(parents=True)
        shutil.move(picture, pictures / picture.parent.name / picture.name)
    for film in FILMS:
        patient = root / f"patient_{film.subject_id}"
        folder = write_folder(patient / "EyeGaze", [film])
        shutil.move(
            folder / "images" / film.file.rpartition("/")[0], patient / "CXR-JPG" / f"s{film.study_id}"
        )
    return root
