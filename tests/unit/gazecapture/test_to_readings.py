from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gazecapture.session.schema import (
    ANNOTATIONS,
    read_session_info,
    write_session_info,
)
from gazecapture.session.to_readings import to_readings
from keyframes.errors import SchemaError
from tests.hand_made_session import (
    OFF_NS,
    ON_NS,
    PICTURE,
    RATE_HZ,
    SHA256,
    S,
    cut,
    display_row,
    good,
    make_session,
    study,
    write_rows,
)


def test_gaze_is_cut_by_the_display_and_mapped_to_the_right_image(tmp_path: Path) -> None:
    first, second = good(cut(make_session(tmp_path / "s")))
    gaze = first.to_pandas("gaze")
    # Half a second of lead-in, then image on to image off.
    assert gaze["t_ns"].iloc[0] == -S // 2
    assert gaze["t_ns"].iloc[-1] == 3 * S - S // RATE_HZ
    at = gaze[gaze["t_ns"] == 0].iloc[0]
    # 2 s after the first sample: left eye at 200, mean of both at 202, on the left image at twice that.
    assert at["x_screen_px"] == 202
    assert at["x_image_px"] == 404
    assert at["y_image_px"] == 202
    assert at["image_index"] == 0
    assert at["combined_by"] == "mean_of_valid"
    assert gaze[gaze["t_ns"] < 0]["image_index"].isna().all()
    lost = gaze[~gaze["valid"]]
    assert lost["t_ns"].tolist() == [S + i * S // RATE_HZ for i in range(10)]
    assert lost["x_screen_px"].isna().all()
    later = second.to_pandas("gaze")
    right = later[later["x_screen_px"] >= 500]
    assert len(right)
    inside = right[(right["t_ns"] >= 0)]
    assert set(inside["image_index"]) == {1}
    np.testing.assert_array_equal(inside["x_image_px"], 2 * inside["x_screen_px"] - 1000)


def test_degrees_follow_the_zoom(tmp_path: Path) -> None:
    first, _ = good(cut(make_session(tmp_path / "s")))
    gaze = first.to_pandas("gaze")
    per_deg = gaze[gaze["image_index"] == 0]["px_per_deg_x"].unique()
    # 600 mm * tan(1 deg) * 2 screen px per mm * 2 image px per screen px.
    np.testing.assert_allclose(per_deg, [600 * np.tan(np.deg2rad(1)) * 4])


def test_lead_in_ends_where_the_study_before_ended(tmp_path: Path) -> None:
    rows = [
        display_row(n, e, t, v)
        for n, e, t in ((1, "on", 10 * S), (1, "off", 13 * S), (2, "on", 13 * S + S // 5), (2, "off", 17 * S))
        for v in (0, 1)
    ]
    _, second = good(cut(make_session(tmp_path / "s", display=rows)))
    assert second.table("gaze").column("t_ns")[0].as_py() == -S // 5


def test_words_go_to_the_coming_study_and_the_last(tmp_path: Path) -> None:
    first, second = good(cut(make_session(tmp_path / "s")))
    assert first.to_pandas("words")[["word", "t_start_ns"]].to_numpy().tolist() == [["heart", S]]
    assert second.to_pandas("words")["word"].tolist() == ["between", "normal", "late"]
    assert second.to_pandas("words")["t_start_ns"].tolist() == [-S // 2, S, 5 * S]


def test_findings_stand_as_they_were_left(tmp_path: Path) -> None:
    first, second = good(cut(make_session(tmp_path / "s")))
    (finding,) = first.table("findings").to_pylist()
    assert (finding["finding_id"], finding["label"], finding["box"]) == ("f1", "Edema", [1, 2, 3, 4])
    assert finding["t_ns"] == 11 * S - ON_NS[1], "first marked"
    assert second.table("findings").num_rows == 0
    assert first.table("truth").to_pylist()[0]["source"] == "phantom"


def test_repeated_device_samples_are_dropped_and_counted(tmp_path: Path) -> None:
    plain, _ = good(cut(make_session(tmp_path / "a")))
    repeated, _ = good(cut(make_session(tmp_path / "b", repeat=slice(250, 270))))
    assert repeated.table("gaze").num_rows == plain.table("gaze").num_rows
    assert repeated.meta.n_samples_expected == plain.meta.n_samples_expected == plain.table("gaze").num_rows
    assert plain.meta.tracker.effective_rate_hz == pytest.approx(RATE_HZ)


def test_ids_are_keyed_and_shared_by_study_and_patient(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    first, second = good(cut(session))
    assert first.meta.reading_id != second.meta.reading_id
    assert first.meta.patient_key == second.meta.patient_key
    other = good(list(to_readings(session, key=b"j" * 32)))[0]
    assert other.meta.patient_key != first.meta.patient_key
    assert "PAT" not in repr(first.meta)


def test_a_reading_knows_how_far_into_the_sitting_it_began(tmp_path: Path) -> None:
    first, second = good(cut(make_session(tmp_path / "s")))
    assert first.meta.minutes_into_session == 0.0
    assert second.meta.minutes_into_session == pytest.approx(4 / 60)  # image on at 10 s and 14 s


@pytest.mark.parametrize(
    ("sex", "age_band", "kept"),
    [
        ("F", "60-69", ("F", "60-69")),
        ("m", "90+", ("M", "90+")),
        ("Smith", "67", ("", "")),
        ("", "", ("", "")),
    ],
)
def test_what_the_worklist_says_of_a_patient_is_kept_where_it_names_nobody(
    tmp_path: Path, sex: str, age_band: str, kept: tuple[str, str]
) -> None:
    studies = tuple(replace(study(number), sex=sex, age_band=age_band) for number in (1, 2))
    for reading in good(cut(make_session(tmp_path / "s", studies=studies))):
        assert (reading.meta.sex, reading.meta.age_band) == kept


@pytest.mark.parametrize(("site", "kept"), [("S1", "S1"), ("", ""), ("St Mary's", ""), ("S1234567", "")])
def test_a_site_is_kept_where_it_is_a_code(tmp_path: Path, site: str, kept: str) -> None:
    session = make_session(tmp_path / "s")
    write_session_info(session, replace(read_session_info(session), reader_site=site))
    assert {reading.meta.reader_site for reading in good(cut(session))} == {kept}


def test_an_unfinished_study_is_an_error_and_the_other_is_not_touched(tmp_path: Path) -> None:
    rows = [display_row(1, "on", ON_NS[1], 0)]
    rows += [display_row(2, "on", ON_NS[2], 0), display_row(2, "off", OFF_NS[2], 0)]
    unfinished, done = cut(make_session(tmp_path / "s", display=rows))
    assert unfinished.error is not None
    assert unfinished.error.code == "GT-UNFINISHED"
    assert done.reading is not None


def test_the_last_finished_time_counts(tmp_path: Path) -> None:
    rows = [
        display_row(1, "on", ON_NS[1], 0),
        display_row(1, "on", ON_NS[2], 0),
        display_row(1, "off", OFF_NS[2], 0),
    ]
    (again,) = good(cut(make_session(tmp_path / "s", display=rows, studies=(study(1), study(2)))))
    assert again.meta.duration_ns == OFF_NS[2] - ON_NS[2]
    # What was said during the attempt that was given up ("heart", "between") is of no reading.
    assert again.to_pandas("words")["word"].tolist() == ["normal", "late"]
    assert again.table("gaze").column("t_ns")[0].as_py() == 0


@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_a_missing_or_altered_picture_is_an_error(tmp_path: Path, damage: str) -> None:
    session = make_session(tmp_path / "s")
    picture = session / "images" / f"{SHA256}.dcm"
    if damage == "missing":
        picture.unlink()
    else:
        picture.write_bytes(PICTURE + b".")
    results = cut(session)
    assert [r.error.code for r in results if r.error] == ["GT-IMAGE", "GT-IMAGE"]
    assert damage in str(results[0].error)


def test_what_is_no_session(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"session\.json"):
        cut(tmp_path)


def test_samples_within_the_screens_lag_of_a_change_are_marked(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s", studies=(study(1),))

    def marked_ms() -> float:
        (reading,) = good(cut(session))
        gaze = reading.to_pandas("gaze")
        return float(gaze[(gaze["t_ns"] >= 0) & gaze["display_uncertain"]]["t_ns"].max() / 1e6)

    assert marked_ms() == 30  # unmeasured: one frame at 60 Hz and 20 ms, samples come every 10
    info = read_session_info(session)
    write_session_info(session, replace(info, display_lag_ms=45.0, display_lag_sd_ms=4.0))
    assert marked_ms() == 50
    (reading,) = good(cut(session))
    assert not reading.to_pandas("gaze").query("t_ns < 0")["display_uncertain"].any()


def test_a_measure_is_no_finding(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s", studies=(study(1),))
    line = {
        "t_ns": 12 * S,
        "reading_number": 1,
        "action": "measure",
        "finding_id": "m1",
        "box": [1, 2, 3, 4] * 2,
    }
    write_rows(session / "annotations", ANNOTATIONS, [line])
    (reading,) = good(cut(session))
    assert reading.table("findings")["finding_id"].to_pylist() == ["f1"]
