"""Format ``egd``: EGD-CXR 1.0.0 (Karargyris et al. 2021).

::

    SOURCE/master_sheet.csv, eye_gaze.csv, fixations.csv, bounding_boxes.csv
    SOURCE/audio_segmentation_transcripts/{dicom_id}/transcript.json

Pictures are MIMIC-CXR's or MIMIC-CXR-JPG's, in a folder of their own. One radiologist read all images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.ingest.csv_files import count_rows, malformed
from curation.ingest.egd_gaze import MAX_SIZE_OFF, SCREEN_PX, EgdGaze, Letterbox, read_gaze
from curation.ingest.egd_marks import age_band, anatomy_boxes, read_labels, read_phrases, sex
from curation.ingest.egd_tables import CODE, EgdTables
from curation.ingest.mimic_pictures import MIMIC_PATH, find_mimic_picture, picture_columns
from curation.ingest.protocol import Ingested
from curation.ingest.terms import TERMS
from curation.issues import source_issues_entry
from gazecapture import __version__
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.store import KeyedHash
from keyframes.errors import DataError, GazeToolError, ImageError, UsageError
from keyframes.geometry import Display
from keyframes.reading import IMAGES, WORDS, Reading, ReadingMeta, Tracker

__all__ = ["EgdIngester"]

_TERMS = TERMS["egd"]
READER_CODE = "egd"
MASTER = "master_sheet.csv"
TRANSCRIPTS = "audio_segmentation_transcripts"
_DEPTHS = ("", "*/", "*/*/", "*/*/*/*/")
"""Where the master sheet may lie below SOURCE; the last is as PhysioNet's mirror has it."""
_MAX_SIDE_PX = 50_000
_IMAGES = pa.schema(
    [
        *IMAGES,
        pa.field(
            "anatomy_boxes", pa.list_(pa.struct([("name", pa.string()), ("box", pa.list_(pa.float64()))]))
        ),
    ]
)
"""``anatomy_boxes``: what ``bounding_boxes.csv`` names, (x0, y0, x1, y1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EgdIngester:
    """Reads each image of the master sheet; one unit is a folder, whose tables are read once."""

    images: Path | None = None
    """Folder of the pictures, as `curation.ingest.mimic_pictures.find_mimic_picture` looks in it; by default
    ``images`` beside the tables. A reading whose picture is not there has none."""

    @property
    def name(self) -> str:
        """See `curation.ingest.protocol.Ingester.name`."""
        return "egd"

    def with_images(self, folder: Path) -> EgdIngester:
        """See `curation.ingest.protocol.TakesImages`."""
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder", path=folder, hint="Give the folder of the pictures.")
        return replace(self, images=folder)

    def find(self, source: Path) -> list[Path]:
        """Return the folder of the tables. See `curation.ingest.protocol.Ingester.find`."""
        found = sorted({table.parent for depth in _DEPTHS for table in source.glob(f"{depth}{MASTER}")})
        if not found:
            what = f"holds no {MASTER}" if source.is_dir() else "is no folder"
            raise UsageError(
                f"{source} {what}",
                hint=f"Give the folder that has {MASTER} and eye_gaze.csv in it.",
                path=source,
                code="GT-NOT-EGD",
            )
        return found

    def count(self, unit: Path) -> int:
        """See `curation.ingest.protocol.CountsReadings.count`."""
        return count_rows(unit / MASTER)

    def readings(self, unit: Path, *, key: bytes) -> Iterator[Ingested]:
        """See `curation.ingest.protocol.Ingester.readings`."""
        try:
            tables = EgdTables.read(unit)
        except GazeToolError as error:
            yield Ingested(label=unit.name, error=error)
            return
        seen: set[str] = set()
        for number, row in enumerate(tables.master, start=2):
            label = f"{MASTER} row {number}"
            try:
                match = MIMIC_PATH.fullmatch(row["path"])
                if match is None or (match[4], match[3], match[2]) != (
                    row["dicom_id"], row["study_id"].strip(), row["patient_id"].strip(),
                ):  # fmt: skip
                    malformed(
                        "columns path, dicom_id, study_id and patient_id do not speak of one image",
                        unit / MASTER, record=number, code=CODE,
                    )  # fmt: skip
                label = match[4]
                if label in seen:
                    malformed("an image stands twice in the table", unit / MASTER, record=number, code=CODE)
                seen.add(label)
                yield self._reading(row, match[1], tables, unit, KeyedHash(key))
            except GazeToolError as error:
                yield Ingested(label=label, error=error)

    def _reading(
        self, row: Mapping[str, str], file: str, tables: EgdTables, unit: Path, pseudonym: KeyedHash
    ) -> Ingested:
        dicom_id, issues = row["dicom_id"], Counter[str]()
        if dicom_id not in tables.gaze_rows:
            raise DataError("no gaze is of this image", path=unit / "eye_gaze.csv", code="GT-NO-GAZE")
        gaze = read_gaze(tables.gaze, tables.gaze_rows[dicom_id], unit / "eye_gaze.csv", issues)
        box = Letterbox.of(row, unit / MASTER)
        picture = find_mimic_picture(self.images or unit / "images", file)
        image = _image(dicom_id, picture, gaze, box, unit, issues)
        size = image["width_px"], image["height_px"]
        image["anatomy_boxes"] = anatomy_boxes(tables.boxes.get(dicom_id, ()), *size, issues)
        shown = box.display(*size, issues)
        fixations = None if tables.fixations is None else tables.fixations.get(dicom_id, ())
        issues["GI-ID-TRUNCATED"] += dicom_id in tables.shortened
        transcript = unit / TRANSCRIPTS / dicom_id / "transcript.json"
        words = read_phrases(transcript, issues) if transcript.is_file() else WORDS.empty_table()
        gaze_table = gaze.table(shown, fixations, issues)
        tables_of_reading = {
            "images": pa.Table.from_pylist([image], schema=_IMAGES),
            "gaze": gaze_table,
            "display": shown,
            "words": words,
            "truth": read_labels(row),
        }
        ends = [*words.column("t_end_ns").to_pylist(), int(gaze.t_ns[-1])]
        meta = ReadingMeta(
            reading_id=pseudonym(self.name, dicom_id, READER_CODE),
            source_format=self.name,
            reader_code=READER_CODE,
            study_key=pseudonym("study", row["study_id"].strip()),
            patient_key=pseudonym("patient", row["patient_id"].strip()),
            public_patient_id=row["patient_id"].strip(),
            public_study_id=row["study_id"].strip(),
            session_id=pseudonym("sitting", "egd", tables.sessions[dicom_id]),
            duration_ns=max(*ends, 0),
            indication=row.get("cxr_exam_indication", "").strip(),
            sex=sex(row),
            age_band=age_band(row),
            tracker=Tracker(
                name="Gazepoint GP3 HD",
                manufacturer="Gazepoint",
                model="GP3 HD",
                nominal_rate_hz=60.0,
                effective_rate_hz=gaze.rate_hz,
            ),
            display=Display(
                width_px=SCREEN_PX[0], height_px=SCREEN_PX[1], width_mm=None, height_mm=None, distance_mm=None
            ),
            n_samples_expected=gaze.n_expected,
            provenance={"tool_version": __version__, **source_issues_entry(issues), **_TERMS.provenance},
            **_TERMS.of_reading,
        )
        return Ingested(
            label=dicom_id,
            reading=Reading.build(meta, tables_of_reading),
            images={} if picture is None else {0: picture},
        )


def _image(
    dicom_id: str, picture: Path | None, gaze: EgdGaze, box: Letterbox, unit: Path, issues: Counter[str]
) -> dict[str, Any]:
    """Return the row of table ``images``: the picture's size, else that which the authors' positions speak of.

    Raises ImageError where they contradict each other, or where there is neither.
    """
    row: dict[str, Any] = {
        "image_index": 0,
        "role": "current",
        "spacing_kind": "unknown",
        "sha256": "",
        "public_dicom_id": dicom_id,
    }
    said = gaze.size_px(box)
    if picture is None:
        issues["GI-NO-PICTURE"] += 1
        if said is None or max(said) > _MAX_SIDE_PX:
            raise ImageError(
                "there is no picture, and its size does not follow from the positions on it",
                hint="Give the folder of MIMIC-CXR's pictures with --images.",
                path=unit / "eye_gaze.csv",
                code="GT-EGD-SIZE",
            )
        issues["GI-SIZE-INFERRED"] += 1
        width_px, height_px = (max(2, 2 * round(side / 2)) for side in said)
        return row | {"width_px": width_px, "height_px": height_px}
    radiograph = load_radiograph(picture)
    size = radiograph.width_px, radiograph.height_px
    if said is not None and any(
        abs(own / other - 1) > MAX_SIZE_OFF for own, other in zip(size, said, strict=True)
    ):
        raise ImageError(
            f"the picture is {size[0]} x {size[1]} px, the published positions are of one of about "
            f"{said[0]:.0f} x {said[1]:.0f} px",
            hint="Boxes and positions are in px of the picture at full size: give that one.",
            path=picture,
            code="GT-EGD-SIZE",
        )
    return row | {"width_px": size[0], "height_px": size[1]} | picture_columns(radiograph, picture)
