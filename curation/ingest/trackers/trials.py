"""The table of trials: which image was shown when and where while a tracker recorded, as a CSV file with a header.

======================================  ============================================================================
column                                  holds
======================================  ============================================================================
reading                                 a label, once in the table; not exported
t_start_*, t_end_*                      image on and off on the clock of the tracker's file; * is ns, us, ms or s
file                                    name of the tracker's file or folder; needed where SOURCE holds several
recording                               number of the recording in that file, from 1; needed where it holds several
image                                   picture file, below --images or beside the table
x0_, y0_, x1_, y1_screen_px             where the whole image was shown, screen px, half-open
reader                                  reader code, as in the store's consent records
screen_width_px, screen_height_px       size of the screen
screen_width_mm, screen_height_mm,      for degrees
distance_mm
======================================  ============================================================================

Only the first two are needed. An empty cell says nothing.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path, PurePosixPath

from curation.ingest.csv_files import read_text
from keyframes.errors import DataError, GazeToolError, UsageError
from keyframes.geometry import Display

__all__ = ["RECT_COLUMNS", "Rect", "Trial", "TrialTable", "safe_name"]

Rect = tuple[float, float, float, float]

CODE = "GT-TRIALS"
RECT_COLUMNS = ("x0_screen_px", "y0_screen_px", "x1_screen_px", "y1_screen_px")
_SCREEN = ("screen_width_px", "screen_height_px", "screen_width_mm", "screen_height_mm", "distance_mm")
_NS_PER = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
MAX_TRIALS = 100_000
MAX_LABEL_LETTERS = 200
MAX_DIGITS = 40
"""Of a time or length; ns since 1970 have 19."""
MAX_NS = 2**62
MAX_LENGTH = 1e6
"""px or mm; a screen is smaller."""
_READER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One image on, and off again, on the clock of the tracker's file."""

    label: str
    t_start_ns: int
    t_end_ns: int
    recording: int | None = None
    image: str = ""
    """Name below the folder of pictures."""
    rect: Rect | None = None
    """Where the whole image was shown, screen px."""
    reader: str = ""
    screen: Mapping[str, float] | None = None
    """What the table says of the screen."""

    def display(self, size_px: tuple[int, int] | None) -> Display | None:
        """Return the screen; ``size_px`` is its size as the tracker's file says.

        None where its size is unknown. Raises DataError (GT-TRIALS) where table and file contradict each other.
        """
        said = dict(self.screen or {})
        if {"screen_width_px", "screen_height_px"} <= said.keys():
            own = round(said["screen_width_px"]), round(said["screen_height_px"])
            if size_px is not None and own != size_px:
                raise _bad(
                    f"the table says that the screen has {own[0]} x {own[1]} px, the tracker's file "
                    f"{size_px[0]} x {size_px[1]}"
                )
            size_px = own
        if size_px is None:
            return None
        return Display(
            width_px=size_px[0],
            height_px=size_px[1],
            width_mm=said.get("screen_width_mm"),
            height_mm=said.get("screen_height_mm"),
            distance_mm=said.get("distance_mm"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTable:
    """A table of trials; its rows are looked at one by one, so that a bad one fails alone."""

    path: Path
    rows: tuple[Mapping[str, str], ...]
    unit: str
    names_files: bool

    @classmethod
    def read(cls, path: Path) -> TrialTable:
        """Read the table. Raises UsageError (GT-TRIALS) where a column is absent or it is no CSV file."""
        if not path.is_file():
            raise UsageError(f"{path} is no file", path=path, code=CODE)
        try:
            lines = read_text(path).splitlines()
            table = csv.DictReader(lines)
            header = [name.strip() for name in table.fieldnames or ()]
            table.fieldnames = header
            units = [u for u in _NS_PER if {f"t_start_{u}", f"t_end_{u}"} <= set(header)]
            if "reading" not in header or len(units) != 1 or len(set(header)) != len(header):
                raise UsageError(
                    "a table of trials needs the columns reading, t_start_ms and t_end_ms (or ns, us, s), each once",
                    hint="docs/ingest.md shows one.",
                    path=path,
                    code=CODE,
                )
            rows = tuple(row for _, row in zip(range(MAX_TRIALS), table, strict=False))
        except (csv.Error, GazeToolError) as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError("it is no CSV file in UTF-8", path=path, code=CODE) from None
        return cls(path=path, rows=rows, unit=units[0], names_files="file" in header)

    def of_file(self, name: str) -> Iterator[tuple[str, Trial | GazeToolError]]:
        """Give each trial of a tracker's file, or what is wrong with its row, with a label for messages."""
        seen: set[str] = set()
        for number, row in enumerate(self.rows, start=2):
            if self.names_files and (row.get("file") or "").strip() != name:
                continue
            label = f"{name} row {number} of {self.path.name}"
            try:
                trial = self._trial(row)
                if trial.label in seen:
                    raise _bad("a reading stands in the table twice")
                seen.add(trial.label)
                yield label, trial
            except GazeToolError as error:
                yield label, _bad(error.message, path=self.path, record=number)

    def _trial(self, row: Mapping[str, str | None]) -> Trial:
        if None in row or any(value is None for value in row.values()):
            raise _bad("a row has another number of cells than the header")
        cells = {name: value.strip() for name, value in row.items() if isinstance(value, str)}
        label = cells["reading"]
        if not 0 < len(label) <= MAX_LABEL_LETTERS:
            raise _bad("column reading is empty or too long")
        start_ns, end_ns = (
            _number(cells, f"{name}_{self.unit}") * _NS_PER[self.unit] for name in ("t_start", "t_end")
        )
        if not -MAX_NS < start_ns < end_ns < MAX_NS:
            raise _bad("t_end is not later than t_start")
        reader = cells.get("reader", "")
        if reader and not _READER.fullmatch(reader):
            raise _bad("column reader holds what is no reader code")
        recording = _number(cells, "recording") if cells.get("recording") else None
        if recording is not None and not (recording == int(recording) and 1 <= recording <= MAX_TRIALS):
            raise _bad("column recording holds what is no number of a recording, from 1")
        return Trial(
            label=label,
            t_start_ns=round(start_ns),
            t_end_ns=round(end_ns),
            recording=None if recording is None else int(recording),
            image=safe_name(cells.get("image", "")),
            rect=_rect(cells),
            reader=reader,
            screen={name: length for name in _SCREEN if cells.get(name) and (length := _length(cells, name))},
        )


def safe_name(name: str) -> str:
    """Return the name of a file below a folder. Raises DataError where it leads out of it."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if (
        ".." in parts
        or name.startswith(("/", "\\"))
        or ":" in name
        or "\0" in name
        or len(name) > MAX_LABEL_LETTERS
    ):
        raise _bad("an image is named that is not below the folder of pictures")
    return "/".join(parts)


def _rect(cells: Mapping[str, str]) -> Rect | None:
    said = [name for name in RECT_COLUMNS if cells.get(name)]
    if not said:
        return None
    if len(said) < len(RECT_COLUMNS):
        raise _bad(f"a rectangle needs all of {', '.join(RECT_COLUMNS)}")
    x0, y0, x1, y1 = (float(_number(cells, name)) for name in RECT_COLUMNS)
    if x1 <= x0 or y1 <= y0 or max(map(abs, (x0, y0, x1, y1))) > MAX_LENGTH:
        raise _bad("the rectangle on the screen is empty, or not in screen px")
    return x0, y0, x1, y1


def _length(cells: Mapping[str, str], name: str) -> float:
    value = float(_number(cells, name))
    if not 1.0 <= value <= MAX_LENGTH:
        raise _bad(f"column {name} holds an impossible length")
    return value


def _number(cells: Mapping[str, str], name: str) -> Decimal:
    text = cells.get(name, "")
    try:
        value = Decimal(text) if len(text) <= MAX_DIGITS else Decimal("nan")
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite() or abs(value) > MAX_NS:
        raise _bad(f"column {name} holds what is no number")
    return value


def _bad(message: str, *, path: Path | None = None, record: int | None = None) -> DataError:
    return DataError(
        message, hint="docs/ingest.md shows the table of trials.", path=path, record=record, code=CODE
    )
