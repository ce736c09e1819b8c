"""Writes small folders in the layout of EGD-CXR 1.0.0, all of it made up: pictures, gaze, phrases, boxes, ids."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.reflacx_fixture import write_csv, write_picture

GAZE_COLUMNS = (
    "SESSION_ID", "MEDIA_ID", "DICOM_ID", "CNT", "Time (in secs)", "TIMETICK(f=10000000)", "FPOGX", "FPOGY", "FPOGS",
    "FPOGD", "FPOGID", "FPOGV", "BPOGX", "BPOGY", "BPOGV", "LPCX", "LPCY", "LPD", "LPS", "LPV", "RPCX", "RPCY", "RPD",
    "RPS", "RPV", "BKID", "BKDUR", "BKPMIN", "LPMM", "LPMMV", "RPMM", "RPMMV", "SACCADE_MAG", "SACCADE_DIR",
    "VID_FRAME", "X_ORIGINAL", "Y_ORIGINAL",
)  # fmt: skip
CHEXPERT = ("atelectasis__chx", "cardiomegaly__chx", "pleural_effusion__chx")
MASTER_COLUMNS = (
    "dicom_id", "path", "study_id", "patient_id", "stay_id", "gender", "anchor_age", "image_top_pad",
    "image_bottom_pad", "image_left_pad", "image_right_pad", "normal_reports", "Normal", "CHF", "pneumonia", *CHEXPERT,
    "cxr_exam_indication",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Film:
    """One image; an odd side is padded by a pixel before it is fitted to the screen."""

    dicom_id: str
    subject_id: str
    study_id: str
    width_px: int
    height_px: int
    labels: tuple[Any, ...] = (0, 1, 0, "", 1.0, -1.0)
    """Normal, CHF, pneumonia, then `CHEXPERT`."""

    @property
    def padded(self) -> tuple[int, int]:
        return self.width_px + self.width_px % 2, self.height_px + self.height_px % 2

    @property
    def pads(self) -> tuple[int, int, int, int]:
        """Top, bottom, left, right, on a screen of 1920 x 1080."""
        width, height = self.padded
        scale = min(1920 / width, 1080 / height)
        across, down = 1920 - round(width * scale), 1080 - round(height * scale)
        return down // 2, down - down // 2, across // 2, across - across // 2

    @property
    def file(self) -> str:
        subject = f"p{self.subject_id}"
        return f"files/{subject[:3]}/{subject}/s{self.study_id}/{self.dicom_id}"


FILMS = (
    Film(
        dicom_id="1a2b3c4d-11111111-22222222-33333333-aaaa172c", subject_id="90000011", study_id="95000011",
        width_px=480, height_px=576,
    ),
    Film(
        dicom_id="2a2b3c4d-11111111-22222222-33333333-bbbb1720", subject_id="90000012", study_id="95000012",
        width_px=601, height_px=500, labels=(1, 0, 0, 0.0, 0.0, ""),
    ),
)  # fmt: skip
N_SAMPLES = 240
PHRASES = ((0.5, 1.5, "the heart is enlarged."), (2.0, 2.8, "no effusion."))


def gaze_rows(film: Film, seed: int) -> list[list[Any]]:
    """Return 4 s at 60 Hz: eight fixations, every eighth sample between two; the last fixation is off the image."""
    rng = np.random.default_rng(seed)
    top, bottom, left, right = film.pads
    shown = (1920 - left - right, 1080 - top - bottom)
    rows = []
    for n in range(N_SAMPLES):
        number = n // 30
        spot = np.random.default_rng(100 * seed + number).uniform(0.1, 0.9, 2) * shown + (left, top)
        if number == 7:
            spot = np.array([40.0, 500.0]) if left > 60 else np.array([900.0, 8.0])
        in_fixation = n % 30 >= 4
        blink = 150 <= n < 155
        x, y = (round(float(v), 5) for v in (spot[0] / 1920, spot[1] / 1080))
        raw = [round(float(v), 5) for v in (np.array([x, y]) + rng.normal(0, 0.002, 2))]
        scale = [film.padded[k] / shown[k] for k in (0, 1)]
        original = [scale[0] * (1920 * x - left), scale[1] * (1080 * y - top)]
        outside = [not 0 <= original[k] < film.padded[k] for k in (0, 1)]
        original = [-scale[k] if any(outside) else int(original[k]) for k in (0, 1)]
        seen = int(not blink)
        rows.append(
            [7, seed, film.dicom_id, 1000 + n, round(n / 60, 5), 10_000_000 + round(n * 1e7 / 60), x, y,
             round(number / 2, 4), 0.4, number + 1, int(in_fixation and not blink), *raw, seen, 0.4, 0.5, 12.0, 1, 1,
             0.6, 0.5, 12.0, 1, 1, 0, 0, 10, 3.5, seen, 3.7, seen, 0, 0, 0, *original]
        )  # fmt: skip
    return rows


def write_folder(
    root: Path, films: Sequence[Film] = FILMS, *, with_pictures: bool = True, shorten: int = 1
) -> Path:
    """Write the folder. ``shorten``: how many films have ids without their last three letters in fixations.csv."""
    gaze, fixations, boxes, master = [], [], [], []
    for seed, film in enumerate(films, start=1):
        rows = gaze_rows(film, seed)
        gaze += rows
        ends = {row[10]: row for row in rows if row[11] == 1}
        cut = film.dicom_id[:-3] if seed <= shorten else film.dicom_id
        fixations += [[*row[:2], cut, *row[3:]] for row in ends.values()]
        width, height = film.width_px, film.height_px
        boxes += [
            [film.dicom_id, "cardiac silhouette", 0.3 * width, 0.7 * width, 0.5 * height, 0.8 * height],
            [film.dicom_id, "trachea", 0.45 * width, 0.55 * width, 0.05 * height, 0.3 * height],
        ]
        master.append(
            [film.dicom_id, f"{film.file}.dcm", film.study_id, film.subject_id, 1, "F", 72, *film.pads, "",
             *film.labels, "Shortness of breath (synthetic)."]
        )  # fmt: skip
        transcript = {
            "full_text": " ".join(text for *_, text in PHRASES),
            "time_stamped_text": [{"phrase": p, "begin_time": a, "end_time": b} for a, b, p in PHRASES],
        }
        folder = root / "audio_segmentation_transcripts" / film.dicom_id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "transcript.json").write_text(json.dumps(transcript), encoding="utf-8")
        if with_pictures:
            write_picture(root / "images" / f"{film.file}.jpg", (width, height))
    write_csv(root / "eye_gaze.csv", GAZE_COLUMNS, gaze)
    write_csv(root / "fixations.csv", GAZE_COLUMNS, fixations)
    write_csv(root / "bounding_boxes.csv", ("dicom_id", "bbox_name", "x1", "x2", "y1", "y2"), boxes)
    write_csv(root / "master_sheet.csv", MASTER_COLUMNS, master)
    return root
