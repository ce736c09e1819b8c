"""Records that a source keeps apart, brought together by a key, in memory that does not grow with the source."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from typing import Any

from keyframes.errors import DiskFullError

__all__ = ["grouped"]

_CACHE_KIB = 16_384


def grouped(records: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield every key with its records, keys in order, records in the order in which they came.

    records : of JSON-ready values. They wait in a temporary file that has no name and goes with the iteration.
    Raises what ``records`` raises, and DiskFullError where there is no room for them.
    """
    with closing(sqlite3.connect("")) as file:  # no name: a private file of SQLite's own
        file.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        file.execute("PRAGMA journal_mode = OFF")
        file.execute("CREATE TABLE records (key TEXT, content TEXT)")
        try:
            file.executemany(
                "INSERT INTO records VALUES (?, ?)", ((key, json.dumps(record)) for key, record in records)
            )
            found = file.execute("SELECT key, content FROM records ORDER BY key, rowid")
            for key, rows in groupby(found, key=itemgetter(0)):
                yield key, [json.loads(content) for _, content in rows]
        except sqlite3.OperationalError as error:
            raise _no_room() from error


def _no_room() -> DiskFullError:
    return DiskFullError(
        "the temporary folder has no room for the source's records",
        hint="Free some space, or name another temporary folder in TMPDIR.",
    )
