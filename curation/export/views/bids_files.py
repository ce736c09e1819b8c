"""Tables of text as BIDS has them: tab-separated, ``n/a`` for what is missing, gzip without a time stamp."""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gazecapture.files import write_bytes_atomically

__all__ = ["Cells", "decimals", "labels", "write_gzip_table", "write_table"]

Cells = list[str]
"""A column as it stands in the file."""
MISSING = "n/a"
GZIP_LEVEL = 6


def decimals(values: NDArray[np.float64], places: int) -> Cells:
    """Return numbers with so many decimals; n/a where not finite."""
    known = np.isfinite(values)
    shown = np.char.mod(f"%.{places}f", np.where(known, values, 0.0) + 0.0)
    return [text if ok else MISSING for text, ok in zip(shown.tolist(), known.tolist(), strict=True)]


def labels(values: Sequence[str | None]) -> Cells:
    """Return words; n/a for None and for nothing. What would break a row becomes a blank."""
    return [" ".join(value.split()) or MISSING if value else MISSING for value in values]


def write_table(path: Path, columns: Mapping[str, Cells]) -> None:
    """Write a ``.tsv`` with a header."""
    write_bytes_atomically(path, ("\t".join(columns) + "\n").encode() + _body(columns))


def write_gzip_table(path: Path, columns: Mapping[str, Cells]) -> None:
    """Write a ``.tsv.gz``, which has no header (the sidecar's Columns are it) and no time stamp."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=buffer, mtime=0) as packed:
        packed.write(_body(columns))
    write_bytes_atomically(path, buffer.getvalue())


def _body(columns: Mapping[str, Cells]) -> bytes:
    return "".join("\t".join(row) + "\n" for row in zip(*columns.values(), strict=True)).encode()
