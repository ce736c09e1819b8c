"""What an ingester is: it knows one source format and gives Readings; it writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from curation.ingest.speech import SpeechToWords
from gazecapture.session.consent import ConsentRecord
from keyframes.errors import GazeToolError
from keyframes.reading import Reading

__all__ = [
    "CountsReadings",
    "Ingested",
    "Ingester",
    "TakesImages",
    "TakesProfiles",
    "TakesSpeech",
    "TakesTrials",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """One reading of a source, or why there is none."""

    label: str
    """What a person finds it by in the source: folder and number; for messages on the curator's own screen only."""
    reading: Reading | None = None
    images: Mapping[int, Path] = field(default_factory=dict)
    """Image index -> picture file of the source."""
    error: GazeToolError | None = None
    consent: ConsentRecord | None = None
    """What its reader agreed to, where the source says; it is kept also where there is no reading."""
    decisions: Sequence[Mapping[str, Any]] = ()
    """What people decided about it in review, as lines of ``decisions.jsonl``."""


@runtime_checkable
class Ingester(Protocol):
    """Reads one source format."""

    @property
    def name(self) -> str:
        """The name that ``--format`` takes."""
        ...

    def find(self, source: Path) -> list[Path]:
        """Return what there is to ingest under ``source``, in a fixed order.

        Raises UsageError where ``source`` does not exist or holds nothing of this format.
        """
        ...

    def readings(self, unit: Path, *, key: bytes) -> Iterator[Ingested]:
        """Give the readings of one thing that `find` returned; what is wrong with one comes as its error.

        key : the store's pseudonym key; source ids are hashed with it.
        """
        ...


@runtime_checkable
class CountsReadings(Protocol):
    """An ingester whose units have many readings, so that progress goes by these."""

    def count(self, unit: Path) -> int:
        """Return about how many readings a unit has, at least 1; cheap, and never an error."""
        ...


@runtime_checkable
class TakesImages(Protocol):
    """An ingester whose source keeps its pictures in a folder of their own."""

    def with_images(self, folder: Path) -> Ingester:
        """Return the ingester that looks for pictures in ``folder``. Raises UsageError where it is none."""
        ...


@runtime_checkable
class TakesProfiles(Protocol):
    """An ingester whose source holds raw streams."""

    def with_profiles(self, paths: Sequence[Path]) -> Ingester:
        """Return the ingester that reads streams by these profile files first. Raises ConfigError for a broken one."""
        ...


@runtime_checkable
class TakesSpeech(Protocol):
    """An ingester whose source holds voices, or takes transcripts of them."""

    def with_speech(self, speech: SpeechToWords) -> Ingester:
        """Return the ingester that makes words of voices and transcripts."""
        ...


@runtime_checkable
class TakesTrials(Protocol):
    """An ingester whose source does not say what was shown when."""

    def with_trials(self, path: Path) -> Ingester:
        """Return the ingester that cuts by the table at ``path``. Raises UsageError where it is none."""
        ...

    def tolerant(self) -> Ingester:
        """Return the ingester that leaves out what cannot be read and notes how much that is."""
        ...
