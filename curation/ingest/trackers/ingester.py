"""Formats ``eyelink-asc``, ``tobii-tsv`` and ``neon``: a lab's own tracker files, through the parsers of gazecapture.

Such a file holds no display journal. When each image was shown, and where, comes from a table of trials
(`curation.ingest.trackers.trials`) or else from the file's messages (`curation.ingest.trackers.messages`); a file that
says neither is one reading of its whole length without an image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curation.ingest.mimic_pictures import picture_columns
from curation.ingest.protocol import Ingested
from curation.ingest.trackers.messages import View, trials_of_messages, views_of_messages
from curation.ingest.trackers.tables import display_table, gaze_table, rate_hz, validation_table
from curation.ingest.trackers.trials import Trial, TrialTable
from curation.issues import source_issues_entry
from gazecapture import __version__
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.image import Radiograph
from gazecapture.store import KeyedHash
from gazecapture.trackers import TrackerFile, TrackerRecording, neon_cloud, neon_raw
from gazecapture.trackers.eyelink_asc import EYELINK_ASC
from gazecapture.trackers.fingerprint import fingerprint
from gazecapture.trackers.neon_native import NEON
from gazecapture.trackers.tobii_tsv import TOBII_TSV
from keyframes.errors import DataError, GazeToolError, UsageError
from keyframes.geometry import Display
from keyframes.reading import IMAGES, Reading, ReadingMeta, Tracker

__all__ = ["EYELINK_ASC_INGESTER", "NEON_INGESTER", "TOBII_TSV_INGESTER", "TrackerIngester"]

_SUFFIXES = ("", ".dcm", ".png", ".jpg", ".jpeg", ".tif")
"""Tried after a picture's name."""
MAX_ASPECT_OFF = 0.02
"""Share by which an image may be shown wider or higher than its pixels are; rounding to whole px makes less."""
MIN_ON_SCREEN = 0.5
"""Share of the gaze that is expected on the screen: less is another frame or unit, or nobody's reading."""
MIN_COVERED = 0.9
"""Share of the trial's time with samples, lost gaze included; the tracker was stopped for the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerIngester:
    """Reads one tracker's files; a reading is a trial."""

    parser: TrackerFile
    units: Callable[[Path], list[Path]]
    """Source -> the files or folders of this format in it."""
    trials: TrialTable | None = None
    images: Path | None = None
    """Folder of the pictures; by default that of the table of trials, else that of the file."""
    is_tolerant: bool = False

    @property
    def name(self) -> str:
        """See `curation.ingest.protocol.Ingester.name`."""
        return self.parser.format

    def with_images(self, folder: Path) -> TrackerIngester:
        """See `curation.ingest.protocol.TakesImages`."""
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder", path=folder, hint="Give the folder of the pictures.")
        return replace(self, images=folder)

    def with_trials(self, path: Path) -> TrackerIngester:
        """See `curation.ingest.protocol.TakesTrials`."""
        return replace(self, trials=TrialTable.read(path))

    def tolerant(self) -> TrackerIngester:
        """See `curation.ingest.protocol.TakesTrials`."""
        return replace(self, is_tolerant=True)

    def find(self, source: Path) -> list[Path]:
        """See `curation.ingest.protocol.Ingester.find`."""
        found = self.units(source) if source.exists() else []
        if not found:
            what = f"holds no recording of format {self.name}" if source.exists() else "does not exist"
            raise UsageError(f"{source} {what}", path=source, code=f"GT-NOT-{self.name.upper()}")
        if self.trials is not None and len(found) > 1 and not self.trials.names_files:
            raise UsageError(
                f"{source} holds {len(found)} recordings, and the table of trials has no column file",
                hint="Name in it the file that each trial was recorded in.",
                path=self.trials.path,
                code="GT-TRIALS",
            )
        return found

    def readings(self, unit: Path, *, key: bytes) -> Iterator[Ingested]:
        """See `curation.ingest.protocol.Ingester.readings`."""
        try:
            recordings, file_id = self._recordings(unit), fingerprint(unit)
            trials = self._trials(unit, recordings)
        except GazeToolError as error:
            yield Ingested(label=unit.name, error=error)
            return
        for place, (label, recording, trial) in enumerate(trials, start=1):
            try:
                if isinstance(trial, GazeToolError):
                    raise trial
                number = trial.recording or (1 if recording is None else recording)
                yield self._reading(unit, file_id, recordings[number - 1], number, place, trial, label, key)
            except GazeToolError as error:
                yield Ingested(label=label, error=error)

    def _recordings(self, unit: Path) -> tuple[TrackerRecording, ...]:
        """Parse the file; gaze in mm needs the screen, which the table's first trial tells."""
        display = None
        if self.trials is not None:
            said = (trial for _, trial in self.trials.of_file(unit.name) if isinstance(trial, Trial))
            display = next((d for trial in said if (d := trial.display(None)) is not None), None)
        return self.parser.read(unit, display=display, tolerant=self.is_tolerant)

    def _trials(
        self, unit: Path, recordings: tuple[TrackerRecording, ...]
    ) -> list[tuple[str, int | None, Trial | GazeToolError]]:
        """Return label, number of the recording where the trial does not say it, and the trial."""
        if self.trials is not None:
            return [
                (label, None, _checked(trial, len(recordings)))
                for label, trial in self.trials.of_file(unit.name)
            ]
        found: list[tuple[str, int | None, Trial | GazeToolError]] = []
        for number, recording in enumerate(recordings, start=1):
            label = unit.name if len(recordings) == 1 else f"{unit.name} recording {number}"
            try:
                told = trials_of_messages(recording)
            except GazeToolError as error:
                found.append((label, number, error))
                continue
            t_ns = recording.t_ns
            whole = Trial(label="whole", t_start_ns=int(t_ns[0]), t_end_ns=int(t_ns[-1]) + 1)
            found += [(f"{label} {trial.label}", number, trial) for trial in told or [whole]]
        return found

    def _reading(
        self,
        unit: Path,
        file_id: str,
        recording: TrackerRecording,
        number: int,
        place: int,
        trial: Trial,
        label: str,
        key: bytes,
    ) -> Ingested:
        pseudonym = KeyedHash(key)
        issues = Counter({issue.code: issue.n for issue in recording.issues})
        times = recording.t_ns
        inside = (times >= trial.t_start_ns) & (times < trial.t_end_ns)
        if not inside.any():
            raise DataError(
                "the tracker recorded nothing during the trial",
                hint="Times of a trial are on the clock of the tracker's file (docs/ingest.md says which that is).",
                path=unit,
                code="GT-TRIALS",
            )
        samples = recording.samples.filter(pa.array(inside)).sort_by("t_ns")
        display = trial.display(recording.frame_size_px if recording.frame == "screen" else None)
        path, picture = self._picture(unit, trial, issues)
        views = [] if picture is None else _views(recording, trial, picture, display, issues)
        shown = display_table(views, trial)
        gaze = gaze_table(recording, samples, trial, shown, display)
        rate = rate_hz(gaze.column("t_ns").to_numpy())
        _note(issues, recording, gaze, trial, display, rate)
        rows = [] if path is None or picture is None else [_image_row(picture, path)]
        sha256 = rows[0]["sha256"] if rows else ""
        source_id = f"{file_id}/{number}/{trial.label}"
        study = sha256 or source_id
        patient = ""
        if picture is not None:
            study, patient = picture.study_uid or study, picture.patient_id
        meta = ReadingMeta(
            reading_id=pseudonym(self.name, source_id),
            source_format=self.name,
            time_origin="recording_start" if trial.label == "whole" and self.trials is None else "image_on",
            reader_code=trial.reader or pseudonym("reader", file_id),
            study_key=pseudonym("study", study),
            patient_key=pseudonym("patient", patient or study),
            session_id=pseudonym("sitting", f"{file_id}/{number}"),
            reading_number=place,
            duration_ns=trial.t_end_ns - trial.t_start_ns,
            tracker=Tracker(
                manufacturer=recording.manufacturer,
                profile=self.name,
                nominal_rate_hz=recording.rate_hz,
                effective_rate_hz=rate,
            ),
            display=display,
            source_licence="own recording",
            access_tier="local-only",
            provenance={"tool_version": __version__, **source_issues_entry(issues)},
        )
        tables = {
            "images": pa.Table.from_pylist(rows, schema=IMAGES),
            "gaze": gaze,
            "display": shown,
            "validations": validation_table(recording, trial),
        }
        images = {} if path is None else {0: path}
        return Ingested(label=label, reading=Reading.build(meta, tables), images=images)

    def _picture(
        self, unit: Path, trial: Trial, issues: Counter[str]
    ) -> tuple[Path | None, Radiograph | None]:
        """Return the picture and its file. Raises ImageError where it cannot be read."""
        if not trial.image:
            issues["GI-NO-IMAGE"] += 1
            return None, None
        folder = self.images or (unit if self.trials is None else self.trials.path).parent
        candidates = (folder / f"{trial.image}{suffix}" for suffix in _SUFFIXES)
        path = next((p for p in candidates if p.is_file()), None)
        if path is None or not path.resolve().is_relative_to(folder.resolve()):
            issues["GI-NO-PICTURE"] += 1
            return None, None
        return path, load_radiograph(path)


def _checked(trial: Trial | GazeToolError, n_recordings: int) -> Trial | GazeToolError:
    """Return the trial with the number of its recording, or what is wrong with that."""
    if isinstance(trial, GazeToolError):
        return trial
    if trial.recording is None and n_recordings == 1:
        return replace(trial, recording=1)
    if trial.recording is None or trial.recording > n_recordings:
        return DataError(
            f"the file holds {n_recordings} recordings, and the trial does not say which of them is meant",
            hint="Give its number, from 1, in column recording of the table of trials.",
            code="GT-TRIALS",
        )
    return trial


def _views(
    recording: TrackerRecording,
    trial: Trial,
    picture: Radiograph,
    display: Display | None,
    issues: Counter[str],
) -> list[View]:
    """Return what was shown where, from the table or else from messages, and note what is odd about it."""
    if trial.rect is not None:
        whole = (0.0, 0.0, float(picture.width_px), float(picture.height_px))
        views = [View(t_ns=trial.t_start_ns, source=whole, dest=trial.rect)]
    else:
        views = views_of_messages(recording, trial, issues)
    if not views:
        issues["GI-NO-RECT"] += 1
    for view in views:
        x0, y0, x1, y1 = view.dest
        if display is not None and (x0 < 0 or y0 < 0 or x1 > display.width_px or y1 > display.height_px):
            issues["GI-RECT-OFF-SCREEN"] += 1
        stretch_x, stretch_y = (
            (view.dest[k + 2] - view.dest[k]) / (view.source[k + 2] - view.source[k]) for k in (0, 1)
        )
        issues["GI-ASPECT"] += abs(stretch_x / stretch_y - 1) > MAX_ASPECT_OFF
    return views


def _note(
    issues: Counter[str],
    recording: TrackerRecording,
    gaze: pa.Table,
    trial: Trial,
    display: Display | None,
    rate: float | None,
) -> None:
    """Note what is odd about the gaze."""
    if recording.frame == "scene":
        issues["GI-SCENE-UNMAPPED"] += 1
    if rate is not None and gaze.num_rows / rate < MIN_COVERED * (trial.t_end_ns - trial.t_start_ns) / 1e9:
        issues["GI-UNCOVERED"] += 1
    x, y = gaze.column("x_screen_px").to_numpy(), gaze.column("y_screen_px").to_numpy()
    seen = np.isfinite(x)
    if display is not None and seen.any():
        on_screen = (x >= 0) & (x < display.width_px) & (y >= 0) & (y < display.height_px)
        issues["GI-GAZE-OFF-SCREEN"] += bool(on_screen[seen].mean() < MIN_ON_SCREEN)


def _image_row(picture: Radiograph, path: Path) -> dict[str, Any]:
    return {
        "image_index": 0,
        "role": "current",
        "width_px": picture.width_px,
        "height_px": picture.height_px,
        **picture_columns(picture, path),
    }


def _files(suffix: str) -> Callable[[Path], list[Path]]:
    """Return the search for files of a suffix; a file that is named itself may have any."""

    def search(source: Path) -> list[Path]:
        return [source] if source.is_file() else sorted(p for p in source.rglob(f"*{suffix}") if p.is_file())

    return search


def _neon_folders(source: Path) -> list[Path]:
    """Return the folders of recordings: ``source`` itself, or such below it, two levels deep."""
    folders = [source, *sorted(p for depth in ("*", "*/*") for p in source.glob(depth) if p.is_dir())]
    return [p for p in folders if neon_cloud.is_export(p) or neon_raw.is_recording(p)]


EYELINK_ASC_INGESTER = TrackerIngester(parser=EYELINK_ASC, units=_files(".asc"))
TOBII_TSV_INGESTER = TrackerIngester(parser=TOBII_TSV, units=_files(".tsv"))
NEON_INGESTER = TrackerIngester(parser=NEON, units=_neon_folders)
