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

import h5py

from keyframes.errors import SchemaError

__all__ = ["MAX_READ_BYTES", "open_hdf5"]

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


@contextlib.contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open a shard to read it, once all that it holds was looked at.

    Raises SchemaError (GT-HOSTILE) for links, external or virtual data, types that point at other data, unknown
    filters and sizes that what is stored cannot hold; SchemaError for what is no HDF5.
    """
    try:
        with h5py.File(path, "r", locking=False) as file:
            _look_through(file, path)
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
        if isinstance(error, SchemaError):
            raise
        raise SchemaError("a shard cannot be read", path=path, hint="Export again.") from error


def _look_through(file: h5py.File, path: Path) -> None:
    n_objects = 0
    seen: set[int] = set()
    waiting: list[tuple[h5py.Group, int]] = [(file, 0)]
    while waiting:
        group, depth = waiting.pop()
        for name in group:
            n_objects += 1
            if n_objects > _MAX_OBJECTS or depth > _MAX_DEPTH:
                raise _hostile("holds more objects than a shard", path)
            if type(group.get(name, getlink=True)) is not h5py.HardLink:
                raise _hostile("holds a link to another place", path)
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise _hostile("holds one object under two names", path)
            seen.add(address)
            if isinstance(item, h5py.Group):
                waiting.append((item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                _check_dataset(item, path)
            else:
                raise _hostile("holds an object that is neither group nor dataset", path)


def _check_dataset(item: h5py.Dataset, path: Path) -> None:
    if item.external or item.is_virtual:
        raise _hostile("holds data that lie in another file", path)
    if item.dtype.kind not in _PLAIN_KINDS:
        raise _hostile("holds data of a type that no shard has", path)
    properties = item.id.get_create_plist()
    filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
    if not filters <= _KNOWN_FILTERS:
        raise _hostile("holds data packed by an unknown filter", path)
    chunk_bytes = math.prod(item.chunks or (0,)) * item.dtype.itemsize
    if chunk_bytes > _MAX_CHUNK_BYTES:
        raise _hostile(f"holds chunks of {chunk_bytes} bytes", path)
    claimed = math.prod(item.shape) * item.dtype.itemsize
    if claimed > item.id.get_storage_size() * _MAX_INFLATION:
        raise _hostile(f"claims {claimed} bytes where {item.id.get_storage_size()} are stored", path)


def _hostile(what: str, path: Path) -> SchemaError:
    return SchemaError(
        f"{path.name} {what}", path=path, hint="No shard does; do not use this file.", code="GT-HOSTILE"
    )
