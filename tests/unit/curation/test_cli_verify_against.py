"""The command ``gazecurate verify DATASET --against OTHER``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from curation.export.parquet_shard import ParquetShardWriter
from curation.export.schema import SHARD
from curation.export.shards import RowBatches
from gazecapture.files import sha256_of
from keyframes.errors import ExitCode
from tests.gazecurate import Command


def test_verify_against_names_what_two_datasets_share(gazecurate: Command, tmp_path: Path) -> None:
    """Public ids and equal pictures are an error (exit 6); pictures that only look alike are listed."""
    film = {"public_dicom_id": "film-1", "picture_sha256": "a" * 64, "picture_phash": 0b1011}
    ours = shared_dataset(tmp_path / "ours", public_patient_id="patient-1", image_info=[film])
    same_patient = shared_dataset(tmp_path / "patient", public_patient_id="patient-1", image_info=[])
    same_film = shared_dataset(tmp_path / "film", image_info=[film])
    alike = shared_dataset(tmp_path / "alike", image_info=[{"picture_phash": 0b0011}])
    other = shared_dataset(tmp_path / "other", image_info=[{"picture_phash": ~0b1011}])
    for against, kinds, code in (
        ([same_patient], {"public_patient_id"}, ExitCode.INTEGRITY),
        ([same_film], {"public_dicom_id", "picture_sha256", "picture_phash"}, ExitCode.INTEGRITY),
        ([alike], {"picture_phash"}, ExitCode.OK),
        ([other], set(), ExitCode.OK),
        ([other, alike, same_patient], {"public_patient_id", "picture_phash"}, ExitCode.INTEGRITY),
    ):
        options = [part for one in against for part in ("--against", one)]
        assert gazecurate("verify", ours, *options, "--json") == code
        found = gazecurate.json()["overlaps"]
        assert {overlap["kind"] for overlap in found} == kinds
        assert all(overlap["reading_ids"] == ["reading-ours"] for overlap in found)
    gazecurate("verify", ours, "--against", same_film)
    assert "share 1 values of public_dicom_id (1 readings of the first)" in gazecurate.out
    assert "share 1 pictures that look alike" in gazecurate.out
    assert gazecurate("verify", ours, "--against", other) == ExitCode.OK
    assert "nothing shared with" in gazecurate.out
    assert gazecurate("verify", ours, "--against", tmp_path) == ExitCode.USAGE


def shared_dataset(folder: Path, **columns: Any) -> Path:
    """Write a dataset of one reading, with its manifest."""
    name = f"reading-{folder.name}"
    (folder / "readings").mkdir(parents=True)
    path = folder / "readings" / "train-00000-of-00001.parquet"
    writer = RowBatches(ParquetShardWriter(path, row_group_bytes=1 << 20, row_group_rows=1))
    keys = {"patient_key": f"p {name}", "study_key": f"s {name}"}
    empty = dict.fromkeys(SHARD.names) | {"images": [], "keyframes": []}
    marks = {"source_format": "mimic-cxr", "access_tier": "credentialed", "gaze_tier": "none"}
    writer.add(
        empty
        | {"reading_id": name, "split": "train", "consent_scopes": ["audio"], **marks, **keys, **columns}
    )
    writer.close()
    entry = {"path": f"readings/{path.name}", "sha256": sha256_of(path), "bytes": path.stat().st_size}
    manifest = {"files": [entry], "n_readings": 1, "access_tier": "credentialed", "gaze_tier": "fixations"}
    (folder / "dataset.json").write_text(json.dumps(manifest))
    return folder
