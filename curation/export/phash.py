"""A perceptual hash: pictures that look alike have hashes that differ in few bits.

Source: C. Zauner, "Implementation and benchmarking of perceptual image hash functions" (2010), section 3.2.1, the
DCT hash: the picture at 32 x 32, its discrete cosine transform, the 8 x 8 lowest frequencies against their median.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn

__all__ = ["SAME_PICTURE_BITS", "bits_apart", "perceptual_hash"]

_SIDE_PX: Final = 32
_KEPT: Final = 8

SAME_PICTURE_BITS: Final = 2
"""Two hashes at most so many bits apart may be one picture. Of 24 phantoms each is, resized, as JPEG of quality 60 or
darker by a fifth, at most 2 bits from itself; two different ones are at least 4 apart (1 in 100 pairs at most 6)."""


def perceptual_hash(grey8: NDArray[np.uint8]) -> int:
    """Return 64 bits as a signed integer (so that int64 columns hold them); 8-bit grey of any size."""
    small = Image.fromarray(grey8).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BOX)
    # The first coefficient of all is the mean brightness, which a window changes; it would never flip its bit.
    low = dctn(np.asarray(small, np.float64), norm="ortho")[1 : _KEPT + 1, 1 : _KEPT + 1].ravel()
    bits = np.packbits(low > np.median(low))
    return int.from_bytes(bits.tobytes(), "big", signed=True)


def bits_apart(a: int, b: int) -> int:
    """Return the Hamming distance of two hashes."""
    return ((a ^ b) & 0xFFFF_FFFF_FFFF_FFFF).bit_count()
