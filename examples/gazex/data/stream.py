"""All readings of a split in a seeded order, shared out over ranks and workers, resumed exactly.

The order is made of addresses (shard, row group, row) alone: shards are shuffled, row groups within them, then rows
in a buffer. Every row is given once per epoch, by one worker of one rank. Since the order needs no data, resuming skips
without reading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch.utils.data import IterableDataset, get_worker_info

from examples.gazex.data.shards import check_version, shards_of


class Group(NamedTuple):
    """One row group."""

    path: Path
    number: int
    n_rows: int


class ReadingStream(IterableDataset[dict[str, Any]]):
    """Gives rows as dicts. ``columns`` limits what is read; ``buffer_rows`` 0 leaves the rows of a group in order."""

    def __init__(
        self,
        dataset: Path,
        split: str | None = None,
        *,
        columns: Sequence[str] | None = None,
        seed: int = 0,
        shuffle: bool = True,
        buffer_rows: int = 256,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.columns = None if columns is None else list(columns)
        self.seed, self.shuffle, self.buffer_rows = seed, shuffle, buffer_rows if shuffle else 0
        self.rank, self.world_size = rank, world_size
        self.epoch = 0
        self.given: tuple[int, ...] = (0,)
        """Rows that each worker of this rank has given in this epoch; one number without workers."""
        self.first_worker = 0
        """Worker whose turn it is."""
        self._shards: list[list[Group]] = []
        for path in shards_of(dataset, "readings", split):
            with pq.ParquetFile(path) as file:
                check_version((file.schema_arrow.metadata or {}).get(b"schema_version", b"").decode(), path)
                sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            self._shards.append([Group(path, i, n) for i, n in enumerate(sizes)])

    def groups_of(self, worker: int, n_workers: int) -> list[Group]:
        """Return the row groups of one worker of this rank in this epoch, in order."""
        rng = np.random.default_rng([self.seed, self.epoch])
        shards = self._shards
        if self.shuffle:
            shards = [shards[i] for i in rng.permutation(len(shards))]
            shards = [[shard[i] for i in rng.permutation(len(shard))] for shard in shards]
        groups = [group for shard in shards for group in shard]
        return groups[self.rank * n_workers + worker :: self.world_size * n_workers]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        info = get_worker_info()
        here, n_workers = (0, 1) if info is None else (info.id, info.num_workers)
        worker = (here + self.first_worker) % n_workers
        skipped = self.given[worker] if len(self.given) == n_workers else 0
        groups = self.groups_of(worker, n_workers)
        consumer = self.rank * n_workers + worker
        rng = np.random.default_rng([self.seed, self.epoch, consumer])
        addresses = _buffered(groups, self.buffer_rows, rng)
        left = Counter({group: group.n_rows for group in groups})
        open_groups: dict[Group, pa.Table] = {}
        for place, (group, row) in enumerate(addresses):
            left[group] -= 1
            if place >= skipped:
                if group not in open_groups:
                    with pq.ParquetFile(group.path) as file:
                        open_groups[group] = file.read_row_group(group.number, columns=self.columns)
                if info is None:
                    self.given = (place + 1,)
                yield open_groups[group].slice(row, 1).to_pylist()[0]
            if not left[group]:
                open_groups.pop(group, None)

    def set_epoch(self, epoch: int) -> None:
        """Begin another epoch, in another order."""
        self.epoch, self.given, self.first_worker = epoch, (0,), 0

    def state_dict(self) -> dict[str, Any]:
        """Return where the stream is; of a stream without worker processes (else see `ResumableLoader`)."""
        return {"epoch": self.epoch, "given": list(self.given), **self.identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the state was taken. Raises ValueError for the state of another seed, shuffling or dataset."""
        for name, value in self.identity().items():
            if state.get(name) != value:
                raise ValueError(f"the state is of {name} {state.get(name)}, this stream has {value}")
        self.epoch, self.given, self.first_worker = state["epoch"], tuple(state["given"]), 0

    def identity(self) -> dict[str, Any]:
        """See `examples.gazex.data.loader.Resumable`."""
        return {
            "seed": self.seed,
            "buffer_rows": self.buffer_rows,
            "shuffle": self.shuffle,
            "world_size": self.world_size,
            "n_records": sum(group.n_rows for shard in self._shards for group in shard),
        }

    def loaded_from(self, n_batches: int, batch_size: int, n_workers: int) -> dict[str, Any]:
        """See `examples.gazex.data.loader.Resumable`. Batches come from the workers in turn."""
        n_workers = max(n_workers, 1)
        rows = [sum(g.n_rows for g in self.groups_of(w, n_workers)) for w in range(n_workers)]
        given, turn = [0] * n_workers, 0
        for _ in range(n_batches):
            while given[turn] >= rows[turn]:
                turn = (turn + 1) % n_workers
            given[turn] = min(given[turn] + batch_size, rows[turn])
            turn = (turn + 1) % n_workers
        self.given, self.first_worker = tuple(given), turn
        return {"dataset": self}


def _buffered(
    groups: Sequence[Group], buffer_rows: int, rng: np.random.Generator
) -> Iterator[tuple[Group, int]]:
    """Give the addresses of all rows, each swapped with one at random that waits in the buffer."""
    buffer: list[tuple[Group, int]] = []
    for address in ((group, row) for group in groups for row in range(group.n_rows)):
        if len(buffer) < buffer_rows:
            buffer.append(address)
        elif not buffer:
            yield address
        else:
            place = int(rng.integers(len(buffer)))
            yield buffer[place]
            buffer[place] = address
    for place in rng.permutation(len(buffer)):
        yield buffer[int(place)]
