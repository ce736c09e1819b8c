"""samples/ and events/ in a dataset: only at the tiers that have them, listed, scanned, verified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest

from curation.config import CurationConfig, ExportConfig, PrivacyConfig
from curation.consent import Permission
from curation.export.dataset import export_dataset
from curation.export.samples import SamplesWriter, export_gaze, samples_table
from curation.export.scan import scan_output
from curation.export.switch import MANIFEST
from curation.export.verify import verify_dataset
from curation.privacy.gaze_tier import GazeTier
from gazecapture.store import Store
from keyframes.errors import ShardIntegrityError

if TYPE_CHECKING:
    from tests.conftest import SmallDataset


def export(small_dataset: SmallDataset, out: Path, tier: GazeTier) -> Path:
    store = Store.open(small_dataset.store)
    config = CurationConfig(
        privacy=PrivacyConfig(gaze_tier=tier, images="exclude"), export=ExportConfig(formats=("parquet",))
    )
    export_dataset(store, out, reading_ids=store.reading_ids(), config=config)
    return out


@pytest.fixture(scope="module")
def raw(small_dataset: SmallDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(small_dataset, tmp_path_factory.mktemp("raw") / "out", "raw")


def test_by_default_no_sample_leaves(small_dataset: SmallDataset) -> None:
    assert not (small_dataset.dataset / "samples").exists()
    assert not (small_dataset.dataset / "events").exists()


def test_raw_samples_leave_whole(small_dataset: SmallDataset, raw: Path) -> None:
    store = Store.open(small_dataset.store)
    listed = {file["path"] for file in json.loads((raw / MANIFEST).read_bytes())["files"]}
    for reading_id in store.reading_ids():
        reading = store.load(reading_id)
        assert {f"samples/{reading_id}.parquet", f"events/{reading_id}.parquet"} <= listed
        rows = pq.read_table(raw / "samples" / f"{reading_id}.parquet")
        assert rows.num_rows == reading.table("gaze").num_rows
        assert pq.read_table(raw / "events" / f"{reading_id}.parquet").num_rows == (
            reading.table("events").num_rows
        )
        assert rows.column("pupil").null_count == 0, "the simulated reader agreed to pupils"
    verify_dataset(raw)


def test_the_middle_tier_thins_them(small_dataset: SmallDataset, tmp_path: Path) -> None:
    out = export(small_dataset, tmp_path / "out", "120hz")
    for path in (out / "samples").iterdir():
        t_ns = pq.read_table(path).column("t_ns").to_numpy()
        first = np.searchsorted(t_ns, t_ns - 1_000_000_000, side="right")
        assert (np.arange(t_ns.size) - first + 1).max() <= 121
        assert pq.read_schema(path).metadata[b"gaze_tier"] == b"120hz"


def test_without_the_reader_s_scope_there_is_none(small_dataset: SmallDataset, tmp_path: Path) -> None:
    store = Store.open(small_dataset.store)
    reading = store.load(store.reading_ids()[0])
    for permission in (None, Permission(scopes=frozenset({"audio", "pupil"}), tier="open")):
        export_gaze(tmp_path, reading, "raw", permission)
        assert not any(tmp_path.iterdir())
    export_gaze(tmp_path, reading, "raw", Permission(scopes=frozenset({"gaze"}), tier="open"))
    rows = pq.read_table(next((tmp_path / "samples").iterdir()))
    assert rows.column("pupil").null_count == rows.num_rows


def test_a_changed_or_foreign_file_is_found(small_dataset: SmallDataset, tmp_path: Path) -> None:
    out = export(small_dataset, tmp_path / "out", "raw")
    stranger = out / "samples" / "stranger.parquet"
    stranger.write_bytes(b"")
    with pytest.raises(ShardIntegrityError, match="does not list"):
        verify_dataset(out)
    stranger.unlink()
    (out / "tables" / "lesions.csv").write_bytes(b"x\n")
    with pytest.raises(ShardIntegrityError, match="SHA-256"):
        verify_dataset(out)


def test_a_narrower_tier_takes_samples_away(small_dataset: SmallDataset, tmp_path: Path) -> None:
    out = export(small_dataset, tmp_path / "out", "raw")
    assert (out / "samples").is_dir()
    export(small_dataset, out, "fixations")
    assert not (out / "samples").exists()
    assert not (out / "events").exists()


def test_the_scan_reads_labels_footers_and_cells(small_dataset: SmallDataset, tmp_path: Path) -> None:
    store = Store.open(small_dataset.store)
    rows = samples_table(store.load(store.reading_ids()[0]))
    labelled = rows.set_column(
        rows.schema.get_field_index("source"),
        rows.schema.field("source"),
        rows.column("source").cast("string").combine_chunks().fill_null("").dictionary_encode()
        .cast(rows.schema.field("source").type),
    )  # fmt: skip
    words = labelled.column("source").combine_chunks().dictionary.to_pylist()
    assert words == ["simulated"]
    with SamplesWriter(tmp_path / "a.parquet", facts={"note": "QZXWVK"}) as writer:
        writer.write(labelled)
    assert scan_output(tmp_path, {}, [], codes=["QZXWVK"]) == ["a.parquet: an identifier"]
    assert scan_output(tmp_path, {}, [], codes=["simulated"]) == ["a.parquet: an identifier"]
    assert not scan_output(tmp_path, {}, [], codes=["elsewhere"])
    (tmp_path / "a.parquet").unlink()
    (tmp_path / "t.csv").write_text("label,x_image_px,n\nnodule,12.345678,7\n8675309421,1.500000,8\n")
    assert scan_output(tmp_path, {}, [], codes=["8675309421"]) == ["t.csv: an identifier"]
    assert not scan_output(tmp_path, {}, [], codes=["345678"]), "digits of a measured number are no id"
    assert scan_output(tmp_path, {}, [], words=["nodule"]) == ["t.csv: a redacted word"]
