"""Where MIMIC-CXR and MIMIC-CXR-JPG keep the picture that a dataset names, and what a picture tells of itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gazecapture.files import sha256_of
from gazecapture.radiograph.image import Radiograph

__all__ = ["MIMIC_PATH", "find_mimic_picture", "picture_columns"]

MIMIC_PATH = re.compile(r"(?:.*/)?(files/p\d{2}/p(\d{1,12})/s(\d{1,12})/([0-9A-Za-z-]{1,64}))\.dcm")
"""Groups: path without suffix, subject, study, DICOM id."""
_SUFFIXES = (".dcm", ".jpg", ".png")


def find_mimic_picture(folder: Path, file: str) -> Path | None:
    """Return the picture, None where it is not there.

    folder : with ``files/p10/...``, ``p10/...`` or ``s.../`` below it, or with all pictures in it.
    file   : the first group of `MIMIC_PATH`.
    """
    names = (file, file.removeprefix("files/"), "/".join(file.split("/")[-2:]), file.split("/")[-1])
    candidates = (folder / f"{name}{suffix}" for name in names for suffix in _SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def picture_columns(radiograph: Radiograph, path: Path) -> dict[str, Any]:
    """Return the columns of table ``images`` that only the picture itself tells."""
    return {
        "sha256": sha256_of(path),
        "view_position": radiograph.view_position or None,
        "spacing_kind": radiograph.spacing_kind,
        "spacing_x_mm": radiograph.spacing_x_mm,
        "spacing_y_mm": radiograph.spacing_y_mm,
    }
