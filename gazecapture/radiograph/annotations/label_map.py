"""Label maps: one PNG per picture, every region a grey value or a colour."""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gazecapture.radiograph.annotations.frame import Frame, imported_map
from gazecapture.radiograph.annotations.source import (
    AnnotationSource,
    annotation_error,
    files_by_stem,
    read_bounded,
)
from gazecapture.radiograph.film import Film
from keyframes.errors import ConfigError, GazeToolError
from keyframes.regions.region_map import RegionMap

__all__ = ["LabelMaps"]

CONFIDENCE = 0.9
"""Somebody's contours, of unknown care."""
MAX_VALUE = 0xFFFF
"""Of a grey value: 16 bit."""


class LabelMaps:
    """A PNG or a folder of them, each called like its picture; ``names`` says which value is which region.

    A value is a number (grey level, or place in a palette) or a colour ``#rrggbb``. Raises ConfigError where
    ``names`` is empty or one of its values is neither.
    """

    def __init__(self, source: AnnotationSource) -> None:
        self._source = source
        if not source.names:
            raise ConfigError(
                "a label map needs names, a table from its values to regions",
                path=source.path,
                hint='For instance names = { 1 = "left lung", 2 = "right lung" }.',
            )
        self._values = {_value(label, source): name for label, name in source.names.items()}
        self._files = files_by_stem(source, ".png")

    def __call__(self, film: Film) -> RegionMap | None:
        """See `gazecapture.radiograph.regions.RegionProvider`."""
        path = next((self._files[name] for name in sorted(film.names) if name in self._files), None)
        if path is None:
            return None
        content = read_bounded(path)
        try:
            with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
                frame = Frame.equal(film, *picture.size, path)  # before anything is unpacked
                values = _values_of(picture)
        except GazeToolError:
            raise
        except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError):
            annotation_error("it is no readable PNG", path)
        regions = {}
        for value, name in self._values.items():
            is_colour = isinstance(value, tuple)
            if is_colour != (values.ndim == 3):
                annotation_error(
                    f"it holds {'colours' if values.ndim == 3 else 'values'}, names has {name!r} as the other",
                    path,
                )
            same = np.equal(values, value)
            region = frame.mask(name, same.all(axis=2) if is_colour else same)
            if region is not None:
                regions[name] = region
        return imported_map(self._source, film, regions, confidence=CONFIDENCE)


def _value(label: str, source: AnnotationSource) -> int | tuple[int, int, int]:
    """Return a grey value or a colour."""
    try:
        if label.startswith("#") and len(label) == len("#rrggbb"):
            colour = bytes.fromhex(label[1:])
            return colour[0], colour[1], colour[2]
        value = int(label)
    except ValueError:
        value = -1
    if not 0 <= value <= MAX_VALUE:
        raise ConfigError(
            f"names has the value {label!r}, expected a whole number or a colour #rrggbb", path=source.path
        )
    return value


def _values_of(picture: Image.Image) -> NDArray[np.generic]:
    """Return (h, w) values, or (h, w, 3) colours."""
    if picture.mode in {"RGB", "RGBA"}:
        return np.asarray(picture.convert("RGB"))
    return np.asarray(picture)
