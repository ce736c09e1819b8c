"""What was shown when, by tables of trials and by messages of trackers' own files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from curation.cli import cli
from curation.ingest.into_store import INGESTERS
from curation.ingest.protocol import Ingested, TakesImages, TakesTrials
from curation.issues import source_issues
from gazecapture.store import Store
from keyframes.errors import DataError, UsageError
from keyframes.reading import Reading
from tests.reflacx_fixture import write_picture
from tests.trackers_fixture import synthetic_eyes, write_eyelink_asc, write_neon_cloud, write_tobii_tsv

KEY = b"k" * 32
MS = 1_000_000
T0 = 5_000 * MS
"""When `synthetic_eyes` begins; it lasts 1.2 s."""
HEADER = "reading,t_start_ms,t_end_ms"


def asc(folder: Path, *messages: tuple[int, str]) -> Path:
    eyes = dataclasses.replace(synthetic_eyes(), messages=tuple((T0 + t * MS, text) for t, text in messages))
    return write_eyelink_asc(folder / "a.asc", eyes)


def by_messages(path: Path) -> list[Ingested]:
    ingester = INGESTERS["eyelink-asc"]
    return [item for unit in ingester.find(path) for item in ingester.readings(unit, key=KEY)]


def by_table(path: Path, *lines: str, source_format: str = "eyelink-asc") -> list[Ingested]:
    table = path.parent / "trials.csv"
    table.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8-sig")
    ingester = INGESTERS[source_format]
    assert isinstance(ingester, TakesTrials)
    cut = ingester.with_trials(table)
    return [item for unit in cut.find(path) for item in cut.readings(unit, key=KEY)]


def reading(item: Ingested) -> Reading:
    assert item.error is None, item.error
    assert item.reading is not None
    return item.reading


def issues(item: Ingested) -> dict[str, int]:
    return source_issues(reading(item).meta.provenance)


def test_image_on_and_off_with_an_opaque_number_and_the_shown_part_by_messages(tmp_path: Path) -> None:
    write_picture(tmp_path / "417.png")
    path = asc(
        tmp_path,
        (100, "image_on 417"),
        (100, "source_rect=[0, 0, 480, 576] dest_rect=[200, 100, 1100, 1180]"),
        (300, "source_rect 120 144 360 432"),
        (300, "dest_rect 200 100 1100 1180"),
        (500, "image_off 417"),
        (600, "image_on 999"),
        (900, "image_off"),
    )
    first, second = by_messages(path)
    display = reading(first).table("display").to_pylist()
    assert [row["t_ns"] for row in display] == [0, 200 * MS]
    assert display[1]["source_rect"] == [120, 144, 360, 432]
    gaze = reading(first).to_pandas("gaze")
    late = gaze[(gaze.t_ns >= 200 * MS) & gaze.image_index.notna()]
    assert late.x_image_px.to_numpy() == pytest.approx(120 + (late.x_screen_px.to_numpy() - 200) * 240 / 900)
    assert (reading(first).meta.duration_ns, reading(second).meta.duration_ns) == (400 * MS, 300 * MS)
    assert "GI-NO-PICTURE" not in issues(first)
    assert issues(second) == {"GI-NO-PICTURE": 1}


def test_our_marks_are_on_and_off_by_turns_and_an_odd_one_is_refused(tmp_path: Path) -> None:
    marks = [(t, f"gazecapture-mark {100_000_000 + t}") for t in (100, 300, 600, 1000)]
    found = by_messages(asc(tmp_path, *marks))
    assert [reading(item).meta.duration_ns for item in found] == [200 * MS, 400 * MS]
    (item,) = by_messages(asc(tmp_path, *marks[:3]))
    assert isinstance(item.error, DataError)
    assert item.error.code == "GT-MARKS"


def test_a_file_that_says_nothing_is_one_reading_without_an_image(tmp_path: Path) -> None:
    (item,) = by_messages(asc(tmp_path))
    assert reading(item).meta.time_origin == "recording_start"
    assert issues(item) == {"GI-NO-IMAGE": 1}
    phases = reading(item).table("validations").to_pylist()
    assert [(row["phase"], row["eye"], round(row["accuracy_deg"], 2)) for row in phases] == [
        ("before", "left", 0.43), ("before", "right", 1.10),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [
        "A,5300,5200",
        "A,x,5200",
        "A,nan,5200",
        "A,5000,1e400",
        "A,5000,5500,7",
        ",5000,5500",
        "A,5000",
        "A,9000,9500",
        f"A,5000,{'9' * 50}",
    ],
)
def test_a_bad_trial_fails_alone(tmp_path: Path, row: str) -> None:
    bad, good = by_table(asc(tmp_path), HEADER, row, "B,5000,5500")
    assert isinstance(bad.error, DataError)
    assert bad.error.code == "GT-TRIALS"
    assert reading(good).meta.duration_ns == 500 * MS


@pytest.mark.parametrize("image", ["../film", "/etc/passwd", "a/../../film", "C:film"])
def test_a_picture_outside_of_its_folder_is_not_looked_at(tmp_path: Path, image: str) -> None:
    (item,) = by_table(asc(tmp_path), f"{HEADER},image", f"A,5000,5500,{image}")
    assert item.error is not None
    assert item.error.code == "GT-TRIALS"


def test_a_link_out_of_the_folder_is_no_picture(tmp_path: Path) -> None:
    write_picture(tmp_path / "elsewhere" / "film.png")
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "film.png").symlink_to(tmp_path / "elsewhere" / "film.png")
    path = asc(tmp_path)
    (tmp_path / "t.csv").write_text(f"{HEADER},image\nA,5000,5500,film\n")
    ingester = INGESTERS["eyelink-asc"]
    assert isinstance(ingester, TakesImages)
    cut = ingester.with_images(folder)
    assert isinstance(cut, TakesTrials)
    (item,) = cut.with_trials(tmp_path / "t.csv").readings(path, key=KEY)
    assert issues(item) == {"GI-NO-PICTURE": 1}


@pytest.mark.parametrize(
    ("rect", "code"),
    [
        ("0,0,480,576", None),
        ("0,0,960,576", "GI-ASPECT"),
        ("1500,0,1980,576", "GI-RECT-OFF-SCREEN"),
        (",,,", "GI-NO-RECT"),
    ],
)
def test_where_the_image_was_shown_is_checked(tmp_path: Path, rect: str, code: str | None) -> None:
    write_picture(tmp_path / "film.png")
    columns = "image,x0_screen_px,y0_screen_px,x1_screen_px,y1_screen_px"
    (item,) = by_table(asc(tmp_path), f"{HEADER},{columns}", f"A,5000,5500,film,{rect}")
    assert issues(item) == ({code: 1} if code else {})


def test_screen_and_frame_are_checked(tmp_path: Path) -> None:
    path = asc(tmp_path)
    screen = f"{HEADER},screen_width_px,screen_height_px"
    (item,) = by_table(path, screen, "A,5000,5500,1280,1024")
    assert item.error is not None
    assert "1280 x 1024" in item.error.message
    write_eyelink_asc(path, synthetic_eyes(), coords="0.00 0.00 199.00 99.00")
    (item,) = by_table(path, HEADER, "A,5000,5500")
    assert issues(item) == {"GI-NO-IMAGE": 1, "GI-GAZE-OFF-SCREEN": 1}
    (item,) = by_table(path, HEADER, "A,5000,9500")
    assert "GI-UNCOVERED" in issues(item)


@pytest.mark.parametrize(
    "header",
    ["reading,t_start_ms", "t_start_ms,t_end_ms", f"{HEADER},t_start_s,t_end_s", f"{HEADER},reading", ""],
)
def test_a_table_without_its_columns_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(UsageError, match="reading, t_start_ms"):
        by_table(asc(tmp_path), header)


def test_several_recordings_and_files_must_be_told_apart(tmp_path: Path) -> None:
    path = write_tobii_tsv(tmp_path / "a.tsv", synthetic_eyes(), recordings=2)
    lines = (f"{HEADER},recording", "A,0,500,2", "B,0,500,", "C,0,500,3")
    found = by_table(path, *lines, source_format="tobii-tsv")
    assert [item.error and item.error.code for item in found] == [None, "GT-TRIALS", "GT-TRIALS"]
    write_tobii_tsv(tmp_path / "b.tsv", synthetic_eyes())
    cut = INGESTERS["tobii-tsv"]
    assert isinstance(cut, TakesTrials)
    with pytest.raises(UsageError, match="no column file"):
        cut.with_trials(tmp_path / "trials.csv").find(tmp_path)


def test_neon_times_of_nineteen_digits_stay_exact(tmp_path: Path) -> None:
    t0 = 1_700_000_000_123_456_789
    path = write_neon_cloud(tmp_path / "cloud", synthetic_eyes(t0_ns=t0))
    lines = ("reading,t_start_ns,t_end_ns", f"A,{t0},{t0 + 1}")
    (item,) = by_table(path, *lines, source_format="neon")
    assert reading(item).table("gaze").column("t_ns").to_pylist() == [0]


def test_from_the_command_line_with_issues_listed_by_the_quality_stage(tmp_path: Path) -> None:
    path, store = asc(tmp_path), tmp_path / "store"
    (tmp_path / "t.csv").write_text(f"{HEADER},reader\nA,5000,5500,R07\nB,5500,5000,R07\n")
    arguments = ["ingest", str(path), "--format", "eyelink-asc", "--store", str(store), "--trials"]
    done = CliRunner().invoke(cli, [*arguments, str(tmp_path / "t.csv"), "--json"], standalone_mode=False)
    assert done.return_value == 3
    assert [failure["code"] for failure in json.loads(done.stdout)["failed"]] == ["GT-TRIALS"]
    settings = tmp_path / "c.toml"
    settings.write_text("[quality]\nmin_duration_s = 0.1\n")
    run = ["run", "--store", str(store), "--out", str(tmp_path / "out"), "-j", "1", "-c", str(settings)]
    CliRunner().invoke(cli, run, standalone_mode=False)
    opened = Store.open(store)
    (reading_id,) = opened.reading_ids()
    codes = opened.load(reading_id).table("issues").column("code").to_pylist()
    assert "GI-NO-IMAGE" in codes
    done = CliRunner().invoke(
        cli,
        ["ingest", str(path), "--format", "session", "--store", str(store), "--tolerant"],
        standalone_mode=False,
    )
    assert isinstance(done.exception, UsageError)
