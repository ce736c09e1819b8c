"""A training's batches, made ahead of it by processes of their own."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from examples.gazex.data.encode import ExampleDataset, collate
from examples.gazex.data.mixing import Mixture

__all__ = ["loaded_batches"]

AHEAD = 4
"""Batches of each process that wait to be asked for."""


def loaded_batches(dataset: ExampleDataset, mixture: Mixture, n_workers: int) -> Iterable[dict[str, Any]]:
    """Return the batches of a mixture; ``made_s`` of each tells how long it took to make."""
    return DataLoader(
        _Batches(dataset),
        sampler=mixture,
        batch_size=None,
        num_workers=n_workers,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=n_workers > 0,
        prefetch_factor=AHEAD if n_workers else None,
        worker_init_fn=_begin_worker,
        # A worker forked from a process that has run torch's threads can hang.
        multiprocessing_context="spawn" if n_workers else None,
    )


class _Batches(Dataset[dict[str, Any]]):
    """Whole batches by the places of their examples."""

    def __init__(self, dataset: ExampleDataset) -> None:
        self._dataset = dataset

    def __getitem__(self, places: list[tuple[int, int]]) -> dict[str, Any]:
        begun = time.perf_counter()
        batch = collate([self._dataset[place] for place in places], self._dataset.processor)
        batch["made_s"] = time.perf_counter() - begun
        return batch


def _begin_worker(worker: int) -> None:
    """Set up a process: beside a model's threads more than one each only wait for each other."""
    torch.set_num_threads(1)
    # Ctrl-C reaches every process of a terminal; the training, which ends its workers, is the one to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = _unless_nobody_listens


def _unless_nobody_listens(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print an error, but for that of a batch which was being handed over when the training ended."""
    if not issubclass(kind, ConnectionError):
        sys.__excepthook__(kind, error, trace)
