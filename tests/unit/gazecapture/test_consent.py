"""The consent record of a session, and the command that writes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gazecapture.cli import cli
from gazecapture.console import run_command
from gazecapture.session.consent import (
    CONSENT_FILE,
    SCOPES,
    ConsentRecord,
    read_consent,
    write_consent,
)
from gazecapture.session.schema import SessionInfo, write_session_info
from keyframes.access import ACCESS_TIERS, is_laxer, strictest
from keyframes.errors import ExitCode, SchemaError, UsageError


def session(folder: Path, code: str = "R01") -> Path:
    folder.mkdir()
    write_session_info(
        folder, SessionInfo(session_id="s", reader_code=code, created_unix_ns=1, tool_version="test")
    )
    return folder


def record(code: str = "R01") -> ConsentRecord:
    return ConsentRecord(
        reader_code=code,
        version="2",
        time=datetime(2026, 3, 4, 5, 6, tzinfo=UTC),
        scopes=("pupil", "gaze"),
        sharing_tier="consented",
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    folder = session(tmp_path / "s")
    assert read_consent(folder) is None
    write_consent(folder, record())
    assert read_consent(folder) == record()
    assert record().scopes == ("gaze", "pupil")  # in the order of SCOPES


def test_a_record_is_of_the_sessions_reader(tmp_path: Path) -> None:
    folder = session(tmp_path / "s")
    with pytest.raises(UsageError, match="another reader"):
        write_consent(folder, record("R02"))
    (folder / CONSENT_FILE).write_text(record("R02").model_dump_json())
    with pytest.raises(SchemaError, match="another reader"):
        read_consent(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": ["gaze", "everything"]},
        {"sharing_tier": "public"},
        {"time": "2026-03-04T05:06:00"},
        {"version": ""},
        {"name": "somebody"},
        {"reader_code": None},
    ],
)
def test_a_damaged_record_is_no_consent(tmp_path: Path, change: dict[str, object]) -> None:
    folder = session(tmp_path / "s")
    (folder / CONSENT_FILE).write_text(json.dumps({**record().model_dump(mode="json"), **change}))
    with pytest.raises(SchemaError, match="field"):
        read_consent(folder)


def test_a_torn_record_is_no_consent(tmp_path: Path) -> None:
    folder = session(tmp_path / "s")
    (folder / CONSENT_FILE).write_text(record().model_dump_json()[:-4])
    with pytest.raises(SchemaError):
        read_consent(folder)


def command(folder: Path, *arguments: str) -> ExitCode:
    return run_command(cli, ["consent", "--session", str(folder), *arguments])


def test_the_command_records_narrows_and_withdraws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = session(tmp_path / "s")
    assert command(folder) == ExitCode.OK
    assert "no consent" in capsys.readouterr().out
    given = ("--version", "3", "--scope", "gaze", "--scope", "audio", "--tier", "open")
    assert command(folder, *given) == ExitCode.OK
    found = read_consent(folder)
    assert found is not None
    assert (found.scopes, found.sharing_tier, found.simulated) == (("gaze", "audio"), "open", False)
    capsys.readouterr()
    assert command(folder, "--withdraw", "--json") == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["consent"]["scopes"] == []
    withdrawn = read_consent(folder)
    assert withdrawn is not None
    assert (withdrawn.version, withdrawn.scopes, withdrawn.sharing_tier) == ("3", (), "local-only")


@pytest.mark.parametrize(
    "arguments",
    [("--scope", "gaze"), ("--withdraw", "--scope", "gaze"), ("--version", "1"), ("--scope", "face")],
)
def test_the_command_refuses(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    folder = session(tmp_path / "s")
    assert command(folder, *arguments) == ExitCode.USAGE
    assert not (folder / CONSENT_FILE).exists()


def test_a_session_without_reader_code_has_no_consent(tmp_path: Path) -> None:
    assert command(session(tmp_path / "s", ""), "--version", "1", "--scope", "gaze") == ExitCode.USAGE


def test_a_simulated_record_says_so() -> None:
    simulated = ConsentRecord.of_simulated_reader("R01")
    assert simulated.simulated
    assert simulated.scopes == SCOPES


def test_the_strictest_tier_decides() -> None:
    assert ACCESS_TIERS == ("open", "consented", "credentialed", "local-only")
    assert strictest(["open", "credentialed", "consented"]) == "credentialed"
    assert strictest(["open"]) == "open"
    assert strictest(["open", "never heard of"]) == strictest([]) == "local-only"
    assert is_laxer("open", than="consented")
    assert not is_laxer("consented", than="consented")
    assert is_laxer("credentialed", than="never heard of")
