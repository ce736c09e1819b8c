"""What the recorder needs of a gaze source, whatever the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gazecapture.session.schema import StreamInfo

__all__ = ["ClockOffset", "Rows", "Source", "SourceBatch", "SourceMark"]


class Rows(Mapping[str, NDArray[Any]]):
    """The columns of one (n, channels) array by name, cut out only when somebody asks for one.

    A source that gives a sample at a time gives a thousand of these a second.
    """

    __slots__ = ("_names", "values_2d")

    def __init__(self, names: tuple[str, ...], values_2d: NDArray[Any]) -> None:
        self._names = names
        self.values_2d = values_2d

    @classmethod
    def joined(cls, parts: list[Rows]) -> Rows:
        """Return parts of one stream, at least one, below each other."""
        return cls(parts[0]._names, np.concatenate([part.values_2d for part in parts]))

    def __getitem__(self, name: str) -> NDArray[Any]:
        try:
            return self.values_2d[:, self._names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceBatch:
    """n samples of one stream, in the order in which they came; n >= 1."""

    stream_id: str
    t_remote_s: NDArray[np.float64]
    """(n,) s, the sender's own time stamps, never post-processed."""
    t_received_ns: NDArray[np.int64]
    """(n,) ns, session clock, when they were pulled."""
    columns: Mapping[str, NDArray[Any]]
    """One (n,) array per channel, by `StreamChannel.column`; strings as objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset:
    """One measurement of a stream's clock: session time = remote time + offset_s."""

    stream_id: str
    t_ns: int
    offset_s: float
    uncertainty_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMark:
    """Something that happened to a stream and that samples alone do not tell."""

    stream_id: str
    t_ns: int
    kind: str
    """As in `gazecapture.session.schema.MARKS`."""
    duration_s: float | None = None
    n_samples: int | None = None
    detail: str = ""


@runtime_checkable
class Source(Protocol):
    """One or several streams of one device.

    `read` is called by one thread at a time, everything else by another; `close` ends a `read` under way within its
    timeout. After `open` no sample may be lost between two calls of `read`, however far apart they are (within
    the source's buffer of minutes).
    """

    @property
    def info(self) -> tuple[StreamInfo, ...]:
        """The streams; known once it is open."""
        ...

    def open(self) -> None:
        """Connect and begin to buffer. Raises DeviceUnavailableError where that fails."""
        ...

    def read(self, timeout_s: float) -> SourceBatch | None:
        """Wait for samples and return all that are there, or None after ``timeout_s`` without any.

        After `close` it gives what the source still held, if anything, and then raises StreamLostError; also where
        the stream is gone for good.
        """
        ...

    def offsets(self) -> list[ClockOffset]:
        """Return the measurements made since the last call; the first is made in `open`."""
        ...

    def marks(self) -> list[SourceMark]:
        """Return what happened since the last call; after `close` what happened until its end."""
        ...

    def close(self) -> None:
        """Disconnect; a second call does nothing."""
        ...
