"""Key frames of a Parquet shard: the footer says where pages of pictures begin, the pages where each picture does."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from examples.gazex.data.frames import Frames, Pieces, boxes_of, rows_of
from examples.gazex.data.parquet_pages import value_places
from examples.gazex.data.shards import ShardError, check_version

_FRAME, _SENTENCE = "keyframes.list.element", "sentences.list.element"
_PICTURE_BYTES = f"{_FRAME}.picture.bytes"
_COLUMNS = [
    "reading_id", f"{_FRAME}.sentence_id", f"{_FRAME}.box.list.element", f"{_FRAME}.picture.path",
    f"{_SENTENCE}.sentence_id", f"{_SENTENCE}.text",
]  # fmt: skip


def parquet_frames(path: Path) -> Frames:
    """Return the key frames of a shard. Raises NewerShardError; ShardError where pictures are compressed."""
    with pq.ParquetFile(path) as file:
        check_version((file.schema_arrow.metadata or {}).get(b"schema_version", b"").decode(), path)
        table = file.read(columns=_COLUMNS).combine_chunks()
        pieces = _pieces(path, file)
    listed, said = (_whole(table, name) for name in ("keyframes", "sentences"))
    frames, sentences = listed.flatten(), said.flatten()
    shown = np.flatnonzero(frames.field("picture").is_valid().to_numpy(zero_copy_only=False))
    if shown.size != pieces.ends.size - 1:
        raise ShardError(
            f"{path.name} has {shown.size} pictures of key frames, {pieces.ends.size - 1} were found"
        )
    sentence_ids = frames.field("sentence_id").to_pylist()
    boxes = frames.field("box")
    lengths = boxes.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    keys = zip(
        rows_of(said.value_lengths().fill_null(0).to_pylist()).tolist(),
        sentences.field("sentence_id").to_pylist(),
        strict=True,
    )
    return Frames(
        path,
        reading_ids=table["reading_id"].to_pylist(),
        row_of=rows_of(listed.value_lengths().fill_null(0).to_pylist())[shown],
        sentence_ids=[sentence_ids[frame] for frame in shown],
        boxes=boxes_of(
            boxes.flatten().to_numpy(zero_copy_only=False),
            (np.cumsum(lengths) - lengths)[shown],
            lengths[shown],
        ),
        texts=dict(zip(keys, sentences.field("text").to_pylist(), strict=True)),
        pieces=pieces,
    )


def _whole(table: pa.Table, name: str) -> pa.ListArray:
    column = table[name].combine_chunks()
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _pieces(path: Path, file: pq.ParquetFile) -> Pieces:
    """Return where the pictures lie, which takes a look at four bytes of each."""
    names = [file.schema.column(i).path for i in range(len(file.schema))]
    leaf = names.index(_PICTURE_BYTES)
    found = file.schema.column(leaf)
    n_levels = (found.max_repetition_level > 0) + (found.max_definition_level > 0)
    places: list[int] = []
    lengths: list[int] = []
    with path.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        if hasattr(mmap, "MADV_RANDOM"):  # else the system reads ahead, and so the whole file
            mapped.madvise(mmap.MADV_RANDOM)
        for number in range(file.num_row_groups):
            column = file.metadata.row_group(number).column(leaf)
            if column.compression != "UNCOMPRESSED" or column.has_dictionary_page:
                raise ShardError(
                    f"{path.name}: pictures are compressed; use the HDF5 shards, or export again"
                )
            for at, n in value_places(mapped, column.data_page_offset, column.num_values, n_levels):
                places.append(at)
                lengths.append(n)
    return Pieces.whole(places, lengths)
