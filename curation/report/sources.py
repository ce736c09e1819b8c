"""Where a report's readings come from: a dataset's shards or a store. Both give rows of the shard schema."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from curation.config import remembered_config
from curation.export.hdf5_shard import read_hdf5_batches, read_hdf5_rows
from curation.export.read import ShardReader, projected
from curation.export.rows import RowOptions, build_row
from curation.export.schema import SHARD, SHARD_SCHEMA_VERSION
from curation.export.switch import manifest_of
from curation.funnel import Funnel, funnel_of
from curation.manifest import last_lines
from curation.run import plan_store
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.store import Store
from keyframes.errors import ExportError, ImageError, SchemaError
from keyframes.reading import SCHEMAS, Reading, empty_table

__all__ = ["DatasetSource", "ReportSource", "Row", "StoreSource"]

Row = Mapping[str, Any]
"""A row of `curation.export.schema.SHARD` as Python values."""

PICTURE_PX = 1024
KEYFRAME_PX = 384
"""Longer side of a key frame's picture: a card is 190 CSS px wide, twice that on a dense screen."""
_BATCH_ROWS = 1 << 12
"""Of ids alone."""
_HEAVY = ("images", "keyframes", "words", "saccades", "regions", "truth", "qa")
"""Columns that the table of all readings does without; of the key frames it needs their number."""


class ReportSource(Protocol):
    """What a report is made from."""

    @property
    def kind(self) -> str:
        """``dataset`` or ``store``."""
        ...

    def summaries(self) -> Iterator[Row]:
        """Give every reading's row without pictures; of ``keyframes`` at least ``kind`` is there."""
        ...

    def rows(self, reading_ids: Sequence[str]) -> Iterator[Row]:
        """Give the whole rows of these readings, in the source's own order."""
        ...

    def funnel(self) -> Funnel | None:
        """Return what became of all readings that came in; None where nobody wrote it down."""
        ...

    def gates(self) -> Mapping[str, Any]:
        """Return the settings ``[quality]`` by which the readings were judged; empty where nobody wrote them down."""
        ...


class DatasetSource:
    """The shards of a dataset folder: Parquet where there is Parquet, else HDF5.

    Raises UsageError where ``root`` has no shards, and, while reading, ExportError or SchemaError for a damaged one and
    SchemaError for one of a newer major version.
    """

    kind = "dataset"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = sorted((root / "readings").glob("*.parquet"))
        self._hdf5 = None if self.files else ShardReader(root)

    def summaries(self) -> Iterator[Row]:
        """See `ReportSource.summaries`."""
        light = [name for name in SHARD.names if name not in _HEAVY]
        if self._hdf5 is not None:
            yield from self._hdf5.rows([*light, "keyframes[].kind"])
        for path in self.files:
            with _opened(path) as file:
                present = [*light, *_leaf(file, "keyframes", "kind")]
                for group in range(file.num_row_groups):
                    yield from file.read_row_group(group, columns=present).to_pylist()

    def funnel(self) -> Funnel | None:
        """See `ReportSource.funnel`; as it was when the dataset was written."""
        return Funnel.of_manifest(manifest_of(self.root))

    def gates(self) -> Mapping[str, Any]:
        """See `ReportSource.gates`."""
        try:
            gates = manifest_of(self.root)["config"]["quality"]
        except (KeyError, TypeError):
            return {}
        return gates if isinstance(gates, Mapping) else {}

    def rows(self, reading_ids: Sequence[str]) -> Iterator[Row]:
        """See `ReportSource.rows`; memory holds one row group."""
        wanted = set(reading_ids)
        for path in () if self._hdf5 is None else self._hdf5.shards:
            known = read_hdf5_batches(path, projected(SHARD, ["reading_id"]), _BATCH_ROWS)
            ids = [one for table in known for one in table.column(0).to_pylist()]
            places = [place for place, one in enumerate(ids) if one in wanted]
            for table in read_hdf5_rows(path, SHARD, places):
                yield from table.to_pylist()
        for path in self.files:
            with _opened(path) as file:
                for group in range(file.num_row_groups):
                    ids = file.read_row_group(group, columns=["reading_id"]).column(0).to_pylist()
                    places = [place for place, one in enumerate(ids) if one in wanted]
                    table = file.read_row_group(group) if places else None
                    for place in places:
                        assert table is not None  # noqa: S101 - there are places
                        yield from table.slice(place, 1).to_pylist()


class StoreSource:
    """The readings of a store, as far as their stages are done. Nothing is redacted: the report stays in the store."""

    kind = "store"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store.open(root)

    def summaries(self) -> Iterator[Row]:
        """See `ReportSource.summaries`."""
        for reading_id in self.store.reading_ids():
            yield build_row(_complete(self.store.load(reading_id)), {}, _options(with_images=False))

    def funnel(self) -> Funnel | None:
        """See `ReportSource.funnel`; by the settings of the last run."""
        plans = plan_store(self.store, remembered_config(self.root))
        return funnel_of(plans, last_lines(self.root), self.store)

    def gates(self) -> Mapping[str, Any]:
        """See `ReportSource.gates`; those of the last run."""
        return remembered_config(self.root).quality.model_dump()

    def rows(self, reading_ids: Sequence[str]) -> Iterator[Row]:
        """See `ReportSource.rows`; a picture that cannot be decoded is left out."""
        for reading_id in reading_ids:
            reading = _complete(self.store.load(reading_id))
            yield build_row(reading, self._pictures(reading), _options(with_images=True))

    def _pictures(self, reading: Reading) -> dict[int, NDArray[np.uint8]]:
        found = {}
        for index in reading.table("images").column("image_index").to_pylist():
            path = self.store.image_path(reading.meta.reading_id, index)
            if path is None:
                continue
            try:
                found[index] = load_radiograph(path).grey8()
            except ImageError:
                continue
        return found


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a shard; what pyarrow raises over a damaged one becomes ExportError."""
    try:
        with pq.ParquetFile(path) as file:
            _check_version(file, path)
            yield file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ExportError(
            "a shard cannot be read", hint="`gazecurate verify` says what is damaged.", path=path
        ) from error


def _complete(reading: Reading) -> Reading:
    """Return the reading with empty tables for the stages that have not run."""
    missing = {name: empty_table(name) for name in SCHEMAS if name not in reading.tables}
    return reading.with_tables(**missing) if missing else reading


def _options(*, with_images: bool) -> RowOptions:
    return RowOptions(
        split="",
        access_tier="local-only",
        gaze_tier="raw",
        config_hash="",
        with_images=with_images,
        with_keyframe_pictures=with_images,
        picture_max_side_px=PICTURE_PX,
        keyframe_max_side_px=KEYFRAME_PX,
        guard=dict,
    )


def _leaf(file: pq.ParquetFile, column: str, field: str) -> list[str]:
    """Return the paths of one field of a list of structs, however the writer named the levels between."""
    schema = file.schema
    paths = (schema.column(i).path for i in range(len(schema)))
    return [path for path in paths if path.startswith(f"{column}.") and path.endswith(f".{field}")]


def _check_version(file: pq.ParquetFile, path: Path) -> None:
    lacking = [name for name in ("reading_id", "schema_version") if name not in file.schema_arrow.names]
    if lacking:
        raise SchemaError(f"a shard lacks column {lacking[0]!r}", path=path)
    if not file.metadata.num_rows:
        return
    version = str(file.read_row_group(0, columns=["schema_version"]).column(0)[0].as_py())
    if version.split(".")[0] != SHARD_SCHEMA_VERSION.split(".")[0]:
        raise SchemaError(
            f"shard format {version}, this tool reads {SHARD_SCHEMA_VERSION}",
            hint="Use the version of the tool that wrote it, or a newer one.",
            path=path,
        )
