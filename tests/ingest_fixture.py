"""One small synthetic source of readings per ingest format, for the contract and the fuzz tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from curation.ingest.into_store import INGESTERS
from curation.ingest.protocol import Ingester, TakesTrials
from tests.bids_fixture import write_bids
from tests.corpora_fixture import write_mimic_cxr, write_ms_cxr, write_vqa
from tests.egd_fixture import write_folder
from tests.mimic_eye_fixture import write_patients
from tests.reflacx_fixture import write_picture
from tests.trackers_fixture import (
    Eyes,
    synthetic_eyes,
    write_eyelink_asc,
    write_neon_cloud,
    write_neon_native,
    write_tobii_tsv,
)

TRIALS = (
    "reading,file,t_start_ns,t_end_ns,image,x0_screen_px,y0_screen_px,x1_screen_px,y1_screen_px,reader,"
    "screen_width_px,screen_height_px,screen_width_mm,screen_height_mm,distance_mm"
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source, its ingester, and a file of it in which damage fails some reading."""

    path: Path
    ingester: Ingester
    n_readings: int
    victim: Path


def trials_csv(path: Path, file: str, t0_ns: int) -> Path:
    """Write a table of two trials of 0.5 s; the second says nothing of an image."""
    rows = [
        f"one,{file},{t0_ns},{t0_ns + 500_000_000},film,200,100,1100,1180,R07,1920,1080,520,290,650",
        f"two,{file},{t0_ns + 600_000_000},{t0_ns + 1_100_000_000},,,,,,R07,1920,1080,520,290,650",
    ]
    path.write_text("\n".join([TRIALS, *rows]) + "\n", encoding="utf-8")
    return path


def _tracker(
    root: Path, name: str, write: Callable[[Path, Eyes], Path], *, from_zero: bool = False
) -> Source:
    """Write a tracker's file with its table of trials. ``from_zero``: the format's clock starts with the recording."""
    eyes = synthetic_eyes()
    recording = write(root, eyes)
    write_picture(root / "film.png")
    table = trials_csv(root / "trials.csv", recording.name, 0 if from_zero else int(eyes.t_ns[0]))
    ingester = INGESTERS[name]
    assert isinstance(ingester, TakesTrials)
    victim = recording if recording.is_file() else next(
        file for file in (recording / "gaze.csv", recording / "gaze ps1.raw") if file.exists()
    )  # fmt: skip
    return Source(path=recording, ingester=ingester.with_trials(table), n_readings=2, victim=victim)


def _egd(root: Path) -> Source:
    folder = write_folder(root / "egd")
    return Source(path=folder, ingester=INGESTERS["egd"], n_readings=2, victim=folder / "eye_gaze.csv")


def _mimic_eye(root: Path) -> Source:
    patients = write_patients(root / "mimic-eye")
    victim = patients / "patient_90000011" / "EyeGaze" / "eye_gaze.csv"
    return Source(path=patients, ingester=INGESTERS["mimic-eye"], n_readings=5, victim=victim)


def _bids(root: Path) -> Source:
    folder = write_bids(root / "bids")
    victim = next(folder.rglob("*_recording-eye1_physio.tsv.gz"))
    return Source(path=folder, ingester=INGESTERS["bids"], n_readings=2, victim=victim)


def _mimic_cxr(root: Path) -> Source:
    folder = write_mimic_cxr(root / "mimic-cxr")
    victim = folder / "mimic-cxr-2.0.0-metadata.csv.gz"
    return Source(path=folder, ingester=INGESTERS["mimic-cxr"], n_readings=3, victim=victim)


def _ms_cxr(root: Path, *, coco: bool = False) -> Source:
    folder = write_ms_cxr(root / "ms-cxr", coco=coco)
    return Source(
        path=folder, ingester=INGESTERS["ms-cxr"], n_readings=2, victim=next(folder.glob("MS_CXR*"))
    )


def _vqa(root: Path) -> Source:
    folder = write_vqa(root / "vqa")
    victim = folder / "dataset" / "train.json"
    return Source(path=folder, ingester=INGESTERS["mimic-cxr-vqa"], n_readings=3, victim=victim)


TRACKERS: dict[str, Callable[[Path], Source]] = {
    "eyelink-asc": lambda root: _tracker(root, "eyelink-asc", lambda r, e: write_eyelink_asc(r / "a.asc", e)),
    "tobii-tsv": lambda root: _tracker(
        root, "tobii-tsv", lambda r, e: write_tobii_tsv(r / "a.tsv", e), from_zero=True
    ),
    "neon": lambda root: _tracker(root, "neon", lambda r, e: write_neon_native(r / "native", e)),
    "neon cloud": lambda root: _tracker(root, "neon", lambda r, e: write_neon_cloud(r / "cloud", e)),
}
"""Trackers' own files."""
WRITERS: dict[str, Callable[[Path], Source]] = {
    **TRACKERS,
    "egd": _egd,
    "mimic-eye": _mimic_eye,
    "bids": _bids,
    "mimic-cxr": _mimic_cxr,
    "ms-cxr": _ms_cxr,
    "ms-cxr coco": lambda root: _ms_cxr(root, coco=True),
    "mimic-cxr-vqa": _vqa,
}
"""The contract test adds the formats that have fuzz tests of their own."""
