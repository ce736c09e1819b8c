"""View ``reflacx``: readings in the folders and tables of REFLACX 1.0.0, for programs written for that dataset.

::

    main_data/metadata_phase_3.csv
    main_data/{id}/{fixations,timestamps_transcription,anomaly_location_ellipses}.csv, transcription.txt
    gaze_data/{id}/gaze.csv
    exported_readings.csv           which reading an id is, whose, and under which licence
    layout.json                     what a reading has and this layout does not hold

One picture per reading, the first current one. Times are s since the reading's time 0, to the ns; those of words to
0.01 s. Positions, boxes and degrees are whole px of the stored picture, pupils relative to their median. Rectangles and
windows of the display are empty: shards do not have them.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.export.read import ShardReader
from curation.export.views.bids_files import MISSING, decimals
from curation.export.views.measured import samples_of
from curation.export.views.protocol import ViewResult
from curation.ingest.reflacx_export import EXPORTED, EXPORTED_COLUMNS
from curation.ingest.reflacx_marks import (
    CERTAINTY,
    METADATA_COLUMNS,
    NO_LABELS,
    OTHER,
    SIDES,
    SUPPORT_DEVICES,
)
from curation.view_settings import ReflacxOptions
from gazecapture.files import make_private_folder, write_bytes_atomically, write_json_atomically

__all__ = ["LOST", "ReflacxView"]

LAYOUT: Final = "layout.json"
LOST: Final = (
    "display", "event_regions", "events", "inspection", "issues", "keyframes", "lesion_gaze",
    "letter_coverage", "qa", "quality", "region_coverage", "regions", "sentences", "trajectory",
    "transitions", "truth", "validations", "findings.finding_id", "findings.sentence_ids", "findings.shape",
    "findings.source", "findings.t_ns", "gaze.combined_by", "gaze.eye_distance_mm", "gaze.left_pupil",
    "gaze.left_valid", "gaze.left_x_screen_px", "gaze.left_y_screen_px", "gaze.pupil", "gaze.pupil_unit",
    "gaze.right_pupil", "gaze.right_valid", "gaze.right_x_screen_px", "gaze.right_y_screen_px", "gaze.source",
    "gaze.valid", "gaze.viewport_id", "gaze.x_screen_px", "gaze.y_screen_px", "images.file",
    "images.public_dicom_id", "images.sha256", "images.spacing_kind", "images.spacing_x_mm",
    "images.spacing_y_mm", "images.view_position", "meta.access_tier", "meta.age_band", "meta.consent_scopes",
    "meta.display.distance_mm", "meta.display.height_mm", "meta.display.height_px", "meta.display.width_mm",
    "meta.display.width_px", "meta.display_lag_ms", "meta.duration_ns", "meta.indication",
    "meta.minutes_into_session", "meta.n_samples_expected", "meta.provenance", "meta.public_patient_id",
    "meta.public_study_id", "meta.reader_site", "meta.reading_number", "meta.repeat_of",
    "meta.report_sections", "meta.sex", "meta.source_format", "meta.split_official", "meta.study_arm",
    "meta.time_origin", "meta.tracker.manufacturer", "meta.tracker.model", "meta.tracker.name",
    "meta.tracker.nominal_rate_hz", "meta.tracker.profile", "meta.session_id", "words.confidence",
    "words.source", "words.supported",
    "words.transcript", "words.placing",
)  # fmt: skip
"""What a reading has and this layout does not hold, by field or whole table; ``LostFields`` of `LAYOUT`."""
_COLUMNS: Final = (
    "reading_id", "reader_code", "patient_key", "study_key", "public_patient_id", "public_study_id", "split",
    "source_licence", "synthetic", "words", "fixations", "findings", "image_info[].image_index", "image_info[].role",
    "image_info[].matrix_width_px", "image_info[].matrix_height_px", "image_info[].public_dicom_id",
)  # fmt: skip
_VIEW: Final = (
    "angular_resolution_x_pixels_per_degree", "angular_resolution_y_pixels_per_degree", "window_width", "window_level",
    "xmin_shown_from_image", "ymin_shown_from_image", "xmax_shown_from_image", "ymax_shown_from_image",
    "xmin_in_screen_coordinates", "ymin_in_screen_coordinates", "xmax_in_screen_coordinates",
    "ymax_in_screen_coordinates",
)  # fmt: skip
_MEASURED: Final = ("x_position", "y_position", "pupil_area_normalized", *_VIEW)
_N_EMPTY: Final = len(_VIEW) - 2
_SURE: Final = 5
"""Rating of a finding that was drawn and of which nobody said how sure they were."""
_RESERVED: Final = frozenset({*NO_LABELS, OTHER, SUPPORT_DEVICES, *SIDES, "certainty"})
_DIGITS: Final = 10**10


class ReflacxView:
    """See the module."""

    name = "reflacx"
    version = "1"

    def write(self, reader: ShardReader, folder: Path, options: ReflacxOptions) -> ViewResult:
        """See `View.write`."""
        labels = sorted(
            {f["label"] for row in reader.rows(["findings"]) for f in row["findings"] if _is_rated(f)}
        )
        left_out: Counter[str] = Counter()
        n_readings = 0
        main = make_private_folder(folder / "main_data")
        with (
            (main / "metadata_phase_3.csv").open("w", newline="", encoding="utf-8") as metadata_file,
            (folder / EXPORTED).open("w", newline="", encoding="utf-8") as exported_file,
        ):
            metadata, exported = csv.writer(metadata_file), csv.writer(exported_file)
            metadata.writerow([*METADATA_COLUMNS, *labels, SUPPORT_DEVICES, OTHER])
            exported.writerow(EXPORTED_COLUMNS)
            for row in reader.rows(_COLUMNS):
                samples = samples_of(reader.dataset, row["reading_id"])
                image = next((i for i in row["image_info"] if i["role"] == "current"), None)
                reason = _why_not(samples, image)
                if reason or samples is None or image is None:
                    left_out[reason] += 1
                    continue
                n_readings += 1
                name = f"P300R{n_readings:06d}"
                metadata.writerow(_metadata(name, row, image, labels))
                exported.writerow([name, *(_cell(row[column]) for column in EXPORTED_COLUMNS[1:])])
                _write_reading(folder, name, row, samples, image["image_index"])
        write_json_atomically(folder / LAYOUT, {"layout": "REFLACX 1.0.0", "LostFields": list(LOST)})
        write_bytes_atomically(folder / "README.md", _README.encode())
        return ViewResult(n_readings=n_readings, n_records=n_readings, left_out=dict(left_out))


def _why_not(samples: pa.Table | None, image: Mapping[str, Any] | None) -> str:
    if samples is None:
        return "no samples at this gaze tier"
    if image is None:
        return "no current picture"
    return "" if samples.num_rows > 1 else "no gaze"


def _write_reading(
    folder: Path, name: str, row: Mapping[str, Any], samples: pa.Table, image_index: int
) -> None:
    place = make_private_folder(folder / "main_data" / name)
    gaze = make_private_folder(folder / "gaze_data" / name)
    _write(gaze / "gaze.csv", ("timestamp_sample", *_MEASURED), _gaze_rows(samples, image_index))
    _write(
        place / "fixations.csv",
        ("timestamp_start_fixation", "timestamp_end_fixation", *_MEASURED),
        _fixation_rows(row["fixations"], _pupil_scale(samples), image_index),
    )
    words = row["words"]
    _write(
        place / "timestamps_transcription.csv",
        ("word", "timestamp_start_word", "timestamp_end_word"),
        ([w["word"], _centi(w["t_start_ns"]), _centi(w["t_end_ns"])] for w in words),
    )
    write_bytes_atomically(place / "transcription.txt", " ".join(w["word"] for w in words).encode())
    marks = [f for f in row["findings"] if _is_drawn(f, image_index)]
    drawn = sorted({_column(f) for f in marks})
    _write(
        place / "anomaly_location_ellipses.csv",
        (*SIDES, "certainty", *drawn),
        (
            [*(round(side) for side in f["box"]), _rating(f) or _SURE, *(_column(f) == c for c in drawn)]
            for f in marks
        ),
    )


def _gaze_rows(samples: pa.Table, image_index: int) -> Iterator[list[str]]:
    on = samples.column("image_index").fill_null(-1).to_numpy() == image_index
    position = [
        _cells(np.where(on, np.rint(_values(samples, f"{axis}_image_px") - 0.5), np.nan), 0) for axis in "xy"
    ]
    pupil = _cells(_values(samples, "pupil") * _pupil_scale(samples), 4)
    per_deg = [_cells(_values(samples, f"image_px_per_deg_{axis}"), 0) for axis in "xy"]
    empty = [""] * _N_EMPTY
    times = _cells(samples.column("t_ns").to_numpy() / 1e9, 9)
    for cells in zip(times, *position, pupil, *per_deg, strict=True):
        yield [*cells, *empty]


def _fixation_rows(
    fixations: Iterable[Mapping[str, Any]], pupil_scale: float, image_index: int
) -> Iterator[list[str]]:
    for f in fixations:
        if f["image_index"] != image_index:
            continue
        numbers = [f["x_image_px"] - 0.5, f["y_image_px"] - 0.5]
        pupil = float("nan") if f["pupil"] is None else f["pupil"] * pupil_scale
        per_deg = [float("nan") if f[n] is None else f[n] for n in ("px_per_deg_x", "px_per_deg_y")]
        times = [f"{f[n] / 1e9:.9f}" for n in ("t_start_ns", "t_end_ns")]
        cells = _cells(np.array(numbers), 0) + _cells(np.array([pupil]), 4) + _cells(np.array(per_deg), 0)
        yield [*times, *cells, *[""] * _N_EMPTY]


def _pupil_scale(samples: pa.Table) -> float:
    """Return one over the median, as REFLACX's pupils are relative; 1 where they are that already."""
    if samples.column("pupil_unit").unique().to_pylist() == ["normalised"]:
        return 1.0
    pupil = _values(samples, "pupil")
    known = pupil[np.isfinite(pupil) & (pupil > 0)]
    return 1.0 / float(np.median(known)) if known.size else 1.0


def _metadata(
    name: str, row: Mapping[str, Any], image: Mapping[str, Any], labels: Sequence[str]
) -> list[Any]:
    subject = row["public_patient_id"] or f"{int(_hex(row['patient_key']), 16) % _DIGITS:010d}"
    study = row["public_study_id"] or f"{int(_hex(row['study_key']), 16) % _DIGITS:010d}"
    dicom_id = image["public_dicom_id"] or f"{_hex(row['study_key'])}-{image['image_index']}"
    path = f"files/p{subject[:2]}/p{subject}/s{study}/{dicom_id}.dcm"
    size = (image["matrix_width_px"], image["matrix_height_px"])
    said = [f for f in row["findings"] if f["present"] and not _is_drawn(f, image["image_index"])]
    ratings = {f["label"]: _rating(f) for f in said if _is_rated(f)}
    names = sorted({f["label"] for f in said if not _is_rated(f)})
    return [
        name, row["split"], False, path, dicom_id, subject, *size, *(ratings.get(label, 0) for label in labels),
        SUPPORT_DEVICES in names, "|".join(n.replace("|", "/") for n in names if n != SUPPORT_DEVICES),
    ]  # fmt: skip


def _is_drawn(finding: Mapping[str, Any], image_index: int) -> bool:
    return bool(finding["present"] and finding["box"] and finding["image_index"] == image_index)


def _is_rated(finding: Mapping[str, Any]) -> bool:
    """Say whether a finding that is not drawn has a column of its own in the metadata."""
    return bool(finding["present"] and finding["label"] not in _RESERVED and _rating(finding))


def _rating(finding: Mapping[str, Any]) -> int:
    """Return the published scale's 1 to 5; 0 where nobody said how sure they were."""
    if finding["rating"] in CERTAINTY:
        return int(finding["rating"])
    certainty = finding["certainty"]
    return 0 if certainty is None else min(CERTAINTY, key=lambda rating: abs(CERTAINTY[rating] - certainty))


def _column(finding: Mapping[str, Any]) -> str:
    label = str(finding["label"])
    return f"{label} (finding)" if label in _RESERVED else label


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def _hex(key: str) -> str:
    """Return hex digits that stand for a key, whatever it is."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _centi(t_ns: int) -> str:
    return f"{t_ns / 1e9:.2f}"


def _values(table: pa.Table, name: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = table.column(name).cast(pa.float64()).to_numpy()
    return values


def _cells(values: NDArray[np.float64], places: int) -> list[str]:
    """Return numbers with so many decimals; nothing where not finite, as REFLACX has it."""
    return ["" if text == MISSING else text for text in decimals(values, places)]


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *rows])
    write_bytes_atomically(path, text.getvalue().encode())


_README = """# Readings in the layout of REFLACX

Research use only, not for diagnosis. Gaze identifies people: treat every reading as personal data of its reader.

The folders and tables are those of REFLACX 1.0.0, the readings are not: `exported_readings.csv` says which they are,
whose (by code), under which licence, and whether they were generated. Ids of patients and pictures are made up unless
the source publishes them. `LostFields` of layout.json names what the dataset's shards hold and this layout does not.
"""
