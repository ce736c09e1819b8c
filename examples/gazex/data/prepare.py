"""A dataset's splits as examples, after everything that would spoil a result was looked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from examples.gazex.config import Config
from examples.gazex.data.rows import Row, light_rows, shards
from examples.gazex.errors import TrainerError
from examples.gazex.tasks.controls import with_gaze
from examples.gazex.tasks.example import Example
from examples.gazex.tasks.make import examples_of

__all__ = ["SplitExamples", "load_split", "refuse_shared_patients"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitExamples:
    """The examples of one split and the files that hold their pictures."""

    examples: list[Example]
    paths: list[Path]
    n_rows: int
    tiers: frozenset[str]
    """Access tiers of the rows: the model's card names them."""


def load_split(datasets: list[Path], split: str, config: Config) -> SplitExamples:
    """Return all examples of one split of one or several datasets.

    Not each of several datasets needs to have the split. Raises TrainerError: what `light_rows` raises, GX-NO-SHARDS
    where no dataset has it or one is none, GX-EMPTY where no row gives an example.
    """
    paths = _of_split(datasets, split, config)
    examples: list[Example] = []
    tiers = set()
    n_rows = 0
    for row in light_rows(paths):
        examples += examples_of(row, config.tasks, config.data.max_frames)
        tiers.add(str(row["access_tier"]))
        n_rows += 1
    examples = with_gaze(examples, config.data.gaze, config.train.seed)
    if not examples:
        raise TrainerError(
            f"split {split!r} gives no example ({n_rows} rows read)",
            code="GX-EMPTY",
            hint="Check the split, the tasks' weights, and that its rows have pictures.",
        )
    return SplitExamples(examples=examples, paths=paths, n_rows=n_rows, tiers=frozenset(tiers))


def _of_split(datasets: list[Path], split: str, config: Config) -> list[Path]:
    """Return the shards of a split; a dataset may have only other splits, but not nothing."""
    found: list[Path] = []
    for dataset in datasets:
        if any(path.name.startswith(f"{split}-") for path in shards(dataset, config.data.format, None)):
            found += shards(dataset, config.data.format, split)
    return found or shards(datasets[0], config.data.format, split)


def refuse_shared_patients(datasets: list[Path], config: Config) -> None:
    """Raise TrainerError (GX-LEAK) where a test patient of any dataset occurs in a training shard."""
    kept: dict[str, dict[tuple[str, str], tuple[str, str]]] = {}
    for split in (config.data.train_split, config.data.test_split):
        found: dict[tuple[str, str], tuple[str, str]] = {}
        for dataset in datasets:
            try:
                paths = shards(dataset, config.data.format, split)
            except TrainerError:
                continue  # a dataset may have only one of the two; an empty training split is refused elsewhere
            for row in light_rows(paths):
                for name in _names(row):
                    found.setdefault(name, (paths[row.shard].name, str(row["reading_id"])))
        kept[split] = found
    train, test = (kept[s] for s in (config.data.train_split, config.data.test_split))
    shared = sorted(set(train) & set(test))
    if shared:
        at, other = test[shared[0]], train[shared[0]]
        raise TrainerError(
            f"{len(shared)} patients of the test split are in training shards too: "
            f"the one of reading {at[1]} ({at[0]}) in reading {other[1]} ({other[0]})",
            code="GX-LEAK",
            hint="Export again with splits by patient (`gazecurate verify` finds overlaps), or leave a dataset out.",
        )


def _names(row: Row) -> Iterable[tuple[str, str]]:
    """Return what names a row's patient: the keyed hash of one store, the public id of a published source."""
    for column in ("patient_key", "public_patient_id"):
        if row[column]:
            yield column, str(row[column])
