"""The table of a Tobii Pro Lab export: its header row, and the columns that are needed as numbers and words."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pcsv

from gazecapture.trackers.issues import IssueLog, refuse
from gazecapture.trackers.text_file import BOMS, MAX_LINE_BYTES, Utf8Pieces
from gazecapture.trackers.tobii_columns import Columns

__all__ = ["LOOK_BYTES", "header_row", "read_table"]

LOOK_BYTES = 256 * 1024
"""Bytes in which the header row and some numbers are seen; a wide export has 300 columns of 30 letters."""
_BLOCK_BYTES = 8 * 1024**2
"""Bytes that the reader takes at once."""
_NO_NUMBER = ["", " ", "NaN", "nan", "-"]


def header_row(head: bytes) -> tuple[str, list[str]]:
    """Return the encoding and the names of the columns. Raises UnicodeDecodeError where it is no such text."""
    encoding, start = "utf-8", 0
    for mark, name in BOMS:
        if head.startswith(mark):
            encoding, start = name, len(mark)
            break
    newline = "\n".encode(encoding)
    line = head[start:].split(newline)[0] if encoding == "utf-8" else _utf16_line(head[start:], newline)
    text = line.decode(encoding)
    if "\0" in text:
        raise UnicodeDecodeError(encoding, b"", 0, 1, "a NUL in the header row")
    return encoding, next(csv.reader([text.rstrip("\r")], delimiter="\t"), [])


def _utf16_line(content: bytes, newline: bytes) -> bytes:
    place = content.find(newline)
    while place % 2 and place >= 0:
        place = content.find(newline, place + 1)
    return content[: place if place >= 0 else len(content) - len(content) % 2]


def read_table(path: Path, encoding: str, names: list[str], columns: Columns, log: IssueLog) -> pa.Table:
    """Read the columns that are needed: numbers as floats with NaN, the rest as words of few values."""
    wanted = {h.text: pa.float64() for h in columns.numbers()}
    wanted |= {h.text: pa.dictionary(pa.int32(), pa.string()) for h in columns.texts()}
    bad: list[tuple[int | None, int]] = []

    def invalid(row: pcsv.InvalidRow) -> str:
        bad.append((row.number, row.actual_columns))
        return "skip"

    decimal = _decimal_point(path, encoding, names, columns)
    try:
        with (
            Utf8Pieces(path, encoding) as text,
            pcsv.open_csv(
                pa.PythonFile(text, mode="r"),
                read_options=pcsv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
                parse_options=pcsv.ParseOptions(
                    delimiter="\t", invalid_row_handler=invalid, ignore_empty_lines=True
                ),
                convert_options=pcsv.ConvertOptions(
                    column_types=wanted,
                    include_columns=list(wanted),
                    null_values=_NO_NUMBER,
                    strings_can_be_null=True,
                    decimal_point=decimal,
                    check_utf8=True,
                ),
            ) as reader,
        ):
            batches = list(_batches(reader))
            table = pa.Table.from_batches(batches, schema=reader.schema)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise _unreadable(path, error) from None
    for number, found in bad:
        log.error(
            "GT-TRACKER-ROW",
            f"a row has {found} fields where the header has {len(names)}",
            row=None if number is None else int(number),
        )
    return table.unify_dictionaries().combine_chunks()


def _batches(reader: pcsv.CSVStreamingReader) -> Iterator[pa.RecordBatch]:
    while True:
        try:
            yield reader.read_next_batch()
        except StopIteration:
            return


def _unreadable(path: Path, error: Exception) -> Exception:
    """Turn the CSV reader's error into ours; its text may hold a cell, so only row and column are taken from it."""
    text = str(error)
    column, row = _after(text, "column #"), _after(text, "Row #") or _after(text, "row #")
    where = "" if column is None else f" in column {column + 1}"
    what = "holds what is no number" if "conversion error" in text else "cannot be read"
    return refuse(path, f"a row {what}{where}", code="GT-TRACKER-ROW", row=row)


def _after(text: str, mark: str) -> int | None:
    digits = text.partition(mark)[2]
    count = 0
    while count < len(digits) and digits[count].isdigit():
        count += 1
    return int(digits[:count]) if count else None


def _decimal_point(path: Path, encoding: str, names: list[str], columns: Columns) -> str:
    """Say which of point and comma the file's numbers have; the first that is seen decides."""
    places = [names.index(h.text) for h in columns.numbers()]
    rest = b""
    with Utf8Pieces(path, encoding) as stream:
        while piece := stream.read(LOOK_BYTES):
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            for line in lines:
                cells = line.split(b"\t")
                for place in places:
                    cell = cells[place] if place < len(cells) else b""
                    if b"," in cell:
                        return ","
                    if b"." in cell:
                        return "."
            if len(rest) > MAX_LINE_BYTES:
                raise refuse(path, f"a line of more than {MAX_LINE_BYTES} bytes is no text")
    return "."
