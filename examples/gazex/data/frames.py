"""The key frames of one shard: all but the pictures in memory, and where in the file each picture lies.

Both formats store picture bytes as they are, so a picture is copied out of the mapped file by its place: several times
as fast as a read through the formats' libraries, and no more of the file is touched than is asked for.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BOX_NUMBERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Where pictures lie: picture i is pieces ``ends[i]`` to ``ends[i + 1]``, each some bytes somewhere in the file."""

    ends: NDArray[np.int64]
    places: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def whole(cls, places: Sequence[int], lengths: Sequence[int]) -> Pieces:
        """Return pictures of one piece each."""
        ends = np.arange(len(places) + 1)
        return cls(ends=ends, places=np.asarray(places, np.int64), lengths=np.asarray(lengths, np.int64))

    @classmethod
    def in_chunks(
        cls,
        starts: NDArray[np.int64],
        stops: NDArray[np.int64],
        chunk_bytes: int,
        chunk_places: NDArray[np.int64],
    ) -> Pieces:
        """Return pictures that are ranges of an array stored in chunks; chunks side by side make one piece."""
        first, last = starts // chunk_bytes, (stops - 1) // chunk_bytes
        owner = np.repeat(np.arange(starts.size), last - first + 1)
        chunk = np.arange(owner.size) - np.repeat(np.cumsum(last - first + 1) - (last + 1), last - first + 1)
        begins = np.maximum(starts[owner], chunk * chunk_bytes)
        lengths = np.minimum(stops[owner], (chunk + 1) * chunk_bytes) - begins
        places = chunk_places[chunk] + begins - chunk * chunk_bytes
        joined = (owner[1:] == owner[:-1]) & (places[1:] == places[:-1] + lengths[:-1])
        opens = np.flatnonzero(np.concatenate([[True], ~joined]))[: owner.size]
        return cls(
            ends=np.searchsorted(owner[opens], np.arange(starts.size + 1)),
            places=places[opens],
            lengths=np.add.reduceat(lengths, opens) if opens.size else lengths,
        )


class Frames:
    """The key frames of one shard that have a picture; every process maps the file for itself, on first use."""

    def __init__(
        self,
        path: Path,
        *,
        reading_ids: Sequence[str],
        row_of: NDArray[np.int64],
        sentence_ids: Sequence[str | None],
        boxes: NDArray[np.float64],
        texts: Mapping[tuple[int, str | None], str | None],
        pieces: Pieces,
    ) -> None:
        """Take one entry per frame with a picture.

        reading_ids : of all rows. row_of : row of each frame. boxes : (n, 4), NaN where there is none. texts : by row
        and sentence id, since two readings may have a sentence of the same id.
        """
        self.path = path
        self._reading_ids = [reading_ids[row] for row in row_of]
        self._sentence_ids = sentence_ids
        self._texts = [texts.get((row, one)) for row, one in zip(row_of.tolist(), sentence_ids, strict=True)]
        self._boxes = boxes
        self._ends = pieces.ends.tolist()
        self._pieces = list(zip(pieces.places.tolist(), pieces.lengths.tolist(), strict=True))
        self._mapped: mmap.mmap | None = None

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_mapped": None}

    def item(self, place: int) -> dict[str, Any]:
        """Return one frame; see `examples.gazex.data.KeyFrameDataset`."""
        return {
            "reading_id": self._reading_ids[place],
            "sentence_id": self._sentence_ids[place],
            "text": self._texts[place],
            "box": self._boxes[place],
            "picture": self._picture(place),
        }

    def _picture(self, place: int) -> bytes:
        if self._mapped is None:
            with self.path.open("rb") as file:
                self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        pieces = self._pieces[self._ends[place] : self._ends[place + 1]]
        if len(pieces) == 1:
            ((at, n),) = pieces
            return self._mapped[at : at + n]
        return b"".join(self._mapped[at : at + n] for at, n in pieces)


def rows_of(lengths: Iterable[int]) -> NDArray[np.int64]:
    """Return the row of each item of a column of lists, by the lists' lengths."""
    counts = np.asarray(list(lengths), np.int64)
    return np.repeat(np.arange(counts.size), counts)


def boxes_of(
    values: NDArray[np.float64], starts: NDArray[np.int64], n: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return boxes of four numbers each out of a column of lists; NaN for a list of another length."""
    boxes = np.full((starts.size, BOX_NUMBERS), np.nan)
    whole = n == BOX_NUMBERS
    boxes[whole] = values[starts[whole, None] + np.arange(BOX_NUMBERS)]
    return boxes
