"""A limit on the memory of this process and of those that it starts: no file takes it all, whatever it claims."""

from __future__ import annotations

import os
import sys
import threading
import time

import psutil

__all__ = ["DEFAULT_MEMORY_GIB", "MEMORY_VARIABLE", "limit_memory", "memory_limit_bytes"]

DEFAULT_MEMORY_GIB = 4.0
"""Of each process. Curating films of 3,000 x 3,000 px takes one; a bomb takes what it gets."""
MEMORY_VARIABLE = "GAZECURATE_MEMORY_GIB"
"""Environment variable with another limit; 0 for none."""
_LOOK_S = 0.2
_GIB = 1 << 30


def memory_limit_bytes() -> int | None:
    """Return the limit that is asked for, or None for none. What is no number counts as not given."""
    try:
        limit_gib = float(os.environ.get(MEMORY_VARIABLE, DEFAULT_MEMORY_GIB))
    except ValueError:
        limit_gib = DEFAULT_MEMORY_GIB
    return int(limit_gib * _GIB) if limit_gib > 0 else None


def limit_memory(n_bytes: int | None) -> None:
    """Hold this process to ``n_bytes`` of its own data; None: no limit.

    On Linux the kernel refuses more, which ends in MemoryError where it was asked for, and processes that this one
    starts inherit it. Elsewhere the kernel offers nothing that holds, so that a thread looks at the size five times a
    second and ends the process when it is too large: a worker so ended is one that died.
    """
    if n_bytes is None:
        return
    if sys.platform == "linux":
        import resource  # Linux alone counts data, which address space that is only reserved is not

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = n_bytes if hard == resource.RLIM_INFINITY else min(n_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    else:
        threading.Thread(target=_watch, args=(n_bytes,), daemon=True).start()


def _watch(n_bytes: int) -> None:
    process = psutil.Process()
    while process.memory_info().rss <= n_bytes:
        time.sleep(_LOOK_S)
    os._exit(1)
