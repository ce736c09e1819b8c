"""A picture whose regions are asked for: its pixels, and the names by which annotations may know it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Film"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Film:
    """One picture as displayed by default."""

    grey8: NDArray[np.uint8]
    """(h, w) uint8, bright = dense."""
    sha256: str = ""
    """Of the file; empty where it is not known."""
    ids: frozenset[str] = field(default=frozenset(), repr=False)
    """SOP Instance UID and public id, as far as they are known. Lead back to the patient: never printed."""
    view_position: str = ""
    """As in DICOM; empty where it is not known."""
    body_part: str = ""
    """As in DICOM; empty where it is not known."""

    @property
    def width_px(self) -> int:
        """Columns."""
        return int(self.grey8.shape[1])

    @property
    def height_px(self) -> int:
        """Rows."""
        return int(self.grey8.shape[0])

    @property
    def names(self) -> frozenset[str]:
        """All that an annotation may call the picture by."""
        return (self.ids | {self.sha256}) - {""}

    def also_known_as(self, ids: frozenset[str]) -> Self:
        """Return the film with more ids."""
        return replace(self, ids=self.ids | ids)
