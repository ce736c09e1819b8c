"""The files of one shard, in every format that is asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from curation.config import ExportConfig
from curation.export.hdf5_shard import Hdf5ShardWriter
from curation.export.parquet_shard import ParquetShardWriter
from curation.export.shards import RowBatches
from gazecapture.files import make_private_folder

__all__ = ["open_shard"]


@contextmanager
def open_shard(
    dataset: Path, stem: str, export: ExportConfig, formats: Collection[str]
) -> Iterator[RowBatches]:
    """Give what takes the rows of shard ``stem``; its files are whole on leaving.

    formats : parquet, hdf5 or both. Raises as_tool_error's.
    """
    with RowBatches() as rows:
        if "parquet" in formats:
            path = make_private_folder(dataset / "readings") / f"{stem}.parquet"
            rows.add_writer(
                ParquetShardWriter(
                    path, row_group_bytes=export.row_group_mib << 20, row_group_rows=export.row_group_rows
                )
            )
        if "hdf5" in formats:
            rows.add_writer(Hdf5ShardWriter(make_private_folder(dataset / "hdf5") / f"{stem}.h5"))
        yield rows
