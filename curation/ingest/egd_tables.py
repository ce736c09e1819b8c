"""The tables of an EGD-CXR folder, each read once and kept by image.

Some ids in ``fixations.csv`` are cut short; an id that is the beginning of exactly one image's is taken for that.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from curation.ingest.csv_files import malformed, read_rows
from gazecapture.files import as_tool_error

__all__ = ["CODE", "GAZE_COLUMNS", "EgdTables", "match_ids"]

CODE = "GT-EGD"
MASTER_COLUMNS = (
    "dicom_id", "path", "study_id", "patient_id", "image_top_pad", "image_bottom_pad", "image_left_pad",
    "image_right_pad",
)  # fmt: skip
BOX_COLUMNS = ("dicom_id", "bbox_name", "x1", "x2", "y1", "y2")
"""Mind their order: both x first."""
GAZE_COLUMNS = (
    "Time (in secs)", "CNT", "FPOGX", "FPOGY", "FPOGID", "FPOGV", "BPOGX", "BPOGY", "BPOGV", "LPMM", "LPMMV", "RPMM",
    "RPMMV", "X_ORIGINAL", "Y_ORIGINAL",
)  # fmt: skip
_ID, _SESSION = "DICOM_ID", "SESSION_ID"
MAX_GAZE_BYTES = 1 << 31
"""The published file has 406 MB."""
MIN_ID_LETTERS = 8
"""A shorter beginning says nothing; ids have 44 letters."""
_BLOCK_BYTES = 8 << 20

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class EgdTables:
    """What the folder holds; ids are those of its master sheet."""

    master: Sequence[Mapping[str, str]]
    gaze: Mapping[str, FloatArray]
    """By `GAZE_COLUMNS`, each (n,) of all images; an empty cell is NaN."""
    gaze_rows: Mapping[str, NDArray[np.intp]]
    """Image -> its rows of the gaze, in the order of the file."""
    sessions: Mapping[str, str]
    fixations: Mapping[str, Sequence[int]] | None
    """Image -> the device's numbers of its fixations, by row; None where there is no ``fixations.csv``."""
    shortened: frozenset[str]
    """Images some of whose fixations came under a shortened id."""
    boxes: Mapping[str, Sequence[Mapping[str, str]]]

    @classmethod
    def read(cls, folder: Path) -> EgdTables:
        """Read the folder. Raises SchemaError (GT-EGD) where a file or column is absent or not what it must be."""
        master = list(read_rows(folder / "master_sheet.csv", MASTER_COLUMNS, code=CODE))
        known = [row["dicom_id"] for row in master]
        table = _numbers(folder / "eye_gaze.csv", GAZE_COLUMNS, (_ID, _SESSION))
        names, rows = _by_id(table.column(_ID))
        of_image = {known_id: rows[name] for name, known_id in match_ids(names, known).items()}
        sessions = table.column(_SESSION)
        path = folder / "fixations.csv"
        fixations: dict[str, list[int]] | None = None
        shortened: set[str] = set()
        if path.is_file():
            fixations = defaultdict(list)
            cut = _numbers(path, ("FPOGID",), (_ID,))
            numbers = np.nan_to_num(cut.column("FPOGID").to_numpy(), nan=-1.0, posinf=-1.0, neginf=-1.0)
            own_names, own_rows = _by_id(cut.column(_ID))
            for name, known_id in match_ids(own_names, known).items():
                fixations[known_id] += [int(v) for v in np.clip(numbers[own_rows[name]], -1, 2**31)]
                if name != known_id:
                    shortened.add(known_id)
        boxes: defaultdict[str, list[Mapping[str, str]]] = defaultdict(list)
        if (folder / "bounding_boxes.csv").is_file():
            for row in read_rows(folder / "bounding_boxes.csv", BOX_COLUMNS, code=CODE):
                boxes[row["dicom_id"]].append(row)
        return cls(
            master=master,
            gaze={name: table.column(name).to_numpy() for name in GAZE_COLUMNS},
            gaze_rows=of_image,
            sessions={known_id: str(sessions[int(own[0])].as_py()) for known_id, own in of_image.items()},
            fixations=fixations,
            shortened=frozenset(shortened),
            boxes=boxes,
        )


def match_ids(names: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Return, for each name, the known id that it is, or that alone begins with it; others are left out."""
    ordered = sorted(set(known))
    found = {}
    for name in names:
        at = bisect.bisect_left(ordered, name)
        here = ordered[at : at + 2]
        if here and here[0] == name:
            found[name] = name
        elif len(name) >= MIN_ID_LETTERS and [c.startswith(name) for c in here] in ([True], [True, False]):
            found[name] = here[0]
    return found


def _by_id(column: pa.ChunkedArray) -> tuple[list[str], dict[str, NDArray[np.intp]]]:
    """Return the ids and the rows of each, in the order of the file."""
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    names: list[str] = encoded.dictionary.to_pylist()
    codes = encoded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(names) + 1))
    return names, {name: order[edges[k] : edges[k + 1]] for k, name in enumerate(names)}


def _numbers(path: Path, columns: Sequence[str], texts: Sequence[str]) -> pa.Table:
    """Read columns of numbers, an empty cell NaN, and of text, of a file that may be large."""
    try:
        if path.stat().st_size > MAX_GAZE_BYTES:
            malformed(
                f"it holds more than {MAX_GAZE_BYTES} bytes", path, hint="Is it the right file?", code=CODE
            )
        table = pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={**dict.fromkeys(columns, pa.float64()), **dict.fromkeys(texts, pa.string())},
                include_columns=[*columns, *texts],
                null_values=["", "nan", "NaN"],
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowException, KeyError, ValueError):
        # Arrow's own text quotes the line.
        wanted = ", ".join((*texts, *columns))
        malformed(f"a column is absent or holds what is no number (expected {wanted})", path, code=CODE)
    except OSError as error:
        raise as_tool_error(error, path, "reading it") from error
    filled = []
    for name in table.column_names:
        column = table.column(name)
        if name in columns:
            column = pa.chunked_array([column.combine_chunks().fill_null(np.nan)])
        filled.append(column)
    return pa.table(filled, names=table.column_names)
