from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gazecapture.store import KeyedHash, Store
from keyframes.errors import DataError, SchemaError, UsageError
from keyframes.geometry import Display
from keyframes.reading import GAZE, Reading, ReadingMeta, Tracker, conform


def reading(reading_id: str = "abc1") -> Reading:
    meta = ReadingMeta(
        reading_id=reading_id,
        source_format="test",
        reader_code="R1",
        study_key="s",
        patient_key="p",
        duration_ns=10,
        tracker=Tracker(name="t", nominal_rate_hz=500.0),
        display=Display(width_px=1, height_px=2, width_mm=None, height_mm=3.0, distance_mm=4.0),
        consent_scopes=("training",),
        provenance={"tool_version": "0"},
    )
    words = [
        {"word_index": 0, "t_start_ns": 1, "t_end_ns": 2, "word": "é", "supported": True, "source": "typed"}
    ]
    images = [
        {
            "image_index": i,
            "role": "current",
            "width_px": 4,
            "height_px": 5,
            "spacing_kind": "unknown",
            "sha256": "",
        }
        for i in range(2)
    ]
    return Reading.build(meta, {"words": pa.Table.from_pylist(words), "images": pa.Table.from_pylist(images)})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store")


def test_a_reading_comes_back_equal(store: Store, tmp_path: Path) -> None:
    picture = tmp_path / "film.DCM"
    picture.write_bytes(b"pixels")
    store.add(reading(), {1: picture})
    back = store.load("abc1")
    assert back.meta == reading().meta
    assert back.table("words").equals(reading().table("words"))
    assert back.table("images").column("file").to_pylist() == [None, "1.dcm"]
    assert store.image_path("abc1", 0) is None
    path = store.image_path("abc1", 1)
    assert path is not None
    assert path.read_bytes() == b"pixels"
    assert store.reading_ids() == ["abc1"]


def test_stages_are_whole_and_loaded_with_the_reading(store: Store) -> None:
    store.add(reading(), {})
    assert store.stage_record("abc1", "events") is None
    table = Reading.build(reading().meta, {}).table("words")
    store.write_stage("abc1", "events", {"findings": reading().table("findings")}, {"key": "k"})
    assert store.stage_record("abc1", "events") == {"key": "k"}
    assert "findings" in store.load("abc1").tables
    store.drop_stage("abc1", "events")
    assert store.stage_record("abc1", "events") is None
    assert table.num_rows == 0


def test_adding_again_drops_the_stages(store: Store) -> None:
    store.add(reading(), {})
    store.write_stage("abc1", "quality", {}, {"key": "k"})
    store.add(reading(), {})
    assert store.stage_record("abc1", "quality") is None


def test_source_hash_follows_content(store: Store, tmp_path: Path) -> None:
    store.add(reading(), {})
    before = store.source_hash("abc1")
    store.add(reading(), {})
    assert store.source_hash("abc1") == before
    picture = tmp_path / "film.png"
    picture.write_bytes(b"pixels")
    store.add(reading(), {0: picture})
    assert store.source_hash("abc1") != before


def test_a_changed_picture_is_found_on_asking(store: Store, tmp_path: Path) -> None:
    picture = tmp_path / "film.png"
    picture.write_bytes(b"pixels")
    store.add(reading(), {0: picture, 1: picture})
    store.check_source("abc1")
    (store.folder("abc1") / "images" / "1.png").write_bytes(b"others")
    with pytest.raises(SchemaError, match="not those that were ingested"):
        store.check_source("abc1")


def test_many_samples_come_back_to_the_bit(store: Store) -> None:
    n = 2000
    values = np.cumsum(np.random.default_rng(1).normal(size=n))
    values[5:9] = np.nan
    columns = {name: pa.array(values) for name in GAZE.names if GAZE.field(name).type == pa.float64()}
    rest = {
        name: pa.array([None if GAZE.field(name).nullable else "mono"] * n, GAZE.field(name).type)
        for name in GAZE.names
        if GAZE.field(name).type == pa.string()
    }
    table = conform(
        "gaze", pa.table(columns | rest | {"t_ns": np.arange(n) * 1_000_000 - 7, "valid": [True] * n})
    )
    store.add(reading().with_tables(gaze=table), {})
    stored = store.load("abc1").table("gaze")
    for name in table.column_names:
        ours, theirs = table[name].combine_chunks(), stored[name].combine_chunks()
        if pa.types.is_floating(ours.type):
            assert ours.null_count == theirs.null_count
            assert (
                ours.to_numpy(zero_copy_only=False).tobytes()
                == theirs.to_numpy(zero_copy_only=False).tobytes()
            )
        else:
            assert ours.equals(theirs)
    encodings = pq.read_metadata(store.folder("abc1") / "gaze.parquet").row_group(0).column(1).encodings
    assert "BYTE_STREAM_SPLIT" in encodings
    few = store.load("abc1", gaze_columns={"source", "px_per_deg_x"})
    assert few.table("gaze").column_names == ["t_ns", "px_per_deg_x", "source"]  # in the schema's order
    assert few.table("gaze").select(["t_ns", "source"]).equals(stored.select(["t_ns", "source"]))
    assert few.table("words").column_names == store.load("abc1").table("words").column_names
    with pytest.raises(KeyError):
        few.table("gaze").column("pupil")
    with pytest.raises(SchemaError, match="source"):  # what is read in part is checked as well
        few.with_tables(gaze=few.table("gaze").drop_columns(["source"]))


def test_the_key_is_made_once_and_guarded(store: Store) -> None:
    key = store.pseudonym_key
    assert Store.create(store.root).pseudonym_key == key
    if os.name == "posix":
        assert stat.S_IMODE((store.root / "pseudonym.key").stat().st_mode) == 0o600
    (store.root / "pseudonym.key").write_bytes(b"short")
    with pytest.raises(DataError, match="5 bytes"):
        _ = store.pseudonym_key


def test_pseudonyms_depend_on_key_and_every_part() -> None:
    make = KeyedHash(b"k" * 32)
    assert make("a", "b") == make("a", "b")
    assert len({make("a", "b"), make("ab", ""), make("b", "a"), KeyedHash(b"j" * 32)("a", "b")}) == 4


def test_what_is_no_store_or_no_reading(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a store"):
        Store.open(tmp_path)
    with pytest.raises(UsageError, match="no such reading"):
        store.load("feed")
    with pytest.raises(UsageError, match="letters and digits"):
        store.folder("../../etc")


def test_damage_is_named(store: Store) -> None:
    store.add(reading(), {})
    (store.folder("abc1") / "words.parquet").write_bytes(b"no parquet")
    with pytest.raises(SchemaError, match="'words'"):
        store.load("abc1")
    path = store.folder("abc1") / "reading.json"
    content = json.loads(path.read_bytes())
    path.write_text(json.dumps(content | {"schema_version": "2.0"}))
    with pytest.raises(SchemaError, match=r"format 2\.0"):
        store.load("abc1")
    path.write_text("{")
    with pytest.raises(SchemaError, match="damaged"):
        store.load("abc1")


def test_a_damaged_page_is_found(store: Store) -> None:
    store.add(reading(), {})
    path = store.folder("abc1") / "words.parquet"
    whole = path.read_bytes()
    for place in range(4, path.stat().st_size // 2, 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :])
        try:
            assert store.load("abc1").table("words").equals(reading().table("words"))
        except SchemaError:
            return
    pytest.fail("no flipped bit was found")


@pytest.mark.parametrize("content", ["[]", "[" * 100_000, '{"schema_version": "1.0"}', "\x00"])
def test_damaged_heads_of_readings_are_told(store: Store, content: str) -> None:
    store.add(reading(), {})
    (store.folder("abc1") / "reading.json").write_text(content, encoding="utf-8")
    with pytest.raises(SchemaError, match="damaged"):
        store.source_hash("abc1")


def test_a_file_where_the_stages_should_be(store: Store) -> None:
    store.add(reading(), {})
    (store.folder("abc1") / "stages").write_text("")
    assert store.stage_record("abc1", "events") is None
