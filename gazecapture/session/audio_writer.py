"""Writes what is said as it is said: a WAV file per stretch, in chunks, each on the disk within a second.

A killed process loses the last chunk. Sound is written before the header that counts it, so that a file is whole at
every moment.
"""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gazecapture.files import make_private_folder
from gazecapture.session.audio import AUDIO_INDEX, RATE_HZ
from gazecapture.session.journal import JournalWriter
from gazecapture.session.removal import AUDIO_FOLDER

__all__ = ["AudioWriter"]

HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
"""RIFF, its size, WAVE, fmt, its size and six fields, data, its size: 44 bytes (Microsoft, RIFF 1.0, 1991)."""
BYTES_PER_FRAME = 2


class AudioWriter:
    """Adds files to a session's audio folder; used by one thread.

    Raises RecordingError (GT-BUSY) where another process writes into the same folder, DiskFullError from `write`.
    """

    def __init__(self, session: Path) -> None:
        self._folder = make_private_folder(session / AUDIO_FOLDER)
        self._index = JournalWriter(self._folder / "index", AUDIO_INDEX)
        self._file: BinaryIO | None = None
        self._name = ""
        self._n_frames = 0
        self._last_ns = 0

    def write(self, samples: NDArray[np.int16], t_first_ns: int) -> None:
        """Append a chunk, 16 kHz mono, its first sample from ``t_first_ns``; opens a file where none is."""
        if not samples.size:
            return
        if self._file is None:
            self._open()
        assert self._file is not None  # noqa: S101 - opened just now
        # Times of a file must rise, whatever the clock of the source makes of them.
        t_first_ns = max(t_first_ns, self._last_ns + 1)
        self._file.seek(HEADER.size + self._n_frames * BYTES_PER_FRAME)
        self._file.write(samples.astype("<i2").tobytes())
        self._file.flush()
        row = {"t_ns": [t_first_ns], "file": [self._name], "frame": [self._n_frames]}
        self._n_frames += samples.size
        self._last_ns = t_first_ns
        self._write_header()
        self._index.append(pa.table(row, schema=AUDIO_INDEX))
        self._index.sync()

    def end_file(self) -> None:
        """Close the file; the next chunk begins another one."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def close(self) -> None:
        """Close everything; a second call does nothing."""
        self.end_file()
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        number = len(list(self._folder.glob("*.wav")))
        self._name = f"{number:05d}.wav"
        with contextlib.ExitStack() as undone:
            file = undone.enter_context((self._folder / self._name).open("xb"))
            self._file, self._n_frames = file, 0
            self._write_header()
            undone.pop_all()

    def _write_header(self) -> None:
        assert self._file is not None  # noqa: S101 - called while a file is open
        n_bytes = self._n_frames * BYTES_PER_FRAME
        self._file.seek(0)
        self._file.write(
            HEADER.pack(
                b"RIFF", HEADER.size - 8 + n_bytes, b"WAVE", b"fmt ", 16, 1, 1, RATE_HZ,
                RATE_HZ * BYTES_PER_FRAME, BYTES_PER_FRAME, 8 * BYTES_PER_FRAME, b"data", n_bytes,
            )
        )  # fmt: skip
        self._file.flush()
