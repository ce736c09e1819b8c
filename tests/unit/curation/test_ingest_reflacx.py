from __future__ import annotations

import bz2
import gzip
import importlib.util
import json
import lzma
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.cli import cli
from curation.ingest.into_store import INGESTERS
from curation.ingest.protocol import Ingested
from curation.ingest.reflacx import ReflacxIngester
from gazecapture.store import Store
from keyframes.errors import DataError, GazeToolError, UsageError
from keyframes.reading import Reading

KEY = b"k" * 32


@pytest.fixture(scope="module")
def trees() -> ModuleType:
    """The module `reflacx_fixture.py`; test folders are no packages, so it is loaded by its path."""
    path = Path(__file__).parents[2] / "reflacx_fixture.py"
    spec = importlib.util.spec_from_file_location("reflacx_fixture", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def written(trees: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cast("Path", trees.write_tree(tmp_path_factory.mktemp("written")))


@pytest.fixture
def tree(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "reflacx"))


def ingest_all(tree: Path, ingester: ReflacxIngester | None = None) -> dict[str, Ingested]:
    ingester = ingester or ReflacxIngester()
    return {item.label: item for unit in ingester.find(tree) for item in ingester.readings(unit, key=KEY)}


def reading_of(tree: Path, label: str) -> Reading:
    item = ingest_all(tree)[label]
    assert item.error is None, item.error
    assert item.reading is not None
    return item.reading


def error_of(tree: Path, label: str) -> GazeToolError:
    item = ingest_all(tree)[label]
    assert item.reading is None
    assert item.error is not None
    return item.error


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_bytes(change(path.read_bytes().decode()).encode())


def test_gaze_in_image_and_screen_px(tree: Path, trees: ModuleType) -> None:
    reading = reading_of(tree, "P101R900001")
    assert reading.meta.time_origin == "audio_start"
    assert reading.meta.access_tier == "credentialed"
    gaze = reading.to_pandas("gaze")
    assert len(gaze) == 5700
    assert gaze.t_ns[0] == -200_000_000
    source = trees.gaze_rows(1)
    first = gaze.iloc[100]
    assert (first.x_image_px, first.y_image_px) == (source[100][1] + 0.5, source[100][2] + 0.5)
    assert (first.x_screen_px, first.y_screen_px) == pytest.approx(
        (1020 + 3.75 * first.x_image_px, 3.75 * first.y_image_px)
    )
    zoomed = gaze.iloc[5000]
    assert zoomed.x_screen_px == pytest.approx(1020 + 7.5 * (zoomed.x_image_px - 120))
    assert zoomed.px_per_deg_x == 9
    lost = gaze[(gaze.t_ns >= 2_420_000_000) & (gaze.t_ns <= 2_480_000_000)]
    assert not lost.valid.any()
    assert lost[["x_image_px", "y_image_px", "x_screen_px", "pupil"]].isna().all(axis=None)
    assert set(gaze.source_fixation.dropna().unique()) == set(range(10))
    assert gaze.source_fixation[0] == 0
    display = reading.table("display").to_pylist()
    assert [row["t_ns"] for row in display] == [-200_000_000, 3_620_000_000]
    assert display[1]["source_rect"] == [120, 144, 360, 432]
    assert display[1]["window_width_share"] == 0.8
    assert reading.meta.provenance["screen_px_per_deg_x"] == "63.75"
    assert reading.meta.provenance["transcript_matches"] == "true"


def test_words_findings_and_chest_box(tree: Path, trees: ModuleType) -> None:
    reading = reading_of(tree, "P101R900001")
    words = reading.to_pandas("words")
    assert " ".join(words.word) == "the heart is enlarged . no pneumothorax ."
    assert words.t_start_ns[0] == 1_000_000_000
    image = reading.table("images").to_pylist()[0]
    assert image["chest_box"] == [30, 40, 450, 520]
    assert image["public_dicom_id"] == trees.DICOM_ID
    found = {row["label"]: row for row in reading.table("findings").to_pylist()}
    assert set(found) == {
        "Enlarged cardiac silhouette", "Atelectasis", "Support devices", "kyphosis", "old granuloma",
    }  # fmt: skip
    ellipse = found["Enlarged cardiac silhouette"]
    assert (ellipse["shape"], ellipse["box"], ellipse["rating"], ellipse["certainty"]) == (
        "ellipse", [200, 250, 330, 400], 4, 0.75,
    )  # fmt: skip
    assert (found["Atelectasis"]["shape"], found["Atelectasis"]["certainty"]) == ("none", 0.25)
    assert found["kyphosis"]["certainty"] is None
    assert len({row["finding_id"] for row in found.values()}) == len(found)


def test_readings_of_one_study_share_its_keys(tree: Path) -> None:
    first, second = (reading_of(tree, label).meta for label in ("P101R900001", "P300R900002"))
    assert (first.study_key, first.patient_key) == (second.study_key, second.patient_key)
    assert first.reading_id != second.reading_id
    assert (first.study_arm, second.study_arm, second.split_official) == ("phase 1", "phase 3", "test")
    for text in ("90000001", "95000001", "P101R900001"):
        assert text not in repr(first)


def test_gaze_beside_the_image_is_kept_but_on_no_image(tree: Path) -> None:
    path = tree / "gaze_data" / "P300R900002" / "gaze.csv"
    lines = path.read_bytes().decode().split("\r\n")
    cells = lines[1].split(",")
    cells[1:3] = ["-200", "270"]  # on the screen at 270: left of the viewport, on a button
    lines[1] = ",".join(cells)
    path.write_bytes("\r\n".join(lines).encode())
    first = reading_of(tree, "P300R900002").table("gaze").slice(0, 1).to_pylist()[0]
    assert (first["x_image_px"], first["image_index"], first["on_panel"]) == (-199.5, None, True)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zip"])
def test_packed_gaze_is_the_same(tree: Path, suffix: str) -> None:
    plain = reading_of(tree, "P300R900002").table("gaze")
    path = tree / "gaze_data" / "P300R900002" / "gaze.csv"
    content = path.read_bytes()
    target = path.with_name(path.name + suffix)
    if suffix == ".zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("gaze.csv", content)
    else:
        packers: dict[str, Callable[[bytes], bytes]] = {
            ".gz": gzip.compress,
            ".bz2": bz2.compress,
            ".xz": lzma.compress,
        }
        target.write_bytes(packers[suffix](content))
    path.unlink()
    packed = reading_of(tree, "P300R900002").table("gaze")
    for name in plain.column_names:
        a, b = (table.column(name).to_numpy(zero_copy_only=False) for table in (plain, packed))
        np.testing.assert_array_equal(a, b)
    target.write_bytes(target.read_bytes()[:500])
    assert error_of(tree, "P300R900002").code == "GT-REFLACX"


def test_pictures_beside_main_data_elsewhere_or_nowhere(
    tree: Path, trees: ModuleType, tmp_path: Path
) -> None:
    found = ingest_all(tree)["P101R900001"]
    assert found.images[0].name == f"{trees.DICOM_ID}.jpg"
    assert found.reading is not None
    assert len(found.reading.table("images").column("sha256")[0].as_py()) == 64
    (tree / "images").rename(tmp_path / "elsewhere")
    without = ingest_all(tree)["P101R900001"]
    assert without.reading is not None
    assert without.images == {}
    elsewhere = ReflacxIngester().with_images(tmp_path / "elsewhere")
    assert ingest_all(tree, elsewhere)["P101R900001"].images.keys() == {0}
    flat = trees.write_picture(tmp_path / "flat" / f"{trees.DICOM_ID}.png")
    assert ingest_all(tree, ReflacxIngester().with_images(flat.parent))["P101R900001"].images == {0: flat}
    trees.write_picture(flat, size=(240, 288))
    smaller = ingest_all(tree, ReflacxIngester().with_images(flat.parent))["P101R900001"].error
    assert smaller is not None
    assert smaller.code == "GT-IMAGE"
    with pytest.raises(UsageError, match="no folder"):
        ReflacxIngester().with_images(tmp_path / "none")


def test_where_the_tree_may_lie(tree: Path, tmp_path: Path) -> None:
    tables = [tree / "main_data" / f"metadata_phase_{n}.csv" for n in (1, 3)]
    assert ReflacxIngester().find(tree) == tables
    assert ReflacxIngester().find(tree / "main_data") == tables
    assert ReflacxIngester().find(tmp_path) == tables
    with pytest.raises(UsageError, match="metadata_phase"):
        ReflacxIngester().find(tree / "images")
    with pytest.raises(UsageError, match="does not exist"):
        ReflacxIngester().find(tree / "none")


def column(name: str, value: str) -> Callable[[str], str]:
    """Return a change of one cell of a table's first row."""

    def change(text: str) -> str:
        header, first, *rest = text.split("\r\n")
        cells = first.split(",")
        cells[header.split(",").index(name)] = value
        return "\r\n".join([header, ",".join(cells), *rest])

    return change


def milliseconds(text: str) -> str:
    header, *rows = text.split("\r\n")
    return "\r\n".join([header, *(f"{k}," + row.split(",", 1)[1] for k, row in enumerate(rows) if row)])


@pytest.mark.parametrize(
    ("file", "change", "code", "said"),
    [
        ("main_data/metadata_phase_3.csv", column("image_size_x", "960"), "GT-IMAGE", "480 x 576"),
        ("main_data/metadata_phase_3.csv", column("image_size_x", "wide"), "GT-REFLACX", "image_size_x"),
        ("main_data/metadata_phase_3.csv", column("dicom_id", "0a1b2c3d"), "GT-REFLACX", "different images"),
        ("main_data/metadata_phase_3.csv", column("subject_id", "90000002"), "GT-REFLACX", "different images"),
        ("main_data/metadata_phase_3.csv", column("image", "../../etc/passwd"), "GT-REFLACX", "column image"),
        ("main_data/metadata_phase_3.csv", column("Pulmonary edema", "7"), "GT-REFLACX", "0 to 5"),
        ("gaze_data/P300R900002/gaze.csv", milliseconds, "GT-REFLACX", "are the times in s"),
        ("gaze_data/P300R900002/gaze.csv", column("timestamp_sample", ""), "GT-REFLACX", "time is absent"),
        ("gaze_data/P300R900002/gaze.csv", column("x_position", "left"), "GT-REFLACX", "no number"),
        (
            "gaze_data/P300R900002/gaze.csv",
            lambda text: text.replace(",480,576,", ",960,1152,").replace(",360,432,", ",960,1152,"),
            "GT-REFLACX",
            "another image",
        ),
        ("gaze_data/P300R900002/gaze.csv", lambda text: text.split("\r\n")[0] + "\r\n", "GT-REFLACX", "no sample"),
        (
            "main_data/P300R900002/timestamps_transcription.csv",
            column("timestamp_end_word", "0.5"),
            "GT-REFLACX",
            "ends before it starts",
        ),
        ("main_data/P300R900002/chest_bounding_box.csv", column("xmax", "10"), "GT-REFLACX", "empty"),
        ("main_data/P300R900002/anomaly_location_ellipses.csv", column("xmin", "nan"), "GT-REFLACX", "xmin"),
        (
            "main_data/P300R900002/fixations.csv",
            column("timestamp_end_fixation", "-9"),
            "GT-REFLACX",
            "fixation",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_and_stops_no_other_reading(
    tree: Path, file: str, change: Callable[[str], str], code: str, said: str
) -> None:
    edit(tree / file, change)
    error = error_of(tree, "P300R900002")
    assert error.code == code
    assert said in error.one_line()
    assert "90000001" not in error.message
    reading_of(tree, "P101R900001")


def test_an_id_that_is_a_path_or_stands_twice(tree: Path) -> None:
    table = tree / "main_data" / "metadata_phase_3.csv"
    edit(table, lambda text: text.replace("P300R900003", "../../x"))
    items = ingest_all(tree)
    error = items["metadata_phase_3.csv row 3"].error
    assert error is not None
    assert "P000R000000" in error.message
    edit(table, lambda text: text.replace("../../x", "P300R900002"))
    units = [list(ReflacxIngester().readings(unit, key=KEY)) for unit in ReflacxIngester().find(tree)]
    assert [item.error is None for item in units[1]] == [True, False]


def test_gaze_that_is_missing_is_an_error_and_gaze_that_was_discarded_is_none(tree: Path) -> None:
    discarded = reading_of(tree, "P300R900003")
    assert discarded.table("gaze").num_rows == 0
    assert discarded.table("words").num_rows == 8
    (tree / "gaze_data" / "P300R900002" / "gaze.csv").unlink()
    assert error_of(tree, "P300R900002").code == "GT-NO-GAZE-FILE"


@pytest.mark.parametrize("profile", ["toolkit", "published"])
def test_ingest_and_run_from_the_command_line(tree: Path, tmp_path: Path, profile: str) -> None:
    store = str(tmp_path / "store")
    settings_file = tmp_path / "gazecurate.toml"
    settings_file.write_text(
        f'[keyframes]\nprofile = "{profile}"\nfit_lead = false\n[export]\nformats = ["parquet"]\n'
        "[quality]\nmin_duration_s = 1.0\n"
    )
    done = CliRunner().invoke(
        cli, ["ingest", str(tree), "--format", "reflacx", "--store", store, "--json"], standalone_mode=False
    )
    assert done.exception is None, done.output
    arguments = ["run", "--store", store, "--out", str(tmp_path / "out"), "-j", "1", "-c", str(settings_file)]
    done = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert done.exception is None, done.output
    rows = [row for path in sorted((tmp_path / "out").rglob("*.parquet")) for row in read_rows(path)]
    assert len(rows) == 2
    opened = Store.open(Path(store))
    verdicts = {
        i: [row["code"] for row in opened.load(i).table("issues").to_pylist() if row["severity"] == "error"]
        for i in opened.reading_ids()
    }
    assert sorted(verdicts.values()) == [[], [], ["GQ-DISCARDED"]]
    for row in rows:
        assert (row["time_origin"], row["access_tier"]) == ("audio_start", "credentialed")
        assert {frame["profile"] for frame in stored_keyframes(opened, row["reading_id"])} == {profile}
        assert row["source_licence"] == "PhysioNet Credentialed Health Data License 1.5.0"
        record = opened.stage_record(row["reading_id"], "events")
        assert record is not None
        assert record["notes"]["frame"] == "screen", "the zoom must not look like a saccade"
        holistic = [frame for frame in row["keyframes"] if frame["kind"] == "holistic"]
        assert len(holistic) == 2
        for frame in holistic:
            assert (frame["box_q"] is not None) == (profile == "published")
            assert frame["fixation_indexes"]
            assert frame["picture"]["bytes"]
        assert len(row["fixations"]) == pytest.approx(10, abs=2)


def read_rows(path: Path) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", pq.read_table(path).to_pylist())


def stored_keyframes(store: Store, reading_id: str) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", store.load(reading_id).table("keyframes").to_pylist())


def test_images_go_with_formats_that_take_them(tree: Path, tmp_path: Path) -> None:
    arguments = ["ingest", str(tree), "--store", str(tmp_path / "store"), "--images", str(tree / "images")]
    done = CliRunner().invoke(cli, [*arguments, "--format", "reflacx", "--json"], standalone_mode=False)
    assert json.loads(done.stdout)["failed"] == []
    done = CliRunner().invoke(cli, [*arguments, "--format", "session"], standalone_mode=False)
    assert isinstance(done.exception, UsageError)


FILES = (
    "main_data/metadata_phase_3.csv",
    "main_data/P300R900002/timestamps_transcription.csv",
    "main_data/P300R900002/fixations.csv",
    "main_data/P300R900002/anomaly_location_ellipses.csv",
    "main_data/P300R900002/chest_bounding_box.csv",
    "main_data/P300R900002/transcription.txt",
    "gaze_data/P300R900002/gaze.csv",
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    file=st.sampled_from(FILES),
    place=st.floats(0, 1),
    junk=st.one_of(
        st.binary(max_size=12),
        st.sampled_from(
            [
                b"1e400",
                b"nan",
                b"-",
                b",,,,",
                b'"',
                b"\x00",
                b"\r\n",
                b"\xff\xfe",
                b"9" * 40,
                b"True",
                b"-1e308",
            ]
        ),
    ),
    n_cut=st.integers(0, 40),
)
def test_damaged_files_give_an_error_or_a_sound_reading(
    tree: Path, file: str, place: float, junk: bytes, n_cut: int
) -> None:
    path = tree / file
    content = path.read_bytes()
    # Most damage where it matters: among the first rows.
    at = int(place * min(len(content), 1500))
    path.write_bytes(content[:at] + junk + content[at + n_cut :])
    try:
        for item in (
            i for unit in ReflacxIngester().find(tree)[1:] for i in ReflacxIngester().readings(unit, key=KEY)
        ):
            assert (item.reading is None) != (item.error is None)
            if item.reading is not None:
                gaze = item.reading.table("gaze").to_pandas()
                assert np.isfinite(gaze.x_image_px[gaze.valid]).all()
                assert (gaze.px_per_deg_x.dropna() > 0).all()
                assert item.reading.meta.duration_ns >= 0
    except DataError:
        pass
    finally:
        path.write_bytes(content)


def test_it_is_registered() -> None:
    assert INGESTERS["reflacx"].name == "reflacx"
