"""`gazecapture doctor`, and the command group around it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from gazecapture.doctor import Check, _folder, _why_no_screens, run_checks


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Check]:
    folder = tmp_path_factory.mktemp("doctor") / "not" / "yet"
    return {check.name: check for check in run_checks(folder)}


def gazecapture(*arguments: str, without: str = "") -> subprocess.CompletedProcess[str]:
    block = f"import sys; sys.modules[{without!r}] = None; " if without else ""
    code = f"{block}from gazecapture.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "name",
    ["python", "library pylsl", "LSL library", "LSL discovery", "LSL transfer", "write rights"],
)
def test_what_works_here_is_found_fine(checks: dict[str, Check], name: str) -> None:
    assert checks[name].ok, checks[name]
    assert checks[name].found
    assert checks[name].fix == ""


def test_whatever_fails_names_its_fix(checks: dict[str, Check]) -> None:
    assert all(check.fix for check in checks.values() if not check.ok)
    assert any(name.startswith("display") for name in checks)
    assert "microphone" in checks


@pytest.mark.parametrize(("limit_ms", "ok"), [(1e9, True), (0.0, False)])
def test_a_slow_disk_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit_ms: float, ok: bool
) -> None:
    """How fast this one is says how busy it is."""
    monkeypatch.setattr("gazecapture.doctor.MAX_SYNC_MS", limit_ms)
    sync = next(check for check in _folder(tmp_path) if check.name == "disk sync")
    assert sync.ok is ok
    assert ("local disk" in sync.fix) is not ok
    assert sync.found.startswith("median ")


def test_the_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    list(_folder(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (rights, *_) = _folder(tmp_path / "file")
    assert (rights.name, rights.ok) == ("write rights", False)
    assert "--out" in rights.fix


def test_the_command_prints_one_line_per_check_and_its_exit_code_sums_up(checks: dict[str, Check]) -> None:
    done = gazecapture("doctor", "--out", str(Path(__file__).parent))
    lines = [line for line in done.stdout.splitlines() if line.startswith(("ok", "FAIL"))]
    assert [line[6:].split(":")[0] for line in lines] == list(checks)
    assert done.returncode == (1 if any(line.startswith("FAIL") for line in lines) else 0)


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        (b"ModuleNotFoundError: No module named 'PyQt6'", "the viewer extra is not installed"),
        (b"qt.qpa.plugin: no plugin\nabort\n", "Qt cannot start: abort"),
        (b"", "Qt cannot start"),
    ],
)
def test_a_qt_that_cannot_start_is_explained(stderr: bytes, said: str) -> None:
    assert _why_no_screens(stderr) == said


def test_without_the_viewer_extra_reading_says_what_to_install_and_the_rest_works(tmp_path: Path) -> None:
    Image.new("L", (64, 64), 7).save(tmp_path / "a.png")
    done = gazecapture("read", str(tmp_path), "--out", str(tmp_path / "s"), without="PyQt6")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "gazecapture[viewer]" in done.stderr
    assert gazecapture("streams", "--wait-s", "0.1", without="PyQt6").returncode == 0


def test_help_lists_only_commands_that_exist_and_imports_none_of_them() -> None:
    code = (
        "import sys\nfrom gazecapture.console import run_command\nfrom gazecapture.cli import cli\n"
        "run_command(cli, ['--help'])\n"
        "heavy = {'PyQt6', 'numba', 'scipy', 'pylsl', 'matplotlib'} & {m.split('.')[0] for m in sys.modules}\n"
        "print('HEAVY', sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout
    for command in ("doctor", "record", "recover", "replay", "streams"):
        assert f"  {command} " in done.stdout


def test_a_wrong_command_line_is_one_line_and_exit_code_2() -> None:
    code = (
        "import sys; from gazecapture.cli import cli; from gazecapture.console import run_command\n"
        "for line in sys.argv[1:]:\n"
        "    print(int(run_command(cli, line.split())))"
    )
    lines = ["nonsense", "record", "record --out x --seconds -1", "replay /no/such/folder", "--version"]
    done = subprocess.run([sys.executable, "-c", code, *lines], capture_output=True, text=True, check=True)
    said = ["No such command", "--out", "--seconds", "does not exist"]
    assert done.stdout.split("\n")[:4] == ["2"] * 4
    assert done.stdout.split("\n")[4].startswith("gazecapture, version ")
    assert len(done.stderr.splitlines()) == 4
    for line, words in zip(done.stderr.splitlines(), said, strict=True):
        assert words in line


def test_streams_finds_nothing_that_is_not_there() -> None:
    done = gazecapture("streams", "--json", "--wait-s", "0.3")
    assert done.returncode == 0
    assert isinstance(json.loads(done.stdout), list)
