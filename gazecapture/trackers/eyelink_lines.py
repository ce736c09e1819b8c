"""The lines of an EyeLink ASC file, told apart and its samples read by a compiled loop over the bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_VALUES", "ScannedLines", "scan_lines"]

MAX_VALUES: Final = 6
"""x, y and pupil of two eyes; what follows (velocities, head target, input, flags) is not read."""
_MAX_DIGITS: Final = 15
"""More do not fit a double exactly, and no field has more than ten."""
_MISSING: Final = -32768.0
"""The tracker's own mark for missing data, which old converters print in place of a dot."""
_POWERS: Final = 10.0 ** np.arange(_MAX_DIGITS + 1)
_LOWER: Final = 32
"""Bit that makes a letter of ASCII a small one."""
_NEWLINE, _RETURN, _SPACE, _TAB, _DOT, _MINUS, _ZERO, _NINE = (ord(c) for c in "\n\r \t.-09")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedLines:
    """n sample lines and m others of one piece of a file."""

    t_ns: NDArray[np.int64]
    """(n,) ns; -1 where the time cannot be read."""
    values: NDArray[np.float64]
    """(n, 6) the fields after the time, NaN = missing."""
    n_read: NDArray[np.int8]
    """(n,) how many of them, from the first on, could be read; a missing one counts."""
    sample_line: NDArray[np.int64]
    """(n,) 0-based line in the piece."""
    other_start: NDArray[np.int64]
    """(m,) first byte of every line that begins with no digit; empty lines are left out."""
    other_end: NDArray[np.int64]
    other_line: NDArray[np.int64]
    other_samples: NDArray[np.int64]
    """(m,) how many sample lines stand before it."""
    n_lines: int


def scan_lines(content: bytes) -> ScannedLines:
    """Read a piece of whole lines. A line that begins with a digit is a sample: time in ms, then its fields."""
    data = np.frombuffer(content, np.uint8)
    n_lines = int(np.count_nonzero(data == _NEWLINE)) + (0 if content.endswith(b"\n") else 1)
    t_ns = np.empty(n_lines, np.int64)
    values = np.empty((n_lines, MAX_VALUES))
    n_read = np.zeros(n_lines, np.int8)
    sample_line = np.empty(n_lines, np.int64)
    others = np.empty((4, n_lines), np.int64)
    n, m = _scan(data, t_ns, values, n_read, sample_line, others)
    start, end, line, samples = others[:, :m]
    return ScannedLines(
        t_ns=t_ns[:n], values=values[:n], n_read=n_read[:n], sample_line=sample_line[:n], other_start=start,
        other_end=end, other_line=line, other_samples=samples, n_lines=n_lines,
    )  # fmt: skip


@numba.njit(cache=True)
def _scan(
    data: NDArray[np.uint8],
    t_ns: NDArray[np.int64],
    values: NDArray[np.float64],
    n_read: NDArray[np.int8],
    sample_line: NDArray[np.int64],
    others: NDArray[np.int64],
) -> tuple[int, int]:
    """Fill the outputs; return how many sample lines and how many others there were."""
    n = m = line = start = 0
    size = data.size
    while start < size:
        end = start
        while end < size and data[end] != _NEWLINE:
            end += 1
        stop = end
        while stop > start and (
            data[stop - 1] == _RETURN or data[stop - 1] == _SPACE or data[stop - 1] == _TAB
        ):
            stop -= 1
        if stop > start:
            if _ZERO <= data[start] <= _NINE:
                sample_line[n] = line
                _read_sample(data, start, stop, n, t_ns, values, n_read)
                n += 1
            else:
                others[0, m], others[1, m], others[2, m], others[3, m] = start, stop, line, n
                m += 1
        line += 1
        start = end + 1
    return n, m


@numba.njit(cache=True)
def _read_sample(
    data: NDArray[np.uint8],
    start: int,
    stop: int,
    row: int,
    t_ns: NDArray[np.int64],
    values: NDArray[np.float64],
    n_read: NDArray[np.int8],
) -> None:
    values[row] = np.nan
    place = start
    ticks = decimals = digits = 0
    seen_dot, good = False, True
    while place < stop and data[place] != _SPACE and data[place] != _TAB:
        byte = data[place]
        if _ZERO <= byte <= _NINE and digits < _MAX_DIGITS:
            ticks = ticks * 10 + (byte - _ZERO)
            digits += 1
            if seen_dot:
                decimals += 1
        elif byte == _DOT and not seen_dot:
            seen_dot = True
        else:
            good = False
        place += 1
    if not good or decimals > 6 or digits - decimals > 12:
        t_ns[row] = -1
        return
    for _ in range(6 - decimals):
        ticks *= 10
    t_ns[row] = ticks
    for field in range(MAX_VALUES):
        while place < stop and (data[place] == _SPACE or data[place] == _TAB):
            place += 1
        if place >= stop:
            return
        first = place
        negative = data[place] == _MINUS
        if negative:
            place += 1
        mantissa = decimals = digits = 0
        seen_dot, good = False, True
        while place < stop and data[place] != _SPACE and data[place] != _TAB:
            byte = data[place]
            if _ZERO <= byte <= _NINE and digits < _MAX_DIGITS:
                mantissa = mantissa * 10 + (byte - _ZERO)
                digits += 1
                if seen_dot:
                    decimals += 1
            elif byte == _DOT and not seen_dot:
                seen_dot = True
            else:
                good = False
            place += 1
        if good and digits:
            value = mantissa / _POWERS[decimals]
            if negative:
                value = -value
            values[row, field] = np.nan if value <= _MISSING else value
        elif not (place - first == 1 and data[first] == _DOT) and not _is_nan(data, first, place):
            return
        n_read[row] = field + 1


@numba.njit(cache=True)
def _is_nan(data: NDArray[np.uint8], first: int, last: int) -> bool:
    """Say whether the field reads nan in any case, as a converter prints that was asked to."""
    if last - first != 3:
        return False
    n, a, last_n = data[first] | _LOWER, data[first + 1] | _LOWER, data[first + 2] | _LOWER
    return bool(n == ord("n") and a == ord("a") and last_n == ord("n"))
