"""Key frames of an HDF5 shard; HDF5 says where in the file each chunk of picture bytes lies."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from examples.gazex.data.frames import Frames, Pieces, boxes_of, rows_of
from examples.gazex.data.shards import check_version


def hdf5_frames(path: Path) -> Frames:
    """Return the key frames of a shard. Raises NewerShardError."""
    with h5py.File(path, "r") as file:
        check_version(str(file.attrs.get("schema_version", "")), path)
        frames = file["keyframes/items"]
        ends = frames["picture/bytes/offsets"][:]
        shown = np.flatnonzero(np.diff(ends) > 0)
        data = frames["picture/bytes/data"]
        sentence_ids = _strings(frames["sentence_id"])
        box_ends = frames["box/offsets"][:]
        said = file["sentences/items"]
        keys = zip(
            rows_of(np.diff(file["sentences/offsets"][:])).tolist(),
            _strings(said["sentence_id"]),
            strict=True,
        )
        return Frames(
            path,
            reading_ids=[reading_id or "" for reading_id in _strings(file["reading_id"])],
            row_of=rows_of(np.diff(file["keyframes/offsets"][:]))[shown],
            sentence_ids=[sentence_ids[frame] for frame in shown],
            boxes=boxes_of(frames["box/items/values"][:], box_ends[:-1][shown], np.diff(box_ends)[shown]),
            texts=dict(zip(keys, _strings(said["text"]), strict=True)),
            pieces=Pieces.in_chunks(ends[:-1][shown], ends[1:][shown], data.chunks[0], _chunk_places(data)),
        )


def _chunk_places(data: h5py.Dataset) -> NDArray[np.int64]:
    """Return where in the file each chunk of uncompressed bytes begins."""
    places: dict[int, int] = {}

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        places[chunk.chunk_offset[0]] = chunk.byte_offset

    data.id.chunk_iter(note)
    return np.array([places[start] for start in sorted(places)], np.int64)


def _strings(group: h5py.Group) -> list[str | None]:
    """Return a column of strings; None where a cell is null."""
    data, ends, valid = group["data"][:].tobytes(), group["offsets"][:].tolist(), group["valid"][:]
    return [data[a:b].decode() if ok else None for a, b, ok in zip(ends, ends[1:], valid, strict=False)]
