"""Writing a dataset: the same rows in both formats, resumable, scanned, verified."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from curation.config import CurationConfig, ExportConfig, PrivacyConfig
from curation.export import dataset as exporting
from curation.export.card import CardFacts, dataset_card
from curation.export.dataset import export_dataset
from curation.export.hdf5_shard import read_hdf5
from curation.export.parquet_shard import read_parquet
from curation.export.schema import SHARD
from curation.export.verify import verify_dataset
from gazecapture.store import Store
from keyframes.errors import PrivacyError, ShardIntegrityError, UsageError

if TYPE_CHECKING:
    from tests.conftest import SmallDataset


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b) or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


def parquet_rows(dataset: Path) -> list[dict[str, Any]]:
    paths = sorted((dataset / "readings").glob("*.parquet"))
    return [row for path in paths for batch in read_parquet(path) for row in batch.to_pylist()]


def content(dataset: Path) -> dict[str, bytes]:
    return {str(p.relative_to(dataset)): p.read_bytes() for p in sorted(dataset.rglob("*")) if p.is_file()}


@pytest.fixture
def store(small_dataset: SmallDataset, tmp_path: Path) -> Store:
    shutil.copytree(small_dataset.store, tmp_path / "store")
    return Store.open(tmp_path / "store")


def test_both_formats_hold_the_same_rows(small_dataset: SmallDataset) -> None:
    rows = parquet_rows(small_dataset.dataset)
    assert len(rows) == 4
    hdf5 = [
        r for p in sorted((small_dataset.dataset / "hdf5").glob("*.h5")) for r in read_hdf5(p).to_pylist()
    ]
    assert len(hdf5) == 4
    for row, other in zip(rows, hdf5, strict=True):
        for field in SHARD.names:
            assert same(row[field], other[field]), field


def test_the_card_names_profile_and_scheme(small_dataset: SmallDataset) -> None:
    card = (small_dataset.dataset / "README.md").read_text()
    assert "letters by scheme `gazex-v1`, key frames by profile `toolkit`" in card
    other = CardFacts(
        metas=(),
        splits={},
        n_keyframes=0,
        n_fixations=0,
        keyframe_profiles={"toolkit", "published"},
        region_schemes=set(),
        config_hash="",
    )
    assert "letters by scheme none, key frames by profile `published`, `toolkit`" in dataset_card(other)


def test_a_row_is_complete(small_dataset: SmallDataset) -> None:
    for row in parquet_rows(small_dataset.dataset):
        for field in (
            "fixations",
            "keyframes",
            "trajectory",
            "sentences",
            "words",
            "regions",
            "truth",
        ):
            assert row[field], field
        assert row["synthetic"] is True
        assert (row["gaze_tier"], row["saccades"]) == ("fixations", [])
        assert row["tracker"]["gaze_source"] == "simulated"
        assert {f["letter"] for f in row["fixations"] if f["letter"]} <= set("ABCDEF")
        assert row["text"] == " ".join(s["text"] for s in row["sentences"])
        ids = {s["sentence_id"] for s in row["sentences"]}
        assert {k["sentence_id"] for k in row["keyframes"]} - {None} == ids


def test_readers_of_one_study_share_its_keys_and_split(small_dataset: SmallDataset) -> None:
    rows = parquet_rows(small_dataset.dataset)
    assert len({row["reader_code"] for row in rows}) == 2
    assert len({row["study_key"] for row in rows}) == 2
    for patient in {row["patient_key"] for row in rows}:
        assert len({row["split"] for row in rows if row["patient_key"] == patient}) == 1


def test_the_same_store_gives_the_same_bytes(
    store: Store, small_dataset: SmallDataset, tmp_path: Path
) -> None:
    export_dataset(store, tmp_path / "again", reading_ids=store.reading_ids(), config=CurationConfig())
    first, second = content(small_dataset.dataset), content(tmp_path / "again")
    first.pop("report.html", None)
    # The manifest alone may differ: its key holds the hash of stage records.
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] in ([], ["dataset.json"])


def test_a_second_export_writes_nothing(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = export_dataset(store, out, reading_ids=store.reading_ids(), config=CurationConfig())
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    second = export_dataset(store, out, reading_ids=store.reading_ids(), config=CurationConfig())
    assert (first.up_to_date, second.up_to_date) == (False, True)
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before


def test_fewer_readings_replace_the_older_dataset_whole(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    config = CurationConfig(export=ExportConfig(readings_per_shard=1))
    export_dataset(store, out, reading_ids=store.reading_ids(), config=config)
    assert len(list((out / "readings").iterdir())) == 4
    export_dataset(store, out, reading_ids=store.reading_ids()[:1], config=config)
    assert len(list((out / "readings").iterdir())) == 1
    assert verify_dataset(out).n_readings == 1


def test_an_id_of_ours_without_a_letter_is_no_name(store: Store, tmp_path: Path) -> None:
    """One keyed hash in 1,850 has digits alone; it is in rows and in names of files."""
    own = {"reading_id": "8315720946117203", "patient_key": "4471938260155927", "study_key": "1" * 16}
    (renamed := store.folder(store.reading_ids()[0])).rename(store.folder(own["reading_id"]))
    record = store.folder(own["reading_id"]) / "reading.json"
    stored = json.loads(record.read_bytes())
    assert stored["meta"].pop("reading_id") == renamed.name
    record.write_text(json.dumps({**stored, "meta": {**stored["meta"], **own}}))
    export_dataset(store, tmp_path / "out", reading_ids=[own["reading_id"]], config=CurationConfig())
    (row,) = parquet_rows(tmp_path / "out")
    assert {name: row[name] for name in own} == own
    assert row["images"][0]["path"].startswith(own["reading_id"])
    assert {path.stem.split("_")[0] for path in (tmp_path / "out" / "images").iterdir()} == {
        own["reading_id"]
    }


def test_without_images_there_are_none_anywhere(store: Store, tmp_path: Path) -> None:
    config = CurationConfig(privacy=PrivacyConfig(images="exclude"))
    export_dataset(store, tmp_path / "out", reading_ids=store.reading_ids(), config=config)
    assert not (tmp_path / "out" / "images").exists()
    for row in parquet_rows(tmp_path / "out"):
        assert row["images"] == []
        assert all(frame["picture"] is None for frame in row["keyframes"])
        assert all(info["sha256"] is None for info in row["image_info"])
    assert b"\x89PNG" not in b"".join(content(tmp_path / "out").values())


def test_what_the_scan_finds_leaves_no_dataset(store: Store, tmp_path: Path) -> None:
    # A text that names the store's folder, as a careless field might.
    reading_id = store.reading_ids()[0]
    reading = store.load(reading_id)
    sentences = reading.table("sentences").to_pylist()
    sentences[0]["text"] = f"see {store.root.resolve()}"
    table = pa.Table.from_pylist(sentences, schema=reading.table("sentences").schema)
    store.write_stage(reading_id, "dictation", {"sentences": table}, {"key": "changed"})
    out = tmp_path / "out"
    # With the lexicon the path would never get as far as the scan.
    config = CurationConfig(privacy=PrivacyConfig(text="names"))
    with pytest.raises(PrivacyError) as error:
        export_dataset(store, out, reading_ids=store.reading_ids(), config=config)
    assert str(store.root) not in error.value.one_line()
    assert [p.name for p in out.iterdir()] == [".gazecapture"]


def test_a_failure_midway_leaves_the_older_dataset(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_dataset(store, out, reading_ids=store.reading_ids()[:1], config=CurationConfig())
    before = content(out)

    def interrupt(done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_dataset(
            store, out, reading_ids=store.reading_ids(), config=CurationConfig(), progress=interrupt
        )
    assert content(out) == before


@pytest.mark.parametrize("damage", ["altered", "missing", "table"])
def test_a_reading_that_was_damaged_since_fails_alone(store: Store, tmp_path: Path, damage: str) -> None:
    ids = store.reading_ids()
    picture = store.image_path(ids[2], 0)
    assert picture is not None
    if damage == "altered":
        picture.write_bytes(b"damaged")
    elif damage == "missing":
        picture.unlink()
    else:
        (store.folder(ids[2]) / "gaze.parquet").write_bytes(b"PAR1")
    config, out = CurationConfig(export=ExportConfig(formats=("parquet",))), tmp_path / "out"
    summary = export_dataset(store, out, reading_ids=ids, config=config)
    assert [failure.reading_id for failure in summary.failed] == [ids[2]]
    assert sorted(row["reading_id"] for row in parquet_rows(out)) == [*ids[:2], ids[3]]
    assert verify_dataset(out).n_readings == 3
    assert export_dataset(store, out, reading_ids=ids, config=config).up_to_date
    without = tmp_path / "without"
    export_dataset(store, without, reading_ids=[*ids[:2], ids[3]], config=config)
    assert content(out) == content(without)


def test_where_every_reading_is_damaged_nothing_is_written(store: Store, tmp_path: Path) -> None:
    for reading_id in store.reading_ids():
        (store.folder(reading_id) / "gaze.parquet").unlink()
    out = tmp_path / "out"
    summary = export_dataset(store, out, reading_ids=store.reading_ids(), config=CurationConfig())
    assert (summary.n_readings, len(summary.failed)) == (0, 4)
    assert [p.name for p in out.iterdir()] == [".gazecapture"]


def test_verify_finds_every_kind_of_damage(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_dataset(store, out, reading_ids=store.reading_ids(), config=CurationConfig())
    assert verify_dataset(out).n_readings == 4
    shard = next((out / "readings").iterdir())
    good = shard.read_bytes()
    shard.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(ShardIntegrityError, match="SHA-256"):
        verify_dataset(out)
    shard.unlink()
    with pytest.raises(ShardIntegrityError, match="missing"):
        verify_dataset(out)
    shard.write_bytes(good)
    (out / "images" / "stranger.png").write_bytes(b"")
    with pytest.raises(ShardIntegrityError, match="does not list"):
        verify_dataset(out)
    (out / "images" / "stranger.png").unlink()
    manifest = json.loads((out / exporting.MANIFEST).read_bytes())
    manifest["files"].append({"path": "../store/pseudonym.key", "bytes": 32, "sha256": ""})
    (out / exporting.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ShardIntegrityError, match="outside"):
        verify_dataset(out)
    with pytest.raises(UsageError, match="no finished dataset"):
        verify_dataset(tmp_path)
