"""What is particular to each tracker's format; synthetic files throughout."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from gazecapture.trackers import TrackerRecording, read_recordings
from keyframes.errors import DataError
from keyframes.geometry import Display
from tests.trackers_fixture import (
    Eyes,
    synthetic_eyes,
    write_eyelink_asc,
    write_neon_cloud,
    write_neon_native,
    write_tobii_tsv,
)


def one(path: Path, *, tolerant: bool = False) -> TrackerRecording:
    (found,) = read_recordings(path, tolerant=tolerant)
    return found


def code_of(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_recordings(path)
    return caught.value.code


@pytest.mark.parametrize(("which", "lost"), [("L", "right"), ("R", "left")])
@pytest.mark.parametrize("extra", ["", "127.0", "-1.2\t 3.4\t 38.5\t 31.1", "  5000.0\t 3000.0\t 650.0"])
def test_asc_of_one_eye_whatever_follows_the_pupil(tmp_path: Path, which: str, lost: str, extra: str) -> None:
    eyes = synthetic_eyes()
    found = one(write_eyelink_asc(tmp_path / "a.asc", eyes, which=which, extra=extra))
    seen = "left" if which == "L" else "right"
    own = eyes.left if which == "L" else eyes.right
    np.testing.assert_allclose(found.samples[f"{seen}_x_px"], own[:, 0])
    np.testing.assert_allclose(found.samples[f"{seen}_pupil"], own[:, 2])
    assert np.isnan(found.samples[f"{lost}_x_px"].to_numpy()).all()


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_asc_at_2000_hz_has_half_milliseconds(tmp_path: Path, newline: str) -> None:
    eyes = synthetic_eyes(rate_hz=2000.0)
    found = one(write_eyelink_asc(tmp_path / "a.asc", eyes, rate_hz=2000.0, newline=newline))
    np.testing.assert_array_equal(found.t_ns, eyes.t_ns)
    cut = one(write_eyelink_asc(tmp_path / "b.asc", eyes, rate_hz=2000.0, whole_ms=True))
    np.testing.assert_array_equal(cut.t_ns, eyes.t_ns)
    assert [i.code for i in cut.issues] == ["GT-TRACKER-WHOLE-MS"]


def test_asc_in_several_blocks(tmp_path: Path) -> None:
    eyes = synthetic_eyes()
    t_ns = eyes.t_ns.copy()
    t_ns[200:] += 7_000_000_000
    t_ns[450:] += 3_000_000_000
    broken = dataclasses.replace(eyes, t_ns=t_ns, breaks=(200, 450), fixations=(), blinks=())
    found = one(write_eyelink_asc(tmp_path / "a.asc", broken))
    assert np.bincount(found.samples["block"]).tolist() == [200, 250, 150]
    assert found.issues == (), "a stop between blocks is no gap"


def test_asc_validations_are_records(tmp_path: Path) -> None:
    found = one(write_eyelink_asc(tmp_path / "a.asc", synthetic_eyes())).validations.to_pylist()
    left, right, aborted = found
    assert (left["eye"], left["n_points"], left["quality"], left["accuracy_deg"]) == ("left", 9, "GOOD", 0.43)
    assert (right["accuracy_max_deg"], right["offset_x_px"], right["offset_y_px"]) == (1.6, -9.3, 12.6)
    assert aborted["quality"] == "ABORTED"
    assert np.isnan(aborted["accuracy_deg"])


def test_asc_pupil_and_screen(tmp_path: Path) -> None:
    eyes = synthetic_eyes()
    found = one(write_eyelink_asc(tmp_path / "a.asc", eyes, pupil="DIAMETER", coords="-960 -540 959 539"))
    assert (found.pupil_unit, found.frame_size_px) == ("diameter_au", (1920, 1080))
    np.testing.assert_allclose(found.samples["left_x_px"], eyes.left[:, 0] + 960)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("SAMPLES\tGAZE", "SAMPLES\tHREF", "GT-TRACKER-UNITS"),
        ("END\t", "ENE\t", "GT-TRACKER-ROW"),
        ("START\t", "STARS\t", "GT-TRACKER-ROW"),
        ("EFIX L", "EFIX X", "GT-TRACKER-ROW"),
        ("RIGHT\tRATE\t500.00\tTRACKING\tCR\tFILTER\t2\n5", "RIGHT\tRATE\tfast\n5", "GT-TRACKER-ROW"),
    ],
)
def test_asc_with_a_damaged_line_is_refused(tmp_path: Path, old: str, new: str, code: str) -> None:
    eyes = dataclasses.replace(synthetic_eyes(), breaks=(300,))
    path = write_eyelink_asc(tmp_path / "a.asc", eyes)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert code_of(path) == code


@pytest.mark.parametrize("unit", ["\u03bcs", "\u00b5s", "us", "ms"])
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"])
def test_tsv_units_commas_and_encodings(tmp_path: Path, unit: str, decimal: str, encoding: str) -> None:
    eyes = synthetic_eyes(n=240)
    path = write_tobii_tsv(tmp_path / "a.tsv", eyes, unit=unit, decimal=decimal, encoding=encoding)
    found = one(path)
    np.testing.assert_array_equal(found.t_ns, eyes.t_ns - eyes.t_ns[0])
    np.testing.assert_allclose(found.samples["left_x_px"], eyes.left[:, 0])
    np.testing.assert_allclose(found.samples["left_pupil"], eyes.left[:, 2])
    assert found.validations["accuracy_deg"].to_pylist() == [0.42]


@pytest.mark.parametrize(("unit", "rate_hz"), [("us", 60.0), ("ms", 500.0)])
def test_tsv_without_a_unit_is_told_by_its_steps(tmp_path: Path, unit: str, rate_hz: float) -> None:
    eyes = synthetic_eyes(n=240, rate_hz=rate_hz)
    eyes = dataclasses.replace(eyes, t_ns=eyes.t_ns // 1000 * 1000)
    found = one(write_tobii_tsv(tmp_path / "a.tsv", eyes, unit=unit, bracket=False))
    np.testing.assert_array_equal(found.t_ns, eyes.t_ns - eyes.t_ns[0])
    assert [i.code for i in found.issues] == ["GT-TRACKER-TIME-UNIT"]


@pytest.mark.parametrize("validity", [("Valid", "Invalid"), ("0", "4"), ("1", "0"), ("0", "1")])
def test_tsv_validity_in_words_and_numbers(tmp_path: Path, validity: tuple[str, str]) -> None:
    eyes = synthetic_eyes(n=240)
    found = one(write_tobii_tsv(tmp_path / "a.tsv", eyes, validity=validity))
    np.testing.assert_array_equal(np.isfinite(found.samples["left_x_px"]), np.isfinite(eyes.left[:, 0]))


def test_tsv_gaze_marked_invalid_is_lost(tmp_path: Path) -> None:
    path = write_tobii_tsv(tmp_path / "a.tsv", synthetic_eyes(n=240))
    head, *rows = path.read_text(encoding="utf-8-sig").split("\n")
    place = next(i for i, row in enumerate(rows) if "\tEye Tracker\t" in row)
    rows[place] = rows[place].replace("Valid", "Invalid")
    path.write_text("\n".join([head, *rows]), encoding="utf-8-sig")
    assert np.isnan(one(path).samples["left_x_px"][0].as_py())


def test_tsv_of_several_recordings(tmp_path: Path) -> None:
    eyes = synthetic_eyes(n=240)
    found = read_recordings(write_tobii_tsv(tmp_path / "a.tsv", eyes, recordings=3))
    assert [r.samples.num_rows for r in found] == [240, 240, 240]
    assert {r.issues for r in found} == {()}


def test_tsv_frames(tmp_path: Path) -> None:
    eyes = synthetic_eyes(n=240)
    assert one(write_tobii_tsv(tmp_path / "a.tsv", eyes, frame="MCS px")).frame == "scene"
    in_mm = write_tobii_tsv(tmp_path / "b.tsv", eyes, frame="DACS mm")
    assert code_of(in_mm) == "GT-TRACKER-UNITS"
    screen = Display(width_px=1920, height_px=1080, width_mm=480.0, height_mm=270.0, distance_mm=None)
    (found,) = read_recordings(in_mm, display=screen)
    np.testing.assert_allclose(found.samples["left_x_px"], eyes.left[:, 0] * 4)
    assert [i.code for i in found.issues] == ["GT-TRACKER-MM"]


def test_tsv_without_the_sensor_column_or_the_tracker_s_clock(tmp_path: Path) -> None:
    eyes = synthetic_eyes(n=240)
    path = write_tobii_tsv(tmp_path / "a.tsv", eyes, device_time=False)
    path.write_text(
        path.read_text(encoding="utf-8-sig").replace("\tSensor\t", "\tElse\t"), encoding="utf-8-sig"
    )
    found = one(path)
    assert found.samples.num_rows == 240
    np.testing.assert_array_equal(found.samples["t_device_ns"], found.samples["t_ns"])


def test_neon_parts_and_what_the_phone_computed_afterwards(tmp_path: Path) -> None:
    eyes = dataclasses.replace(synthetic_eyes(rate_hz=200.0), breaks=(250,))
    parts = one(write_neon_native(tmp_path / "a", eyes))
    assert np.bincount(parts.samples["block"]).tolist() == [250, 350]
    plain = one(write_neon_native(tmp_path / "b", eyes, with_dtype=False))
    assert plain.samples.to_pandas().equals(parts.samples.to_pandas())
    late = one(write_neon_native(tmp_path / "c", dataclasses.replace(eyes, breaks=()), late=True))
    np.testing.assert_array_equal(late.t_ns, eyes.t_ns)


@pytest.mark.parametrize(
    "text",
    ["[('x', 'object'), ('y', 'object')]", "__import__('os')", "[('x',)]", "(" * 5000, "[('x', 'float32')]"],
)
def test_neon_s_own_types_are_read_as_data_only(tmp_path: Path, text: str) -> None:
    folder = write_neon_native(tmp_path / "a", synthetic_eyes())
    (folder / "gaze.dtype").write_text(text)
    assert code_of(folder) == "GT-TRACKER-DTYPE"


def test_neon_cloud_columns_go_by_name_and_sections_are_blocks(tmp_path: Path) -> None:
    eyes: Eyes = synthetic_eyes(rate_hz=200.0)
    folder = write_neon_cloud(tmp_path / "a", eyes)
    path = folder / "gaze.csv"
    header, *rows = path.read_text().splitlines()
    turned = [",".join(reversed(line.split(","))) for line in (header, *rows)]
    turned[400:] = [line.replace("-section", "-next") for line in turned[400:]]
    path.write_text("\n".join(turned) + "\n")
    found = one(folder)
    np.testing.assert_allclose(found.samples["x_px"], eyes.left[:, 0])
    assert np.bincount(found.samples["block"]).tolist() == [399, 201]
    path.write_text("\n".join([header.replace("gaze x [px]", "gaze x"), *rows]) + "\n")
    assert code_of(folder) == "GT-TRACKER-FORMAT"


def test_an_export_of_several_neon_recordings(tmp_path: Path) -> None:
    for name in "ab":
        write_neon_cloud(tmp_path / "export" / name, synthetic_eyes(n=100))
    assert len(read_recordings(tmp_path / "export")) == 2
