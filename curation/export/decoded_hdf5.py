"""All that an HDF5 file holds: cells, names, attributes, comments, and what stands before, between and behind them.

Asked for below h5py's own objects, which take ten times as long to make as all that is asked of a thousand of them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from curation.export.found import Content
from curation.export.hdf5_guard import open_hdf5_listed
from curation.export.hdf5_shard import batches_of
from curation.export.read import projected
from curation.export.schema import SHARD
from curation.export.spoken import ROW_ID, spoken_in, spoken_places
from keyframes.errors import SchemaError

__all__ = ["hdf5_parts"]

_BLOCK_ROWS = 1 << 13
_BATCH_ROWS = 256
"""Of what people said: each batch visits some 30 datasets."""
_BLOCK_PICTURES = 32
_BLOCK_BYTES = 1 << 24
_CELLS = {b"string": False, b"bytes": True}
"""The attribute ``kind`` of a group that is a column of cells; whether they are pictures."""


def hdf5_parts(source: Path | io.BytesIO) -> Iterator[Content]:
    """Give names, comments, attributes and all cells. Raises SchemaError for a file that `open_hdf5` refuses.

    String and picture columns of ours have datasets of offsets and of data; any other dataset of bytes is given block
    by block.
    """
    if not isinstance(source, Path):
        raise SchemaError("an HDF5 file stands in a container")
    with open_hdf5_listed(source) as (file, objects):
        root = file.id
        about = [*_user_block(source, file), *_comment(root, b".")]
        about += [text for attribute in _attributes(root) for text in attribute.texts]
        packed: set[bytes] = set()
        for name, n_attributes, dtype in objects:
            about += [name.decode("utf-8", "replace"), *_comment(root, name)]
            is_picture = None
            for attribute in _attributes(h5py.h5o.open(root, name)) if n_attributes else ():
                about += attribute.texts
                if attribute.name == b"kind" and dtype is None:
                    is_picture = _CELLS.get(attribute.texts[-1].encode())
            if is_picture is not None:
                packed |= {name + b"/offsets", name + b"/data"}
                yield from _column(root, name, is_picture=is_picture)
            elif dtype == np.uint8 and name not in packed:
                yield from _plain(h5py.h5d.open(root, name))
        yield Content(texts=about)
        if ROW_ID.encode() in root:
            for rows in batches_of(file, source, projected(SHARD, spoken_places()), _BATCH_ROWS):
                yield Content(spoken=spoken_in(rows.to_pylist()))


def _user_block(source: Path, file: h5py.File) -> Iterator[str]:
    if file.userblock_size:
        with source.open("rb") as handle:
            yield handle.read(file.userblock_size).decode("latin-1")


def _comment(root: Any, name: bytes) -> Iterator[str]:
    if comment := root.get_comment(name):
        yield comment.decode("utf-8", "replace")


class _Attribute:
    """Name and texts of an attribute; the name is the first of them."""

    __slots__ = ("name", "texts")

    def __init__(self, opened: Any) -> None:
        self.name: bytes = opened.name
        self.texts = [self.name.decode("utf-8", "replace")]
        if opened.get_space().get_simple_extent_type() != h5py.h5s.NULL:
            kind, shape = opened.dtype, opened.shape
            if kind.subdtype is not None:
                shape += kind.subdtype[1]
            values = np.empty(shape, kind.base)
            opened.read(values, mtype=h5py.h5t.py_create(kind))
            self.texts += _told(values)


def _attributes(opened: Any) -> Iterator[_Attribute]:
    for index in range(h5py.h5a.get_num_attrs(opened)):
        yield _Attribute(h5py.h5a.open(opened, index=index))


def _told(values: NDArray[Any]) -> list[str]:
    """Return the strings of an array: texts of any kind, names of fields, and each field's strings."""
    if values.dtype.names:
        return [t for name in values.dtype.names for t in (str(name), *_told(values[name]))]
    if values.dtype.kind in "SUO":
        return [text for value in values.ravel().tolist() for text in _text(value)]
    if values.dtype == np.uint8 and values.size and values.max() > 1:  # else they are booleans
        return [values.tobytes().decode("utf-8", "replace")]
    return []


def _text(value: Any) -> list[str]:
    if isinstance(value, np.ndarray):
        return _told(value)
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)]


def _column(root: Any, name: bytes, *, is_picture: bool) -> Iterator[Content]:
    offsets, data = h5py.h5d.open(root, name + b"/offsets"), h5py.h5d.open(root, name + b"/data")
    ends = _read(offsets, 0, offsets.shape[0]).tolist()
    if any(start > end for start, end in pairwise(ends)):
        raise SchemaError("offsets of cells go back")
    step = _BLOCK_PICTURES if is_picture else _BLOCK_ROWS
    for first in range(0, len(ends) - 1, step):
        some = ends[first : first + step + 1]
        raw = _read(data, some[0], some[-1]).data
        cells = [raw[start - some[0] : end - some[0]] for start, end in pairwise(some)]
        if is_picture:
            yield Content(pictures=list(cells))
        else:
            strings = [cell.decode("utf-8", "replace") for cell in set(map(bytes, cells))]
            yield Content(texts=strings, cells=strings)
    beside = [_read(data, 0, ends[0]), _read(data, ends[-1], data.shape[0])]
    yield Content(texts=[part.tobytes().decode("utf-8", "replace") for part in beside if part.size])


def _plain(opened: Any) -> Iterator[Content]:
    """Give the bytes of a dataset of bytes of anybody's; other numbers are measured values."""
    shape = opened.shape
    step = max(1, _BLOCK_BYTES // max(1, int(np.prod(shape[1:]))))
    for first in range(0, shape[0] if shape else 1, step):
        last = min(first + step, shape[0]) if shape else None
        if texts := _told(_read(opened, first, last)):
            yield Content(texts=texts, cells=texts)


def _read(opened: Any, first: int, last: int | None) -> NDArray[Any]:
    """Return a dataset's values from one place of its first dimension to another; all of them, where it has none."""
    shape = opened.shape
    if last is None or (first == 0 and last == shape[0]):
        values: NDArray[Any] = np.empty(shape, opened.dtype)
        if values.size:
            opened.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
        return values
    part = (last - first, *shape[1:])
    values = np.empty(part, opened.dtype)
    if values.size:
        space = opened.get_space()
        space.select_hyperslab((first, *(0 for _ in shape[1:])), part)
        opened.read(h5py.h5s.create_simple(part), space, values)
    return values
