"""Opening an HDF5 file that somebody else made: it may point at other files, and claim any size.

A dataset may have its bytes in an external file, be put together from other files (virtual), or be reached by an
external link; whoever reads it as data and exports it again publishes the file that it points at. A chunked dataset of
a kilobyte may claim terabytes of fill value. None of this is in a shard, so that all of it is refused.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import h5py
import numpy as np

from keyframes.errors import SchemaError

__all__ = ["MAX_READ_BYTES", "Hdf5Object", "open_hdf5", "open_hdf5_listed"]

MAX_READ_BYTES = 512 << 20
"""Of one field in one batch of rows; 32 rows with all their pictures are a tenth of it."""
_MAX_CHUNK_BYTES = 64 << 20
"""Ours have 1 MiB at most; a chunk is unpacked as a whole."""
_MAX_INFLATION = 1100
"""Deflate packs 1032 to 1 at best, so that what is stored cannot hold more."""
_MAX_OBJECTS = 20_000
"""A shard has about 700."""
_MAX_DEPTH = 32
_KNOWN_FILTERS = frozenset(
    {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_LZF, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
)
_PLAIN_KINDS = frozenset("biuf")


class Hdf5Object(NamedTuple):
    """A group or dataset of a file."""

    name: bytes
    n_attributes: int
    dtype: np.dtype[Any] | None
    """None for a group."""


@contextlib.contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open a shard to read it, once all that it holds was looked at.

    Raises SchemaError (GT-HOSTILE) for links, external or virtual data, types that point at other data, unknown
    filters and sizes that what is stored cannot hold; SchemaError for what is no HDF5.
    """
    with open_hdf5_listed(path) as (file, _):
        yield file


@contextlib.contextmanager
def open_hdf5_listed(path: Path) -> Iterator[tuple[h5py.File, list[Hdf5Object]]]:
    """Open a shard as `open_hdf5` does; give what it holds as well, a group before what is in it."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file, _look_through(file, path)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
        if isinstance(error, SchemaError):
            raise
        raise SchemaError("a shard cannot be read", path=path, hint="Export again.") from error


def _look_through(file: h5py.File, path: Path) -> list[Hdf5Object]:
    """Ask below h5py's own objects, which take most of the time where a file holds hundreds of small datasets."""
    links, objects = _links(file.id, path), _objects(file.id)
    if len(links) != len(objects) or len({place for _, place, _, _ in objects}) != len(objects):
        raise _hostile("holds one object under two names", path)
    found = []
    for name, _, kind, n_attributes in objects:
        dtype = None
        if kind == h5py.h5o.TYPE_DATASET:
            dtype = _checked_type(h5py.h5d.open(file.id, name), path)
        elif kind != h5py.h5o.TYPE_GROUP:
            raise _hostile("holds an object that is neither group nor dataset", path)
        found.append(Hdf5Object(name, n_attributes, dtype))
    return found


def _links(root: Any, path: Path) -> list[bytes]:
    """Return the names of all links. Raises SchemaError at the first that no shard has; none is followed elsewhere."""
    found: list[bytes] = []

    def note(name: bytes, about: Any) -> str | None:
        found.append(name)
        if len(found) > _MAX_OBJECTS or name.count(b"/") > _MAX_DEPTH:
            return "holds more objects than a shard"
        return None if about.type == h5py.h5l.TYPE_HARD else "holds a link to another place"

    if odd := root.links.visit(note, info=True):
        raise _hostile(odd, path)
    return found


def _objects(root: Any) -> list[tuple[bytes, int, int, int]]:
    """Return name, place in the file, kind and number of attributes of all objects but the root, each once."""
    found: list[tuple[bytes, int, int, int]] = []

    def note(name: bytes, about: Any) -> None:
        found.append((name, about.addr, about.type, about.num_attrs))

    h5py.h5o.visit(root, note, info=True)
    return found


def _checked_type(item: Any, path: Path) -> np.dtype[Any]:
    """Return what a dataset's values are. Raises SchemaError (GT-HOSTILE) for one that no shard has."""
    properties, kind = item.get_create_plist(), item.dtype
    layout = properties.get_layout()
    if layout == h5py.h5d.VIRTUAL or properties.get_external_count():
        raise _hostile("holds data that lie in another file", path)
    if kind.kind not in _PLAIN_KINDS:
        raise _hostile("holds data of a type that no shard has", path)
    filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
    if not filters <= _KNOWN_FILTERS:
        raise _hostile("holds data packed by an unknown filter", path)
    chunk = properties.get_chunk() if layout == h5py.h5d.CHUNKED else (0,)
    chunk_bytes = math.prod(chunk) * kind.itemsize
    if chunk_bytes > _MAX_CHUNK_BYTES:
        raise _hostile(f"holds chunks of {chunk_bytes} bytes", path)
    claimed, stored = math.prod(item.shape) * kind.itemsize, item.get_storage_size()
    if claimed > stored * _MAX_INFLATION:
        raise _hostile(f"claims {claimed} bytes where {stored} are stored", path)
    return cast("np.dtype[Any]", kind)


def _hostile(what: str, path: Path) -> SchemaError:
    return SchemaError(
        f"{path.name} {what}", path=path, hint="No shard does; do not use this file.", code="GT-HOSTILE"
    )
