"""Any key frame at random, from either format: picture, box, sentence."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from torch.utils.data import Dataset, Sampler

from examples.gazex.data.frames import Frames
from examples.gazex.data.frames_hdf5 import hdf5_frames
from examples.gazex.data.frames_parquet import parquet_frames
from examples.gazex.data.shards import FOLDERS, Form, shards_of

_FRAMES: Mapping[Form, Callable[[Path], Frames]] = MappingProxyType(
    {"hdf5": hdf5_frames, "parquet": parquet_frames}
)


class KeyFrameDataset(Dataset[dict[str, Any]]):
    """The key frames that have a picture. All but the pictures is in memory: some 500 bytes for each.

    An item has ``reading_id``, ``sentence_id`` and ``text`` (both None for gaze in no sentence), ``box`` (4 floats
    in px of the stored matrix, half-open; NaN where it has none) and ``picture`` (encoded bytes). Every process opens
    the files for itself. ``form`` chooses the format: by default HDF5 where there is HDF5, which is opened faster.
    """

    def __init__(self, dataset: Path, split: str | None = None, *, form: Form | None = None) -> None:
        if form is None:
            form = "hdf5" if (dataset / FOLDERS["hdf5"]).is_dir() else "parquet"
        self.paths = shards_of(dataset, FOLDERS[form], split)
        self._shards = [_FRAMES[form](path) for path in self.paths]
        self._ends: list[int] = np.cumsum([len(shard) for shard in self._shards]).tolist()

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        shard = bisect_right(self._ends, index)
        first = self._ends[shard - 1] if shard else 0
        return self._shards[shard].item(index - first)


class KeyFrameOrder(Sampler[int]):
    """All key frames in a seeded order, each given once per epoch by one rank; for a `ResumableLoader` or a DataLoader.

    The order is the same for both formats of a dataset and for any number of workers.
    """

    def __init__(
        self,
        frames: KeyFrameDataset,
        *,
        seed: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.frames, self.seed, self.shuffle = frames, seed, shuffle
        self.rank, self.world_size = rank, world_size
        self.epoch = 0
        self.n_given = 0
        """Frames of this rank that are skipped, having been given in this epoch before."""

    def __len__(self) -> int:
        return len(range(self.rank, len(self.frames), self.world_size)) - self.n_given

    def __iter__(self) -> Iterator[int]:
        n = len(self.frames)
        order = (
            np.random.default_rng([self.seed, self.epoch]).permutation(n) if self.shuffle else np.arange(n)
        )
        yield from order[self.rank :: self.world_size][self.n_given :].tolist()

    def set_epoch(self, epoch: int) -> None:
        """Begin another epoch, in another order."""
        self.epoch, self.n_given = epoch, 0

    def loaded_from(self, n_batches: int, batch_size: int, n_workers: int) -> dict[str, Any]:
        """See `examples.gazex.data.loader.Resumable`."""
        self.n_given = min(n_batches * batch_size, len(range(self.rank, len(self.frames), self.world_size)))
        return {"dataset": self.frames, "sampler": self}

    def identity(self) -> dict[str, Any]:
        """See `examples.gazex.data.loader.Resumable`."""
        return {
            "seed": self.seed,
            "shuffle": self.shuffle,
            "world_size": self.world_size,
            "n_records": len(self.frames),
        }
