"""Random numbers that depend on names and sample numbers only, never on call order or on chunking."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["generator", "sample_noise"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53


def generator(*names: str | int) -> np.random.Generator:
    """Return a generator seeded by ``names``: the same names give the same numbers on every machine."""
    digest = hashlib.sha256("/".join(str(name) for name in names).encode()).digest()
    return np.random.Generator(np.random.PCG64(np.frombuffer(digest, np.uint32).tolist()))


def sample_noise(key: int, sample_index: ArrayLike, channel: int) -> NDArray[np.float64]:
    """Return standard normal noise, white over ``sample_index`` and independent between channels.

    sample_index : (n,) int64, any order, may be negative. A sample's noise is a function of its index alone, so
        that a stream cut into any chunks, live or offline, carries the same noise.

    Source: SplitMix64 (Steele, Lea and Flood 2014) as a counter-based hash; Box and Muller 1958.
    """
    counter = np.asarray(sample_index, np.int64).astype(np.uint64)
    # Integers wrap on purpose: the hash lives modulo 2**64.
    base = np.uint64((key * 0x9E3779B97F4A7C15 + channel * 0xD1342543DE82EF95) % 2**64)
    first = _unit(counter * np.uint64(2) + base)
    second = _unit(counter * np.uint64(2) + np.uint64(1) + base)
    noise: NDArray[np.float64] = np.sqrt(-2.0 * np.log(1.0 - first)) * np.cos(2.0 * np.pi * second)
    return noise


def _unit(counter: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Hash each counter to a number in [0, 1)."""
    z = (counter + np.uint64(1)) * _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * _TO_UNIT
