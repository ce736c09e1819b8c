"""A session made by hand, journal by journal, so that every number that should come out is known."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gazecapture.screen.measures import EyeSamples
from gazecapture.screen.targets import centre_target, validation_targets
from gazecapture.screen.validation import Timing, ValidationResult, ValidationRun
from gazecapture.session.journal import JournalWriter
from gazecapture.session.pauses import PAUSE_SEAM_NS
from gazecapture.session.removal import remove_reading
from gazecapture.session.schema import (
    ANNOTATIONS,
    DISPLAY_JOURNAL,
    OFFSETS,
    STREAM_PREFIX,
    VALIDATION_JOURNAL,
    WORDS_JOURNAL,
    SessionInfo,
    StreamChannel,
    StreamInfo,
    StudyImage,
    StudyInfo,
    TruthLesion,
    read_session_info,
    write_session_info,
    write_stream_info,
)
from gazecapture.session.to_readings import SessionReading, to_readings
from gazecapture.session.validations import SittingValidations, note_row, result_rows
from gazecapture.session.xdf_export import without_identifiers
from keyframes.errors import SchemaError
from keyframes.geometry import Display
from keyframes.reading import Reading, Tracker

KEY = b"k" * 32
S = 1_000_000_000
RATE_HZ = 100
ON_NS, OFF_NS = {1: 10 * S, 2: 14 * S}, {1: 13 * S, 2: 17 * S}
PICTURE = b"the bytes of a film"
SCREEN = Display(width_px=1000, height_px=500, width_mm=500, height_mm=250, distance_mm=600)
SHA256 = hashlib.sha256(PICTURE).hexdigest()
CHANNELS = (
    ("left_x", "ScreenX", "left", "pixels"),
    ("left_y", "ScreenY", "left", "pixels"),
    ("right_x", "ScreenX", "right", "pixels"),
    ("right_y", "ScreenY", "right", "pixels"),
    ("frame_number", "FrameNumber", "both", "count"),
)


def image(index: int) -> StudyImage:
    return StudyImage(
        image_index=index, role=("current", "prior")[index], sha256=SHA256, suffix=".dcm", width_px=1000,
        height_px=1000, spacing_x_mm=0.2, spacing_y_mm=0.2, spacing_kind="pixel", source_patient_id="PAT",
        source_study_uid="1.2.3",
    )  # fmt: skip


def study(number: int, n_images: int = 2) -> StudyInfo:
    lesion = TruthLesion(
        finding_id="t1", label="Nodule", present=True, image_index=0, box=(1, 2, 3, 4), source="phantom"
    )
    return StudyInfo(
        reading_number=number,
        study_id=f"S{number}",
        images=tuple(image(i) for i in range(n_images)),
        arm="plain",
        indication="cough",
        truth=(lesion,),
    )


def display_row(number: int, event: str, t_ns: int, viewport: int, **changes: Any) -> dict[str, Any]:
    x0 = 500.0 * viewport
    row: dict[str, Any] = dict.fromkeys(DISPLAY_JOURNAL.names) | {
        "reading_number": number,
        "event": event,
        "t_ns": t_ns,
        "viewport_id": viewport,
        "inverted": False,
        "panels": [],
        "viewport_rect": [x0, 0.0, x0 + 500, 500.0],
    }
    if event != "off":
        row |= {"image_index": viewport, "affine": [2.0, 0.0, -2 * x0, 0.0, 2.0, 0.0]}
    return row | changes


def write_rows(folder: Path, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
    with JournalWriter(folder, schema) as journal:
        full = [{name: row.get(name) for name in schema.names} for row in rows]
        journal.append(pa.Table.from_pylist(full, schema=schema))


def make_session(
    folder: Path,
    *,
    studies: tuple[StudyInfo, ...] | None = None,
    display: list[dict[str, Any]] | None = None,
    offset_s: float = -2.5,
    repeat: slice | None = None,
) -> Path:
    """Write two studies of two images; the right eye is 4 px right of the left, gaze moves 1 px a sample."""
    folder.mkdir(parents=True)
    write_session_info(
        folder,
        SessionInfo(
            session_id="sitting", reader_code="R1", created_unix_ns=1, tool_version="0", display=SCREEN,
            studies=(study(1), study(2)) if studies is None else studies,
        ),
    )  # fmt: skip
    (folder / "images").mkdir()
    (folder / "images" / f"{SHA256}.dcm").write_bytes(PICTURE)
    n = 10 * RATE_HZ
    t_session_s = 8 + np.arange(n) / RATE_HZ
    x = np.arange(n, dtype=float) % 1000
    lost = np.zeros(n, bool)
    lost[300:310] = True
    columns = {
        "sequence": np.arange(n),
        "t_remote_s": t_session_s - offset_s,
        "t_received_ns": np.round(t_session_s * 1e9).astype(np.int64) + 1_000_000,
        "left_x": np.where(lost, np.nan, x),
        "left_y": np.where(lost, np.nan, 100.0),
        "right_x": np.where(lost, np.nan, x + 4),
        "right_y": np.where(lost, np.nan, 102.0),
        "frame_number": np.arange(n, dtype=float) + 5000,
    }
    table = pa.table(columns)
    if repeat is not None:
        table = pa.concat_tables([table.slice(0, repeat.stop), table.slice(repeat.start)])
    schema = pa.schema([*STREAM_PREFIX, *(pa.field(c[0], pa.float64()) for c in CHANNELS)])
    stream = folder / "streams" / "eye"
    with JournalWriter(stream, schema) as journal:
        journal.append(table.cast(schema))
    write_stream_info(
        stream,
        StreamInfo(
            stream_id="eye", role="gaze", name="Eye", kind="Gaze", channel_format="double64", nominal_rate_hz=500.0,
            channels=tuple(StreamChannel(column=c, label=c, kind=k, eye=e, unit=u) for c, k, e, u in CHANNELS),
            tracker=Tracker(manufacturer="Acme", model="Eye 1"),
        ),
    )  # fmt: skip
    offsets = [{"t_ns": t * S, "offset_s": offset_s, "uncertainty_s": 1e-4} for t in range(8, 18)]
    write_rows(folder / "offsets" / "eye", OFFSETS, offsets)
    if display is None:
        display = [
            display_row(number, event, t[number], viewport)
            for number in (1, 2)
            for event, t in (("on", ON_NS), ("off", OFF_NS))
            for viewport in (0, 1)
        ]
    write_rows(folder / "display", DISPLAY_JOURNAL, display)
    words = [(11, "heart"), (13.5, "between"), (15, "normal"), (19, "late")]
    rows = [
        {"t_start_ns": int(t * S), "t_end_ns": int(t * S) + 1, "word": w, "source": "dictated"}
        for t, w in words
    ]
    write_rows(folder / "words", WORDS_JOURNAL, rows)
    marks = [
        {
            "t_ns": 11 * S,
            "reading_number": 1,
            "action": "put",
            "finding_id": "f1",
            "label": "Nodule",
            "certainty": 0.5,
        },
        {
            "t_ns": 12 * S,
            "reading_number": 1,
            "action": "put",
            "finding_id": "f1",
            "label": "Edema",
            "box": [1, 2, 3, 4],
        },
        {"t_ns": 11 * S, "reading_number": 1, "action": "put", "finding_id": "f2", "label": "Fracture"},
        {"t_ns": 12 * S, "reading_number": 1, "action": "remove", "finding_id": "f2"},
    ]
    write_rows(folder / "annotations", ANNOTATIONS, marks)
    return folder


def cut(session: Path) -> list[SessionReading]:
    return list(to_readings(session, key=KEY))


def good(results: list[SessionReading]) -> list[Reading]:
    assert [r.error for r in results] == [None] * len(results)
    return [r.reading for r in results if r.reading is not None]


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


def measured(t_ns: int, offset_px: tuple[float, float], *, is_drift_check: bool = False) -> ValidationResult:
    """A validation that ends at ``t_ns``, of an eye that is off by ``offset_px``."""
    area = (0.0, 0.0, 1000.0, 500.0)
    targets = (centre_target(area),) if is_drift_check else validation_targets(area, seed=1)
    run = ValidationRun(targets, SCREEN, timing=Timing(settle_s=0.0, window_s=0.001))
    while (target := run.target) is not None:
        now_ns = t_ns - (len(targets) - 1 - run.n_done) * 10_000_000
        run.shown(now_ns - 2_000_000)
        x, y = target.x_screen_px + offset_px[0], target.y_screen_px + offset_px[1]
        eyes = {"left": x - 1, "right": x + 1, "both": x}
        run.feed(
            EyeSamples(
                t_ns=now_ns - np.array([900_000, 600_000, 300_000]),
                x_screen_px={eye: np.full(3, value) for eye, value in eyes.items()},
                y_screen_px=dict.fromkeys(eyes, np.full(3, y)),
            )
        )
        assert run.tick(now_ns)
    return run.result()


def test_a_reading_carries_the_validations_before_and_after_it(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    rows = [
        *result_rows(measured(5 * S, (9.0, 0.0)), validation_id="a", trigger="start"),
        *result_rows(measured(9 * S, (5.0, 0.0)), validation_id="b", trigger="asked"),
        *result_rows(measured(20 * S, (10.0, 0.0)), validation_id="c", trigger="end"),
    ]
    write_rows(session / "validation", VALIDATION_JOURNAL, [dict(row) for row in rows])
    for number, reading in enumerate(good(cut(session)), start=1):
        table = reading.table("validations").to_pylist()
        assert [(r["phase"], r["eye"]) for r in table] == [
            (phase, eye) for phase in ("before", "after") for eye in ("left", "right", "both")
        ]
        assert {r["t_ns"] for r in table} == {9 * S - ON_NS[number], 20 * S - ON_NS[number]}
        assert [r["offset_x_screen_px"] for r in table] == pytest.approx([4.0, 6.0, 5.0, 9.0, 11.0, 10.0])
        both = table[2]
        assert len(both["points"]) == both["n_points"] == 9
        assert both["accuracy_deg"] == pytest.approx(np.mean([p["accuracy_deg"] for p in both["points"]]))
        assert both["accuracy_deg"] == pytest.approx(5 * 0.5 / 600 * 180 / np.pi, rel=0.2)
        assert {r["light"] for r in table} <= {"green", "amber", "red"}


def test_a_validation_before_a_calibration_says_nothing_of_what_came_after_it(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    note = note_row("calibrated", t_ns=int(13.5 * S), validation_id="", trigger="red", detail="")
    rows = [
        *result_rows(measured(9 * S, (5.0, 0.0)), validation_id="a", trigger="start"),
        note,
        *result_rows(measured(20 * S, (10.0, 0.0)), validation_id="b", trigger="end"),
    ]
    write_rows(session / "validation", VALIDATION_JOURNAL, [dict(row) for row in rows])
    first, second = (r.table("validations").to_pylist() for r in good(cut(session)))
    assert {r["phase"] for r in first} == {"before"}
    assert {r["phase"] for r in second} == {"after"}


def test_the_offset_of_a_drift_check_is_taken_off_image_px_and_the_raw_px_stay(tmp_path: Path) -> None:
    plain = good(cut(make_session(tmp_path / "plain")))
    session = make_session(tmp_path / "s")
    rows = [
        *result_rows(measured(5 * S, (9.0, 0.0)), validation_id="a", trigger="start"),
        *result_rows(
            measured(int(13.5 * S), (6.0, -4.0), is_drift_check=True),
            validation_id="b",
            trigger="drift",
            is_drift_check=True,
        ),
    ]
    write_rows(session / "validation", VALIDATION_JOURNAL, [dict(row) for row in rows])
    first, second = good(cut(session))
    for name in ("x_image_px", "y_image_px", "x_screen_px"):
        # A validation's own mean offset is not taken off.
        np.testing.assert_array_equal(first.table("gaze")[name], plain[0].table("gaze")[name])
    was, now = plain[1].table("gaze"), second.table("gaze")
    for name in ("x_screen_px", "left_x_screen_px"):
        np.testing.assert_array_equal(now[name], was[name])
    same = np.asarray(was["image_index"].fill_null(-1)) == np.asarray(now["image_index"].fill_null(-1))
    assert same.mean() > 0.9
    for axis, shift in (("x", 6.0), ("y", -4.0)):
        moved = was[f"{axis}_image_px"].to_numpy()[same] - now[f"{axis}_image_px"].to_numpy()[same]
        assert moved[np.isfinite(moved)] == pytest.approx(2 * shift), "two image px per screen px"
    drift = [r for r in second.table("validations").to_pylist() if r["phase"] == "drift"]
    assert {r["eye"]: r["offset_x_screen_px"] for r in drift} == pytest.approx(
        {"left": 5.0, "right": 7.0, "both": 6.0}
    )


def test_a_pupil_baseline_is_the_median_while_the_cross_was_shown(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    note = note_row("baseline", t_ns=9 * S, validation_id="a", trigger="start", detail=f"t_start_ns={8 * S}")
    write_rows(session / "validation", VALIDATION_JOURNAL, [dict(note)])
    for reading in good(cut(session)):
        assert "pupil_baseline" not in reading.meta.provenance, "this tracker gives no pupil"
    assert SittingValidations.load(session).baseline_ns(10 * S) == (8 * S, 9 * S)
    assert SittingValidations.load(session).baseline_ns(8 * S) is None


def test_a_pause_is_no_time_and_practice_is_no_reading(tmp_path: Path) -> None:
    rows = [
        display_row(1, event, t * S, viewport)
        for event, t in (("on", 10), ("pause", 11), ("resume", 12), ("off", 14))
        for viewport in (0, 1)
    ]
    for row in rows:
        if row["event"] == "pause":
            row |= {"image_index": None, "affine": None, "viewport_rect": None}
    rows += [display_row(2, event, t * S, 0) for event, t in (("on", 15), ("off", 16))]
    studies = (study(1), replace(study(2, 1), practice=True))
    (reading,) = good(cut(make_session(tmp_path / "s", studies=studies, display=rows)))
    assert reading.meta.duration_ns == 3 * S + PAUSE_SEAM_NS
    assert reading.meta.provenance["paused_ms"] == "800"
    gaze = reading.to_pandas("gaze")
    gaps = gaze["t_ns"].diff().dropna()
    assert gaps.max() == PAUSE_SEAM_NS + S // RATE_HZ  # no detector bridges that
    assert (gaps == S // RATE_HZ).sum() == len(gaps) - 1
    assert len(gaze) == 350  # half a second before, three seconds of reading
    assert reading.meta.n_samples_expected == len(gaze)
    assert reading.table("display")["t_ns"].to_pylist() == sorted(
        [0, S, S + PAUSE_SEAM_NS, 3 * S + PAUSE_SEAM_NS] * 2
    )
    after = gaze[gaze["t_ns"] > S + PAUSE_SEAM_NS]
    assert after["image_index"].notna().all()
    # Said at 13.5 s, a second and a half after the pause.
    assert reading.to_pandas("words").set_index("word")["t_start_ns"]["between"] == 5 * S // 2 + PAUSE_SEAM_NS
    marked = reading.to_pandas("findings").set_index("finding_id")["t_ns"]
    assert marked["f1"] == S


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


def test_an_addendum_and_a_repeat_name_the_first_reading(tmp_path: Path) -> None:
    studies = (study(1), replace(study(1), reading_number=2, addendum_of=1))
    first, addendum = good(cut(make_session(tmp_path / "a", studies=studies)))
    assert first.meta.repeat_of == ""
    assert addendum.meta.repeat_of == first.meta.reading_id == addendum.meta.provenance["addendum_of"]
    studies = (study(1), replace(study(2), repeat_of="S1"))
    first, second = good(cut(make_session(tmp_path / "r", studies=studies)))
    assert second.meta.repeat_of == first.meta.reading_id
    assert "addendum_of" not in second.meta.provenance


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


def test_an_addendum_can_be_taken_out_by_itself_and_no_study_is_named_in_xdf(tmp_path: Path) -> None:
    again = replace(study(1), reading_number=2, addendum_of=1)
    session = make_session(tmp_path / "s", studies=(study(1), again))
    (session / "worklist.json").write_text('{"fingerprint": "x", "studies": ["S1"]}')
    remove_reading(session, 2)
    (left,) = good(cut(session))
    assert left.meta.reading_number == 1
    assert "S1" in (session / "worklist.json").read_text()
    repeat = replace(study(2), study_id="CANARY-2", repeat_of="CANARY-1")
    named = SessionInfo(
        session_id="s", reader_code="R1", created_unix_ns=1, tool_version="0",
        studies=(replace(study(1), study_id="CANARY-1"), repeat),
    )  # fmt: skip
    plain = without_identifiers(named)
    assert "CANARY" not in repr(plain)
    assert plain.studies[1].repeat_of == plain.studies[0].study_id
