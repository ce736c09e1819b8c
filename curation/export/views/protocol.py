"""What a view is: the rows of a finished dataset in the layout that somebody else's program reads.

A view reads shards, never the store, so all that privacy took out is out of it as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from curation.export.read import ShardReader
from curation.view_settings import ViewOptions

__all__ = ["View", "ViewResult"]

OptionsT = TypeVar("OptionsT", bound=ViewOptions, contravariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewResult:
    """What became of the readings; every one is either written or left out for a reason."""

    n_readings: int
    """That have at least one record in the view."""
    n_records: int
    """Records in all: conversations, clips, tables, as the view has them."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Reason -> how many readings have no record at all."""
    records_left_out: Mapping[str, int] = field(default_factory=dict)
    """Reason -> how many records of readings that do have others could not be made."""


@runtime_checkable
class View(Protocol[OptionsT]):
    """Writes one layout."""

    @property
    def name(self) -> str:
        """The name of its folder, of its option and of its field in `ViewsConfig`."""
        ...

    @property
    def version(self) -> str:
        """Raised by hand whenever the written bytes change for unchanged rows and options."""
        ...

    def write(self, reader: ShardReader, folder: Path, options: OptionsT) -> ViewResult:
        """Write the view into ``folder``, which is empty; the same bytes for the same rows and options.

        Memory does not grow with the dataset. Paths inside the view are relative to it.
        """
        ...
