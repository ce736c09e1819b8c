"""Writes the tables and their codebook, reading by reading; the same bytes for the same rows.

CSV as RFC 4180 has it, UTF-8, lines end in LF. A missing value is an empty cell, a flag TRUE or FALSE: what readr and
pandas take without being told. Text that a spreadsheet would run as a formula gets an apostrophe before it.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from curation.export.read import ShardReader
from curation.export.tables.columns import TABLES, Column
from curation.export.tables.rows import SHARD_COLUMNS, table_rows
from gazecapture.files import as_tool_error, make_private_folder, write_bytes_atomically

__all__ = ["TABLES_FOLDER", "TablesWriter", "cell", "write_tables"]

TABLES_FOLDER = "tables"

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""


def write_tables(dataset: Path) -> None:
    """Write ``tables/`` of a dataset whose shards are there; one row is in memory at a time."""
    with TablesWriter(dataset / TABLES_FOLDER) as tables:
        for row in ShardReader(dataset).rows(SHARD_COLUMNS):
            tables.add(row)


class TablesWriter:
    """A context in which `add` takes shard rows; on leaving it the files are whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = make_private_folder(folder)
        self._open = ExitStack()
        self._columns = {table.name: table.columns for table in TABLES}
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> Self:
        for table in TABLES:
            path = self._folder / f"{table.name}.csv"
            try:
                handle = self._open.enter_context(path.open("w", encoding="utf-8", newline=""))
            except OSError as error:
                raise as_tool_error(error, path, "writing a table") from error
            self._writers[table.name] = csv.writer(handle, lineterminator="\n")
            self._writers[table.name].writerow([column.name for column in table.columns])
        return self

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one row of `curation.export.schema.SHARD`."""
        try:
            for table, values in table_rows(row):
                self._writers[table].writerow([cell(values[c.name], c) for c in self._columns[table]])
        except OSError as error:
            raise as_tool_error(error, self._folder, "writing a table") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._open.close()
        except OSError as failure:
            raise as_tool_error(failure, self._folder, "writing a table") from failure
        if kind is None:
            write_bytes_atomically(self._folder / "codebook.csv", _codebook_csv())
            write_bytes_atomically(self._folder / "codebook.json", _codebook_json())
            write_bytes_atomically(self._folder / "codebook.md", _codebook_markdown())


def cell(value: Any, column: Column) -> str:
    """Return a value as it stands in the CSV."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if column.kind == "flag":
        return "TRUE" if value else "FALSE"
    if column.kind == "integer":
        return str(int(value))
    if column.kind == "number":
        shown = f"{value:.{column.decimals}f}"
        return shown[1:] if float(shown) == 0.0 and shown.startswith("-") else shown
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _entries() -> list[dict[str, str]]:
    return [
        {
            "table": table.name,
            "column": column.name,
            "type": column.kind,
            "unit": column.unit,
            "decimals": str(column.decimals) if column.kind == "number" else "",
            "description": column.about,
        }
        for table in TABLES
        for column in table.columns
    ]


def _codebook_csv() -> bytes:
    text = io.StringIO()
    rows = _entries()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _codebook_json() -> bytes:
    book = {
        table.name: {
            "description": table.about,
            "columns": [
                {key: value for key, value in entry.items() if key != "table" and value}
                for entry in _entries()
                if entry["table"] == table.name
            ],
        }
        for table in TABLES
    }
    return f"{json.dumps(book, indent=2, ensure_ascii=False)}\n".encode()


def _codebook_markdown() -> bytes:
    lines = [
        "# Codebook",
        "",
        "A missing value is an empty cell, a flag TRUE or FALSE. Time 0 is image on unless `time_origin` differs.",
        "Image px are those of the stored picture: x right, y down, origin at the outer corner of the first pixel.",
    ]
    for table in TABLES:
        lines += ["", f"## {table.name}.csv", "", f"{table.about.capitalize()}.", ""]
        lines += ["| column | type | unit | what it is |", "|---|---|---|---|"]
        lines += [f"| `{c.name}` | {c.kind} | {c.unit} | {c.about} |" for c in table.columns]
    return ("\n".join(lines) + "\n").encode()
