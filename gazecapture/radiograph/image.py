"""A decoded radiograph: stored values, how they may be shown, and what the header says of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gazecapture.radiograph.lookup import LookupTable, Tone
from gazecapture.radiograph.presets import ImageView, Preset

__all__ = ["MAX_PIXELS", "Radiograph"]

MAX_PIXELS = 150_000_000
"""Largest picture that is decoded. The largest detectors give 30 million pixels, scanned 14 x 17 inch film at
50 um 77 million; a header may claim four thousand million."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Radiograph:
    """One radiograph, decoded; made by `gazecapture.radiograph.decode.load_radiograph`."""

    stored: NDArray[Any]
    """(h, w) integers as stored, bits beyond BitsStored cut off; read-only."""
    tone: Tone = field(repr=False)
    suffix: str
    """File suffix that fits the content: .dcm, .png, .jpg or .tif."""
    spacing_x_mm: float | None = None
    """Between columns; None where the file does not say, or says 0."""
    spacing_y_mm: float | None = None
    spacing_kind: str = "unknown"
    """pixel (corrected to the patient), detector (plane of the detector), or unknown."""
    view_position: str = ""
    body_part: str = ""
    """As the header says, upper case; BREAST for a mammogram. Empty where it is not said."""
    burned_in: bool = False
    """The header says that text is burned into the pixels; False says nothing."""
    patient_id: str = field(default="", repr=False)
    study_uid: str = field(default="", repr=False)
    sop_uid: str = field(default="", repr=False)
    """SOP Instance UID: what an annotation of this very picture refers to."""
    names: frozenset[str] = field(default=frozenset(), repr=False)
    """People and institutions that the header names; for redaction, never printed."""
    ids: frozenset[str] = field(default=frozenset(), repr=False)
    """Ids, serial numbers and UIDs of the header, at any depth; sought in what leaves the store, never printed."""

    @property
    def width_px(self) -> int:
        """Columns of the stored matrix."""
        return int(self.stored.shape[1])

    @property
    def height_px(self) -> int:
        """Rows of the stored matrix."""
        return int(self.stored.shape[0])

    @property
    def presets(self) -> tuple[Preset, ...]:
        """The file's ways to be shown, its default first, the automatic window last."""
        return self.tone.presets

    @property
    def base_inverted(self) -> bool:
        """Whether the file asks for light and dark to be swapped against its stored values."""
        return self.tone.base_inverted

    def lookup(
        self,
        *,
        center: float | None = None,
        width: float | None = None,
        voi: str | None = None,
        preset_id: str | None = None,
        inverted: bool | None = None,
    ) -> LookupTable:
        """Return the grey level of every value that can be stored; see `gazecapture.radiograph.lookup.Tone`."""
        return self.tone.lookup(center=center, width=width, voi=voi, preset_id=preset_id, inverted=inverted)

    def grey8(self, *, preset_id: str | None = None, inverted: bool | None = None) -> NDArray[np.uint8]:
        """Return the (h, w) picture as it is shown by default, or with another preset or polarity."""
        table = self.lookup(preset_id=preset_id, inverted=inverted)
        place = self.stored if table.offset == 0 else self.stored.astype(np.int32) - table.offset
        grey: NDArray[np.uint8] = np.take(table.values, place)
        return grey

    def view(self, image_index: int) -> ImageView:
        """Return what the viewer's model must know of the image."""
        return ImageView(
            image_index=image_index,
            width_px=self.width_px,
            height_px=self.height_px,
            presets=self.presets,
            base_inverted=self.base_inverted,
        )
