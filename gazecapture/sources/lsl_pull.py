"""Numeric samples out of liblsl into memory of our own, at a fifth of what pylsl's own pull costs.

`pylsl.StreamInlet.pull_chunk` makes its arrays anew for every call, as large as the largest chunk; at 1000 calls a
second that is most of a receiver's work. Here liblsl writes straight into a block, and a batch is a view of its rows.
"""

from __future__ import annotations

import ctypes
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gazecapture.clock import import_pylsl, session_now_ns

__all__ = ["NumericPull"]

BLOCK = 8192
"""Samples per block: 4 s at 2000 Hz. A block is never written twice, so that views of it stay true."""
CHUNK = 4096
"""Samples per pull at most: 2 s at 2000 Hz."""
WAITED_NS = 50_000
"""A call that returns sooner found its sample waiting, and perhaps more; going to sleep and waking takes longer."""

_PULL_CHUNK = ctypes.CFUNCTYPE(
    ctypes.c_long,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_ulong,
    ctypes.c_ulong,
    ctypes.c_double,
    ctypes.c_void_p,
)
"""``unsigned long lsl_pull_chunk_*(inlet, values, stamps, n_values, n_stamps, timeout, &error)`` (lsl/inlet.h)."""


class NumericPull:
    """Pulls from one open inlet; used by one thread."""

    def __init__(self, inlet: Any, n_channels: int) -> None:
        pylsl = import_pylsl()
        self._handle_error = pylsl.util.handle_error
        # pylsl's own function has no argument types, and one that had them would be everybody's.
        address = ctypes.cast(inlet.do_pull_chunk, ctypes.c_void_p).value or 0
        self._function = _PULL_CHUNK(address)
        self._inlet = inlet.obj
        self._dtype = np.dtype(inlet.np_dtype)
        self._n_channels = n_channels
        self._row_bytes = self._dtype.itemsize * n_channels
        self._error = ctypes.c_int()
        self._error_at = ctypes.addressof(self._error)
        self._n_filled = 0
        self._begin_block()

    def pull(self, timeout_s: float) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.int64]] | None:
        """Wait for a sample; return it, and where it had waited for us all others too. None after ``timeout_s``.

        Returns values (n, n_channels), the sender's time stamps (n,) in s, and when they arrived (n,) in session ns.
        Raises pylsl's own errors.
        """
        if self._n_filled == BLOCK:
            self._begin_block()
        first = self._n_filled
        asked_ns = time.perf_counter_ns()
        n = self._fill(first, 1, timeout_s)
        if n == 0:
            return None
        # Whoever had to wait has taken all there was; the second call costs as much as the first.
        if time.perf_counter_ns() - asked_ns < WAITED_NS and first + n < BLOCK:
            n += self._fill(first + n, min(CHUNK, BLOCK - first - n), 0.0)
        self._n_filled = first + n
        part = slice(first, first + n)
        self._received[part] = session_now_ns()
        return self._values[part], self._stamps[part], self._received[part]

    def _fill(self, row: int, n_at_most: int, timeout_s: float) -> int:
        n_values: int = self._function(
            self._inlet,
            self._values_at + row * self._row_bytes,
            self._stamps_at + row * self._stamps.itemsize,
            n_at_most * self._n_channels,
            n_at_most,
            timeout_s,
            self._error_at,
        )
        if self._error.value:
            self._handle_error(self._error)
        return n_values // self._n_channels

    def _begin_block(self) -> None:
        self._values = np.empty((BLOCK, self._n_channels), self._dtype)
        self._stamps = np.empty(BLOCK, np.float64)
        self._received = np.empty(BLOCK, np.int64)
        self._values_at, self._stamps_at = self._values.ctypes.data, self._stamps.ctypes.data
        self._n_filled = 0
