"""Backfill of simulated pairs: a lossy live stream and the tracker's own file of the same synthetic eyes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gazecapture.cli.backfill import backfill_command
from gazecapture.session.backfill import backfill_session
from gazecapture.session.backfill_merge import LATE_NS
from gazecapture.session.backfill_record import read_record
from gazecapture.session.gaze_stream import GazeStream, load_gaze, load_live_gaze
from gazecapture.session.journal import JournalWriter, read_journal
from gazecapture.session.removal import remove_reading
from gazecapture.session.to_readings import to_readings
from keyframes.errors import DataError, RecordingError
from keyframes.reading import Reading
from tests.backfill_fixture import FORMATS, SCREEN, Format, Pair, eye_path, make_pair
from tests.trackers_fixture import PLANTED, write_eyelink_asc

S = 1_000_000_000
LIMIT_MS = 2.0
Maker = Callable[..., Pair]


def rate_of(form: Format) -> float:
    return 500.0 if form == "eyelink-asc" else 200.0


def errors_ms(pair: Pair, gaze: GazeStream) -> np.ndarray:
    assert gaze.t_ns.size == pair.true_ns.size, "one row per device sample"
    return np.abs(gaze.t_ns - pair.true_ns) / 1e6


def state_of(session: Path) -> dict[str, bytes]:
    return {p.relative_to(session).as_posix(): p.read_bytes() for p in session.rglob("*") if p.is_file()}


def readings_of(session: Path) -> list[Reading]:
    results = list(to_readings(session, key=b"k" * 32))
    assert [r.error for r in results] == [None] * len(results)
    return [r.reading for r in results if r.reading is not None]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("method", ["device_time", "marks", "gaze"])
def test_every_device_sample_comes_back_in_time(tmp_path: Path, form: Format, method: str) -> None:
    pair = make_pair(
        tmp_path,
        form=form,
        seconds=30.0,
        rate_hz=rate_of(form),
        device_time=method == "device_time",
        marks=6 if method == "marks" else 0,
        seed=FORMATS.index(form) + 1,
    )
    report = backfill_session(pair.session, pair.file)
    gaze = load_gaze(pair.session, SCREEN)
    assert np.percentile(errors_ms(pair, gaze), 99) <= LIMIT_MS
    alignment = report.record.alignment
    assert alignment.method == method
    assert alignment.residual_p99_ms <= LIMIT_MS
    # Below a minute the live stream's own clock is not given a drift (its 20 ppm are then in this one). Each stretch of
    # gaze at 200 Hz tells its offset to half a ms, so that half a minute of them tells the drift to some 50 ppm.
    assert alignment.drift_ppm == pytest.approx(-20.0, abs=25.0 if method == "device_time" else 60.0)
    assert set(gaze.gaze["source"]) == {"backfill"}
    point = np.column_stack([gaze.gaze["x_screen_px"], gaze.gaze["y_screen_px"]])
    own = (pair.eyes.left[:, :2] + pair.eyes.right[:, :2]) / 2
    if report.record.frame == "scene":
        assert np.isnan(point).all(), "gaze of a scene camera is not on the screen"
        point, own = (
            np.column_stack([gaze.gaze["x_scene_px"], gaze.gaze["y_scene_px"]]),
            pair.eyes.left[:, :2],
        )
    np.testing.assert_allclose(point, own, atol=1e-3)
    assert report.losses.eye_to_disk == 0.0
    if method == "device_time":
        assert report.losses.eye_to_disk_streamed == pytest.approx(1 - pair.streamed.mean(), abs=0.01)


def test_both_recordings_stay_in_the_session(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, seconds=16.0)
    before = state_of(pair.session)
    live = load_live_gaze(pair.session, SCREEN)
    backfill_session(pair.session, pair.file)
    after = state_of(pair.session)
    assert before.items() <= after.items()
    assert {name.split("/")[1] for name in after.keys() - before.keys()} == {"backfill"}
    np.testing.assert_array_equal(load_live_gaze(pair.session, SCREEN).t_ns, live.t_ns)
    stored = b"".join(content for name, content in after.items() if name not in before)
    assert PLANTED.encode() not in stored
    assert pair.file.name.encode() not in stored


def test_what_the_file_lacks_stays_live(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, seconds=40.0, hole_in_file=True)
    report = backfill_session(pair.session, pair.file)
    gaze = load_gaze(pair.session, SCREEN)
    expected = pair.in_file | pair.streamed
    assert gaze.t_ns.size == expected.sum()
    is_live = gaze.gaze["source"] == "live"
    assert is_live.sum() == report.n_live_kept == (pair.streamed & ~pair.in_file).sum() > 500
    assert (np.diff(gaze.t_ns) >= 0).all()
    assert report.losses.eye_to_disk == pytest.approx(1 - expected.mean(), abs=0.002)
    assert report.record.issues == {"GT-TRACKER-GAP": 1}


def test_what_the_file_lacks_stays_live_also_without_the_tracker_s_time(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, seconds=40.0, hole_in_file=True, device_time=False)
    backfill_session(pair.session, pair.file)
    gaze = load_gaze(pair.session, SCREEN)
    live_ns = gaze.t_ns[gaze.gaze["source"] == "live"]
    hole = pair.true_ns[~pair.in_file]
    assert live_ns.size > 500
    assert hole[0] <= live_ns.min() <= hole[0] + 2 * LATE_NS
    assert hole[-1] - 2 * LATE_NS <= live_ns.max() <= hole[-1]


@pytest.mark.parametrize("marks", [0, 6])
@pytest.mark.parametrize("device_time", [True, False])
def test_a_foreign_file_is_refused_and_nothing_changes(tmp_path: Path, device_time: bool, marks: int) -> None:
    """The other recording has the same times, and even the same numbers of marks."""
    own = make_pair(tmp_path / "own", seconds=40.0, device_time=device_time, marks=marks, seed=1)
    other = make_pair(tmp_path / "other", seconds=40.0, device_time=device_time, marks=marks, seed=2)
    text = own.eyes.messages
    file = write_eyelink_asc(
        tmp_path / "foreign.asc",
        type(other.eyes)(t_ns=other.eyes.t_ns, left=other.eyes.left, right=other.eyes.right, messages=text),
    )
    before = state_of(own.session)
    with pytest.raises(DataError) as caught:
        backfill_session(own.session, file)
    assert caught.value.code in ("GT-BACKFILL-NO-MATCH", "GT-BACKFILL-AMBIGUOUS")
    assert state_of(own.session) == before


def test_gaze_that_repeats_itself_is_ambiguous(tmp_path: Path) -> None:
    def repeating(n: int, rate_hz: float, seed: int) -> np.ndarray:
        once = eye_path(int(10 * rate_hz), rate_hz, seed)
        return np.tile(once, (n // once.shape[0] + 1, 1))[:n]

    pair = make_pair(tmp_path, seconds=60.0, device_time=False, gaze=repeating)
    with pytest.raises(DataError) as caught:
        backfill_session(pair.session, pair.file)
    assert caught.value.code == "GT-BACKFILL-AMBIGUOUS"
    assert read_record(pair.session) is None


def test_a_clock_that_jumped_is_a_residual_too_large(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, seconds=40.0)
    t_ns = pair.eyes.t_ns.copy()
    live = pair.session / "streams" / "eye"
    table = read_journal(live).table
    device = table.column("device_time").to_numpy().copy()
    device[device > t_ns[t_ns.size // 2] / 1e9] += 0.020
    t_ns[t_ns.size // 2 :] += 20_000_000
    file = write_eyelink_asc(
        tmp_path / "jumped.asc", type(pair.eyes)(t_ns=t_ns, left=pair.eyes.left, right=pair.eyes.right)
    )
    for path in live.glob("0*"):
        path.unlink()
    with JournalWriter(live, table.schema) as journal:
        place = table.schema.get_field_index("device_time")
        journal.append(table.set_column(place, table.schema.field(place), [device]))
    with pytest.raises(DataError) as caught:
        backfill_session(pair.session, file)
    assert caught.value.code == "GT-BACKFILL-RESIDUAL"
    assert read_record(pair.session) is None


def test_a_second_time_changes_nothing_and_another_file_only_when_asked(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, seconds=16.0)
    first = backfill_session(pair.session, pair.file)
    before = state_of(pair.session)
    again = backfill_session(pair.session, pair.file)
    assert (first.changed, again.changed) == (True, False)
    assert (again.record, again.losses, again.readings) == (first.record, first.losses, first.readings)
    assert state_of(pair.session) == before
    other = pair.file.with_name("other.asc")
    other.write_bytes(pair.file.read_bytes() + b"** one more line\n")
    with pytest.raises(DataError) as caught:
        backfill_session(pair.session, other)
    assert caught.value.code == "GT-BACKFILL-EXISTS"
    assert state_of(pair.session) == before
    assert backfill_session(pair.session, other, replace=True).changed
    assert read_record(pair.session) != first.record


def test_of_several_recordings_the_one_that_fits_is_taken(tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "a", form="tobii-tsv", seconds=24.0, rate_hz=120.0, device_time=False)
    other = make_pair(
        tmp_path / "b", form="tobii-tsv", seconds=24.0, rate_hz=120.0, device_time=False, seed=9
    )
    mixed = tmp_path / "both.tsv"
    head, *rows = other.file.read_text(encoding="utf-8-sig").splitlines()
    rows = [row.replace(f"{PLANTED} 0", f"{PLANTED} other") for row in rows]
    own = pair.file.read_text(encoding="utf-8-sig").splitlines()[1:]
    mixed.write_text("\n".join([head, *rows, *own]) + "\n", encoding="utf-8")
    assert backfill_session(pair.session, mixed).record.recording == 2
    with pytest.raises(DataError) as caught:
        backfill_session(other.session, mixed, recording=2)
    assert caught.value.code == "GT-BACKFILL-NO-MATCH"


def test_a_recording_session_is_left_alone(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, seconds=16.0)
    schema = read_journal(pair.session / "streams" / "eye").table.schema
    with JournalWriter(pair.session / "streams" / "eye", schema), pytest.raises(RecordingError) as caught:
        backfill_session(pair.session, pair.file)
    assert caught.value.code == "GT-BUSY"


def test_end_to_end_readings_have_one_row_per_device_sample(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, seconds=40.0, hole_in_file=True)
    plain = readings_of(pair.session)
    backfill_session(pair.session, pair.file)
    readings = readings_of(pair.session)
    for number, (before, reading) in enumerate(zip(plain, readings, strict=True), start=1):
        gaze = reading.to_pandas("gaze")
        assert set(before.to_pandas("gaze")["source"]) == {"live"}
        on_ns = pair.true_ns[0] + 2 * S if number == 1 else (pair.true_ns[0] + pair.true_ns[-1]) // 2 + S
        held = pair.in_file | pair.streamed
        inside = (pair.true_ns >= on_ns + 3_000_000) & (
            pair.true_ns < on_ns + reading.meta.duration_ns - 3_000_000
        )
        shown = gaze[(gaze["t_ns"] >= 2_000_000) & (gaze["t_ns"] < reading.meta.duration_ns - 2_000_000)]
        assert abs(len(shown) - (inside & held).sum()) <= 3
        on_image = gaze[gaze["valid"] & (gaze["t_ns"] > 0)]
        np.testing.assert_allclose(on_image["x_image_px"], on_image["x_screen_px"] / 2)
        assert set(gaze["pupil_unit"]) <= {"area_au", "none"}
        provenance = reading.meta.provenance
        assert provenance["backfill_aligned_by"] == "device_time"
        assert float(provenance["backfill_residual_ms"]) <= LIMIT_MS
        assert float(provenance["loss_eye_to_disk_streamed"]) == pytest.approx(
            1 - pair.streamed.mean(), abs=0.02
        )
        assert float(provenance["loss_eye_to_disk"]) < 0.02
        assert reading.meta.n_samples_expected is not None
        assert reading.meta.n_samples_expected >= len(gaze)
    sources = set().union(*(r.to_pandas("gaze")["source"] for r in readings))
    assert sources == {"backfill", "live"}


def test_the_command_tells_what_was_lost(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, seconds=16.0)
    ran = CliRunner().invoke(backfill_command, [str(pair.session), str(pair.file), "--json"])
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert told["record"]["alignment"]["method"] == "device_time"
    assert told["losses"]["eye_to_disk"] == 0.0
    assert [r["reading_number"] for r in told["readings"]] == [1, 2]
    ran = CliRunner().invoke(backfill_command, [str(pair.session), str(pair.file)])
    assert "already" in ran.stdout
    assert "0.00% now" in ran.stdout


def test_a_withdrawn_reading_goes_from_the_backfill_too(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, seconds=16.0)
    backfill_session(pair.session, pair.file)
    middle = int(pair.true_ns[0] + pair.true_ns[-1]) // 2
    remove_reading(pair.session, 1)
    gaze = load_gaze(pair.session, SCREEN)
    assert gaze.t_ns.min() >= middle - S
    assert gaze.t_ns.size > 2000
