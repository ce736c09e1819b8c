"""Readings without eyes, the mouse for gaze or no gaze at all: curated, marked, and exported only where asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.config import CurationConfig, ExportConfig
from curation.export.dataset import export_dataset
from curation.run import curate
from gazecapture.store import Store
from keyframes.reading import Reading, Tracker, empty_table


def with_mouse(reading: Reading) -> Reading:
    gaze = reading.table("gaze")
    place = gaze.schema.get_field_index("source")
    return reading.with_tables(gaze=gaze.set_column(place, "source", pa.array(["mouse"] * gaze.num_rows)))


def without_tracker(reading: Reading, profile: str = "none", source_format: str = "session") -> Reading:
    meta = replace(reading.meta, tracker=Tracker(profile=profile), source_format=source_format)
    return Reading.build(meta, {**reading.tables, "gaze": empty_table("gaze")})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, readings: ModuleType) -> Store:
    """Readings by eye (number 1), by mouse (2), without a tracker (3), of a corpus without gaze (4), of lost eyes (5).

    The settings that the tests change touch the last stage alone, so that one store serves them all.
    """
    folder = tmp_path_factory.mktemp("no-eyes")
    made: Store = readings.make_store(folder / "store")
    changes = (
        lambda r: r,
        with_mouse,
        without_tracker,
        lambda r: without_tracker(r, source_format="mimic-cxr"),
        lambda r: without_tracker(r, profile="eyelink"),
    )
    for number, change in enumerate(changes, start=1):
        path = readings.picture(folder / f"{number}.png", seed=number)
        words = [("clear", 0.5, 0.9), (".", 0.9, 1.0)]
        reading = readings.make_reading(number, picture_path=path, duration_s=2.0, words=words)
        made.add(change(reading), {0: path})
    return made


def held(store: Store, config: CurationConfig) -> dict[int, str]:
    summary = curate(store, config)
    assert not summary.failed
    return {store.meta(name).reading_number: str(why) for name, why in summary.held_back.items()}


@pytest.mark.parametrize(
    ("export", "codes"),
    [
        ({}, {2: "GT-MOUSE-GAZE", 3: "GT-NO-TRACKER"}),
        ({"allow_mouse_gaze": True}, {3: "GT-NO-TRACKER"}),
        ({"allow_no_gaze": True}, {2: "GT-MOUSE-GAZE"}),
        ({"allow_mouse_gaze": True, "allow_no_gaze": True}, {}),
    ],
)
def test_export_refuses_what_no_eye_saw_unless_asked(
    store: Store, tmp_path: Path, export: dict[str, bool], codes: dict[int, str]
) -> None:
    config = CurationConfig(
        export=ExportConfig.model_validate({**export, "formats": ["parquet"], "keyframe_pictures": False})
    )
    found = held(store, config)
    assert set(found) == set(codes)
    assert all(codes[number] in found[number] for number in codes)
    kept = curate(store, config).kept
    export_dataset(store, tmp_path / "out", reading_ids=kept, config=config)
    rows = [
        r for shard in (tmp_path / "out" / "readings").iterdir() for r in pq.read_table(shard).to_pylist()
    ]
    said = {r["reading_number"]: (r["tracker"]["gaze_source"], r["tracker"]["profile"]) for r in rows}
    assert set(said) == {1, 2, 3, 4} - set(codes)
    assert said.get(2, ("mouse", None))[0] == "mouse"
    assert said.get(3, (None, "none")) == (None, "none")


def test_both_are_coded_issues(store: Store) -> None:
    curate(store, CurationConfig())
    codes = {
        store.meta(name).reading_number: set(store.load(name).table("issues").column("code").to_pylist())
        for name in store.reading_ids()
    }
    assert "GQ-MOUSE-GAZE" in codes[2]
    assert "GQ-NO-TRACKER" in codes[3]
    assert not {"GQ-MOUSE-GAZE", "GQ-NO-TRACKER"} & codes[1]


def test_a_corpus_without_gaze_and_a_tracker_that_saw_nothing_are_judged_for_themselves(store: Store) -> None:
    summary = curate(store, CurationConfig())
    why = {store.meta(name).reading_number: str(reason) for name, reason in summary.rejected.items()}
    assert "GQ-NO-GAZE" in why[5]
    assert not {4, 5} & set(held(store, CurationConfig())), "nobody sat there without a tracker"
