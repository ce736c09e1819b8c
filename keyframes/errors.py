"""The error tree of the toolkit; every part raises from here and nothing else.

::

    GazeToolError(Exception)                 .code  .hint  .path  .record  .exit_code
    ├─ UsageError(ValueError)                exit 2: the command or its arguments are off
    ├─ ConfigError(ValueError)               exit 2: a configuration file is off
    ├─ SourceError                           exit 1
    │  ├─ DeviceUnavailableError             .reason says why, for a user interface to branch on
    │  ├─ StreamLostError
    │  └─ ClockError
    ├─ RecordingError                        exit 1
    │  ├─ RecordingCorruptError              .n_recovered rows before the damage
    │  └─ DiskFullError(OSError)
    ├─ DataError(ValueError)                 exit 1; inside a batch it fails one reading, not the run
    │  ├─ ImageError
    │  ├─ SchemaError
    │  ├─ TimestampError
    │  └─ GeometryError
    ├─ PrivacyError                          fails closed, never a warning; exit 5
    └─ ExportError                           exit 1
       └─ ShardIntegrityError                exit 6; .expected_sha256 .actual_sha256

A message says what went wrong, where (file, row, field), what was expected and what was found. It never
holds patient data: no header value, no transcript text.
"""

from __future__ import annotations

import enum
from pathlib import Path

__all__ = [
    "ClockError",
    "ConfigError",
    "DataError",
    "DeviceUnavailableError",
    "DeviceUnavailableReason",
    "DiskFullError",
    "ExitCode",
    "ExportError",
    "GazeToolError",
    "GeometryError",
    "ImageError",
    "PrivacyError",
    "RecordingCorruptError",
    "RecordingError",
    "SchemaError",
    "ShardIntegrityError",
    "SourceError",
    "StreamLostError",
    "TimestampError",
    "UsageError",
]


class ExitCode(enum.IntEnum):
    """Exit codes of both commands; scripts rely on them."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    SOME_FAILED = 3
    NOTHING_LEFT = 4
    PRIVACY = 5
    INTEGRITY = 6
    INTERRUPTED = 130


class GazeToolError(Exception):
    """Root of every error that the toolkit raises on purpose.

    Parameters
    ----------
    message : what went wrong, where, what was expected and found; one line.
    hint    : what the user can do about it; one line, may be empty.
    path    : the file or folder concerned, if there is one.
    record  : row, reading id or field inside it, if there is one.
    code    : overrides the class's code where one class serves several causes.
    """

    code = "GT-ERROR"
    exit_code = ExitCode.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        path: Path | str | None = None,
        record: str | int | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.path = None if path is None else Path(path)
        self.record = record
        if code is not None:
            self.code = code

    def one_line(self) -> str:
        """Return the message with its place, hint and code as the single line that a command prints."""
        place = "" if self.path is None or str(self.path) in self.message else f"{self.path}: "
        row = "" if self.record is None else f" [{self.record}]"
        hint = f" {self.hint}" if self.hint else ""
        what = f"{place}{self.message}{row}"
        stop = "" if what.endswith(".") else "."
        return " ".join(f"{what}{stop}{hint} ({self.code})".split())


class UsageError(GazeToolError, ValueError):
    """The command line, or a call's arguments, cannot be carried out as given."""

    code = "GT-USAGE"
    exit_code = ExitCode.USAGE


class ConfigError(GazeToolError, ValueError):
    """A configuration file does not hold what it must."""

    code = "GT-CONFIG"
    exit_code = ExitCode.USAGE


class SourceError(GazeToolError):
    """A gaze source cannot be used."""

    code = "GT-SOURCE"


class DeviceUnavailableReason(enum.Enum):
    """Why a device or stream cannot be opened."""

    NOT_FOUND = "not found"
    """Nothing answered within the time given."""
    BUSY = "busy"
    """Somebody else holds it."""
    PERMISSION = "permission"
    """The operating system refuses access."""
    LIBRARY_MISSING = "library missing"
    """A native library that the source needs is absent."""


class DeviceUnavailableError(SourceError):
    """A device or stream cannot be opened; ``reason`` says why without string parsing."""

    code = "GT-DEVICE"

    def __init__(
        self,
        message: str,
        *,
        reason: DeviceUnavailableReason,
        hint: str = "",
        path: Path | str | None = None,
        record: str | int | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, path=path, record=record, code=code)
        self.reason = reason


class StreamLostError(SourceError):
    """An open stream ended although nobody asked it to."""

    code = "GT-STREAM-LOST"


class ClockError(SourceError):
    """Two clocks cannot be related, or one stepped."""

    code = "GT-CLOCK"


class RecordingError(GazeToolError):
    """Recording cannot start or go on."""

    code = "GT-RECORDING"


class RecordingCorruptError(RecordingError):
    """A recorded file is damaged; ``n_recovered`` rows before the damage are intact."""

    code = "GT-CORRUPT"

    def __init__(
        self,
        message: str,
        *,
        n_recovered: int = 0,
        hint: str = "",
        path: Path | str | None = None,
        record: str | int | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, path=path, record=record, code=code)
        self.n_recovered = n_recovered


class DiskFullError(RecordingError, OSError):
    """The volume has no room left; what was written before is intact."""

    code = "GT-DISK-FULL"

    def __str__(self) -> str:
        return self.message


class DataError(GazeToolError, ValueError):
    """One reading's data cannot be used."""

    code = "GT-DATA"


class ImageError(DataError):
    """A radiograph is missing or cannot be decoded."""

    code = "GT-IMAGE"


class SchemaError(DataError):
    """A table lacks a column, or a file is of a version that this tool does not read."""

    code = "GT-SCHEMA"


class TimestampError(DataError):
    """Time stamps are absent, not finite, or not in order where order is needed."""

    code = "GT-TIME"


class GeometryError(DataError):
    """Display size, distance, affine or spacing is absent or impossible."""

    code = "GT-GEOMETRY"


class PrivacyError(GazeToolError):
    """Something that must not leave the store would have left it."""

    code = "GT-PRIVACY"
    exit_code = ExitCode.PRIVACY


class ExportError(GazeToolError):
    """A dataset cannot be written or read."""

    code = "GT-EXPORT"


class ShardIntegrityError(ExportError):
    """A file of a dataset differs from its manifest."""

    code = "GT-INTEGRITY"
    exit_code = ExitCode.INTEGRITY

    def __init__(
        self,
        message: str,
        *,
        expected_sha256: str = "",
        actual_sha256: str = "",
        hint: str = "",
        path: Path | str | None = None,
        record: str | int | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, path=path, record=record, code=code)
        self.expected_sha256 = expected_sha256
        self.actual_sha256 = actual_sha256
