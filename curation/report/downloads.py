"""The report's numbers as files in the page: CSV that no spreadsheet runs, and one JSON of all."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Download", "NumberTable", "all_as_json", "as_csv"]

_FORMULA_STARTS = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
"""What a spreadsheet takes for the beginning of a formula, also behind white space and in full width (OWASP)."""
_CONTROL_STARTS = frozenset("\t\r\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberTable:
    """Numbers that the page shows, as they are before they are made to fit a line."""

    name: str
    """Of the file, without suffix."""
    about: str
    columns: tuple[str, ...]
    """With their units."""
    rows: Sequence[Sequence[Any]]

    @classmethod
    def of(cls, name: str, about: str, rows: Iterable[Mapping[str, Any]]) -> NumberTable:
        """Return the table of rows that have the same keys; of no rows it has no columns."""
        listed = list(rows)
        columns = tuple(listed[0]) if listed else ()
        return cls(
            name=name,
            about=about,
            columns=columns,
            rows=[[row[column] for column in columns] for row in listed],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One link of the page that gives a file."""

    file: str
    about: str
    n_rows: int
    uri: str

    @classmethod
    def csv_of(cls, table: NumberTable) -> Download:
        """Return a table as a CSV file."""
        content = as_csv(table).encode()
        return cls(
            file=f"{table.name}.csv",
            about=table.about,
            n_rows=len(table.rows),
            uri=_uri("text/csv;charset=utf-8", content),
        )

    @classmethod
    def json_of(cls, tables: Sequence[NumberTable]) -> Download:
        """Return all tables as one JSON file."""
        return cls(
            file="report.json",
            about="all tables of this page",
            n_rows=sum(len(table.rows) for table in tables),
            uri=_uri("application/json", all_as_json(tables).encode()),
        )


def as_csv(table: NumberTable) -> str:
    """Return a table as CSV (RFC 4180); what is not known is an empty cell."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(table.columns)
    writer.writerows([_cell(value) for value in row] for row in table.rows)
    return text.getvalue()


def all_as_json(tables: Sequence[NumberTable]) -> str:
    """Return ``{table: [{column: value}]}``; what is not known is null."""
    content = {
        table.name: [dict(zip(table.columns, map(_known, row), strict=True)) for row in table.rows]
        for table in tables
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Any) -> Any:
    value = _known(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if not isinstance(value, str):
        return value
    text = value.replace("\0", "\ufffd")
    runs = text[:1] in _CONTROL_STARTS or text.lstrip()[:1] in _FORMULA_STARTS
    return f"'{text}" if text and runs else text


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
