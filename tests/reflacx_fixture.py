"""Writes small trees in the layout of REFLACX 1.0.0, all of it made up: picture, gaze, words, marks, ids."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WIDTH_PX, HEIGHT_PX = 480, 576
PHASE_1_LABELS = (
    "Airway wall thickening", "Atelectasis", "Consolidation", "Emphysema", "Enlarged cardiac silhouette", "Fibrosis",
    "Fracture", "Groundglass opacity", "Mass", "Nodule", "Pleural effusion", "Pleural thickening", "Pneumothorax",
    "Pulmonary edema", "Wide mediastinum",
)  # fmt: skip
LATER_LABELS = (
    "Abnormal mediastinal contour", "Acute fracture", "Atelectasis", "Consolidation", "Enlarged cardiac silhouette",
    "Enlarged hilum", "Groundglass opacity", "Hiatal hernia", "High lung volume / emphysema",
    "Interstitial lung disease", "Lung nodule or mass", "Pleural abnormality", "Pneumothorax", "Pulmonary edema",
)  # fmt: skip
VIEW = (
    "angular_resolution_x_pixels_per_degree", "angular_resolution_y_pixels_per_degree", "window_width",
    "window_level", "xmin_shown_from_image", "ymin_shown_from_image", "xmax_shown_from_image",
    "ymax_shown_from_image", "xmin_in_screen_coordinates", "ymin_in_screen_coordinates",
    "xmax_in_screen_coordinates", "ymax_in_screen_coordinates",
)  # fmt: skip
WHOLE = (17, 17, 1.0, 0.5, 0, 0, 480, 576, 1020, 0, 2820, 2160)
"""The whole image, 3.75 screen px per image px."""
ZOOMED = (9, 9, 0.8, 0.4, 120, 144, 360, 432, 1020, 0, 2820, 2160)
FIXATIONS = (
    (-0.2, 0.3, 240, 300), (0.35, 0.7, 330, 330), (0.75, 1.2, 320, 360), (1.25, 1.7, 90, 130), (1.75, 2.4, 110, 150),
    (2.5, 3.0, 240, 280), (3.05, 3.6, 300, 400), (3.65, 4.2, 150, 200), (4.25, 4.8, 160, 220), (4.85, 5.5, 310, 190),
)  # fmt: skip
"""Start and end in s, x and y in image px. From 3.62 s on the image is shown zoomed."""
ZOOM_S = 3.62
BLINK_S = (2.42, 2.48)
SENTENCES = ((1.0, 2.2, "the heart is enlarged ."), (3.0, 4.6, "no pneumothorax ."))
DICOM_ID = "0a1b2c3d-11111111-22222222-33333333-44444444"


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write a table as REFLACX's are, with CRLF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def gaze_rows(seed: int, shift: tuple[int, int] = (0, 0)) -> list[list[Any]]:
    """Return samples of 1 ms: fixations with some noise, straight saccades, one blink."""
    rng = np.random.default_rng(seed)
    t_ms = np.arange(round(FIXATIONS[0][0] * 1000), round(FIXATIONS[-1][1] * 1000))
    known = [(t, x, y) for start, end, x, y in FIXATIONS for t, x, y in ((start, x, y), (end, x, y))]
    knots = np.array(known)
    x = np.interp(t_ms / 1000, knots[:, 0], knots[:, 1]) + shift[0] + rng.normal(0, 0.4, t_ms.size)
    y = np.interp(t_ms / 1000, knots[:, 0], knots[:, 2]) + shift[1] + rng.normal(0, 0.4, t_ms.size)
    rows: list[list[Any]] = []
    for t, x_px, y_px in zip(
        t_ms.tolist(), np.rint(x).astype(int).tolist(), np.rint(y).astype(int).tolist(), strict=True
    ):
        lost = BLINK_S[0] <= t / 1000 <= BLINK_S[1]
        view = ZOOMED if t / 1000 >= ZOOM_S else WHOLE
        gaze = ("", "", "") if lost else (x_px, y_px, 1.01)
        rows.append([t / 1000, *gaze, *view])
    return rows


def write_reading(
    root: Path, reading_id: str, labels: Sequence[str], *, seed: int = 0, sentences: Sequence[Any] = SENTENCES
) -> Path:
    """Write one reading's files; returns its folder under main_data."""
    folder = root / "main_data" / reading_id
    write_csv(
        root / "gaze_data" / reading_id / "gaze.csv",
        ("timestamp_sample", "x_position", "y_position", "pupil_area_normalized", *VIEW),
        gaze_rows(seed),
    )
    write_csv(
        folder / "fixations.csv",
        (
            "timestamp_start_fixation",
            "timestamp_end_fixation",
            "x_position",
            "y_position",
            "pupil_area_normalized",
            *VIEW,
        ),
        ([s, e, x, y, 1.0, *(ZOOMED if s > ZOOM_S else WHOLE)] for s, e, x, y in FIXATIONS),
    )
    words = []
    for start, end, text in sentences:
        said = text.split()
        edges = np.round(np.linspace(start, end, len(said) + 1), 2).tolist()
        words += [[word, *edges[k : k + 2]] for k, word in enumerate(said)]
    write_csv(
        folder / "timestamps_transcription.csv", ("word", "timestamp_start_word", "timestamp_end_word"), words
    )
    text = " ".join(word for word, *_ in words).replace(" .", ".")
    (folder / "transcription.txt").write_text(text, encoding="utf-8")
    write_csv(folder / "chest_bounding_box.csv", ("xmin", "ymin", "xmax", "ymax"), [(30, 40, 450, 520)])
    marks = [[200, 250, 330, 400, 4, *(label == "Enlarged cardiac silhouette" for label in labels)]]
    write_csv(
        folder / "anomaly_location_ellipses.csv",
        ("xmin", "ymin", "xmax", "ymax", "certainty", *labels),
        marks,
    )
    return folder


def write_tree(root: Path, *, with_pictures: bool = True) -> Path:
    """Write a reading of phase 1, one of phase 3 and a discarded one, all of one image; returns ``root``."""
    image = f"files/p90/p90000001/s95000001/{DICOM_ID}"
    common = [DICOM_ID, "90000001", WIDTH_PX, HEIGHT_PX]
    path = f"physionet.org/files/mimic-cxr/2.0.0/{image}.dcm"
    header = (
        "id",
        "split",
        "eye_tracking_data_discarded",
        "image",
        "dicom_id",
        "subject_id",
        "image_size_x",
        "image_size_y",
    )
    ratings = [4 if label == "Enlarged cardiac silhouette" else 0 for label in PHASE_1_LABELS]
    ratings[1] = 2
    write_csv(
        root / "main_data" / "metadata_phase_1.csv",
        (*header, *PHASE_1_LABELS, "Support devices", "Other", "Quality issue"),
        [
            [
                "P101R900001",
                "train",
                "False",
                path,
                *common,
                *ratings,
                "True",
                "kyphosis|old granuloma",
                "False",
            ]
        ],
    )
    later = [4 if label == "Enlarged cardiac silhouette" else 0 for label in LATER_LABELS]
    write_csv(
        root / "main_data" / "metadata_phase_3.csv",
        (*header, *LATER_LABELS, "Support devices", "Other"),
        [
            ["P300R900002", "test", "False", path, *common, *later, "False", ""],
            ["P300R900003", "train", "True", path, *common, *later, "False", ""],
        ],
    )
    write_reading(root, "P101R900001", PHASE_1_LABELS, seed=1)
    write_reading(root, "P300R900002", LATER_LABELS, seed=2)
    discarded = write_reading(root, "P300R900003", LATER_LABELS, seed=3)
    (discarded / "fixations.csv").unlink()
    (root / "gaze_data" / "P300R900003" / "gaze.csv").unlink()
    if with_pictures:
        write_picture(root / "images" / f"{image}.jpg")
    return root


def write_picture(path: Path, size: tuple[int, int] = (WIDTH_PX, HEIGHT_PX)) -> Path:
    """Write a grey picture with a bright body and two dark lungs."""
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    grey = 60 + 110 * np.exp(-(((x - 0.5) / 0.4) ** 4) - ((y - 0.52) / 0.48) ** 4)
    for middle in (0.31, 0.69):
        grey -= 95 * np.exp(-(((x - middle) / 0.13) ** 4) - ((y - 0.45) / 0.26) ** 4)
    grey += np.random.default_rng(0).normal(0, 2, grey.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(path)
    return path
