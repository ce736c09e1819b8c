"""Format ``bids``: eye tracking as BIDS 1.11 has it (BEP020), anybody's, and what view ``bids`` writes.

::

    SOURCE/dataset_description.json
    SOURCE/sub-*/[ses-*/]{datatype}/*_task-*[_run-*]_recording-*_physio.tsv.gz + .json     one per eye
    SOURCE/sub-*/[ses-*/]{datatype}/*_task-*[_run-*]_events.tsv + .json                    screen, words

A reading is what has one name up to ``_recording-``. Eye movements in ``*_physioevents.tsv.gz`` are not read: the
events stage finds its own.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from curation.ingest.bids_files import (
    CODE,
    RECORDING,
    Description,
    Physio,
    TrialSidecar,
    read_model,
    read_physio_columns,
    read_trials,
    seconds,
    sidecar_of,
)
from curation.ingest.bids_gaze import Recording, gaze_table
from curation.ingest.csv_files import malformed
from curation.ingest.json_stream import read_json
from curation.ingest.protocol import Ingested
from curation.issues import source_issues_entry
from gazecapture import __version__
from gazecapture.store import KeyedHash
from keyframes.errors import GazeToolError, UsageError
from keyframes.geometry import Display
from keyframes.reading import IMAGES, VALIDATIONS, WORDS, Reading, ReadingMeta, Tracker

__all__ = ["BidsIngester"]

DESCRIPTION: Final = "dataset_description.json"
NO_LICENCE: Final = "own recording"
_CODE_SHAPE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_ENTITIES: Final = re.compile(r"(sub|ses|run)-([A-Za-z0-9]+)")
_MIN_ON_SCREEN: Final = 0.5
"""Of the gaze; below it the positions are of another frame or unit."""
_MAX_SIDE_PX: Final = 50_000
_MAX_WORDS: Final = 20_000
_MAX_WORD_LETTERS: Final = 200
_MAX_IMAGES: Final = 64
_ORIGINS: Final = ("image_on", "audio_start", "recording_start", "none")
_EYES: Final = ("left", "right", "cyclopean")


class BidsIngester:
    """Reads dataset by dataset; pictures are not in this layout."""

    name = "bids"

    def find(self, source: Path) -> list[Path]:
        """Return the datasets. See `curation.ingest.protocol.Ingester.find`."""
        found = [
            p.parent
            for depth in ("", "*/")
            for p in sorted(source.glob(f"{depth}{DESCRIPTION}"))
            if p.is_file()
        ]
        found = [folder for folder in found if _stems(folder)]
        if not found:
            what = (
                f"holds no {DESCRIPTION} with eye tracking beside it" if source.is_dir() else "is no folder"
            )
            raise UsageError(f"{source} {what}", path=source, code="GT-NOT-BIDS")
        return found

    def count(self, unit: Path) -> int:
        """See `curation.ingest.protocol.CountsReadings.count`."""
        return max(1, len(_stems(unit)))

    def readings(self, unit: Path, *, key: bytes) -> Iterator[Ingested]:
        """See `curation.ingest.protocol.Ingester.readings`."""
        try:
            described = read_model(Description, read_json(unit / DESCRIPTION, code=CODE), unit / DESCRIPTION)
        except GazeToolError as error:
            yield Ingested(label=unit.name, error=error)
            return
        for (folder, stem), files in _stems(unit).items():
            try:
                yield _reading(unit, folder, stem, files, described, KeyedHash(key))
            except GazeToolError as error:
                yield Ingested(label=stem, error=error)


def _stems(root: Path) -> dict[tuple[Path, str], list[Path]]:
    """Return the files of each reading."""
    found: defaultdict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in sorted(root.rglob("sub-*_physio.tsv*")):
        match = RECORDING.fullmatch(path.name)
        if match is not None and path.is_file():
            found[path.parent, match["stem"]].append(path)
    return dict(found)


def _reading(
    root: Path, folder: Path, stem: str, files: list[Path], described: Description, pseudonym: KeyedHash
) -> Ingested:
    issues: Counter[str] = Counter()
    recordings = [one for path in files if (one := _recording(root, path)) is not None]
    if not recordings:
        malformed("none of its recordings is of eyes", files[0], code=CODE)
    trials = folder / f"{stem}_events.tsv"
    sidecar = read_model(TrialSidecar, sidecar_of(root, trials.name, folder, "events"), trials)
    facts = _Facts(sidecar.Reading)
    images = _images(sidecar, trials)
    gaze = gaze_table(
        recordings,
        sidecar.StimulusPresentation,
        images.column("image_index").to_pylist(),
        facts.text("combined_by"),
        facts.text("gaze_source"),
        facts.text("pupil_unit"),
        issues,
    )
    words, duration_ns = _trials(trials, issues) if trials.is_file() else (WORDS.empty_table(), None)
    display = _display(sidecar)
    _note(gaze, display, images, issues)
    t_ns = gaze.column("t_ns").to_numpy()
    main = recordings[0].about
    entities = dict(_ENTITIES.findall(stem))
    source_id = facts.text("reading_id") or f"{root.name}/{stem}"
    study = facts.text("study_key") or source_id
    run = entities.get("run", "")
    meta = ReadingMeta(
        reading_id=pseudonym("bids", source_id),
        source_format="bids",
        time_origin=facts.one_of("time_origin", _ORIGINS) or "recording_start",
        reader_code=facts.code("reader_code") or entities["sub"][:64],
        reader_site=facts.code("reader_site"),
        study_key=pseudonym("study", study),
        patient_key=pseudonym("patient", study),
        session_id=pseudonym("session", entities["sub"], entities["ses"]) if "ses" in entities else "",
        reading_number=facts.integer("reading_number", 0, 10**6, int(run) if run.isdecimal() and len(run) < 6 else 0),
        minutes_into_session=facts.number("minutes_into_session", 0, 1e6),
        duration_ns=max(0, int(t_ns[-1]) if t_ns.size else 0) if duration_ns is None else duration_ns,
        study_arm=facts.text("study_arm"),
        tracker=Tracker(
            manufacturer=main.Manufacturer,
            model=main.ManufacturersModelName,
            profile=facts.code("tracker_profile"),
            nominal_rate_hz=facts.number("nominal_rate_hz", 0, 1e5),
            effective_rate_hz=main.SamplingFrequency,
        ),
        display=display,
        display_lag_ms=facts.number("display_lag_ms", 0, 1e4),
        source_licence=facts.text("source_licence") or described.License or NO_LICENCE,
        synthetic=facts.values.get("synthetic") is True,
        provenance={"tool_version": __version__, "bids_version": described.BIDSVersion[:16],
                    **source_issues_entry(issues)},
    )  # fmt: skip
    tables = {"images": images, "gaze": gaze, "words": words, "validations": _calibration(main)}
    return Ingested(label=stem, reading=Reading.build(meta, tables))


def _recording(root: Path, path: Path) -> Recording | None:
    """Return one eye; None for a recording of something else, such as a pulse."""
    fields = sidecar_of(root, path.name, path.parent, "physio")
    if fields.get("PhysioType") != "eyetrack":
        return None
    about = read_model(Physio, fields, path)
    if about.RecordedEye not in _EYES or about.Columns[:3] != ("timestamp", "x_coordinate", "y_coordinate"):
        malformed("RecordedEye or the first three Columns are not as BIDS 1.11 asks", path, code=CODE)
    columns = read_physio_columns(path, about.Columns)
    if not {"timestamp", "x_coordinate", "y_coordinate"} <= columns.keys():
        malformed("time or position are no numbers", path, code=CODE)
    return Recording(about=about, columns=columns)


class _Facts:
    """``Reading`` of the sidecar: what view bids wrote, believed only where it can be."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def text(self, name: str) -> str:
        value = self.values.get(name)
        return value if isinstance(value, str) and len(value) <= 200 and value.isprintable() else ""

    def code(self, name: str) -> str:
        value = self.text(name)
        return value if _CODE_SHAPE.fullmatch(value) else ""

    def one_of(self, name: str, known: tuple[str, ...]) -> str:
        return value if (value := self.text(name)) in known else ""

    def number(self, name: str, low: float, high: float) -> float | None:
        value = self.values.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        return float(value) if low <= value <= high else None

    def integer(self, name: str, low: int, high: int, otherwise: int) -> int:
        value = self.number(name, low, high)
        return otherwise if value is None or value != int(value) else int(value)


def _images(sidecar: TrialSidecar, path: Path) -> pa.Table:
    rows: list[dict[str, Any]] = []
    for image in sidecar.Images[:_MAX_IMAGES]:
        try:
            row: dict[str, Any] = {
                "image_index": int(image["image_index"]), "role": str(image["role"])[:32],
                "width_px": int(image["matrix_width_px"]), "height_px": int(image["matrix_height_px"]),
                "spacing_kind": str(image.get("spacing_kind") or "unknown")[:32], "sha256": "",
                "view_position": None if image.get("view_position") is None else str(image["view_position"])[:32],
                "spacing_x_mm": _positive(image.get("spacing_x_mm")),
                "spacing_y_mm": _positive(image.get("spacing_y_mm")),
            }  # fmt: skip
        except (KeyError, TypeError, ValueError, OverflowError):
            malformed("an image is none", path, code=CODE)
        sides = (row["width_px"], row["height_px"])
        if not (0 <= row["image_index"] < _MAX_IMAGES and all(0 < side <= _MAX_SIDE_PX for side in sides)):
            malformed("an image's size or number is none", path, code=CODE)
        rows.append(row)
    if len({row["image_index"] for row in rows}) < len(rows):
        malformed("two images have one number", path, code=CODE)
    return pa.Table.from_pylist(rows, schema=IMAGES)


def _positive(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 < value < 1e6 else None


def _display(sidecar: TrialSidecar) -> Display | None:
    shown = sidecar.StimulusPresentation
    if shown.ScreenResolution is None or not all(0 < side <= _MAX_SIDE_PX for side in shown.ScreenResolution):
        return None
    size_mm = [round(side * 1000, 6) for side in shown.ScreenSize or () if 0 < side < 100]
    width_mm, height_mm = size_mm if len(size_mm) == 2 else (None, None)
    return Display(
        width_px=shown.ScreenResolution[0],
        height_px=shown.ScreenResolution[1],
        width_mm=width_mm,
        height_mm=height_mm,
        distance_mm=None if shown.ScreenDistance is None else round(shown.ScreenDistance * 1000, 6),
    )


def _trials(path: Path, issues: Counter[str]) -> tuple[pa.Table, int | None]:
    """Return the words, and how long the reading lasted where a row ``reading`` says so."""
    rows: list[dict[str, Any]] = []
    duration_ns = None
    for row in read_trials(path):
        start_s, length_s = seconds(row["onset"]), seconds(row.get("duration", "n/a"))
        kind, said = row.get("trial_type", ""), row.get("value", "n/a")
        if kind not in ("reading", "word"):
            continue
        if not (np.isfinite(start_s) and length_s >= 0):
            issues["GI-WORD-TIME"] += 1
        elif kind == "reading":
            duration_ns = round(length_s * 1e9)
        elif said != "n/a":
            if len(said) > _MAX_WORD_LETTERS or len(rows) >= _MAX_WORDS:
                malformed("it is too long for a dictation", path, code=CODE)
            start_ns = round(start_s * 1e9)
            rows.append(
                {
                    "word_index": len(rows), "t_start_ns": start_ns, "t_end_ns": start_ns + round(length_s * 1e9),
                    "word": said, "supported": True, "source": "imported",
                }
            )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=WORDS), duration_ns


def _calibration(about: Physio) -> pa.Table:
    """Return the calibration's error as a validation before the reading; nothing else of it is known."""
    if about.AverageCalibrationError is None:
        return VALIDATIONS.empty_table()
    worst = about.MaximalCalibrationError
    row = {
        "t_ns": 0, "phase": "before", "eye": "both", "n_points": 0, "accuracy_deg": about.AverageCalibrationError,
        "accuracy_max_deg": float("nan") if worst is None else worst,
        "rms_s2s_deg": float("nan"), "sd_deg": float("nan"), "loss_share": float("nan"),
    }  # fmt: skip
    return pa.Table.from_pylist([row], schema=VALIDATIONS)


def _note(gaze: pa.Table, display: Display | None, images: pa.Table, issues: Counter[str]) -> None:
    x, y = (gaze.column(f"{axis}_screen_px").to_numpy() for axis in "xy")
    seen = np.isfinite(x)
    issues["GI-NO-IMAGE"] += not images.num_rows
    if display is None:
        issues["GI-BIDS-SCREEN"] += 1
    elif seen.any():
        inside = (x >= 0) & (x < display.width_px) & (y >= 0) & (y < display.height_px)
        issues["GI-GAZE-OFF-SCREEN"] += bool(inside[seen].mean() < _MIN_ON_SCREEN)
