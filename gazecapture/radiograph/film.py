"""A picture whose regions are asked for: its pixels, and the names by which annotations may know it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Film"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Film:
    """One picture, of which at least the size is known."""

    width_px: int
    height_px: int
    grey8: NDArray[np.uint8] | None = None
    """(h, w) uint8 as displayed by default, bright = dense; None where the picture is not at hand."""
    sha256: str = ""
    """Of the file; empty where it is not known."""
    ids: frozenset[str] = field(default=frozenset(), repr=False)
    """SOP Instance UID and public id, as far as they are known. Lead back to the patient: never printed."""
    view_position: str = ""
    """As in DICOM; empty where it is not known."""
    body_part: str = ""
    """As in DICOM; empty where it is not known."""
    chest_box: tuple[float, float, float, float] | None = None
    """A person's box around both lungs, (x0, y0, x1, y1) in image px, where one was drawn."""

    @property
    def names(self) -> frozenset[str]:
        """All that an annotation may call the picture by."""
        return (self.ids | {self.sha256}) - {""}

    def also_known_as(self, ids: frozenset[str]) -> Self:
        """Return the film with more ids."""
        return replace(self, ids=self.ids | ids)
