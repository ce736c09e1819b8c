"""One key frame at random out of HDF5: picture, box and text, beside packed bytes with offsets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from export_data import KEYFRAMES_PER_READING, PICTURE_BYTES, Row, pictures, rows, write_hdf5

from examples.gazex.data import KeyFrameDataset

ROUNDS = 5
ASKED_PER_ROUND = 3000
PEER_CHUNK_BYTES = 1 << 20
TARGET = 0.9


def measure(folder: Path, n_rows: int) -> Iterator[Row]:
    """Give records per second of ours and of the packed peer, stored in one piece, in chunks, in chunks uncached."""
    shard = write_hdf5(folder, list(rows(n_rows)))
    n_frames = n_rows * KEYFRAMES_PER_READING
    packed = folder / "packed.h5"
    _write_packed(packed, n_frames)
    for path in (shard, packed):
        path.read_bytes()
    takers = {
        "ours": _ours(folder),
        "in one piece": _packed(packed, "whole"),
        "in chunks of 1 MiB": _packed(packed, "chunked"),
        "in chunks, uncached": _packed(packed, "chunked", rdcc_nbytes=0),
    }
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {name: [] for name in takers}
    for _ in range(ROUNDS):
        asked = rng.integers(0, n_frames, ASKED_PER_ROUND).tolist()
        for name, take in takers.items():
            began = time.perf_counter()
            for index in asked:
                take(index)
            found[name].append(len(asked) / (time.perf_counter() - began))
    ours = max(found.pop("ours"))
    peer = max(max(one) for one in found.values())
    yield Row(
        measure="random access, HDF5, one key frame",
        target=f">= {TARGET} x best packed",
        measured=f"{ours / peer:.2f} x ({ours:,.0f} of {peer:,.0f} records/s)",
        met=ours >= TARGET * peer,
    )
    for name, rates in found.items():
        yield Row(measure=f"  packed bytes and offsets, {name}", measured=f"{max(rates):,.0f} records/s")


def _write_packed(path: Path, n_frames: int) -> None:
    encoded = [np.frombuffer(one, np.uint8) for one in pictures()]
    with h5py.File(path, "w") as file:
        for name, chunks in (("whole", None), ("chunked", (PEER_CHUNK_BYTES,))):
            data = file.create_dataset(name, (n_frames * PICTURE_BYTES,), "u1", chunks=chunks)
            for place in range(n_frames):
                data[place * PICTURE_BYTES : (place + 1) * PICTURE_BYTES] = encoded[place % len(encoded)]
        file["offsets"] = np.arange(n_frames + 1) * PICTURE_BYTES
        file["box"] = np.zeros((n_frames, 4))
        file["text"] = np.array([b"the lungs are clear ."] * n_frames)


def _packed(path: Path, name: str, **options: Any) -> Callable[[int], object]:
    """Return what gives one record; offsets, boxes and texts are in memory, as with ours."""
    file = h5py.File(path, "r", **options)
    data, ends = file[name], file["offsets"][:].tolist()
    boxes, texts = file["box"][:], file["text"][:]

    def take(index: int) -> Sequence[object]:
        return data[ends[index] : ends[index + 1]].tobytes(), boxes[index], texts[index].decode()

    return take


def _ours(folder: Path) -> Callable[[int], object]:
    return KeyFrameDataset(folder).__getitem__
