"""Format ``reflacx``: REFLACX 1.0.0 (Bigolin Lanfredi et al. 2022), all phases, and whatever keeps its layout.

::

    SOURCE/main_data/metadata_phase_{1,2,3}.csv
    SOURCE/main_data/{id}/{timestamps_transcription,fixations,anomaly_location_ellipses,chest_bounding_box}.csv
    SOURCE/main_data/{id}/transcription.txt
    SOURCE/gaze_data/{id}/gaze.csv              plain, or packed as .gz, .bz2, .xz or .zip

Pictures are MIMIC-CXR's or MIMIC-CXR-JPG's, in a folder of their own. Who read is not published, so all readings have
one reader code. What view ``reflacx`` wrote is told from REFLACX itself (`curation.ingest.reflacx_export`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.ingest.csv_files import count_rows, first_existing, malformed, number_of, read_rows
from curation.ingest.mimic_pictures import MIMIC_PATH, find_mimic_picture, picture_columns
from curation.ingest.protocol import Ingested
from curation.ingest.reflacx_export import exported_readings, of_an_export
from curation.ingest.reflacx_gaze import SCREEN_PX, ReflacxGaze, read_gaze
from curation.ingest.reflacx_marks import (
    METADATA_COLUMNS,
    chest_box,
    read_findings,
    read_words,
    transcript_matches,
)
from curation.ingest.terms import TERMS
from curation.issues import GAZE_DISCARDED
from gazecapture import __version__
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.store import KeyedHash
from keyframes.errors import DataError, GazeToolError, ImageError, UsageError
from keyframes.geometry import Display
from keyframes.reading import IMAGES, WORDS, Reading, ReadingMeta, Tracker

__all__ = ["ReflacxIngester"]

_TERMS = TERMS["reflacx"]
READER_CODE = "reflacx"
"""Five people; nothing tells which of them read."""
MAIN = "main_data"
_METADATA = "metadata_phase_*.csv"
_DEPTHS = ("", "*/", "*/*/", "*/*/*/*/")
"""Where main_data may lie below SOURCE; the last is as PhysioNet's mirror has it (physionet.org/files/name/version)."""
_ID = re.compile(r"P[123]\d{2}R\d{6}")
_DICOM_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_MAX_SIDE_PX = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReflacxIngester:
    """Reads each reading of each metadata table; a discarded one comes without gaze, for the quality stage to list."""

    images: Path | None = None
    """Folder of the pictures: with MIMIC-CXR's ``files/p10/...`` below it, or all in it as {dicom_id}.dcm or .jpg.
    By default ``images`` beside main_data. A reading whose picture is not there has none."""

    @property
    def name(self) -> str:
        """See `curation.ingest.protocol.Ingester.name`."""
        return "reflacx"

    def with_images(self, folder: Path) -> ReflacxIngester:
        """See `curation.ingest.protocol.TakesImages`."""
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder", path=folder, hint="Give the folder of the pictures.")
        return replace(self, images=folder)

    def find(self, source: Path) -> list[Path]:
        """Return the metadata tables. See `curation.ingest.protocol.Ingester.find`."""
        if not source.is_dir():
            what = "is a file, a folder is needed" if source.exists() else "does not exist"
            raise UsageError(f"{source} {what}", path=source, code="GT-NOT-REFLACX")
        here = [source] if source.name == MAIN else []
        folders = here or [folder for depth in _DEPTHS for folder in sorted(source.glob(f"{depth}{MAIN}"))]
        found = [table for folder in folders for table in sorted(folder.glob(_METADATA))]
        if not found:
            raise UsageError(
                f"{source} holds no {MAIN}/{_METADATA}",
                hint="Give the folder that has main_data and gaze_data in it, unpacked.",
                path=source,
                code="GT-NOT-REFLACX",
            )
        return found

    def count(self, unit: Path) -> int:
        """See `curation.ingest.protocol.CountsReadings.count`."""
        return count_rows(unit)

    def readings(self, unit: Path, *, key: bytes) -> Iterator[Ingested]:
        """Give the readings of a table of metadata: one of the published ones, or one of all phases beside main_data.

        See `curation.ingest.protocol.Ingester.readings`.
        """
        seen: set[str] = set()
        try:
            exported = exported_readings(_main(unit).parent)
        except GazeToolError as error:
            yield Ingested(label=unit.name, error=error)
            return
        rows = read_rows(unit, METADATA_COLUMNS)
        number = 1
        while True:
            number += 1
            label = f"{unit.name} row {number}"
            try:
                row = next(rows, None)
                if row is None:
                    return
                if not unit.match(_METADATA):  # a table of all phases leaves the labels of the others empty
                    row = {name: cell for name, cell in row.items() if cell or name in METADATA_COLUMNS}
                if not _ID.fullmatch(row["id"]):
                    malformed("an id is not of the form P000R000000", unit, record=number)
                label = row["id"]
                if label in seen:
                    malformed("an id stands twice in the table", unit, record=number)
                seen.add(label)
                item = self._reading(row, unit, KeyedHash(key))
                if exported is not None and item.reading is not None:
                    own = of_an_export(item.reading, label, exported, _main(unit).parent, KeyedHash(key))
                    item = replace(item, reading=own)
                yield item
            except GazeToolError as error:
                yield Ingested(label=label, error=error)

    def _reading(self, row: Mapping[str, str], unit: Path, pseudonym: KeyedHash) -> Ingested:
        folder = _main(unit) / row["id"]
        image = _Image.of(row, unit)
        size = {"width_px": image.width_px, "height_px": image.height_px}
        transcript = folder / "timestamps_transcription.csv"
        words = read_words(transcript) if transcript.is_file() else WORDS.empty_table()
        ellipses = folder / "anomaly_location_ellipses.csv"
        facts = {"phase": row["id"][1], "tool_version": __version__}
        if (folder / "transcription.txt").is_file():
            facts["transcript_matches"] = str(transcript_matches(words, folder / "transcription.txt")).lower()
        if row.get("Quality issue") == "True":
            facts["quality_issue"] = "true"
        gaze = self._gaze(row, unit, size, facts)
        picture = self._picture(image, unit)
        tables = {
            "images": self._images(
                image, picture, chest_box(_known(folder / "chest_bounding_box.csv"), **size)
            ),
            "words": words,
            "findings": read_findings(row, _known(ellipses), **size, path=unit),
        }
        if gaze is not None:
            tables |= {"gaze": gaze.gaze, "display": gaze.display}
            facts |= gaze.facts
        ends = [*words.column("t_end_ns").to_pylist(), 0 if gaze is None else gaze.end_ns]
        meta = ReadingMeta(
            reading_id=pseudonym(self.name, row["id"], READER_CODE),
            source_format=self.name,
            time_origin="audio_start",
            reader_code=READER_CODE,
            study_key=pseudonym("study", image.study_id),
            patient_key=pseudonym("patient", image.subject_id),
            duration_ns=max(*ends, 0) if ends else 0,
            study_arm=f"phase {facts['phase']}",
            tracker=Tracker(
                name="EyeLink 1000",
                manufacturer="SR Research",
                model="EyeLink 1000",
                nominal_rate_hz=1000.0,
                effective_rate_hz=None if gaze is None else float(gaze.facts["effective_rate_hz"]),
            ),
            display=Display(
                width_px=SCREEN_PX[0], height_px=SCREEN_PX[1], width_mm=None, height_mm=None, distance_mm=None
            ),
            split_official=row["split"] if row["split"] in {"train", "validate", "val", "test"} else "",
            provenance={**facts, **_TERMS.provenance},
            **_TERMS.of_reading,
        )
        pictures = {} if picture is None else {0: picture}
        return Ingested(label=row["id"], reading=Reading.build(meta, tables), images=pictures)

    def _gaze(
        self, row: Mapping[str, str], unit: Path, size: Mapping[str, int], facts: dict[str, str]
    ) -> ReflacxGaze | None:
        """Return the gaze, None where the authors discarded it."""
        if row["eye_tracking_data_discarded"] == "True":
            facts[GAZE_DISCARDED] = "true"
            return None
        wanted = _main(unit).parent / "gaze_data" / row["id"] / "gaze.csv"
        path = first_existing(wanted)
        if path is None:
            raise DataError(
                "the reading's gaze.csv is not there, and it is not marked as discarded",
                hint="Unpack gaze_data beside main_data.",
                path=wanted,
                code="GT-NO-GAZE-FILE",
            )
        return read_gaze(path, first_existing(_main(unit) / row["id"] / "fixations.csv"), **size)

    def _picture(self, image: _Image, unit: Path) -> Path | None:
        """Return the picture's file, None where there is none. Raises ImageError where its size is another."""
        folder = self.images or _main(unit).parent / "images"
        return find_mimic_picture(folder, image.file)

    def _images(self, image: _Image, picture: Path | None, chest: list[float] | None) -> pa.Table:
        row: dict[str, Any] = {
            "image_index": 0,
            "role": "current",
            "width_px": image.width_px,
            "height_px": image.height_px,
            "spacing_kind": "unknown",
            "sha256": "",
            "public_dicom_id": image.dicom_id,
            "chest_box": chest,
        }
        if picture is not None:
            radiograph = load_radiograph(picture)
            if (radiograph.width_px, radiograph.height_px) != (image.width_px, image.height_px):
                raise ImageError(
                    f"the picture is {radiograph.width_px} x {radiograph.height_px} px, the metadata say "
                    f"{image.width_px} x {image.height_px}",
                    hint="Gaze is in px of the picture at full size: give that one.",
                    path=picture,
                )
            row |= picture_columns(radiograph, picture)
        return pa.Table.from_pylist([row], schema=_IMAGES)


_IMAGES = pa.schema([*IMAGES, pa.field("chest_box", pa.list_(pa.float64()))])
"""``chest_box``: (x0, y0, x1, y1), the reader's own box around both lungs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """The image of a row of metadata, its ids held against each other."""

    file: str
    """``files/p10/...``, without suffix."""
    dicom_id: str
    study_id: str
    subject_id: str
    width_px: int
    height_px: int

    @classmethod
    def of(cls, row: Mapping[str, str], path: Path) -> _Image:
        """Raise SchemaError where the ids contradict each other or a size is none."""
        match = MIMIC_PATH.fullmatch(row["image"])
        if match is None or not _DICOM_ID.fullmatch(row["dicom_id"]):
            malformed("column image or dicom_id is not as MIMIC-CXR's", path, record=row["id"])
        file, subject_id, study_id, dicom_id = match.groups()
        if dicom_id != row["dicom_id"] or subject_id != row["subject_id"].strip():
            malformed(
                "columns image, dicom_id and subject_id speak of different images", path, record=row["id"]
            )
        sides = [number_of(row, name, path) for name in ("image_size_x", "image_size_y")]
        if not all(side == int(side) and 0 < side <= _MAX_SIDE_PX for side in sides):
            malformed("the image's size is no number of px", path, record=row["id"])
        return cls(
            file=file,
            dicom_id=dicom_id,
            study_id=study_id,
            subject_id=subject_id,
            width_px=int(sides[0]),
            height_px=int(sides[1]),
        )


def _known(path: Path) -> Path | None:
    return path if path.is_file() else None


def _main(unit: Path) -> Path:
    """Return the folder of the readings: the one that the metadata are in, or ``main_data`` beside them."""
    return unit.parent if unit.parent.name == MAIN else unit.parent / MAIN
