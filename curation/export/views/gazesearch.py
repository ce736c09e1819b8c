"""View ``gazesearch``: scanpaths as COCO-Search18 and GazeSearch have them, one JSON list.

A record is one target on one picture of a reading: the reference lesions where there are some, else the reader's
findings, else the whole picture (task ``report``, condition ``absent``, box of zeros). Positions lie in the frame that
`GazesearchOptions.frame` names, T is in seconds, bbox is ``[x, y, width, height]``.

Source: github.com/UARK-AICV/GazeSearch, layout of its ``finding_visual_search_coco`` JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from curation.export.read import ShardReader
from curation.export.views.protocol import ViewResult
from curation.view_settings import GazesearchOptions
from gazecapture.files import (
    as_tool_error,
    make_private_folder,
    write_bytes_atomically,
    write_json_atomically,
)

__all__ = ["GazesearchView"]

_COLUMNS: Final = (
    "reading_id", "reader_code", "study_key", "split", "images", "image_info[].image_index",
    "image_info[].matrix_width_px", "image_info[].matrix_height_px", "fixations", "findings", "truth",
    "lesion_gaze",
)  # fmt: skip
_GRID_PX: Final[Mapping[str, int | None]] = {"grid224": 224, "matrix": None}
_SPLITS: Final = {"train": "train", "validate": "valid", "test": "test"}
"""As both data sets call them."""


class GazesearchView:
    """See the module."""

    name = "gazesearch"
    version = "1"

    def write(self, reader: ShardReader, folder: Path, options: GazesearchOptions) -> ViewResult:
        """See `View.write`."""
        codes = sorted({row["reader_code"] for row in reader.rows(["reader_code"])})
        subjects = {code: number for number, code in enumerate(codes, start=1)}
        left_out: Counter[str] = Counter()
        n_readings = n_records = 0
        path = folder / "scanpaths.json"
        try:
            with path.open("w", encoding="utf-8") as handle:
                handle.write("[")
                for row in reader.rows(_COLUMNS):
                    records = list(_records(row, subjects[row["reader_code"]], _GRID_PX[options.frame]))
                    for record in records:
                        handle.write(f"{',' if n_records else ''}\n{json.dumps(record)}")
                        n_records += 1
                    if records:
                        n_readings += 1
                        _write_pictures(folder, row, {record["name"] for record in records})
                    else:
                        left_out["no fixation on a picture"] += 1
                handle.write("\n]\n")
        except OSError as error:
            raise as_tool_error(error, path, "writing scanpaths") from error
        write_json_atomically(folder / "subjects.json", {str(n): code for code, n in subjects.items()})
        write_bytes_atomically(folder / "README.md", _readme(_GRID_PX[options.frame]).encode())
        return ViewResult(n_readings=n_readings, n_records=n_records, left_out=dict(left_out))


def _records(row: Mapping[str, Any], subject: int, grid_px: int | None) -> Iterator[dict[str, Any]]:
    reported = {lesion["finding_id"]: bool(lesion["reported"]) for lesion in row["lesion_gaze"]}
    for image in row["image_info"]:
        index, size = image["image_index"], (image["matrix_width_px"], image["matrix_height_px"])
        fixations = [f for f in row["fixations"] if f["image_index"] == index and _is_on(f, size)]
        if not fixations:
            continue
        scale = tuple(1.0 if grid_px is None else grid_px / side for side in size)
        path = {
            "name": _picture_name(row, index),
            "subject": subject,
            "X": [round(f["x_image_px"] * scale[0], 3) for f in fixations],
            "Y": [round(f["y_image_px"] * scale[1], 3) for f in fixations],
            "T": [round(f["duration_s"], 6) for f in fixations],
            "length": len(fixations),
            "split": _SPLITS.get(row["split"], row["split"]),
            "reading_id": row["reading_id"],
        }
        targets = [
            finding
            for finding in row["truth"] or row["findings"]
            if finding["box"] and finding["image_index"] == index and finding["present"]
        ]
        for target in targets:
            x0, y0, x1, y1 = target["box"]
            yield {
                **path,
                "task": target["label"],
                "condition": "present",
                "bbox": [
                    round(x0 * scale[0], 3), round(y0 * scale[1], 3),
                    round((x1 - x0) * scale[0], 3), round((y1 - y0) * scale[1], 3),
                ],
                "fixOnTarget": any(x0 <= f["x_image_px"] < x1 and y0 <= f["y_image_px"] < y1 for f in fixations),
                "correct": int(reported.get(target["finding_id"], True)),
            }  # fmt: skip
        if not targets:
            yield {
                **path, "task": "report", "condition": "absent", "bbox": [0, 0, 0, 0], "fixOnTarget": False,
                "correct": 1,
            }  # fmt: skip


def _is_on(fixation: Mapping[str, Any], size: tuple[int, int]) -> bool:
    return bool(0 <= fixation["x_image_px"] < size[0] and 0 <= fixation["y_image_px"] < size[1])


def _picture_name(row: Mapping[str, Any], index: int) -> str:
    return f"{row['study_key']}_{index}.png"


def _write_pictures(folder: Path, row: Mapping[str, Any], wanted: set[str]) -> None:
    """Write each picture of a study once, whoever read it."""
    for image, picture in zip(row["image_info"], row["images"], strict=False):
        name = _picture_name(row, image["image_index"])
        place = make_private_folder(folder / "images") / name
        if name in wanted and not place.exists():
            place.write_bytes(picture["bytes"])


def _readme(grid_px: int | None) -> str:
    frame = (
        "px of the stored picture (its matrix)"
        if grid_px is None
        else f"a grid of {grid_px} x {grid_px} laid over the picture, its sides scaled apart"
    )
    return f"""# Scanpaths

Research use only, not for diagnosis. Gaze identifies people: treat every scanpath as personal data of its reader.

`scanpaths.json` is a list in the layout of COCO-Search18 and GazeSearch. X, Y and bbox (x, y, width, height) lie in
{frame}; T is in seconds. `subject` is a reader (`subjects.json` has the codes), `split` is by patient. `condition` is
`present` for a lesion or finding with a box; a picture without any has the task `report` and is `absent`. `correct` is
1 where the reader reported the target.
"""
