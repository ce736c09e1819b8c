"""The shards of a run, one per job of a job array: which readings each has, and who finishes.

A shard that has done its own readings leaves a mark in ``STORE/shards/``. Marks say by which settings and of which
readings; the shard that finds the marks of all others, beside its own, is the last one.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gazecapture.files import make_private_folder, write_bytes_atomically
from gazecapture.session.lock import LOCK_NAME, FolderLock
from keyframes.errors import RecordingError, UsageError

__all__ = ["Shard"]

_FOLDER = "shards"
_FINISHING = f"{LOCK_NAME}-finish"
_MAX_COUNT = 99_999


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Shard ``number`` of ``count``, from 1 on."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shard that ``I/N`` names. Raises UsageError."""
        found = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text)
        number, count = (int(part) for part in found.groups()) if found else (0, 0)
        if not 1 <= number <= count <= _MAX_COUNT:
            raise UsageError(
                f"--shard {text!r} is not I/N",
                hint=f"Give I from 1 to N, and N up to {_MAX_COUNT}: --shard 2/8.",
            )
        return cls(number=number, count=count)

    @property
    def label(self) -> str:
        """The shard's name in files."""
        return f"{self.number:05}-of-{self.count:05}"

    def of(self, reading_ids: Sequence[str]) -> list[str]:
        """Return this shard's part of the sorted ids of a store."""
        return list(reading_ids[self.number - 1 :: self.count])

    def mark(self, store_root: Path, identity: str) -> None:
        """Say that this shard's readings are done; identity tells by which settings, and of which readings."""
        make_private_folder(store_root / _FOLDER)
        write_bytes_atomically(store_root / _FOLDER / self.label, identity.encode())

    def unmark(self, store_root: Path) -> None:
        """Take the mark back, because the shard is worked on again."""
        (store_root / _FOLDER / self.label).unlink(missing_ok=True)

    @contextlib.contextmanager
    def finishing(self, store_root: Path, identity: str) -> Iterator[bool]:
        """Give whether it falls to this shard to finish: all marks are there, and no other shard does it."""
        if not self._all_marked(store_root, identity):
            yield False
            return
        lock = FolderLock(store_root, name=_FINISHING, beats=True)
        try:
            lock.acquire()
        except RecordingError as error:
            if error.code != "GT-BUSY":
                raise
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def _all_marked(self, store_root: Path, identity: str) -> bool:
        for number in range(1, self.count + 1):
            path = store_root / _FOLDER / type(self)(number=number, count=self.count).label
            try:
                if path.read_bytes() != identity.encode():
                    return False
            except FileNotFoundError:
                return False
        return True
