"""verify looks at every row: the schema, one split, nothing that the marks of the row or of the dataset keep back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.cli import cli
from curation.export.dataset import MANIFEST
from curation.export.verify import verify_dataset
from gazecapture.console import run_command
from gazecapture.files import sha256_of
from keyframes.errors import ExitCode, PrivacyError, ShardIntegrityError

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def dataset(exported: Path, tmp_path: Path) -> Path:
    """The Parquet shards of a dataset of two readings, and its manifest."""
    out = tmp_path / "dataset"
    shutil.copytree(exported / "readings", out / "readings")
    manifest = json.loads((exported / MANIFEST).read_bytes())
    manifest["files"] = [entry for entry in manifest["files"] if entry["path"].startswith("readings/")]
    (out / MANIFEST).write_text(json.dumps(manifest))
    return out


def rewritten(dataset: Path, change: Callable[[pa.Table], pa.Table], **manifest: Any) -> Path:
    """Change the first shard and say so in the manifest, as one would who made it so."""
    content = json.loads((dataset / MANIFEST).read_bytes()) | manifest
    path = dataset / content["files"][0]["path"]
    table = pq.read_table(path)
    changed = change(table)
    pq.write_table(changed, path)
    content["files"][0]["sha256"] = sha256_of(path)
    content["n_readings"] += changed.num_rows - table.num_rows
    (dataset / MANIFEST).write_text(json.dumps(content))
    return dataset


def rows_changed(change: Change) -> Callable[[pa.Table], pa.Table]:
    def changed(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        change(rows[0])
        return pa.Table.from_pylist(rows, schema=table.schema)

    return changed


def with_version(table: pa.Table, version: str) -> pa.Table:
    return table.replace_schema_metadata({**table.schema.metadata, b"schema_version": version.encode()})


def test_what_was_exported_is_as_it_says(dataset: Path) -> None:
    assert verify_dataset(dataset).n_readings == 2
    same = rewritten(dataset, lambda table: table)
    assert verify_dataset(same).n_readings == 2
    older = rewritten(dataset, lambda t: with_version(t.drop_columns(["qa", "lesion_gaze"]), "1.1"))
    assert verify_dataset(older).n_readings == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop_columns(["qa"]), "columns are not those of shard format"),
        (lambda t: t.append_column("patient_name", pa.nulls(t.num_rows, pa.string())), "patient_name"),
        (lambda t: with_version(t.append_column("x", pa.nulls(t.num_rows)), "1.1"), "x"),
        (lambda t: t.set_column(0, "reading_id", t["reading_id"].cast(pa.large_string())), "reading_id"),
        (lambda t: with_version(t, "2.0"), "shard format 2.0"),
        (lambda t: pa.concat_tables([t, t]), "stands twice"),
        (rows_changed(lambda row: row.update(split="elsewhere")), "split is not its file's"),
        (rows_changed(lambda row: row.update(access_tier=None)), "no access tier"),
        (rows_changed(lambda row: row.update(gaze_tier="all")), "no gaze tier"),
    ],
)
def test_a_shard_that_is_not_as_the_schema_says(
    change: Callable[[pa.Table], pa.Table], said: str, dataset: Path
) -> None:
    with pytest.raises(ShardIntegrityError, match=said) as found:
        verify_dataset(rewritten(dataset, change))
    assert found.value.exit_code == ExitCode.INTEGRITY


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: row.update(gaze_tier="raw"), "gaze tier is not the dataset's"),
        (lambda row: row.update(saccades=[{"event_index": 1}]), "holds saccades"),
        (lambda row: row.update(consent_scopes=["audio", "pupil"]), "what the eyes did"),
        (lambda row: row.update(gaze_tier="none"), "what the eyes did"),
        (lambda row: row.update(consent_scopes=["gaze", "audio"]), "pupil sizes"),
        (lambda row: row.update(consent_scopes=["gaze", "pupil"]), "spoken words"),
        (lambda row: row.update(public_patient_id="10000032"), "published dataset's ids"),
        (lambda row: row["image_info"][0].update(public_dicom_id="1.2.3"), "published dataset's ids"),
    ],
)
def test_a_row_that_holds_what_its_marks_keep_back(change: Change, said: str, dataset: Path) -> None:
    with pytest.raises(PrivacyError, match=said):
        verify_dataset(rewritten(dataset, rows_changed(change)))


def test_the_command_ends_with_the_code_of_what_it_found(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(cli, ["verify", str(dataset), "--json"]) == ExitCode.OK
    result = json.loads(capsys.readouterr().out)
    assert (result["n_readings"], result["parted"], result["overlaps"]) == (2, [], [])
    spoilt = rewritten(dataset, lambda table: table, access_tier="open")
    assert run_command(cli, ["verify", str(spoilt)]) == ExitCode.PRIVACY
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "the dataset is open, a reading in it local-only" in said
    assert "Do not pass it on" in said


def test_samples_in_a_dataset_of_fixations(dataset: Path) -> None:
    (dataset / "samples").mkdir()
    path = dataset / "samples" / "x.parquet"
    path.write_bytes(b"x")
    content = json.loads((dataset / MANIFEST).read_bytes())
    content["files"].append({"path": "samples/x.parquet", "sha256": sha256_of(path), "bytes": 1})
    (dataset / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(PrivacyError, match="holds samples"):
        verify_dataset(dataset)
