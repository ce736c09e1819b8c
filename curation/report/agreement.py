"""How far readers of the same study agree, and what two readings of different studies have in common anyway."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curation.report.gathered import Gathered, ImageGaze
from keyframes.agreement import centroid_icc, compare_trajectories, map_cosine
from keyframes.errors import DataError
from keyframes.heatmap import dwell_map

__all__ = [
    "MEASURES",
    "Agreement",
    "CentroidIcc",
    "PairAgreement",
    "StudyAgreement",
    "agreement_of",
    "mean_known",
]

MEASURES = ("attention", "letters", "regions")
"""Members of `PairAgreement`, in the order in which the page shows them."""
GRID_CELLS = 128
"""Of a map of attention, along both sides."""
MAX_READERS = 12
"""Of one study: 66 pairs. Further ones are left out of the pairs, and the page says so."""
N_CHANCE_PAIRS = 200
"""Of readings of different studies: the standard error of their mean is then below .01."""
NOT_A_NUMBER = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAgreement:
    """Two readings; means over the images that both looked at, NaN where there is none."""

    attention: float
    """Cosine of the maps of dwell, 0 to 1."""
    letters: float
    """String edit similarity of the letters visited, 0 to 1."""
    regions: float
    """The same of the regions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyAgreement:
    """One study that several readers read."""

    study_key: str
    n_readers: int
    pairs: tuple[PairAgreement, ...]

    def mean(self, measure: str) -> float:
        """Return the mean over the pairs; NaN where it is known of none."""
        return mean_known(getattr(pair, measure) for pair in self.pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class CentroidIcc:
    """Intraclass correlation of one kind of centroids along one axis."""

    kind: str
    axis: str
    form: str
    value: float
    n_targets: int
    n_readers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Of all studies that several readers read."""

    studies: tuple[StudyAgreement, ...]
    chance: Mapping[str, float]
    """By measure, the mean over pairs of readings of different studies by different readers."""
    n_chance_pairs: int
    centroids: tuple[CentroidIcc, ...]
    with_others: Mapping[str, float]
    """Reader code -> mean cosine of attention with the other readers of the same studies. Never shown as it is."""
    n_left_out: int
    """Readings beyond `MAX_READERS` of a study."""

    def mean(self, measure: str) -> float:
        """Return the mean of the studies' means."""
        return mean_known(study.mean(measure) for study in self.studies)


def agreement_of(readings: Sequence[Gathered]) -> Agreement | None:
    """Return the agreement; None where no study was read by two readers with gaze.

    Of a reader who read a study several times the first reading counts.
    """
    by_study: dict[str, dict[str, Gathered]] = defaultdict(dict)
    for reading in sorted(readings, key=lambda r: (r.is_repeat, r.reading_id)):
        if reading.study_key and reading.gaze:
            by_study[reading.study_key].setdefault(reading.reader_code, reading)
    groups = {key: list(group.values()) for key, group in sorted(by_study.items()) if len(group) > 1}
    if not groups:
        return None
    maps = _Maps()
    studies, of_reader = [], defaultdict(list)
    for key, group in groups.items():
        pairs = []
        for first, second in itertools.combinations(group[:MAX_READERS], 2):
            pair = _compare(first, second, maps)
            pairs.append(pair)
            for reading in (first, second):
                of_reader[reading.reader_code].append(pair.attention)
        maps.forget()
        studies.append(StudyAgreement(study_key=key, n_readers=len(group), pairs=tuple(pairs)))
    strangers = [_compare(first, second, maps) for first, second in _strangers(groups)]
    return Agreement(
        studies=tuple(studies),
        chance={name: mean_known(getattr(pair, name) for pair in strangers) for name in MEASURES},
        n_chance_pairs=len(strangers),
        centroids=tuple(_centroids(groups)),
        with_others={code: mean_known(values) for code, values in of_reader.items()},
        n_left_out=sum(max(0, len(group) - MAX_READERS) for group in groups.values()),
    )


def mean_known(values: Iterable[float]) -> float:
    """Return the mean of those that are numbers; NaN where none is."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else NOT_A_NUMBER


class _Maps:
    """Maps of attention, each drawn once."""

    def __init__(self) -> None:
        self._drawn: dict[tuple[str, int], NDArray[np.float32]] = {}

    def of(self, reading: Gathered, index: int) -> NDArray[np.float32]:
        key = (reading.reading_id, index)
        if key not in self._drawn:
            self._drawn[key] = _attention(reading.gaze[index])
        return self._drawn[key]

    def forget(self) -> None:
        self._drawn.clear()


def _attention(gaze: ImageGaze) -> NDArray[np.float32]:
    size = GRID_CELLS
    sigma = [np.full(gaze.dwell_s.size, share * size) for share in gaze.sigma_share]
    drawn = dwell_map(
        gaze.x_share * size, gaze.y_share * size, gaze.dwell_s, *sigma, width_px=size, height_px=size
    )
    return drawn.heat


def _compare(first: Gathered, second: Gathered, maps: _Maps) -> PairAgreement:
    found: dict[str, list[float]] = {name: [] for name in MEASURES}
    for index in sorted(first.gaze.keys() & second.gaze.keys()):
        found["attention"].append(map_cosine(maps.of(first, index), maps.of(second, index)))
        visited = [any(v.image_index == index for v in reading.visits) for reading in (first, second)]
        if all(visited):
            order = compare_trajectories(first.trajectory, second.trajectory, image_index=index)
            found["letters"].append(order.letters)
            found["regions"].append(order.regions)
    return PairAgreement(**{name: mean_known(values) for name, values in found.items()})


def _strangers(groups: Mapping[str, Sequence[Gathered]]) -> Iterator[tuple[Gathered, Gathered]]:
    """Give pairs of readings of different studies by different readers, the same ones each time."""
    everybody = [reading for group in groups.values() for reading in group]
    draw = random.Random(0)  # noqa: S311, no secret
    seen = set()
    for _ in range(20 * N_CHANCE_PAIRS):
        first, second = draw.sample(everybody, 2)
        pair = frozenset((first.reading_id, second.reading_id))
        if (
            first.study_key != second.study_key
            and first.reader_code != second.reader_code
            and pair not in seen
        ):
            seen.add(pair)
            yield first, second
        if len(seen) == N_CHANCE_PAIRS:
            return


def _centroids(groups: Mapping[str, Sequence[Gathered]]) -> Iterator[CentroidIcc]:
    """Give the correlations of the centroids of all gaze on an image, of findings, and of letters."""
    kinds: dict[str, dict[tuple[str, int, str], dict[str, tuple[float, float]]]] = {
        "all gaze on an image": {}, "gaze of a stated finding": {}, "gaze on a letter": {},
    }  # fmt: skip
    whole, finding, letter = kinds
    for key, group in groups.items():
        for reading in group:
            for index, gaze in reading.gaze.items():
                place = (
                    np.average(gaze.x_share, weights=gaze.dwell_s),
                    np.average(gaze.y_share, weights=gaze.dwell_s),
                )
                kinds[whole].setdefault((key, index, ""), {})[reading.reader_code] = (
                    float(place[0]),
                    float(place[1]),
                )
            for (index, label), centroid in reading.targets.items():
                kind = letter if label.startswith("letter ") else finding
                kinds[kind].setdefault((key, index, label), {})[reading.reader_code] = centroid
    for kind, targets in kinds.items():
        yield from _icc_of(kind, [places for places in targets.values() if len(places) > 1])


def _icc_of(kind: str, targets: Sequence[Mapping[str, tuple[float, float]]]) -> Iterator[CentroidIcc]:
    """Give the correlations of x and y.

    Where the same readers have all targets it is ICC(2,1), agreement in the place itself. Else each target has readers
    of its own, which ICC(1,1) is for, as many readers as the target with the fewest has.
    """
    if len(targets) < 2:
        return
    n_readers = min(map(len, targets))
    same = len({frozenset(places) for places in targets}) == 1
    table = [[places[code] for code in sorted(places)][:n_readers] for places in targets]
    try:
        found = centroid_icc(table)
    except DataError:
        return
    for axis, correlation in zip(("x", "y"), found, strict=True):
        yield CentroidIcc(
            kind=kind,
            axis=axis,
            form="ICC(2,1)" if same else "ICC(1,1)",
            value=correlation.absolute if same else correlation.one_way,
            n_targets=correlation.n_targets,
            n_readers=correlation.n_readers,
        )
