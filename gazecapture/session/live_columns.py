"""The columns of a live gaze stream, read by its profile when a part of them is asked for.

A session of hours has millions of samples: as they were sent they take a third of what they take as columns of a
Reading, and only one reading at a time is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gazecapture.profiles import Profile, normalise
from gazecapture.session.backfill_merge import profiles_columns
from gazecapture.session.schema import StreamInfo
from keyframes.geometry import Display

__all__ = ["LiveColumns"]


@dataclass(frozen=True, eq=False, kw_only=True)
class LiveColumns(Mapping[str, Any]):
    """Columns of `keyframes.reading.GAZE` that need no display, n samples each.

    Raises as `gazecapture.profiles.normalise`, at the first look; `check` is one at no samples.
    """

    profile: Profile
    info: StreamInfo
    table: pa.Table
    """The stream's journal."""
    display: Display | None
    rows: NDArray[np.intp]
    """(n,), of the journal: those samples in that order."""

    def part(self, part: slice) -> LiveColumns:
        """Return the columns of some of the samples."""
        return replace(self, rows=self.rows[part])

    def check(self) -> None:
        """Raise what any part would: what the profile cannot read it cannot read of no samples either."""
        len(self.part(slice(0)))

    def __getitem__(self, name: str) -> Any:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    @cached_property
    def _columns(self) -> dict[str, Any]:
        first = int(self.rows[0]) if self.rows.size else 0
        in_order = np.array_equal(self.rows, np.arange(first, first + self.rows.size))
        table = self.table.slice(first, self.rows.size) if in_order else self.table.take(pa.array(self.rows))
        return profiles_columns(normalise(self.profile, self.info, table, self.display), table.num_rows)
