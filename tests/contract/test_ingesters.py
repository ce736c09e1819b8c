"""What every ingester owes, checked on a small synthetic source of each format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from curation.ingest.into_store import INGESTERS, ingest
from curation.ingest.protocol import Ingested, Ingester
from curation.ingest.terms import TERMS
from curation.issues import source_issues
from gazecapture.store import Store
from keyframes.access import ACCESS_TIERS
from keyframes.errors import GazeToolError, UsageError
from keyframes.reading import SOURCE_TABLES, Reading
from tests import ingest_fixture
from tests.ingest_fixture import Source
from tests.reflacx_fixture import write_tree
from tests.trackers_fixture import PLANTED
from tests.unit.curation.readings import write_session
from tests.unit.curation.test_ingest_xdf import gaze_file

KEY, OTHER_KEY = b"k" * 32, b"o" * 32


def _session(root: Path) -> Source:
    session = write_session(root)
    return Source(path=session, ingester=INGESTERS["session"], n_readings=2, victim=session / "session.json")


def _xdf(root: Path) -> Source:
    gaze_file(root / "a.xdf", markers=True)
    return Source(path=root / "a.xdf", ingester=INGESTERS["xdf"], n_readings=2, victim=root / "a.xdf")


def _reflacx(root: Path) -> Source:
    tree = write_tree(root / "reflacx")
    victim = tree / "gaze_data" / "P101R900001" / "gaze.csv"
    return Source(path=tree, ingester=INGESTERS["reflacx"], n_readings=3, victim=victim)


SOURCES: dict[str, Callable[[Path], Source]] = {
    "session": _session,
    "xdf": _xdf,
    "reflacx": _reflacx,
    **ingest_fixture.WRITERS,
}


@pytest.fixture(params=list(SOURCES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def source(name: str, tmp_path: Path) -> Source:
    folder = tmp_path / "source"
    folder.mkdir()
    return SOURCES[name](folder)


def read_all(source: Source, key: bytes = KEY) -> list[Ingested]:
    found = source.ingester
    return [item for unit in found.find(source.path) for item in found.readings(unit, key=key)]


def readings_of(source: Source, key: bytes = KEY) -> list[Reading]:
    items = read_all(source, key)
    assert [item.error for item in items if item.error is not None] == []
    readings = [item.reading for item in items if item.reading is not None]
    assert len(readings) == source.n_readings
    return readings


def check_clean(reading: Reading) -> None:
    """What holds of every reading that an ingester gives, however its source was damaged."""
    meta = reading.meta
    assert meta.duration_ns >= 0
    assert meta.access_tier in ACCESS_TIERS
    assert set(reading.tables) == set(SOURCE_TABLES)
    sizes = {row["image_index"]: row for row in reading.table("images").to_pylist()}
    assert all(row["width_px"] > 0 and row["height_px"] > 0 for row in sizes.values())
    gaze = reading.to_pandas("gaze")
    assert set(gaze.image_index.dropna()) <= set(sizes)
    for frame in ("screen", "image"):
        x, y = gaze[f"x_{frame}_px"], gaze[f"y_{frame}_px"]
        assert (np.isfinite(x) == np.isfinite(y)).all()
        assert not np.isinf(x).any()
    assert np.isfinite(gaze.x_image_px[gaze.image_index.notna()]).all()
    assert (np.isfinite(gaze.x_screen_px) | np.isfinite(gaze.x_image_px))[gaze.valid].all()
    for axis in "xy":
        per_deg = gaze[f"px_per_deg_{axis}"]
        assert (per_deg.isna() | (per_deg > 0)).all()
    assert (gaze.pupil.isna() | (gaze.pupil > 0)).all()
    for row in reading.table("display").to_pylist():
        assert row["image_index"] is None or row["image_index"] in sizes
        assert row["affine"] is None or np.isfinite(row["affine"]).all()
    words = reading.to_pandas("words")
    assert (words.t_end_ns >= words.t_start_ns).all()


def test_it_keeps_the_protocol(name: str, source: Source, tmp_path: Path) -> None:
    assert isinstance(source.ingester, Ingester)
    assert INGESTERS[source.ingester.name].name == source.ingester.name == name.split()[0]
    assert source.ingester.find(source.path) == source.ingester.find(source.path)
    (tmp_path / "empty").mkdir()
    for nothing in (tmp_path / "absent", tmp_path / "empty"):
        with pytest.raises(UsageError):
            source.ingester.find(nothing)


def test_readings_are_clean(source: Source) -> None:
    readings = readings_of(source)
    for reading in readings:
        check_clean(reading)
        assert reading.meta.source_format == source.ingester.name
        assert reading.meta.provenance["tool_version"]
        assert reading.meta.source_licence
    assert len({reading.meta.reading_id for reading in readings}) == len(readings)


def test_a_published_dataset_has_its_terms_and_a_lab_s_own_needs_consent(source: Source) -> None:
    terms = TERMS.get(source.ingester.name)
    for reading in readings_of(source):
        if terms is None:
            assert reading.meta.consent_scopes == ()
            assert reading.meta.access_tier == "local-only" or reading.meta.synthetic
            assert (reading.meta.public_patient_id, reading.meta.public_study_id) == ("", "")
            assert (
                reading.table("images").column("public_dicom_id").null_count
                == reading.table("images").num_rows
            )
        else:
            assert dict(terms.of_reading) == {name: getattr(reading.meta, name) for name in terms.of_reading}
            assert terms.provenance.items() <= reading.meta.provenance.items()


def test_ids_are_keyed_hashes_and_the_same_each_time(source: Source) -> None:
    first, again, other = (readings_of(source, key) for key in (KEY, KEY, OTHER_KEY))
    for one, same, different in zip(first, again, other, strict=True):
        assert one.meta == same.meta
        for field in ("reading_id", "study_key", "patient_key"):
            value = getattr(one.meta, field)
            assert len(value) == 16
            assert value != getattr(different.meta, field)


def test_nothing_personal_is_carried_on(source: Source) -> None:
    for reading in readings_of(source):
        assert PLANTED not in repr(reading.meta)
        assert not any(PLANTED in str(table.to_pylist()) for table in reading.tables.values())


def test_a_second_ingest_changes_nothing(source: Source, tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    units = source.ingester.find(source.path)
    done = ingest(store, source.ingester, units)
    assert (len(done.added), done.failed) == (source.n_readings, [])
    again = ingest(store, source.ingester, units)
    assert (len(again.unchanged), again.added, again.changed) == (source.n_readings, [], [])


def test_a_damaged_file_fails_its_readings_alone_and_names_nobody(source: Source) -> None:
    content = source.victim.read_bytes()
    source.victim.write_bytes(content[: len(content) // 3] + f'\n{PLANTED},;\0\t"'.encode())
    refused: list[GazeToolError] = []
    try:
        items = read_all(source)
    except GazeToolError as error:
        refused.append(error)
        items = []
    refused += [item.error for item in items if item.error is not None]
    assert refused or all(item.reading is not None for item in items)
    for one in refused:
        assert one.code.startswith("GT-")
        assert PLANTED not in one.message
    for item in items:
        assert (item.reading is None) != (item.error is None)
        if item.reading is not None:
            check_clean(item.reading)


@pytest.mark.parametrize("name", list(ingest_fixture.TRACKERS))
def test_trials_put_gaze_on_the_image_that_was_shown(name: str, source: Source) -> None:
    on_image, without = readings_of(source)
    for reading in (on_image, without):
        assert reading.meta.duration_ns == 500_000_000
        assert reading.meta.reader_code == "R07"
        assert reading.table("gaze").num_rows == 250
    (row,) = on_image.table("images").to_pylist()
    assert (row["width_px"], row["height_px"]) == (480, 576)
    issues = source_issues(without.meta.provenance)
    assert "GI-NO-IMAGE" in issues
    gaze = on_image.to_pandas("gaze")
    if name.startswith("neon"):
        assert "GI-SCENE-UNMAPPED" in issues
        assert gaze.x_screen_px.isna().all()
        assert gaze.x_scene_px.notna().any()
        assert not gaze.valid.any()
        return
    assert "GI-SCENE-UNMAPPED" not in issues
    shown = gaze[gaze.image_index.notna()]
    assert len(shown) > 100
    # 900 x 1080 screen px from (200, 100) on hold 480 x 576 image px.
    assert shown.x_image_px.to_numpy() == pytest.approx((shown.x_screen_px.to_numpy() - 200) * 480 / 900)
    assert shown.y_image_px.to_numpy() == pytest.approx((shown.y_screen_px.to_numpy() - 100) * 576 / 1080)
    per_deg = np.tan(np.deg2rad(1)) * 650 * 1920 / 520 * 480 / 900
    assert shown.px_per_deg_x.to_numpy() == pytest.approx(per_deg)
    assert without.to_pandas("gaze").image_index.isna().all()


def test_every_format_is_in_this_suite() -> None:
    assert {name.split()[0] for name in SOURCES} >= set(INGESTERS)
