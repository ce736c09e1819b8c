"""The formats by name, and one provider that asks every configured source in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from gazecapture.files import sha256_of
from gazecapture.radiograph.annotations.chexmask import ChexMask
from gazecapture.radiograph.annotations.coco import CocoAnnotations
from gazecapture.radiograph.annotations.dicom_seg import DicomSegmentations
from gazecapture.radiograph.annotations.egd import EgdBoxes
from gazecapture.radiograph.annotations.label_map import LabelMaps
from gazecapture.radiograph.annotations.reflacx import ReflacxBoxes
from gazecapture.radiograph.annotations.scene_graph import SceneGraphs
from gazecapture.radiograph.annotations.source import AnnotationSource, source_hash, unreadable
from gazecapture.radiograph.film import Film
from keyframes.errors import ConfigError
from keyframes.regions.region_map import RegionMap

__all__ = ["FORMATS", "AnnotationReader", "ImportedAnnotations", "open_annotations"]


class AnnotationReader(Protocol):
    """Gives what one source holds of a picture, or None where it does not know the picture."""

    def __call__(self, film: Film) -> RegionMap | None:
        """Return a region map in image px. Raises SchemaError or GeometryError where the source is off."""
        ...


FORMATS: Mapping[str, Callable[[AnnotationSource], AnnotationReader]] = MappingProxyType(
    {
        "chest-imagenome": SceneGraphs,
        "chexmask": ChexMask,
        "coco": CocoAnnotations,
        "label-map": LabelMaps,
        "dicom-seg": DicomSegmentations,
        "reflacx": ReflacxBoxes,
        "egd": EgdBoxes,
    }
)
"""By the name that ``format`` takes."""


class ImportedAnnotations:
    """All configured sources, the first that knows a region wins."""

    def __init__(self, sources: Sequence[AnnotationSource]) -> None:
        self._readers = [(FORMATS[source.format](source), _file_names(source.pictures)) for source in sources]

    def __call__(self, film: Film) -> RegionMap | None:
        """See `gazecapture.radiograph.regions.RegionProvider`."""
        found = (
            reader(film.also_known_as(names.get(film.sha256, frozenset()))) for reader, names in self._readers
        )
        return RegionMap.merged(known for known in found if known is not None)


def open_annotations(sources: Sequence[AnnotationSource]) -> ImportedAnnotations:
    """Return a provider of the sources, opened once per process while their files stay as they are.

    Raises ConfigError where a path does not exist, SchemaError where a file is not of its format.
    """
    return _opened(tuple(_Opened(source) for source in sources))


class _Opened:
    """A source as a key of the cache: by what it says and what its files hold."""

    def __init__(self, source: AnnotationSource) -> None:
        self.source = source
        self._key = (source.format, source.path, tuple(sorted(source.names.items())), source_hash(source))
        self._key += (source.confidence, source.pictures)  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Opened) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=2)
def _opened(sources: tuple[_Opened, ...]) -> ImportedAnnotations:
    return ImportedAnnotations([opened.source for opened in sources])


def _file_names(folder: Path | None) -> dict[str, frozenset[str]]:
    """Return the names without suffix of a folder's pictures by the SHA-256 of their content."""
    found: dict[str, frozenset[str]] = {}
    if folder is None:
        return found
    try:
        for path in sorted(folder.iterdir()):
            if path.is_file() and not path.name.startswith("."):
                digest = sha256_of(path)
                found[digest] = found.get(digest, frozenset()) | {path.stem}
    except FileNotFoundError:
        raise ConfigError(
            f"{folder} does not exist", path=folder, hint="Correct pictures in [regions] annotations."
        ) from None
    except OSError as error:
        raise unreadable(error, folder) from error
    return found
