"""What every parser of a tracker's own file owes, checked on each format with synthetic files."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gazecapture.trackers import (
    EVENTS,
    MESSAGES,
    PARSERS,
    SAMPLES,
    VALIDATIONS,
    TrackerRecording,
    read_recordings,
)
from gazecapture.trackers.text_file import MAX_FILE_BYTES
from keyframes.errors import DataError, GazeToolError
from tests.trackers_fixture import (
    PLANTED,
    Eyes,
    synthetic_eyes,
    write_eyelink_asc,
    write_neon_cloud,
    write_neon_native,
    write_tobii_tsv,
)

Writer = Callable[[Path, Eyes], Path]
WRITERS: dict[str, Writer] = {
    "eyelink-asc": lambda folder, eyes: write_eyelink_asc(folder / "r.asc", eyes),
    "tobii-tsv": lambda folder, eyes: write_tobii_tsv(folder / "r.tsv", eyes),
    "neon": lambda folder, eyes: write_neon_native(folder / "native", eyes),
    "neon cloud": lambda folder, eyes: write_neon_cloud(folder / "cloud", eyes),
}


@pytest.fixture(params=list(WRITERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def write(name: str) -> Writer:
    return WRITERS[name]


def main_file(path: Path) -> Path:
    """The file that holds the samples."""
    if path.is_file():
        return path
    return next(p for p in (path / "gaze.csv", path / "gaze ps1.raw") if p.exists())


def test_all_samples_come_back_on_the_tracker_s_clock(tmp_path: Path, write: Writer, name: str) -> None:
    eyes = synthetic_eyes()
    (found,) = read_recordings(write(tmp_path, eyes))
    assert found.format == name.split()[0]
    assert found.issues == ()
    np.testing.assert_array_equal(np.diff(found.t_ns), np.diff(eyes.t_ns))
    assert found.rate_hz == pytest.approx(500.0)
    prefix = "" if found.frame == "scene" else "left_"
    point = np.column_stack([found.samples[f"{prefix}x_px"], found.samples[f"{prefix}y_px"]])
    np.testing.assert_allclose(point, eyes.left[:, :2], rtol=1e-6)
    np.testing.assert_allclose(found.samples["left_pupil"], eyes.left[:, 2], rtol=1e-6)
    np.testing.assert_allclose(found.samples["right_pupil"], eyes.right[:, 2], rtol=1e-6)


def test_tables_have_their_schema(tmp_path: Path, write: Writer) -> None:
    (found,) = read_recordings(write(tmp_path, synthetic_eyes()))
    for table, schema in ((found.samples, SAMPLES), (found.messages, MESSAGES), (found.events, EVENTS),
                          (found.validations, VALIDATIONS)):  # fmt: skip
        assert table.schema.equals(schema)
        assert not any(column.null_count for column in table.columns)


def test_messages_and_events_share_the_samples_clock(tmp_path: Path, write: Writer) -> None:
    eyes = synthetic_eyes()
    (found,) = read_recordings(write(tmp_path, eyes))
    shift = int(found.t_ns[0]) - int(eyes.t_ns[0])
    said = {row["text"].removeprefix("CustomEvent "): row["t_ns"] for row in found.messages.to_pylist()}
    assert {text: said[text] - shift for _, text in eyes.messages} == {text: t for t, text in eyes.messages}
    fixations = sorted(
        {
            (row["t_start_ns"] - shift, row["t_end_ns"] - shift, row["x_px"])
            for row in found.events.to_pylist()
            if row["kind"] == "fixation"
        }
    )
    assert fixations == [(a, b, pytest.approx(965.4, rel=1e-6)) for a, b in eyes.fixations]


def test_nothing_personal_is_carried_on(tmp_path: Path, write: Writer) -> None:
    path = write(tmp_path, synthetic_eyes()).rename(tmp_path / f"{PLANTED} of a person")
    assert PLANTED in " ".join(
        p.read_bytes().decode("latin-1") for p in ([path] if path.is_file() else path.iterdir())
    )
    recordings = read_recordings(path)
    for found in recordings:
        tables = [
            getattr(found, f.name)
            for f in dataclasses.fields(found)
            if hasattr(getattr(found, f.name), "to_pylist")
        ]
        text = json.dumps([t.to_pylist() for t in tables], default=str) + repr(
            dataclasses.replace(
                found, **{n: SAMPLES.empty_table() for n in ("samples", "messages", "events", "validations")}
            )
        )
        assert PLANTED not in text


def test_a_gap_inside_a_recording_is_told(tmp_path: Path, write: Writer) -> None:
    eyes = synthetic_eyes()
    kept = np.r_[0:100, 140:600]
    holey = dataclasses.replace(
        eyes, t_ns=eyes.t_ns[kept], left=eyes.left[kept], right=eyes.right[kept], fixations=(), blinks=()
    )
    (found,) = read_recordings(write(tmp_path, holey))
    assert [(i.code, i.severity, i.n) for i in found.issues] == [("GT-TRACKER-GAP", "info", 1)]
    assert found.samples.num_rows == kept.size


def test_times_that_go_back_stop_a_strict_reading_and_are_left_out_by_a_tolerant_one(
    tmp_path: Path, write: Writer
) -> None:
    eyes = synthetic_eyes()
    t_ns = eyes.t_ns.copy()
    t_ns[300] = t_ns[290]
    path = write(tmp_path, dataclasses.replace(eyes, t_ns=t_ns, fixations=(), blinks=()))
    with pytest.raises(DataError) as caught:
        read_recordings(path)
    assert caught.value.code == "GT-TRACKER-TIME"
    assert caught.value.record is not None
    (found,) = read_recordings(path, tolerant=True)
    assert found.samples.num_rows == t_ns.size - 1
    assert (np.diff(found.t_ns) > 0).all()
    assert {i.n for i in found.issues if i.code == "GT-TRACKER-TIME"} == {1}


def test_one_wild_time_costs_one_sample(tmp_path: Path, write: Writer) -> None:
    eyes = synthetic_eyes()
    t_ns = eyes.t_ns.copy()
    t_ns[300] += 4_000_000_000
    path = write(tmp_path, dataclasses.replace(eyes, t_ns=t_ns, fixations=(), blinks=()))
    (found,) = read_recordings(path, tolerant=True)
    assert found.samples.num_rows == t_ns.size - 1


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path, write: Writer) -> None:
    path = write(tmp_path, synthetic_eyes())
    with main_file(path).open("rb+") as handle:
        handle.truncate(MAX_FILE_BYTES + 8)
    with pytest.raises(DataError) as caught:
        read_recordings(path)
    assert caught.value.code == "GT-TRACKER-TOO-LARGE"


def test_a_cut_file_is_refused_or_comes_back_whole(tmp_path: Path, write: Writer) -> None:
    """A cut between two lines or records of a format without an end mark cannot be seen; every other one is."""
    whole = write(tmp_path, synthetic_eyes(n=200))
    content = main_file(whole).read_bytes()
    ends_are_marked = whole.suffix == ".asc"
    for cut in np.linspace(len(content) // 2, len(content) - 2, 23).astype(int):
        main_file(whole).write_bytes(content[:cut])
        found = outcome(lambda: read_recordings(whole))
        if found is not None:
            n = found[0].samples.num_rows
            assert n == 200 if ends_are_marked else n <= 200


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 5000, b"\xff\xfe", b"START", b"a\tb\n1\t2\n", b"MSG\t1 x\n"]
)
def test_what_is_no_tracker_s_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_recordings(path)
    assert caught.value.code.startswith("GT-TRACKER-")
    with pytest.raises(DataError):
        read_recordings(tmp_path / "absent")


def test_each_format_is_known_by_one_parser_only(tmp_path: Path, write: Writer, name: str) -> None:
    path = write(tmp_path, synthetic_eyes(n=100))
    assert [p.format for p in PARSERS if p.fits(path)] == [name.split()[0]]


def test_an_empty_recording_is_refused(tmp_path: Path, write: Writer, name: str) -> None:
    path = write(tmp_path, synthetic_eyes(n=100))
    file = main_file(path)
    if name == "neon":
        shutil.copy(path / "event.txt", tmp_path / "kept")
        for part in (*path.glob("gaze ps*"), *path.glob("worn ps*")):
            part.write_bytes(b"")
    else:
        lines = file.read_bytes().split(b"\n")
        is_head = (
            (lambda line: not line[:1].isdigit())
            if name == "eyelink-asc"
            else (lambda line: line == lines[0])
        )
        file.write_bytes(b"\n".join(line for line in lines if is_head(line)) + b"\n")
    with pytest.raises(DataError) as caught:
        read_recordings(path)
    assert caught.value.code == "GT-TRACKER-EMPTY"


def test_issues_and_errors_say_where_but_not_what(tmp_path: Path, write: Writer, name: str) -> None:
    """A cell that cannot be read may be anything, a name as well: it is not repeated in the message."""
    path = write(tmp_path, synthetic_eyes(n=100))
    if name == "neon":
        (path / "gaze.dtype").write_text(f"[('{PLANTED}', 'object')]")
    else:
        file = main_file(path)
        lines = file.read_bytes().split(b"\n")
        place = len(lines) - 20
        cells = lines[place].replace(b",", b"\t").split(b"\t")
        lines[place] = (
            lines[place].replace(cells[2], PLANTED.encode(), 1)
            if name != "tobii-tsv"
            else (PLANTED.encode() + lines[place][4:])
        )
        file.write_bytes(b"\n".join(lines))
    with pytest.raises(DataError) as caught:
        read_recordings(path)
    assert caught.value.code.startswith("GT-TRACKER-")
    assert PLANTED not in str(caught.value)


def outcome(read: Callable[[], tuple[TrackerRecording, ...]]) -> tuple[TrackerRecording, ...] | None:
    """Return what was read, or None where it was refused with a code of the parsers."""
    refused = None
    try:
        return read()
    except GazeToolError as error:
        refused = error
    assert isinstance(refused, DataError)
    assert refused.code.startswith("GT-TRACKER-"), refused.code
    return None


def check_clean(found: tuple[TrackerRecording, ...]) -> None:
    """What holds of everything that a parser gives, however its file was damaged."""
    assert found
    for recording in found:
        assert recording.samples.schema.equals(SAMPLES)
        assert recording.samples.num_rows
        blocks = recording.samples["block"].to_numpy()
        assert (np.diff(recording.t_ns)[blocks[1:] == blocks[:-1]] > 0).all()
        for eye in ("left_", "right_", ""):
            x, y = recording.samples[f"{eye}x_px"].to_numpy(), recording.samples[f"{eye}y_px"].to_numpy()
            assert (np.isfinite(x) == np.isfinite(y)).all()
