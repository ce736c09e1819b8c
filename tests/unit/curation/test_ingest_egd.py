"""EGD-CXR: letterbox, off-image values, shortened ids, padding, phrases, boxes, labels."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from curation.ingest.egd import EgdIngester
from curation.ingest.egd_tables import match_ids
from curation.ingest.protocol import Ingested
from curation.issues import source_issues
from keyframes.errors import GazeToolError
from keyframes.reading import Reading
from tests.egd_fixture import FILMS, PHRASES, gaze_rows, write_folder
from tests.reflacx_fixture import write_picture

KEY = b"k" * 32
EVEN, ODD = FILMS


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("written"))


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "egd"))


def ingest_all(folder: Path) -> dict[str, Ingested]:
    ingester = EgdIngester()
    return {item.label: item for unit in ingester.find(folder) for item in ingester.readings(unit, key=KEY)}


def reading_of(folder: Path, dicom_id: str) -> Reading:
    item = ingest_all(folder)[dicom_id]
    assert item.error is None, item.error
    assert item.reading is not None
    return item.reading


def error_of(folder: Path, label: str) -> GazeToolError:
    item = ingest_all(folder)[label]
    assert item.error is not None
    return item.error


def issues(reading: Reading) -> dict[str, int]:
    return source_issues(reading.meta.provenance)


def edit(path: Path, change: Callable[[list[list[str]]], None]) -> None:
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    change(rows)
    path.write_text("\r\n".join(map(",".join, rows)) + "\r\n", encoding="utf-8")


def test_gaze_through_the_letterbox(folder: Path) -> None:
    reading = reading_of(folder, EVEN.dicom_id)
    gaze = reading.to_pandas("gaze")
    source = gaze_rows(EVEN, 1)
    top, bottom, left, right = EVEN.pads
    assert len(gaze) == len(source)
    assert gaze.t_ns[60] == 1_000_000_000
    row, first = source[60], gaze.iloc[60]
    assert first.x_screen_px == pytest.approx(1920 * row[12])
    assert first.x_image_px == pytest.approx((1920 * row[12] - left) * 480 / (1920 - left - right))
    assert first.y_image_px == pytest.approx((1080 * row[13] - top) * 576 / (1080 - top - bottom))
    in_fixation = gaze[gaze.source_fixation == 0].iloc[5]
    assert in_fixation.x_fixation_screen_px == pytest.approx(1920 * source[10][6])
    assert (first.left_pupil, first.right_pupil, first.pupil) == pytest.approx((3.5, 3.7, 3.6))
    lost = gaze.iloc[150:155]
    assert not lost.valid.any()
    assert lost[["x_screen_px", "x_image_px", "pupil"]].isna().all(axis=None)
    assert reading.meta.n_samples_expected == len(source)


def test_gaze_beside_the_image_is_where_it_was_and_never_the_sentinel(folder: Path) -> None:
    gaze = reading_of(folder, EVEN.dicom_id).to_pandas("gaze")
    off = gaze.iloc[214:]
    _, _, left, right = EVEN.pads
    assert off.x_screen_px.to_numpy() == pytest.approx(40.0, abs=20)
    expected = (off.x_screen_px - left) * 480 / (1920 - left - right)
    assert off.x_image_px.to_numpy() == pytest.approx(expected.to_numpy())
    assert (off.x_image_px < -100).all()


def test_an_odd_side_was_padded_and_the_published_positions_agree(folder: Path) -> None:
    even, odd = reading_of(folder, EVEN.dicom_id), reading_of(folder, ODD.dicom_id)
    (display,) = odd.table("display").to_pylist()
    assert display["source_rect"] == [0, 0, 602, 500]
    assert odd.table("images").column("width_px").to_pylist() == [601]
    assert issues(odd) == {"GI-PADDED-ODD": 1, "GI-PHRASES": 2}
    assert issues(even) == {"GI-ID-TRUNCATED": 1, "GI-PHRASES": 2}


def test_shortened_ids_are_joined_by_their_beginning_unless_two_images_have_it(folder: Path) -> None:
    known = ["aaaabbbb-1", "aaaabbbb-2", "ccccdddd-1"]
    assert match_ids(["aaaabbbb-1", "aaaabbbb-", "ccccdddd", "cccc", "zzzzzzzzzz"], known) == {
        "aaaabbbb-1": "aaaabbbb-1", "ccccdddd": "ccccdddd-1",
    }  # fmt: skip
    gaze = reading_of(folder, EVEN.dicom_id).to_pandas("gaze")
    assert set(gaze.source_fixation.dropna()) == set(range(8))

    def drop_two(rows: list[list[str]]) -> None:
        del rows[1:3]

    edit(folder / "fixations.csv", drop_two)
    assert issues(reading_of(folder, EVEN.dicom_id))["GI-FIXATION-UNKNOWN"] == 2


def test_phrases_spread_over_their_words(folder: Path) -> None:
    words = reading_of(folder, EVEN.dicom_id).to_pandas("words")
    assert " ".join(words.word) == " ".join(text for *_, text in PHRASES)
    assert (words.t_start_ns[0], words.t_end_ns[3]) == (500_000_000, 1_500_000_000)
    assert (words.t_start_ns.to_numpy()[1:4] == words.t_end_ns.to_numpy()[:3]).all()
    assert words.phrase_index.tolist() == [0, 0, 0, 0, 1, 1]


def test_labels_boxes_patient_and_public_ids(folder: Path) -> None:
    reading = reading_of(folder, EVEN.dicom_id)
    truth = {
        row["label"]: (row["present"], row["certainty"], row["source"])
        for row in reading.table("truth").to_pylist()
    }
    assert truth == {
        "CHF": (True, None, "egd-cxr"), "pneumonia": (False, None, "egd-cxr"),
        "cardiomegaly": (True, None, "chexpert"), "pleural effusion": (True, 0.5, "chexpert"),
    }  # fmt: skip
    (image,) = reading.table("images").to_pylist()
    assert image["anatomy_boxes"][0] == {
        "name": "cardiac silhouette", "box": pytest.approx([144, 288, 336, 460.8]),
    }  # fmt: skip
    meta = reading.meta
    assert (meta.sex, meta.age_band, meta.indication) == ("F", "70-79", "Shortness of breath (synthetic).")
    assert (meta.public_patient_id, meta.public_study_id) == (EVEN.subject_id, EVEN.study_id)
    assert image["public_dicom_id"] == EVEN.dicom_id
    assert meta.access_tier == "credentialed"


def test_without_the_picture_the_size_follows_from_published_positions(folder: Path) -> None:
    shutil.rmtree(folder / "images")
    reading = reading_of(folder, EVEN.dicom_id)
    (image,) = reading.table("images").to_pylist()
    assert (image["width_px"], image["height_px"]) == pytest.approx((480, 576), abs=2)
    assert {"GI-NO-PICTURE", "GI-SIZE-INFERRED"} <= issues(reading).keys()


def test_a_picture_of_another_size_is_refused(folder: Path) -> None:
    write_picture(folder / "images" / f"{EVEN.file}.jpg", (240, 288))
    error = error_of(folder, EVEN.dicom_id)
    assert (error.code, "240 x 288" in error.message) == ("GT-EGD-SIZE", True)
    assert ingest_all(folder)[ODD.dicom_id].error is None


def change(
    column: str, value: str, *, table: str = "master_sheet.csv", rows: slice = slice(1, 2)
) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        def put(content: list[list[str]]) -> None:
            at = content[0].index(column)
            for row in content[rows]:
                row[at] = value

        edit(folder / table, put)

    return apply


@pytest.mark.parametrize(
    ("damage", "label", "code"),
    [
        (change("patient_id", "1"), "master_sheet.csv row 2", "GT-EGD"),
        (change("path", "../../etc/passwd"), "master_sheet.csv row 2", "GT-EGD"),
        (change("image_left_pad", "1900"), EVEN.dicom_id, "GT-EGD"),
        (change("image_left_pad", "x"), EVEN.dicom_id, "GT-EGD"),
        (change("Time (in secs)", "", table="eye_gaze.csv"), EVEN.dicom_id, "GT-EGD"),
        (change("Time (in secs)", "1.0", table="eye_gaze.csv", rows=slice(1, 100)), EVEN.dicom_id, "GT-EGD"),
        (change("DICOM_ID", "nobody", table="eye_gaze.csv", rows=slice(1, 241)), EVEN.dicom_id, "GT-NO-GAZE"),
    ],
)
def test_what_is_wrong_with_one_image_leaves_the_other(
    folder: Path, damage: Callable[[Path], None], label: str, code: str
) -> None:
    damage(folder)
    assert error_of(folder, label).code == code
    assert ingest_all(folder)[ODD.dicom_id].error is None


def test_oddities_are_noted(folder: Path) -> None:
    change("Time (in secs)", "0.01", table="eye_gaze.csv", rows=slice(50, 53))(folder)
    change("X_ORIGINAL", "-7", table="eye_gaze.csv", rows=slice(60, 63))(folder)
    change("x2", "1", table="bounding_boxes.csv")(folder)
    path = folder / "audio_segmentation_transcripts" / EVEN.dicom_id / "transcript.json"
    path.write_text('[{"phrase": "late", "begin_time": 5, "end_time": 4}]')
    reading = reading_of(folder, EVEN.dicom_id)
    assert issues(reading) == {"GI-TIME-ORDER": 3, "GI-BOX": 1, "GI-WORD-TIME": 1, "GI-ID-TRUNCATED": 1}
    assert (np.diff(reading.to_pandas("gaze").t_ns) > 0).all()


def test_shifted_positions_are_noted(folder: Path) -> None:
    def shift(rows: list[list[str]]) -> None:
        at = rows[0].index("X_ORIGINAL")
        for row in rows[1:]:
            if float(row[at]) >= 0:
                row[at] = str(float(row[at]) + 12)

    edit(folder / "eye_gaze.csv", shift)
    assert "GI-POSITION-MISMATCH" in issues(reading_of(folder, EVEN.dicom_id))
