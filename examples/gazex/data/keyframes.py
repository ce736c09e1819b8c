"""Any key frame at random, from HDF5: picture, box, sentence.

Picture bytes are stored as they are, and HDF5 says where in the file each chunk of them lies: they are copied
from there, which takes about half the time of a read through the library.
"""

from __future__ import annotations

import mmap
from bisect import bisect_right
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from examples.gazex.data.shards import check_version, shards_of


class KeyFrameDataset(Dataset[dict[str, Any]]):
    """The key frames that have a picture. All but the pictures is in memory: some 200 bytes for each.

    An item has ``reading_id``, ``sentence_id`` and ``text`` (both None for gaze in no sentence), ``box`` (4 floats
    in px of the stored matrix, half-open) and ``picture`` (encoded bytes). Every process opens the files for itself.
    """

    def __init__(self, dataset: Path, split: str | None = None) -> None:
        self.paths = shards_of(dataset, "hdf5", split)
        self._parts = [_Part(path) for path in self.paths]
        self._ends: list[int] = np.cumsum([len(part.frames) for part in self._parts]).tolist()

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        shard = bisect_right(self._ends, index)
        first = self._ends[shard - 1] if shard else 0
        return self._parts[shard].item(index - first)


class _Part:
    """One shard; the file is mapped on first use, in whichever process that is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mapped: mmap.mmap | None = None
        with h5py.File(path, "r") as file:
            check_version(str(file.attrs.get("schema_version", "")), path)
            frames = file["keyframes/items"]
            ends = frames["picture/bytes/offsets"][:]
            self.frames: NDArray[np.int64] = np.flatnonzero(np.diff(ends) > 0)
            self._starts, self._stops = ends[:-1][self.frames], ends[1:][self.frames]
            self._chunk_bytes, self._chunk_places = _chunks_of(frames["picture/bytes/data"])
            self._boxes = frames["box/items/values"][:]
            self._box_ends = frames["box/offsets"][:]
            self._sentence_ids = _strings(frames["sentence_id"])
            reading_ids = _strings(file["reading_id"])
            per_reading = np.diff(file["keyframes/offsets"][:])
            self._reading_ids = np.repeat(np.asarray(reading_ids, object), per_reading)
            sentences = file["sentences/items"]
            said = zip(_strings(sentences["sentence_id"]), _strings(sentences["text"]), strict=True)
            self._texts = dict(said)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_mapped": None}

    def item(self, place: int) -> dict[str, Any]:
        frame = int(self.frames[place])
        first = int(self._box_ends[frame])
        sentence_id = self._sentence_ids[frame]
        return {
            "reading_id": self._reading_ids[frame],
            "sentence_id": sentence_id,
            "text": self._texts.get(sentence_id),
            "box": self._boxes[first : first + 4],
            "picture": self._picture(int(self._starts[place]), int(self._stops[place])),
        }

    def _picture(self, start: int, stop: int) -> bytes:
        if self._mapped is None:
            with self.path.open("rb") as file:
                self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        parts = []
        while start < stop:
            chunk, within = divmod(start, self._chunk_bytes)
            n = min(stop - start, self._chunk_bytes - within)
            at = self._chunk_places[chunk] + within
            parts.append(self._mapped[at : at + n])
            start += n
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _chunks_of(data: h5py.Dataset) -> tuple[int, list[int]]:
    """Return the length of a chunk of uncompressed bytes, and where in the file each chunk begins."""
    places: dict[int, int] = {}

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        places[chunk.chunk_offset[0]] = chunk.byte_offset

    data.id.chunk_iter(note)
    return data.chunks[0], [places[start] for start in sorted(places)]


def _strings(group: h5py.Group) -> list[str | None]:
    """Return a column of strings; None where a cell is null."""
    data, ends, valid = group["data"][:].tobytes(), group["offsets"][:].tolist(), group["valid"][:]
    return [data[a:b].decode() if ok else None for a, b, ok in zip(ends, ends[1:], valid, strict=False)]
