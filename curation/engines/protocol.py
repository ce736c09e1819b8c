"""What an engine is: something that does one task for each of many items."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

__all__ = ["Engine", "EngineFor", "Finished", "StopAsked"]

Item = TypeVar("Item")
Result = TypeVar("Result")

StopAsked = Callable[[], bool]
"""Tells a task that the run is being stopped, so that it may end at the next good point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Generic[Item, Result]):
    """What became of one item."""

    item: Item
    result: Result | None
    """None: the process that worked on it died each time that it was tried."""


@runtime_checkable
class Engine(Protocol):
    """Spreads tasks; an item is an id or a path, never bulk data."""

    def run(
        self, task: Callable[[Item, StopAsked], Result], items: Iterable[Item]
    ) -> Generator[Finished[Item, Result], None, None]:
        """Give what became of each item, in any order; every item comes exactly once.

        ``task`` is a module-level function (or a partial of one) that catches its own errors; one that escapes
        ends the run. Closing the iterator asks the running tasks to stop and waits for them.
        """
        ...


EngineFor = Callable[[int], Engine]
"""Gives an engine that works on at most so many items at once; a cluster has a number of its own and may ignore it."""
