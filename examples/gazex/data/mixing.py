"""Which example comes when: tasks by weight, each task through its own seeded order, batches of like length.

The order depends on seed and numbers alone, so that any batch can be asked for by its number: that is what makes a
resumed training exact, with any number of loader processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from examples.gazex.errors import TrainerError

__all__ = ["Mixture"]

BLOCK_BATCHES = 16
"""Batches that are sorted by length together: more saves padding, fewer mixes better."""


class Mixture(Sampler[list[tuple[int, int]]]):
    """Batches of (example, draw): ``draw`` counts all examples ever given and seeds what is random about one.

    lengths : about how many tokens each example has. tasks : task of each example. weights : by task.
    Raises TrainerError (GX-EMPTY) where no example has a task of any weight.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        lengths: Sequence[int],
        weights: Mapping[str, float],
        *,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.batch_size, self.seed = batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.first_batch = 0
        """Batch that the next iteration begins with."""
        self._lengths = np.asarray(lengths)
        names = sorted(set(tasks))
        self._pools = [np.flatnonzero(np.asarray(tasks) == name) for name in names]
        shares = np.array([weights.get(name, 0.0) for name in names], float)
        if not shares.sum() > 0:
            raise TrainerError(
                "no reading gives an example of any task that has a weight",
                code="GX-EMPTY",
                hint="Check the split, the tasks' weights, and that the readings have pictures and sentences.",
            )
        self._shares = shares / shares.sum()
        self._block = -1
        self._counted = (0, np.zeros(len(names), np.int64))
        """A block, and how many examples of each task all blocks before it gave."""

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        number = self.first_batch
        while True:
            yield self.batch(number)
            number += 1

    def batch(self, number: int) -> list[tuple[int, int]]:
        """Return one batch of this rank."""
        block, place = divmod(number, BLOCK_BATCHES)
        return self._batches(block)[place * self.world_size + self.rank]

    def _batches(self, block: int) -> list[list[tuple[int, int]]]:
        if block != self._block:
            self._made = self._make(block)
            self._block = block
        return self._made

    def _make(self, block: int) -> list[list[tuple[int, int]]]:
        n = BLOCK_BATCHES * self.batch_size * self.world_size
        first, counts = self._counted
        if first > block:
            first, counts = 0, np.zeros_like(counts)
        before = counts.copy()
        for earlier in range(first, block):
            before += np.bincount(self._tasks(earlier, n), minlength=len(self._pools))
        self._counted = (block, before)
        drawn = self._tasks(block, n)
        examples = np.empty(n, np.int64)
        for task, pool in enumerate(self._pools):
            here = np.flatnonzero(drawn == task)
            examples[here] = self._from_pool(task, pool, int(before[task]), len(here))
        order = np.argsort(self._lengths[examples], kind="stable")
        # All ranks get batches of like length at the same time: each step takes as long as the longest of them.
        steps = order.reshape(-1, self.batch_size * self.world_size)
        rng = np.random.default_rng([self.seed, 1, block])
        first = block * n
        return [
            [(int(examples[i]), first + int(i)) for i in steps[k][rank :: self.world_size]]
            for k in rng.permutation(len(steps))
            for rank in range(self.world_size)
        ]

    def _tasks(self, block: int, n: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([self.seed, 2, block])
        return rng.choice(len(self._pools), size=n, p=self._shares)

    def _from_pool(self, task: int, pool: NDArray[np.int64], first: int, n: int) -> NDArray[np.int64]:
        """Return the next examples of one task: its whole pool in a new order again and again."""
        found = np.empty(n, np.int64)
        done = 0
        while done < n:
            turn, place = divmod(first + done, len(pool))
            order = np.random.default_rng([self.seed, 3, task, turn]).permutation(pool)
            some = order[place : place + n - done]
            found[done : done + len(some)] = some
            done += len(some)
        return found
