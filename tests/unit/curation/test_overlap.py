"""What datasets and splits share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from curation.export.overlap import _alike, dataset_overlaps, split_overlaps
from curation.export.parquet_shard import ParquetShardWriter
from curation.export.phash import SAME_PICTURE_BITS, bits_apart, perceptual_hash
from curation.export.schema import SHARD
from curation.export.shards import RowBatches
from gazecapture.radiograph.phantom import make_phantom


def dataset(folder: Path, *rows: dict[str, Any]) -> Path:
    (folder / "readings").mkdir(parents=True)
    for split in {row["split"] for row in rows}:
        path = folder / "readings" / f"{split}-00000-of-00001.parquet"
        writer = RowBatches(ParquetShardWriter(path, row_group_bytes=1 << 20, row_group_rows=9))
        for row in rows:
            if row["split"] == split:
                writer.add(dict.fromkeys(SHARD.names) | {"images": [], "keyframes": []} | row)
        writer.close()
    return folder


def reading(
    number: int, split: str = "train", image: dict[str, Any] | None = None, **ids: str
) -> dict[str, Any]:
    keys = {"patient_key": f"p{number}", "study_key": f"s{number}"}
    info = [{"image_index": 0} | image] if image else None
    return {"reading_id": f"r{number}", "split": split, "image_info": info} | keys | ids


def test_every_kind_is_found_and_nothing_else(tmp_path: Path) -> None:
    one = dataset(
        tmp_path / "a",
        reading(1, public_patient_id="P"),
        reading(2, image={"public_dicom_id": "D", "picture_sha256": "a" * 64, "picture_phash": -1}),
        reading(3, "test", image={"picture_phash": 0b1011}),
        reading(4, "test"),
    )
    other = dataset(
        tmp_path / "b",
        reading(11, public_patient_id="P"),
        reading(12, image={"public_dicom_id": "D", "picture_sha256": "a" * 64, "picture_phash": 1}),
        reading(13, image={"picture_phash": 0b0001}),
        reading(14, study_key="s4"),
    )
    found = {o.kind: o.reading_ids for o in dataset_overlaps(one, other)}
    assert found == {
        "public_patient_id": ("r1",),
        "study_key": ("r4",),
        "public_dicom_id": ("r2",),
        "picture_sha256": ("r2",),
        "picture_phash": ("r3",),
    }
    assert {o.kind for o in dataset_overlaps(one, other) if not o.is_certain} == {"picture_phash"}
    assert split_overlaps(one) == []


def test_a_patient_in_two_splits_is_found(tmp_path: Path) -> None:
    one = dataset(tmp_path / "a", reading(1), reading(2, "test", patient_key="p1"))
    (found,) = split_overlaps(one)
    assert (found.kind, found.n_values, set(found.between)) == ("patient_key", 1, {"train", "test"})
    (one / "dataset.json").write_text('{"files": [], "config": {"export": {"split_axis": "reader"}}}')
    assert split_overlaps(one) == []


@given(st.sets(st.integers(0, 63), max_size=4), st.integers(-(1 << 63), (1 << 63) - 1))
def test_bands_miss_no_pair(flipped: set[int], value: int) -> None:
    other = value & 0xFFFF_FFFF_FFFF_FFFF
    for bit in flipped:
        other ^= 1 << bit
    other -= (other >> 63) << 64
    assert bits_apart(value, other) == len(flipped)
    assert bool(_alike({value: ()}, {other: ()})) == (len(flipped) <= SAME_PICTURE_BITS)


def test_a_picture_of_another_size_keeps_its_hash_and_another_has_another() -> None:
    def grey(seed: int) -> Any:
        pixels = np.asarray(make_phantom(seed=seed, size_px=(256, 300)).pixels, np.float64)
        return (255 * (pixels - pixels.min()) / np.ptp(pixels)).astype(np.uint8)

    one, other = grey(1), grey(2)
    small = np.asarray(Image.fromarray(one).resize((180, 211)))
    assert bits_apart(perceptual_hash(one), perceptual_hash(small)) <= SAME_PICTURE_BITS
    assert bits_apart(perceptual_hash(one), perceptual_hash(other)) > SAME_PICTURE_BITS
