"""View ``bids``: eye tracking as BIDS 1.11 has it, one recording per eye, in ``beh/``.

A participant is a reader, a run is a reading. The combined gaze is a recording too and carries the events. Sampling is
regular: where samples are missing, rows of n/a stand in column ``recorded`` as 0. What the layout cannot hold is in
`LOST`.

Source: BIDS 1.11.1, physiological recordings, eye tracking (BEP020).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.export.read import ShardReader
from curation.export.views.bids_files import Cells, decimals, labels, write_gzip_table, write_table
from curation.export.views.measured import events_of, samples_of
from curation.export.views.protocol import ViewResult
from curation.view_settings import BidsOptions
from gazecapture import __version__
from gazecapture.files import make_private_folder, write_bytes_atomically, write_json_atomically

__all__ = ["LOST", "BidsView"]

BIDS_VERSION: Final = "1.11.1"
LOST: Final = (
    "display", "findings", "truth", "qa", "quality", "issues", "regions", "event_regions", "keyframes", "trajectory",
    "region_coverage", "letter_coverage", "transitions", "inspection", "lesion_gaze",
    "images.file", "images.sha256", "images.public_dicom_id",
    "words.confidence", "words.source", "words.supported", "words.transcript", "words.placing",
    "sentences.sentence_id", "sentences.sentence_index", "sentences.finding_ids", "sentences.mentions",
    "sentences.mentions_by",
    "validations.t_ns", "validations.phase", "validations.eye", "validations.n_points", "validations.accuracy_max_deg",
    "validations.rms_s2s_deg", "validations.sd_deg", "validations.loss_share", "validations.offset_x_deg",
    "validations.offset_y_deg", "validations.offset_x_screen_px", "validations.offset_y_screen_px",
    "validations.bcea_deg2", "validations.light", "validations.points",
    "events.image_index", "events.x_image_px", "events.y_image_px", "events.x_screen_px", "events.y_screen_px",
    "events.x_start_screen_px", "events.y_start_screen_px", "events.x_end_screen_px", "events.y_end_screen_px",
    "events.amplitude_deg", "events.direction_deg", "events.peak_velocity_deg_per_s",
    "events.mean_velocity_deg_per_s", "events.dispersion_deg", "events.rms_s2s_deg", "events.valid_share",
    "meta.source_format", "meta.public_patient_id", "meta.public_study_id", "meta.repeat_of", "meta.indication",
    "meta.sex", "meta.age_band", "meta.report_sections", "meta.tracker.name", "meta.split_official",
    "meta.consent_scopes", "meta.access_tier", "meta.n_samples_expected", "meta.provenance",
)  # fmt: skip
"""What a reading has and this layout does not hold, by field or whole table; ``LostFields`` of the description."""
GAP_FACTOR: Final = 1.5
"""A step longer than so many sample intervals has samples missing."""
THINNED_GAP_FACTOR: Final = 2.5
"""Of gaze thinned to 120 Hz, which takes one sample from each slot: neighbours may be two intervals apart."""
_COLUMNS: Final = (
    "reading_id", "reader_code", "reader_site", "session_key", "reading_number", "minutes_into_session", "study_key",
    "study_arm", "split", "synthetic", "gaze_tier", "access_tier", "source_licence", "time_origin", "duration_ns",
    "gaze_quality", "tracker", "display", "words", "sentences[].text", "sentences[].t_start_ns", "sentences[].t_end_ns",
    "image_info[].image_index", "image_info[].matrix_width_px", "image_info[].matrix_height_px",
    "image_info[].role", "image_info[].view_position", "image_info[].spacing_kind", "image_info[].spacing_x_mm",
    "image_info[].spacing_y_mm",
)  # fmt: skip
_NOT_A_LABEL = re.compile(r"[^A-Za-z0-9]")


class BidsView:
    """See the module."""

    name = "bids"
    version = "2"

    def write(self, reader: ShardReader, folder: Path, options: BidsOptions) -> ViewResult:
        """See `View.write`."""
        readers: dict[str, str] = {}
        sites: dict[str, str | None] = {}
        runs: defaultdict[str, int] = defaultdict(int)
        left_out: Counter[str] = Counter()
        licences: set[str] = set()
        n_readings = n_records = 0
        for row in reader.rows(_COLUMNS):
            samples = samples_of(reader.dataset, row["reading_id"])
            reason = _why_not(row, samples)
            if reason or samples is None:
                left_out[reason] += 1
                continue
            subject = _label(row["reader_code"], readers)
            sites[subject] = row["reader_site"]
            licences |= {row["source_licence"]} - {None}
            session = _NOT_A_LABEL.sub("", row["session_key"] or "")
            parts = [f"sub-{subject}", *([f"ses-{session}"] if session else [])]
            place = make_private_folder(folder.joinpath(*parts, "beh"))
            runs["_".join(parts)] += 1
            stem = "_".join([*parts, f"task-{options.task}", f"run-{runs['_'.join(parts)]}"])
            events = events_of(reader.dataset, row["reading_id"])
            n_records += _write_reading(place, stem, row, samples, events)
            n_readings += 1
        _write_description(folder, sites, sorted(licences), options)
        return ViewResult(n_readings=n_readings, n_records=n_records, left_out=dict(left_out))


def _why_not(row: Mapping[str, Any], samples: pa.Table | None) -> str:
    display = row["display"] or {}
    sizes = [display.get(name) for name in ("width_px", "height_px", "width_mm", "height_mm", "distance_mm")]
    if samples is None:
        return "no samples at this gaze tier"
    if not all(sizes):
        return "size or distance of the screen unknown"
    if samples.num_rows < 2 or not np.isfinite(_values(samples, "x_screen_px")).any():
        return "no gaze on the screen"
    return ""


def _label(code: str, known: dict[str, str]) -> str:
    """Return a label of letters and digits for a code, another one for every code."""
    if code not in known:
        label = _NOT_A_LABEL.sub("", code) or "reader"
        while label in known.values():
            label += "x"
        known[code] = label
    return known[code]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recording:
    """One eye of one reading."""

    eye: str
    """left, right or cyclopean."""
    x: str
    y: str
    pupil: str
    is_combined: bool


def _recordings(samples: pa.Table) -> list[_Recording]:
    combined_by = set(samples.column("combined_by").unique().to_pylist())
    eye = (
        next(iter(combined_by)) if combined_by <= {"left", "right"} and len(combined_by) == 1 else "cyclopean"
    )
    found = [_Recording(eye=eye, x="x_screen_px", y="y_screen_px", pupil="pupil", is_combined=True)]
    found += [
        _Recording(eye=one, x=f"{one}_x_screen_px", y=f"{one}_y_screen_px", pupil=f"{one}_pupil", is_combined=False)
        for one in ("left", "right")
        if one != eye and np.isfinite(_values(samples, f"{one}_x_screen_px")).any()
    ]  # fmt: skip
    return found


def _write_reading(
    place: Path, stem: str, row: Mapping[str, Any], samples: pa.Table, events: pa.Table | None
) -> int:
    """Write all files of a reading; return how many recordings it has."""
    rate_hz, source = _regular(samples, thinned=row["gaze_tier"] == "120hz")
    recorded = source >= 0
    t_ns = _filled_times(samples, source, rate_hz)
    recordings = _recordings(samples)
    for number, recording in enumerate(recordings, start=1):
        name = f"{stem}_recording-eye{number}"
        columns = _physio_columns(samples, recording, source, t_ns, recorded)
        write_gzip_table(place / f"{name}_physio.tsv.gz", columns)
        write_json_atomically(
            place / f"{name}_physio.json",
            _physio_sidecar(row, recording, rate_hz, t_ns, list(columns), samples),
        )
        if recording.is_combined and events is not None:
            write_gzip_table(place / f"{name}_physioevents.tsv.gz", _event_columns(events))
            write_json_atomically(place / f"{name}_physioevents.json", _EVENTS_SIDECAR)
    write_table(place / f"{stem}_events.tsv", _trial_columns(row))
    write_json_atomically(place / f"{stem}_events.json", _trial_sidecar(row, samples))
    return len(recordings)


def _regular(samples: pa.Table, *, thinned: bool) -> tuple[float, NDArray[np.int64]]:
    """Return the measured rate and, for each row to write, the sample that it holds; -1 for one that is missing."""
    t_ns = samples.column("t_ns").to_numpy()
    steps = np.diff(t_ns)
    step_ns = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1e9
    factor = THINNED_GAP_FACTOR if thinned else GAP_FACTOR
    missing = np.where(steps > factor * step_ns, np.rint(steps / step_ns).astype(np.int64) - 1, 0)
    places = np.arange(t_ns.size) + np.concatenate([[0], np.cumsum(missing)])
    source = np.full(int(places[-1]) + 1, -1, np.int64)
    source[places] = np.arange(t_ns.size)
    return 1e9 / step_ns, source


def _filled_times(samples: pa.Table, source: NDArray[np.int64], rate_hz: float) -> NDArray[np.int64]:
    """Return the time of every row; those of missing samples lie evenly between their neighbours."""
    known = np.flatnonzero(source >= 0)
    t_ns = samples.column("t_ns").to_numpy()
    # Relative to the first: float64 then holds every ns of a reading.
    between = np.interp(np.arange(source.size), known, (t_ns - t_ns[0]).astype(np.float64))
    filled: NDArray[np.int64] = np.rint(between).astype(np.int64) + t_ns[0]
    filled[known] = t_ns
    return filled


def _physio_columns(
    samples: pa.Table,
    recording: _Recording,
    source: NDArray[np.int64],
    t_ns: NDArray[np.int64],
    recorded: NDArray[np.bool_],
) -> dict[str, Cells]:
    def taken(name: str) -> NDArray[np.float64]:
        values = _values(samples, name)
        return np.where(recorded, values[source], np.nan)

    columns = {
        "timestamp": decimals(t_ns / 1e9, 9),
        "x_coordinate": decimals(taken(recording.x), 3),
        "y_coordinate": decimals(taken(recording.y), 3),
        "pupil_size": decimals(taken(recording.pupil), 4),
    }
    if recording.is_combined:
        columns["x_image_px"] = decimals(taken("x_image_px"), 3)
        columns["y_image_px"] = decimals(taken("y_image_px"), 3)
        columns["image_index"] = decimals(taken("image_index"), 0)
        columns["valid"] = decimals(taken("valid"), 0)
        columns["viewport_id"] = decimals(taken("viewport_id"), 0)
        columns["image_px_per_deg_x"] = decimals(taken("image_px_per_deg_x"), 3)
        columns["image_px_per_deg_y"] = decimals(taken("image_px_per_deg_y"), 3)
        columns["eye_distance_mm"] = decimals(taken("eye_distance_mm"), 1)
    elif samples.column(f"{recording.eye}_valid").null_count < samples.num_rows:
        columns["valid"] = decimals(taken(f"{recording.eye}_valid"), 0)
    columns["recorded"] = decimals(recorded.astype(np.float64), 0)
    return columns


def _values(table: pa.Table, name: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = table.column(name).cast(pa.float64()).to_numpy()
    return values


_EVENTS_SIDECAR: Final[Mapping[str, Any]] = {
    "Columns": ["onset", "duration", "trial_type", "blink", "message"],
    "OnsetSource": "timestamp",
    "Description": "Events of the combined gaze, of every kind that was detected",
    "onset": {"Description": "Start of the event, on the clock of column timestamp", "Units": "s"},
    "duration": {"Description": "Duration of the event", "Units": "s"},
    "trial_type": {
        "Description": "Kind of eye movement; n/a for what is in column message",
        "Levels": {"fixation": "The eye rests", "saccade": "The eye moves fast"},
    },
    "blink": {
        "Description": "1 where the event is a blink, else 0",
        "Levels": {"0": "no blink", "1": "blink"},
    },
    "message": {"Description": "Kind of an event that is no fixation or saccade: pso, pursuit, blink, loss"},
}


def _event_columns(events: pa.Table) -> dict[str, Cells]:
    start_ns, end_ns = (events.column(name).to_numpy() for name in ("t_start_ns", "t_end_ns"))
    kinds = events.column("kind").to_pylist()
    return {
        "onset": decimals(start_ns / 1e9, 9),
        "duration": decimals((end_ns - start_ns) / 1e9, 9),
        "trial_type": labels([kind if kind in {"fixation", "saccade"} else None for kind in kinds]),
        "blink": labels(["1" if kind == "blink" else "0" for kind in kinds]),
        "message": labels([None if kind in {"fixation", "saccade"} else kind for kind in kinds]),
    }


def _physio_sidecar(
    row: Mapping[str, Any],
    recording: _Recording,
    rate_hz: float,
    t_ns: NDArray[np.int64],
    columns: list[str],
    samples: pa.Table,
) -> dict[str, Any]:
    tracker = row["tracker"] or {}
    accuracy_deg = (row["gaze_quality"] or {}).get("accuracy_deg")
    unit = samples.column("pupil_unit").unique().to_pylist()
    described = {
        "timestamp": {"Description": f"Time since {row['time_origin'].replace('_', ' ')}", "Units": "s"},
        "x_coordinate": {"Description": "Gaze on the screen, from its left edge", "Units": "pixel"},
        "y_coordinate": {"Description": "Gaze on the screen, from its top edge", "Units": "pixel"},
        "pupil_size": _pupil(unit[0] if len(unit) == 1 else "other"),
        "x_image_px": {"Description": "Gaze in px of the stored picture, right", "Units": "pixel"},
        "y_image_px": {"Description": "Gaze in px of the stored picture, down", "Units": "pixel"},
        "image_index": {"Description": "Picture of the study, from 0; n/a on none"},
        "valid": {"Description": "1 where the tracker had the eye, else 0"},
        "viewport_id": {"Description": "Place on the screen that showed the picture; n/a on none"},
        "image_px_per_deg_x": {
            "Description": "Scale of the picture at that moment, zoom included",
            "Units": "pixel/deg",
        },
        "image_px_per_deg_y": {
            "Description": "Scale of the picture at that moment, zoom included",
            "Units": "pixel/deg",
        },
        "eye_distance_mm": {"Description": "Distance of the eye from the screen", "Units": "mm"},
        "recorded": {"Description": "1 for a sample of the device, 0 for a row that fills a gap"},
    }
    return {
        "PhysioType": "eyetrack",
        "SamplingFrequency": round(rate_hz, 3),
        "StartTime": round(float(t_ns[0]) / 1e9, 9),
        "Columns": columns,
        "RecordedEye": recording.eye,
        "SampleCoordinateSystem": "gaze-on-screen",
        **({} if accuracy_deg is None else {"AverageCalibrationError": round(accuracy_deg, 4)}),
        **({"Manufacturer": tracker["manufacturer"]} if tracker.get("manufacturer") else {}),
        **({"ManufacturersModelName": tracker["model"]} if tracker.get("model") else {}),
        **{name: described[name] for name in columns},
    }


def _pupil(unit: str) -> dict[str, str]:
    what, shown = {
        "mm": ("diameter", "mm"),
        "diameter_au": ("diameter", "arbitrary"),
        "area_au": ("area", "arbitrary"),
        "normalised": ("diameter or area, relative to the reader's own", "arbitrary"),
    }.get(unit, ("diameter or area", "arbitrary"))
    return {"Description": f"Pupil {what}", "Units": shown}


def _trial_columns(row: Mapping[str, Any]) -> dict[str, Cells]:
    spans = sorted(_trials(row), key=lambda span: (span[0], span[2]))
    return {
        "onset": decimals(np.array([span[0] for span in spans]) / 1e9, 9),
        "duration": decimals(np.array([span[1] - span[0] for span in spans]) / 1e9, 9),
        "trial_type": labels([span[2] for span in spans]),
        "value": labels([span[3] for span in spans]),
    }


def _trials(row: Mapping[str, Any]) -> Iterator[tuple[int, int, str, str | None]]:
    """Give (start ns, end ns, kind, what was said)."""
    yield 0, row["duration_ns"], "reading", None
    for sentence in row["sentences"]:
        yield sentence["t_start_ns"], sentence["t_end_ns"], "sentence", sentence["text"]
    for word in row["words"]:
        yield word["t_start_ns"], word["t_end_ns"], "word", word["word"]


def _trial_sidecar(row: Mapping[str, Any], samples: pa.Table) -> dict[str, Any]:
    display, tracker = row["display"], row["tracker"] or {}
    facts = (
        "reading_id", "study_key", "study_arm", "reading_number", "minutes_into_session", "split", "synthetic",
        "gaze_tier", "access_tier", "reader_code", "reader_site", "time_origin", "source_licence",
    )  # fmt: skip
    return {
        "StimulusPresentation": {
            "ScreenDistance": display["distance_mm"] / 1e3,
            "ScreenOrigin": ["top", "left"],
            "ScreenResolution": [display["width_px"], display["height_px"]],
            "ScreenSize": [display["width_mm"] / 1e3, display["height_mm"] / 1e3],
        },
        "onset": {"Description": "Start, on the clock of the recordings", "Units": "s"},
        "duration": {"Description": "Duration", "Units": "s"},
        "trial_type": {
            "Description": "What it is",
            "Levels": {"reading": "Image on to image off", "sentence": "A sentence", "word": "A word"},
        },
        "value": {"Description": "What was said or typed"},
        "Reading": {
            name: value
            for name, value in {
                **{name: row[name] for name in facts},
                "tracker_profile": tracker.get("profile"),
                "nominal_rate_hz": tracker.get("nominal_rate_hz"),
                "display_lag_ms": display["lag_ms"],
                "combined_by": _only_value(samples, "combined_by"),
                "pupil_unit": _only_value(samples, "pupil_unit"),
                "gaze_source": _only_value(samples, "source"),
            }.items()
            if value is not None
        },
        "Images": [dict(image) for image in row["image_info"]],
    }


def _only_value(samples: pa.Table, name: str) -> str | None:
    """Return what a column says throughout; None where it says several things, or what no word is known for."""
    values = samples.column(name).unique().to_pylist()
    return values[0] if len(values) == 1 and values[0] != "other" else None


def _write_description(
    folder: Path, sites: Mapping[str, str | None], licences: list[str], options: BidsOptions
) -> None:
    write_json_atomically(
        folder / "dataset_description.json",
        {
            "Name": options.title,
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "raw",
            "License": "; ".join(licences) or "not stated",
            "GeneratedBy": [{"Name": "gazecapture", "Version": __version__}],
            "LostFields": list(LOST),
        },
    )
    write_bytes_atomically(folder / "README.md", _README.encode())
    write_table(
        folder / "participants.tsv",
        {
            "participant_id": labels([f"sub-{label}" for label in sites]),
            "site": labels([sites[label] for label in sites]),
        },
    )
    write_json_atomically(
        folder / "participants.json",
        {
            "participant_id": {"Description": "A reader, by code"},
            "site": {"Description": "Code of the reader's site; n/a where unknown"},
        },
    )


_README = """# Gaze of radiologists reading

Research use only, not for diagnosis. Gaze identifies people: treat every recording as personal data of its reader.

A participant is a reader, a run is one reading of one study, in the order of the sitting. Each recording is one eye, or
both combined (RecordedEye cyclopean); the combined one carries the events. Times are seconds since image on. Where the
device lost samples, rows of n/a stand with 0 in column recorded. `LostFields` of dataset_description.json names what
the dataset's shards hold and this layout does not.
"""
