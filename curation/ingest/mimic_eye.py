"""Format ``mimic-eye``: MIMIC-Eye 1.0.0 (Hsieh et al. 2023), REFLACX and EGD-CXR by patient.

::

    SOURCE/patient_{id}/REFLACX/metadata.csv, main_data/{id}/..., gaze_data/{id}/gaze.csv
    SOURCE/patient_{id}/EyeGaze/master_sheet.csv, eye_gaze.csv, fixations.csv, bounding_boxes.csv
    SOURCE/patient_{id}/CXR-DICOM or CXR-JPG      pictures

Both parts are read by the ingesters of the datasets that they came from. A reading has the id that it has there, so
that one store never holds it twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from curation.ingest.egd import MASTER, EgdIngester
from curation.ingest.protocol import Ingested, Ingester
from curation.ingest.reflacx import ReflacxIngester
from curation.ingest.terms import TERMS
from keyframes.errors import UsageError
from keyframes.reading import Reading

__all__ = ["MimicEyeIngester"]

_TERMS = TERMS["mimic-eye"]
_PATIENT = "patient_*"
_PARTS = {"REFLACX": "metadata.csv", "EyeGaze": MASTER}
"""Folder of a patient -> the table that must be in it."""
_PICTURES = ("CXR-DICOM", "CXR-JPG")
"""The first that a patient has; JPG files know nothing of spacing and window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MimicEyeIngester:
    """Reads patient by patient."""

    images: Path | None = None
    """Folder of all pictures; by default each patient's own."""

    @property
    def name(self) -> str:
        """See `curation.ingest.protocol.Ingester.name`."""
        return "mimic-eye"

    def with_images(self, folder: Path) -> MimicEyeIngester:
        """See `curation.ingest.protocol.TakesImages`."""
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder", path=folder, hint="Give the folder of the pictures.")
        return replace(self, images=folder)

    def find(self, source: Path) -> list[Path]:
        """Return the folders of patients who were read. See `curation.ingest.protocol.Ingester.find`."""
        patients = [
            source,
            *(p for depth in ("", "*/", "*/*/*/*/") for p in sorted(source.glob(depth + _PATIENT))),
        ]
        found = [p for p in patients if any((p / part / table).is_file() for part, table in _PARTS.items())]
        if not found:
            what = f"holds no {_PATIENT} with REFLACX or EyeGaze in it" if source.is_dir() else "is no folder"
            raise UsageError(f"{source} {what}", path=source, code="GT-NOT-MIMIC-EYE")
        return found

    def readings(self, unit: Path, *, key: bytes) -> Iterator[Ingested]:
        """See `curation.ingest.protocol.Ingester.readings`."""
        own = next((folder for name in _PICTURES if (folder := unit / name).is_dir()), None)
        images = self.images or own
        parts: dict[str, tuple[Ingester, Path]] = {
            "REFLACX": (ReflacxIngester(images=images), unit / "REFLACX" / _PARTS["REFLACX"]),
            "EyeGaze": (EgdIngester(images=images), unit / "EyeGaze"),
        }
        for part, (ingester, place) in parts.items():
            if (unit / part / _PARTS[part]).is_file():
                for item in ingester.readings(place, key=key):
                    yield (
                        item
                        if item.reading is None
                        else replace(item, reading=_of_mimic_eye(item.reading, part))
                    )


def _of_mimic_eye(reading: Reading, part: str) -> Reading:
    """Return the reading under the terms of MIMIC-Eye."""
    provenance = {**reading.meta.provenance, **_TERMS.provenance, "part": part}
    meta = replace(reading.meta, source_format="mimic-eye", provenance=provenance, **_TERMS.of_reading)
    return replace(reading, meta=meta)
