"""HDF5 shards that point elsewhere or claim what they do not hold: refused with a code, and the place is not read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from curation.export.contents import rows_in
from curation.export.hdf5_shard import Hdf5ShardWriter, read_hdf5
from curation.export.read import ShardReader
from curation.export.shards import RowBatches
from keyframes.errors import SchemaError
from tests.unit.curation.test_shard_reader import row

SECRET = b"PATIENT: J. DOE, born 1950-01-01"
Spoil = Callable[[h5py.File, Path], object]


def external_storage(file: h5py.File, secret: Path) -> None:
    del file["reading_id/data"]
    length = len(SECRET)
    file.create_dataset("reading_id/data", (length,), np.uint8, external=[(str(secret), 0, length)])


def external_link(file: h5py.File, secret: Path) -> None:
    del file["reading_id"]
    file["reading_id"] = h5py.ExternalLink(str(secret), "/")


def soft_link(file: h5py.File, secret: Path) -> None:
    del file["reading_id"]
    file["reading_id"] = h5py.SoftLink("/text")


def virtual_data(file: h5py.File, secret: Path) -> None:
    del file["reading_id/data"]
    layout = h5py.VirtualLayout((8,), np.uint8)
    layout[:] = h5py.VirtualSource(str(secret), "x", (8,), np.uint8)
    file.create_virtual_dataset("reading_id/data", layout)


def size_bomb(file: h5py.File, secret: Path) -> None:
    del file["reading_id/data"]
    file.create_dataset("reading_id/data", (10**12,), np.uint8, chunks=(1 << 20,), compression="gzip")


def chunk_bomb(file: h5py.File, secret: Path) -> None:
    del file["reading_id/data"]
    data = file.create_dataset("reading_id/data", (1 << 27,), np.uint8, chunks=(1 << 27,), compression="gzip")
    data[:1] = 1


def row_bomb(file: h5py.File, secret: Path) -> None:
    file.attrs["n_rows"] = 10**15


def object_under_two_names(file: h5py.File, secret: Path) -> None:
    file["again"] = file["text"]


def group_in_itself(file: h5py.File, secret: Path) -> None:
    file["text/text"] = file["text"]


def deep_groups(file: h5py.File, secret: Path) -> None:
    file.create_group("/".join(["a"] * 500))


def strings_of_any_length(file: h5py.File, secret: Path) -> None:
    file.create_dataset("notes", data=["x"], dtype=h5py.string_dtype())


def references(file: h5py.File, secret: Path) -> None:
    file.create_dataset("notes", data=[file["text"].ref], dtype=h5py.ref_dtype)


def named_type(file: h5py.File, secret: Path) -> None:
    file["notes"] = np.dtype("f8")


SPOILED: dict[str, Spoil] = {
    spoil.__name__: spoil
    for spoil in (
        external_storage,
        external_link,
        soft_link,
        virtual_data,
        size_bomb,
        chunk_bomb,
        row_bomb,
        object_under_two_names,
        group_in_itself,
        deep_groups,
        strings_of_any_length,
        references,
        named_type,
    )
}


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("hostile") / "train-00000-of-00001.h5"
    with RowBatches(Hdf5ShardWriter(path)) as rows:
        for number in range(3):
            rows.add(row(number))
    return path.read_bytes()


@pytest.fixture
def path(shard: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "dataset" / "hdf5" / "train-00000-of-00001.h5"
    path.parent.mkdir(parents=True)
    path.write_bytes(shard)
    return path


@pytest.mark.parametrize("spoil", list(SPOILED.values()), ids=list(SPOILED))
def test_it_is_refused(spoil: Spoil, path: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    with h5py.File(path, "r+") as file:
        spoil(file, secret)
    readers: list[Callable[[], Any]] = [
        lambda: list(ShardReader(path.parents[1]).rows()),
        lambda: read_hdf5(path),
    ]
    if spoil is not row_bomb:  # there the number of rows is not asked for
        readers.append(lambda: rows_in(path.parents[1]))
    for read in readers:
        with pytest.raises(SchemaError) as refused:
            read()
        assert refused.value.code in {"GT-HOSTILE", "GT-SCHEMA"}
        assert "DOE" not in refused.value.one_line()


def test_a_whole_shard_is_read(path: Path) -> None:
    assert [found["reading_id"] for found in ShardReader(path.parents[1]).rows(["reading_id"])] == [
        "r0",
        "r1",
        "r2",
    ]


@pytest.mark.parametrize("seed", range(12))
def test_a_shard_cut_off_or_with_flipped_bits(seed: int, path: Path) -> None:
    rng = np.random.default_rng(seed)
    content = bytearray(path.read_bytes())
    if seed % 3 == 0:
        del content[rng.integers(len(content)) :]
    else:
        for place in rng.integers(0, len(content) if seed % 3 == 1 else 4096, 8):
            content[place] ^= 1 << rng.integers(8)
    path.write_bytes(content)
    try:
        for table in ShardReader(path.parents[1]).tables():
            table.validate(full=True)
    except SchemaError as error:
        assert error.code.startswith("GT-")  # noqa: PT017, a flip may also hit what nobody reads
