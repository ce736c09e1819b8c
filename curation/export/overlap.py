"""Patients, studies and pictures that two datasets share, or two splits of one.

Compared are public patient, study and dicom ids, SHA-256 and perceptual hash of the exported pictures, and the keyed
ids, which are equal only between datasets of one store: another store's key gives other ids.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from curation.export.phash import SAME_PICTURE_BITS, bits_apart
from curation.export.read import ShardReader
from curation.export.switch import manifest_of

__all__ = ["Overlap", "dataset_overlaps", "split_overlaps"]

ALIKE: Final = "picture_phash"
_ROW_KINDS: Final = ("public_patient_id", "public_study_id", "patient_key", "study_key")
_PICTURE_KINDS: Final = ("public_dicom_id", "picture_sha256")
_COLUMNS: Final = ("reading_id", "split", *_ROW_KINDS, "image_info")
_BANDS: Final = SAME_PICTURE_BITS + 1
"""Hashes that differ in so many bits less one agree in one of so many bands at least, so only those are compared."""
_BAND_BITS: Final = -(-64 // _BANDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """How much of one kind two sets of readings share."""

    kind: str
    """Column that was compared."""
    between: tuple[str, str]
    """The two datasets, or the two splits."""
    n_values: int
    """Ids or pictures in both."""
    reading_ids: tuple[str, ...]
    """Readings of the first that hold them."""

    @property
    def is_certain(self) -> bool:
        """Say whether equality proves it; pictures that only look alike are for people to look at."""
        return self.kind != ALIKE

    def one_line(self) -> str:
        """Return what was found as a line for people."""
        what = "pictures that look alike" if not self.is_certain else f"values of {self.kind}"
        readings = f"{len(self.reading_ids)} readings of the first"
        return f"{self.between[0]} and {self.between[1]} share {self.n_values} {what} ({readings})"


_Held = Mapping[str, Mapping[Any, set[str]]]
"""Kind -> value -> reading ids."""


def dataset_overlaps(dataset: Path, other: Path) -> list[Overlap]:
    """Return what two datasets share, one entry per kind. Raises as `ShardReader` does."""
    first, second = _held(dataset), _held(other)
    names = (str(dataset), str(other))
    return list(_shared(_merged(first), _merged(second), names))


def split_overlaps(dataset: Path) -> list[Overlap]:
    """Return what two splits of a dataset share; nothing where it was split by reader or site, as its manifest says."""
    axis = manifest_of(dataset).get("config", {}).get("export", {}).get("split_axis", "patient")
    if axis != "patient":
        return []
    held = _held(dataset)
    splits = sorted(held)
    found = []
    for place, one in enumerate(splits):
        for other in splits[place + 1 :]:
            kinds = {kind: held[one][kind] for kind in (*_ROW_KINDS, "public_dicom_id")}
            found += list(_shared(kinds, held[other], (one, other)))
    return found


def _held(dataset: Path) -> dict[str, dict[str, dict[Any, set[str]]]]:
    """Return split -> kind -> value -> reading ids."""
    held: dict[str, dict[str, dict[Any, set[str]]]] = {}
    for row in ShardReader(dataset).rows(_COLUMNS, batch_rows=256):
        kinds = held.setdefault(
            row["split"], {k: defaultdict(set) for k in (*_ROW_KINDS, *_PICTURE_KINDS, ALIKE)}
        )
        for kind in _ROW_KINDS:
            if row[kind]:
                kinds[kind][row[kind]].add(row["reading_id"])
        for image in row["image_info"] or ():
            for kind in (*_PICTURE_KINDS, ALIKE):
                if image[kind] is not None:
                    kinds[kind][image[kind]].add(row["reading_id"])
    return held


def _merged(held: Mapping[str, _Held]) -> dict[str, dict[Any, set[str]]]:
    merged: dict[str, dict[Any, set[str]]] = {}
    for kinds in held.values():
        for kind, values in kinds.items():
            into = merged.setdefault(kind, defaultdict(set))
            for value, reading_ids in values.items():
                into[value] |= reading_ids
    return merged


def _shared(first: _Held, second: _Held, between: tuple[str, str]) -> Iterator[Overlap]:
    for kind, values in first.items():
        there = second.get(kind, {})
        both = _alike(values, there) if kind == ALIKE else values.keys() & there.keys()
        if both:
            ids = sorted(set().union(*(values[value] for value in both)))
            yield Overlap(kind=kind, between=between, n_values=len(both), reading_ids=tuple(ids))


def _alike(hashes: Mapping[int, object], others: Mapping[int, object]) -> set[int]:
    by_band: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for other in others:
        for band in _bands(other):
            by_band[band].append(other)
    return {
        one
        for one in hashes
        if any(
            bits_apart(one, other) <= SAME_PICTURE_BITS
            for band in _bands(one)
            for other in by_band.get(band, ())
        )
    }


def _bands(value: int) -> list[tuple[int, int]]:
    mask = (1 << _BAND_BITS) - 1
    return [(n, (value & 0xFFFF_FFFF_FFFF_FFFF) >> (n * _BAND_BITS) & mask) for n in range(_BANDS)]
