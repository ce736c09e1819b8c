"""A shard's pictures, any of them at random, decoded and made small; the newest stay in memory."""

from __future__ import annotations

import io
from collections import OrderedDict
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import h5py
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from examples.gazex.errors import TrainerError

__all__ = ["Grey", "PictureAt", "PictureStore", "open_pictures"]

Grey = NDArray[np.uint8]


class PictureAt(NamedTuple):
    """Where a picture is: the ``place``-th radiograph or key frame of a row."""

    shard: int
    row: int
    kind: Literal["image", "keyframe"]
    place: int


class _Bytes(Protocol):
    """Encoded bytes of any picture of one shard."""

    def read(self, at: PictureAt) -> bytes:
        """Return them as they are stored."""
        ...


class PictureStore:
    """Pictures of some shards as grey 8-bit matrices of at most so many px.

    Every process opens the files for itself.
    """

    def __init__(self, paths: list[Path], cache_mb: int = 512) -> None:
        self._paths = paths
        self._left = cache_mb * 1_000_000
        self._limit = self._left
        self._files: dict[int, _Bytes] = {}
        self._kept: OrderedDict[tuple[PictureAt, int, int], Grey] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_files": {}, "_kept": OrderedDict(), "_left": self._limit}

    def get(self, at: PictureAt, max_px: int, multiple: int) -> Grey:
        """Return a picture, smaller where it has more than ``max_px``; both sides are whole multiples of ``multiple``.

        Raises TrainerError (GX-PICTURE) where it cannot be decoded.
        """
        key = (at, max_px, multiple)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        picture = fitted(self._decoded(at), max_px, multiple)
        self._kept[key] = picture
        self._left -= picture.nbytes
        while self._left < 0 and self._kept:
            self._left += self._kept.popitem(last=False)[1].nbytes
        return picture

    def _decoded(self, at: PictureAt) -> Image.Image:
        path = self._paths[at.shard]
        if at.shard not in self._files:
            self._files[at.shard] = open_pictures(path)
        try:
            with Image.open(io.BytesIO(self._files[at.shard].read(at))) as picture:
                return picture.convert("L")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise TrainerError(
                f"{path.name}: row {at.row}: {at.kind} {at.place} cannot be decoded: {error}",
                code="GX-PICTURE",
                hint="Check the shard with `gazecurate verify`, or copy it anew.",
            ) from None


def fitted(picture: Image.Image, max_px: int, multiple: int) -> Grey:
    """Return a picture of at most ``max_px``, sides rounded to whole multiples: as the models' own processors do."""
    height, width = smart_resize(picture.height, picture.width, multiple, multiple**2, max_px)
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))


def open_pictures(path: Path) -> _Bytes:
    """Return the pictures of one shard."""
    return _ParquetBytes(path) if path.suffix == ".parquet" else _Hdf5Bytes(path)


class _Hdf5Bytes:
    """Straight from the place in the file."""

    def __init__(self, path: Path) -> None:
        self._file = h5py.File(path, "r")
        self._at: dict[str, tuple[NDArray[np.int64], NDArray[np.int64], h5py.Dataset]] = {}
        for kind, place in (("image", "images"), ("keyframe", "keyframes")):
            items = self._file[f"{place}/items"]
            content = items["bytes"] if kind == "image" else items["picture/bytes"]
            self._at[kind] = (self._file[f"{place}/offsets"][:], content["offsets"][:], content["data"])

    def read(self, at: PictureAt) -> bytes:
        first, ends, data = self._at[at.kind]
        place = int(first[at.row]) + at.place
        return bytes(data[int(ends[place]) : int(ends[place + 1])])


class _ParquetBytes:
    """A row group at a time: its last one is kept, since neighbours are often asked for together."""

    COLUMNS = ("images", "keyframes")

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path)
        sizes = [self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)]
        self._ends = np.cumsum(sizes)
        leaves = [self._file.schema.column(i).path for i in range(len(self._file.schema))]
        self._leaves = [
            leaf for leaf in leaves if leaf.split(".")[0] in self.COLUMNS and leaf.endswith("bytes")
        ]
        self._group: tuple[int, Any] = (-1, None)

    def read(self, at: PictureAt) -> bytes:
        group = int(np.searchsorted(self._ends, at.row, side="right"))
        if self._group[0] != group:
            self._group = (group, self._file.read_row_group(group, columns=self._leaves))
        first = int(self._ends[group - 1]) if group else 0
        table = self._group[1].slice(at.row - first, 1)
        if at.kind == "image":
            return bytes(table.column("images")[0][at.place]["bytes"].as_py())
        return bytes(table.column("keyframes")[0][at.place]["picture"]["bytes"].as_py())
