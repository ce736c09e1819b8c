"""A DataLoader that goes on exactly where another one stopped, killed or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from torch.utils.data import DataLoader


class Resumable(Protocol):
    """Records in an order that a seed and an epoch fix."""

    epoch: int

    def set_epoch(self, epoch: int) -> None:
        """Begin another epoch, in another order."""
        ...

    def loaded_from(self, n_batches: int, batch_size: int, n_workers: int) -> dict[str, Any]:
        """Return the DataLoader's arguments with which it begins after so many batches of this epoch."""
        ...

    def identity(self) -> dict[str, Any]:
        """Return what must be equal for the order to be the same, as JSON-ready values."""
        ...


class ResumableLoader:
    """A DataLoader that can be resumed in the middle of an epoch, with any number of workers.

    source : a `ReadingStream` or a `KeyFrameOrder`. ``options`` go to the DataLoader (``collate_fn``, ``pin_memory``
    ...). The state is the same for all ranks.
    """

    def __init__(self, source: Resumable, *, batch_size: int, num_workers: int = 0, **options: Any) -> None:
        self.source, self.batch_size, self.n_workers = source, batch_size, num_workers
        self.n_batches = 0
        """Batches that were given in this epoch."""
        self._options = options

    def __iter__(self) -> Iterator[Any]:
        arguments = self.source.loaded_from(self.n_batches, self.batch_size, self.n_workers)
        loader: DataLoader[Any] = DataLoader(
            **arguments, batch_size=self.batch_size, num_workers=self.n_workers, **self._options
        )
        for batch in loader:
            self.n_batches += 1
            yield batch

    def set_epoch(self, epoch: int) -> None:
        """Begin another epoch, in another order."""
        self.source.set_epoch(epoch)
        self.n_batches = 0

    def state_dict(self) -> dict[str, Any]:
        """Return where the loader is, as JSON-ready values."""
        return {"epoch": self.source.epoch, "n_batches": self.n_batches, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after the last batch.

        Raises ValueError where seed, shuffling, batch size, workers, ranks or records are others: the order would be.
        """
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise ValueError(f"the state is of {name} {state.get(name)}, this loader has {value}")
        self.set_epoch(state["epoch"])
        self.n_batches = state["n_batches"]

    def _identity(self) -> dict[str, Any]:
        own = {"batch_size": self.batch_size, "n_workers": self.n_workers}
        return {**self.source.identity(), **own}
