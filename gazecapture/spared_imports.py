"""Keeps pyarrow from importing pandas in the processes that are our own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["spare_pandas"]


class _Absent:
    """An importer that knows of pandas that it is not there."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not looked for yet", name=fullname)
        return None


def spare_pandas() -> None:
    """Let pyarrow do without pandas until a frame is asked for.

    At the first array that it makes, pyarrow imports pandas (0.4 s of a processor), only to know a Series when it is
    given one; commands give it none. So it is made to look while there is none to be found. ``Table.to_pandas``
    imports pandas all the same, and from then on a Series is known again. One made before that would be taken for any
    sequence, its NaN for numbers: this is for a command's own processes, not for those of whoever uses us as a library.
    """
    import pyarrow as pa  # only here: what makes no array waits for neither

    if "pandas" in sys.modules:
        return
    absent = _Absent()
    sys.meta_path.insert(0, absent)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(absent)
