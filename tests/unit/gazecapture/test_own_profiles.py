"""A user's own profile: taken by the commands, kept in the session, and read from there."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pylsl
import pytest

from curation.cli import cli as gazecurate
from gazecapture import profiles
from gazecapture.cli import cli as gazecapture
from gazecapture.console import run_command
from gazecapture.session.gaze_stream import load_gaze
from gazecapture.session.profiles import load_own_profiles, session_profiles
from gazecapture.session.schema import read_stream_info
from keyframes.errors import ConfigError, DataError, ExitCode
from tests.waiting import n_recorded, stopped_when

MINE = """
name = "oddball"
title = "Oddball 2000"
[match]
type = ["Telemetry"]
name = ["^Oddball"]
[[channel]]
field = "x"
label = ["horizontal"]
unit = "pixels"
[[channel]]
field = "y"
label = ["vertical"]
unit = "pixels"
[[channel]]
field = "frame_number"
label = ["n"]
[missing]
position = [9999.0]
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "my tracker.toml"
    path.write_text(MINE)
    return path


@pytest.fixture
def oddball() -> Iterator[str]:
    """Send samples of a stream that no built-in profile knows while somebody listens; give its source id."""
    yield from _sending("Telemetry")


@pytest.fixture
def unread() -> Iterator[str]:
    """The same under a type that says that it is gaze."""
    yield from _sending("Gaze")


def _sending(kind: str) -> Iterator[str]:
    source_id = f"oddball-{uuid.uuid4().hex}"
    header = pylsl.StreamInfo("Oddball 2000", kind, 3, 100, "float32", source_id)
    channels = header.desc().append_child("channels")
    for label in ("vertical", "horizontal", "n"):
        channels.append_child("channel").append_child_value("label", label)
    outlet = pylsl.StreamOutlet(header)
    stop = threading.Event()

    def send() -> None:
        n = 0
        while not stop.wait(0.01):
            if outlet.have_consumers():
                outlet.push_sample([20.0, 9999.0 if n == 1 else 10.0 + n, float(n)])
                n += 1

    sending = threading.Thread(target=send)
    sending.start()
    yield source_id
    stop.set()
    sending.join()


def test_a_stream_that_only_the_users_profile_knows_is_found_recorded_and_read(
    tmp_path: Path, mine: Path, oddball: str
) -> None:
    session = tmp_path / "session"
    arguments = [
        "record",
        "--out",
        str(session),
        "--wait-s",
        "60",
        "--profile",
        str(mine),
    ]
    with stopped_when(session, lambda: n_recorded(session) > 20):
        assert run_command(gazecapture, arguments) == ExitCode.OK
    (folder,) = (session / "streams").iterdir()
    info = read_stream_info(folder)
    assert (info.source_id, info.role, info.profile) == (oddball, "gaze", "oddball")
    assert (session / "profiles" / "oddball.toml").read_text() == MINE
    mine.unlink()
    gaze = load_gaze(session, None)
    assert gaze.tracker.profile == "oddball"
    assert gaze.gaze["x_screen_px"][0] == 10.0
    assert gaze.gaze["y_screen_px"][0] == 20.0
    assert gaze.frame_number is not None
    assert gaze.frame_number[:3].tolist() == [0, 1, 2]
    (session / "profiles" / "oddball.toml").unlink()
    with pytest.raises(DataError, match="no stream profile fits"):
        load_gaze(session, None)


def test_a_profile_given_later_reads_what_was_recorded_without_it(
    tmp_path: Path, mine: Path, oddball: str
) -> None:
    session = tmp_path / "session"
    arguments = ["record", "--out", str(session), "--wait-s", "60", "--stream", oddball]
    with stopped_when(session, lambda: n_recorded(session) > 20):
        assert run_command(gazecapture, arguments) == ExitCode.OK
    assert load_gaze(session, None).t_ns.size == 0
    gaze = load_gaze(session, None, override=load_own_profiles([mine]))
    assert gaze.t_ns.size > 10
    assert np.isfinite(gaze.gaze["x_screen_px"][0])
    assert not (session / "profiles").exists(), "a session is not changed by who reads it"


def test_names_are_not_used_twice(tmp_path: Path, mine: Path) -> None:
    taken = tmp_path / "taken.toml"
    taken.write_text(MINE.replace('"oddball"', '"eyelink"'))
    for paths in ([taken], [mine, mine]):
        with pytest.raises(ConfigError, match="already"):
            load_own_profiles(paths)
    assert session_profiles(tmp_path) == ()


@pytest.mark.parametrize("command", ["record", "ingest"])
def test_a_broken_file_stops_the_command_before_it_begins(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text(MINE.replace("[match]", "[mach]"))
    out = tmp_path / "out"
    if command == "record":
        code = run_command(gazecapture, ["record", "--out", str(out), "--profile", str(broken)])
    else:
        arguments = [
            "ingest",
            str(tmp_path),
            "--format",
            "session",
            "--store",
            str(out),
            "--profile",
            str(broken),
        ]
        code = run_command(gazecurate, arguments)
    assert code == ExitCode.USAGE
    assert "GT-CONFIG" in capsys.readouterr().err
    assert not out.exists()


def test_only_recorded_streams_have_profiles(
    tmp_path: Path, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "ingest",
        str(tmp_path),
        "--format",
        "reflacx",
        "--store",
        str(tmp_path / "s"),
        "--profile",
        str(mine),
    ]
    assert run_command(gazecurate, arguments) == ExitCode.USAGE
    assert "--profile does not go with" in capsys.readouterr().err


def test_name_and_type_say_whether_a_stream_may_be_meant(mine: Path) -> None:
    own = profiles.load_profile(mine)
    assert own.may_fit(name="Oddball 2000", kind="telemetry")
    assert not own.may_fit(name="Even", kind="Telemetry")


def test_gaze_that_no_profile_reads_is_recorded_and_warned_of(
    tmp_path: Path, unread: str, capsys: pytest.CaptureFixture[str]
) -> None:
    session = tmp_path / "session"
    arguments = ["record", "--out", str(session), "--seconds", "0.3", "--wait-s", "60", "--stream", unread]
    assert run_command(gazecapture, arguments) == ExitCode.OK
    assert "no profile reads the gaze of Oddball 2000" in capsys.readouterr().err
    (folder,) = (session / "streams").iterdir()
    info = read_stream_info(folder)
    assert (info.role, info.profile) == ("gaze", "")


def test_the_profile_in_the_docs_is_one_and_all_built_in_ones_are_listed(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "streams.md").read_text()
    written = tmp_path / "docs.toml"
    written.write_text(text.split("```toml\n")[1].split("```")[0])
    assert profiles.load_profile(written).name == "my-tracker"
    assert all(f"`{profile.name}`" in text for profile in profiles.load_profiles())


@pytest.mark.parametrize("more", [["--stream", "Eye"], ["--driver", "127.0.0.1:1"]])
def test_mouse_and_tracker_exclude_each_other(
    tmp_path: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["read", str(tmp_path), "--out", str(tmp_path / "s"), "--gaze", "mouse", *more]
    assert run_command(gazecapture, arguments) == ExitCode.USAGE
    assert "--gaze mouse excludes" in capsys.readouterr().err
