"""The files of a BIDS dataset with eye tracking: which belong together, their sidecars, their tables.

Source: BIDS 1.11.1, physiological recordings, eye tracking; inheritance principle.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curation.ingest.csv_files import MAX_GAZE_BYTES, malformed, read_bytes
from curation.ingest.json_stream import read_json

__all__ = [
    "CODE", "RECORDING", "Described", "Description", "Physio", "Presentation", "TrialSidecar", "read_model",
    "read_physio_columns", "read_trials", "seconds", "sidecar_of",
]  # fmt: skip

CODE: Final = "GT-BIDS"
RECORDING: Final = re.compile(
    r"(?P<stem>sub-[A-Za-z0-9]+_.+?)(?:_recording-(?P<eye>[A-Za-z0-9]+))?_physio\.tsv(?:\.gz)?"
)
_MISSING: Final = ["n/a", "N/A", "nan", "NaN", ""]
MAX_COLUMNS: Final = 200
MAX_TRIAL_ROWS: Final = 100_000


class _Untrusted(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Described(_Untrusted):
    """One column of a sidecar."""

    Units: str = ""
    Description: str = ""


class Physio(_Untrusted):
    """Sidecar of one eye."""

    PhysioType: str
    SamplingFrequency: float = Field(gt=0, le=1e5)
    StartTime: float = Field(default=0.0, ge=-1e9, le=1e9)
    Columns: tuple[str, ...] = Field(min_length=3, max_length=MAX_COLUMNS)
    RecordedEye: str
    SampleCoordinateSystem: str = "gaze-on-screen"
    Manufacturer: str = Field(default="", max_length=200)
    ManufacturersModelName: str = Field(default="", max_length=200)
    AverageCalibrationError: float | None = Field(default=None, ge=0, le=90)
    MaximalCalibrationError: float | None = Field(default=None, ge=0, le=90)
    timestamp: Described = Described()
    x_coordinate: Described = Described()
    y_coordinate: Described = Described()
    pupil_size: Described = Described()


class Presentation(_Untrusted):
    """Screen and distance; m and px."""

    ScreenDistance: float | None = Field(default=None, gt=0, le=100)
    ScreenOrigin: tuple[str, str] = ("top", "left")
    ScreenResolution: tuple[int, int] | None = None
    ScreenSize: tuple[float, float] | None = None


class TrialSidecar(_Untrusted):
    """``*_events.json``; ``Reading`` and ``Images`` are what view bids adds."""

    StimulusPresentation: Presentation = Presentation()
    Reading: dict[str, Any] = {}
    Images: tuple[dict[str, Any], ...] = ()


class Description(_Untrusted):
    """``dataset_description.json``."""

    BIDSVersion: str
    License: str = Field(default="", max_length=2000)


def read_model(model: type[_Untrusted], content: Any, path: Path) -> Any:
    """Return checked content. Raises SchemaError naming the field that is off, never its value."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(
            str(part) for part in first["loc"][:2] if isinstance(part, str) and part.isidentifier()
        )
        malformed(f"field {field or 'at its top'} is off", path, code=CODE)


def sidecar_of(root: Path, name: str, folder: Path, suffix: str) -> dict[str, Any]:
    """Return the sidecar's fields of file ``name`` in ``folder``: those of every JSON file that applies, nearest last.

    suffix : ``physio`` or ``events``. A JSON file applies where it lies at or above the file and has no entity that the
    file has not.
    """
    wanted = set(name.split(".")[0].split("_")[:-1])
    fields: dict[str, Any] = {}
    inside = folder.relative_to(root).parts
    for depth in range(len(inside) + 1):
        place = root.joinpath(*inside[:depth])
        found = [
            (set(path.stem.split("_")[:-1]), path)
            for path in (*place.glob(f"*_{suffix}.json"), place / f"{suffix}.json")
            if path.is_file()
        ]
        for _, path in sorted((pair for pair in found if pair[0] <= wanted), key=lambda pair: len(pair[0])):
            content = read_json(path, code=CODE)
            if not isinstance(content, dict):
                malformed("a sidecar is no object", path, code=CODE)
            fields |= content
    return fields


def read_physio_columns(path: Path, columns: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Return the numeric columns of a table without header, each (n,), n/a as NaN; others are left out.

    Raises SchemaError where the table has another number of columns, or time and position are no numbers.
    """
    if len(set(columns)) < len(columns):
        malformed("Columns names a column twice", path, code=CODE)
    content = read_bytes(path, limit=MAX_GAZE_BYTES, code=CODE)
    if not content.strip():
        malformed("it holds no sample", path, code=CODE)
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(content),
            read_options=pyarrow.csv.ReadOptions(column_names=list(columns)),
            parse_options=pyarrow.csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=pyarrow.csv.ConvertOptions(
                null_values=_MISSING,
                column_types=dict.fromkeys(columns[:3], pa.float64()),
                strings_can_be_null=True,
            ),
        )
    except (pa.ArrowException, ValueError):  # Arrow's own text quotes the line
        malformed(f"it is no table of {len(columns)} columns with time and position first", path, code=CODE)
    found = {}
    for name in table.column_names:
        kind = table.schema.field(name).type
        if pa.types.is_null(kind):
            found[name] = np.full(table.num_rows, np.nan)
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
            values = table.column(name).cast(pa.float64(), safe=False).to_numpy()
            found[name] = np.where(np.isfinite(values), values, np.nan)
    return found


def read_trials(path: Path) -> Iterator[Mapping[str, str]]:
    """Yield the rows of ``*_events.tsv``. Raises SchemaError where it is no table."""
    try:
        text = read_bytes(path, limit=1 << 24, code=CODE).decode("utf-8-sig")
    except UnicodeDecodeError:
        malformed("it is no UTF-8 text", path, code=CODE)
    header, *lines = text.splitlines() or [""]
    names = header.split("\t")
    if "onset" not in names or len(lines) > MAX_TRIAL_ROWS:
        malformed("it has no column onset, or too many rows", path, code=CODE)
    for number, line in enumerate(lines, start=2):
        cells = line.split("\t")
        if len(cells) != len(names):
            malformed("a row has another number of cells than the header", path, record=number, code=CODE)
        yield dict(zip(names, cells, strict=True))


def seconds(text: str) -> float:
    """Return a time in s, NaN where there is none."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if abs(value) <= 1e9 else math.nan
