"""Writes small corpora in the layouts of MIMIC-CXR, MS-CXR and MIMIC-CXR-VQA; ids, pictures and words are made up."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.reflacx_fixture import write_csv, write_picture
from tests.trackers_fixture import PLANTED

SIZE = (120, 144)
SUBJECT, OTHER_SUBJECT = "90000021", "90000022"
STUDIES = {"95000021": SUBJECT, "95000022": SUBJECT, "95000023": OTHER_SUBJECT}
FRONTAL, LATERAL, SECOND, THIRD = (f"{n:08x}-11111111-22222222-33333333-44444444" for n in range(1, 5))
PICTURES = {FRONTAL: ("95000021", "PA"), LATERAL: ("95000021", "LATERAL"), SECOND: ("95000022", "AP"),
            THIRD: ("95000023", "AP")}  # fmt: skip
REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___ year old with shortness of breath.  // pneumonia?

 COMPARISON:  None.

 FINDINGS:

 The heart is enlarged. There is a small left
 pleural effusion.
 LUNGS: clear.

 IMPRESSION:

 Small left pleural effusion.
"""
WITHOUT_HEADINGS = (
    "                                 FINAL REPORT\n AP chest compared to prior:\n\n The lungs are clear.\n"
)
LABELS = ("Atelectasis", "Cardiomegaly", "Pleural Effusion", "Pneumonia")


def path_of(dicom_id: str, suffix: str = "") -> str:
    study, _ = PICTURES[dicom_id]
    subject = STUDIES[study]
    return f"files/p{subject[:2]}/p{subject}/s{study}/{dicom_id}{suffix}"


def write_packed(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write a table as MIMIC-CXR-JPG's are."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    return path


def write_mimic_cxr(root: Path, *, without_pictures: Sequence[str] = (THIRD,)) -> Path:
    """Write three studies of two patients: one of two views, one without labels, one without report and picture."""
    root.mkdir(parents=True, exist_ok=True)
    ids = {dicom_id: (dicom_id, STUDIES[study], study) for dicom_id, (study, _) in PICTURES.items()}
    write_packed(
        root / "mimic-cxr-2.0.0-metadata.csv.gz",
        ("dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition", "Rows", "Columns",
         "StudyDate", "StudyTime"),
        [(*ids[d], PLANTED, PICTURES[d][1], SIZE[1], SIZE[0], "21800101", "120000.0")
         for d in (LATERAL, THIRD, FRONTAL, SECOND)],
    )  # fmt: skip
    splits = {"95000021": "train", "95000022": "train", "95000023": "test"}
    write_packed(
        root / "mimic-cxr-2.0.0-split.csv.gz",
        ("dicom_id", "study_id", "subject_id", "split"),
        [(d, study, STUDIES[study], splits[study]) for d, (study, _) in PICTURES.items()],
    )
    write_packed(
        root / "mimic-cxr-2.0.0-chexpert.csv.gz",
        ("subject_id", "study_id", *LABELS),
        [(SUBJECT, "95000021", "", "1.0", "1.0", "-1.0"), (OTHER_SUBJECT, "95000023", "0.0", "", "", "")],
    )
    for study, text in (("95000021", REPORT), ("95000022", WITHOUT_HEADINGS)):
        path = root / "files" / f"p{SUBJECT[:2]}" / f"p{SUBJECT}" / f"s{study}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for dicom_id in PICTURES:
        if dicom_id not in without_pictures:
            write_picture(root / path_of(dicom_id, ".jpg"), SIZE)
    return root


BOXES = (
    ("Pleural Effusion", "small left pleural effusion", FRONTAL, (70.0, 90.0, 30.0, 30.5), "test"),
    ("Cardiomegaly", "The heart is enlarged. Unchanged.", FRONTAL, (40, 60, 50, 40), "test"),
    ("Pleural Effusion", "small left pleural effusion", FRONTAL, (100, 120, 40, 10), "test"),
    ("Pneumonia", "opacity at the base", SECOND, (10, 10, 20, 20), "train"),
    ("Pneumonia", "opacity at the base", SECOND, (300, 10, 20, 20), "train"),
)
"""The third reaches beyond the picture; the last one is off it."""


def write_ms_cxr(root: Path, *, coco: bool = False) -> Path:
    """Write the boxes of two pictures, as the table or as COCO, and one of the pictures."""
    root.mkdir(parents=True, exist_ok=True)
    stem = root / "MS_CXR_Local_Alignment_v1.1.0"
    if coco:
        content = {
            "info": {"version": "1.1.0", "contributor": PLANTED},
            "categories": [{"id": n, "name": label} for n, label in enumerate(LABELS)],
            "images": [
                {"id": n, "file_name": f"{d}.jpg", "path": path_of(d, ".jpg"), "width": SIZE[0], "height": SIZE[1]}
                for n, d in enumerate(PICTURES)
            ],
            "annotations": [
                {"id": n, "image_id": list(PICTURES).index(d), "category_id": LABELS.index(label), "label_text": text,
                 "bbox": box, "split": split}
                for n, (label, text, d, box, split) in enumerate(BOXES)
            ],
        }  # fmt: skip
        stem.with_name(f"{stem.name}.json").write_text(json.dumps(content))
    else:
        write_csv(
            stem.with_name(f"{stem.name}.csv"),
            ("category_name", "label_text", "path", "image_width", "image_height", "x", "y", "w", "h", "dicom_id",
             "split"),
            [(label, text, path_of(d, ".jpg"), *SIZE, *box, d, split) for label, text, d, box, split in BOXES],
        )  # fmt: skip
    write_picture(root / path_of(FRONTAL, ".jpg"), SIZE)
    return root


def write_vqa(root: Path) -> Path:
    """Write questions about three pictures in two splits, and two of the pictures."""
    asked = [
        ("train", FRONTAL, "Is there a pleural effusion?", "verify", "presence", ["yes"]),
        ("train", SECOND, "What abnormalities are there?", "query", "abnormality", []),
        ("test", THIRD, "Is the heart enlarged?", "verify", "presence", ["no"]),
        (
            "train",
            FRONTAL,
            "Where is the effusion?",
            "query",
            "anatomy",
            ["left lung", "left costophrenic angle"],
        ),
    ]
    (root / "dataset").mkdir(parents=True)
    for split in ("train", "valid", "test"):
        entries = [
            {
                "split": split, "idx": n, "subject_id": STUDIES[PICTURES[d][0]], "study_id": PICTURES[d][0],
                "image_id": d, "image_path": path_of(d, ".jpg").removeprefix("files/"), "question": question,
                "semantic_type": kind, "content_type": about, "template": "Is there ${attribute}?",
                "template_program": "program_1", "template_arguments": {"note": PLANTED}, "answer": answer,
            }
            for n, (where, d, question, kind, about, answer) in enumerate(asked)
            if where == split
        ]  # fmt: skip
        (root / "dataset" / f"{split}.json").write_text(json.dumps(entries))
    for dicom_id in (FRONTAL, SECOND):
        write_picture(root / "dataset" / path_of(dicom_id, ".jpg"), SIZE)
    return root
