"""Run-length codes to masks: COCO's (plain and compressed) and CheXmask's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gazecapture.radiograph.annotations.source import annotation_error
from gazecapture.radiograph.image import MAX_PIXELS

__all__ = ["coco_counts", "mask_of_coco_counts", "mask_of_start_lengths"]

_FIRST_CHARACTER = 48
_PAYLOAD_BITS = 5
_MORE, _SIGN = 0x20, 0x10
_MAX_CHARACTERS = 13
"""Of one number: 64 bits in groups of five."""


def coco_counts(text: str, path: Path) -> list[int]:
    """Return the run lengths that COCO's compressed string stands for.

    Each number is little-endian in groups of five bits, a sixth bit says that more follow, the last group's highest
    bit is the sign; from the fourth number on, the difference from the last but one is stored. Raises SchemaError
    where a character is none of the code's or the string breaks off. Source: the COCO API's mask code.
    """
    counts: list[int] = []
    value = place = 0
    for character in text:
        code = ord(character) - _FIRST_CHARACTER
        if not 0 <= code < 2 * _MORE or place >= _MAX_CHARACTERS:
            annotation_error("a compressed run-length code is malformed", path)
        value |= (code & (_MORE - 1)) << (_PAYLOAD_BITS * place)
        place += 1
        if code & _MORE:
            continue
        if code & _SIGN:
            value -= 1 << (_PAYLOAD_BITS * place)
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = place = 0
    if place:
        annotation_error("a compressed run-length code breaks off", path)
    return counts


def mask_of_coco_counts(counts: Sequence[int], *, width: int, height: int, path: Path) -> NDArray[np.bool_]:
    """Return the (height, width) mask of runs, outside and inside in turn, down the columns.

    Raises SchemaError where a run is negative or they do not fill the picture.
    """
    if not 0 < width * height <= MAX_PIXELS or width < 0:
        annotation_error(f"a run-length code states {width} x {height} px", path)
    if len(counts) > width * height + 1 or any(n < 0 for n in counts) or sum(counts) != width * height:
        annotation_error(f"runs do not fill the {width} x {height} px that they state", path)
    runs = np.asarray(counts, np.int64)
    flat = np.repeat(np.arange(runs.size) % 2 == 1, runs)
    mask: NDArray[np.bool_] = flat.reshape(width, height).T
    return mask


def mask_of_start_lengths(text: str, *, width: int, height: int, path: Path) -> NDArray[np.bool_]:
    """Return the (height, width) mask of ``start length start length ...``, starts from 1, along the rows.

    An empty text is an empty mask. Raises SchemaError where it holds anything but numbers, their count is odd, or a
    run leaves the picture.
    """
    if not 0 < width * height <= MAX_PIXELS or width < 0:
        annotation_error(f"a run-length code states {width} x {height} px", path)
    parts = text.split()
    if (
        len(parts) % 2
        or len(parts) > width * height + 2
        or not all(p.isascii() and p.isdigit() for p in parts)
    ):
        annotation_error("a run-length code is malformed", path)
    if any(len(part) > len(str(MAX_PIXELS)) for part in parts):
        annotation_error(f"a run leaves the {width} x {height} px", path)
    pairs = np.array(parts, np.int64).reshape(-1, 2)
    first, last = pairs[:, 0] - 1, pairs[:, 0] - 1 + pairs[:, 1]
    if ((first < 0) | (last > width * height)).any():
        annotation_error(f"a run leaves the {width} x {height} px", path)
    change = np.zeros(width * height + 1, np.int32)
    np.add.at(change, first, 1)
    np.add.at(change, last, -1)
    mask: NDArray[np.bool_] = (np.cumsum(change[:-1]) > 0).reshape(height, width)
    return mask
