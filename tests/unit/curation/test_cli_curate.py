"""The command as a user types it; in this process, except where a process of its own matters."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import pytest
from PIL import Image

from curation.cli import cli
from curation.config import CurationConfig, remember_config
from gazecapture.console import run_command
from gazecapture.store import Store
from keyframes.errors import ExitCode
from tests.gazecurate import Command


@pytest.fixture(scope="module")
def filled(readings: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three readings, never changed: tests copy it."""
    return Path(readings.fill_store(tmp_path_factory.mktemp("filled") / "store", 3).root)


@pytest.fixture(scope="module")
def curated(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store after a run with the default settings, ``out`` beside it; never changed: tests copy both."""
    store = Path(shutil.copytree(filled, tmp_path_factory.mktemp("curated") / "store"))
    arguments = ["run", "--store", str(store), "--out", str(store.parent / "out"), "-j", "1"]
    assert run_command(cli, arguments) == ExitCode.OK
    return store


@pytest.fixture
def done(curated: Path, tmp_path: Path) -> Path:
    """A copy of the curated store; its dataset is ``out`` beside it."""
    shutil.copytree(curated.parent / "out", tmp_path / "out")
    return Path(shutil.copytree(curated, tmp_path / "store"))


@pytest.fixture
def one_format(tmp_path: Path) -> Path:
    """Settings for tests that are not about formats."""
    path = tmp_path / "one-format.toml"
    path.write_text('[export]\nformats = ["parquet"]\n')
    return path


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "store"))


def test_what_only_computing_needs_is_not_waited_for() -> None:
    """Each of these takes up to half a second to import; commands that compute nothing need none of them."""
    code = (
        "import sys\n"
        "import curation.cli.ingest, curation.cli.run, curation.cli.status\n"
        "heavy = {'numba', 'scipy', 'pydicom', 'h5py', 'jinja2', 'pandas', 'matplotlib', 'distributed', 'torch'}\n"
        "sys.exit(', '.join(sorted(heavy & {name.split('.')[0] for name in sys.modules})) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_command_that_makes_tables_does_so_without_pandas(readings: ModuleType, tmp_path: Path) -> None:
    readings.write_session(tmp_path / "sessions", 1)
    code = (
        "import atexit, sys\n"
        "from curation.cli import main\n"
        "atexit.register(lambda: print('pyarrow' in sys.modules, 'pandas' in sys.modules))\n"
        "main()\n"
    )
    command = [
        "ingest",
        str(tmp_path / "sessions"),
        "--format",
        "session",
        "--store",
        str(tmp_path / "store"),
    ]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "True False"


def test_help_names_every_command_without_importing_them() -> None:
    code = "import sys, curation.cli; curation.cli.main()"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code, "--help"], capture_output=True, text=True, check=True
    )
    for name in ("ingest", "run", "qc", "status", "export", "verify", "report"):
        assert f"  {name} " in done.stdout
    assert "not for diagnosis" in " ".join(done.stdout.split())
    assert "numba" not in done.stderr
    assert "curation.cli.run" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["run", "--out", "x"],
        ["run", "--store", "does-not-exist", "--out", "x"],
        ["ingest", "does-not-exist", "--format", "session", "--store", "s"],
        ["ingest", ".", "--format", "egd", "--store", "s"],
        ["verify", "does-not-exist"],
    ],
)
def test_wrong_use_is_one_line_and_code_2(
    gazecurate: Command, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert gazecurate(*arguments) == ExitCode.USAGE
    assert gazecurate.err.startswith("error: ")
    assert gazecurate.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_from_sessions_to_a_verified_dataset(
    gazecurate: Command, readings: ModuleType, tmp_path: Path
) -> None:
    readings.write_session(tmp_path / "sessions", 2)
    store, out = tmp_path / "store", tmp_path / "dataset"
    assert gazecurate("ingest", tmp_path / "sessions", "--format", "session", "--store", store, "--json") == 0
    assert len(gazecurate.json()["added"]) == 2
    assert gazecurate("run", "--store", store, "--out", out, "-j", "1", "--json") == 0
    result = gazecurate.json()
    assert len(result["kept"]) == result["export"]["n_readings"] == 2
    assert result["failed"] == []
    progress = [json.loads(line) for line in gazecurate.err.splitlines()]
    assert {"stage": "curate", "done": 2, "total": 2, "failed": 0}.items() <= progress[1].items()
    assert gazecurate("verify", out) == 0
    assert "2 readings, intact" in gazecurate.out
    shard = next((out / "readings").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    assert gazecurate("verify", out) == ExitCode.INTEGRITY
    assert "GT-INTEGRITY" in gazecurate.err


def test_a_second_run_does_nothing(gazecurate: Command, done: Path, tmp_path: Path) -> None:
    assert gazecurate("run", "--store", done, "--out", tmp_path / "out", "-j", "1", "--json") == 0
    result = gazecurate.json()
    assert result["n_unchanged"] == 3
    assert result["export"]["up_to_date"] is True


def test_two_processes_give_the_same_as_one(
    gazecurate: Command, store: Path, curated: Path, tmp_path: Path
) -> None:
    assert gazecurate("run", "--store", store, "--out", tmp_path / "out", "-j", "2") == 0
    for path in sorted(curated.glob("*/stages/*/*")):
        assert path.read_bytes() == (store / path.relative_to(curated)).read_bytes(), path.name
    one, two = (sorted((folder / "out" / "readings").iterdir()) for folder in (curated.parent, tmp_path))
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]


def test_a_changed_setting_redoes_only_what_depends_on_it(
    gazecurate: Command, curated: Path, tmp_path: Path
) -> None:
    store, out, config = curated, tmp_path / "out", tmp_path / "c.toml"
    config.write_text("[keyframes]\nlead_s = 1.0\n")
    assert gazecurate("run", "--store", store, "--out", out, "-c", config, "--dry-run", "--json") == 0
    for row in gazecurate.json()["plan"]:
        assert row["todo"] == {"keyframes": "settings changed: lead_s"}
    config.write_text('[events]\nmethod = "ivt"\n')
    assert gazecurate("run", "--store", store, "--out", out, "-c", config, "--dry-run", "--json") == 0
    for row in gazecurate.json()["plan"]:
        assert row["todo"] == {
            "events": "settings changed: method",
            "regions": "builds on events",
            "keyframes": "builds on events, regions",
            "trajectory": "builds on events, regions",
        }


def test_a_dry_run_changes_nothing(gazecurate: Command, store: Path, tmp_path: Path) -> None:
    before = sorted(store.rglob("*"))
    assert gazecurate("run", "--store", store, "--out", tmp_path / "out", "--dry-run") == 0
    assert "quality: not done yet" in gazecurate.out
    assert "3 of 3 readings would be worked on" in gazecurate.out
    assert sorted(store.rglob("*")) == before
    assert not (tmp_path / "out").exists()


def test_restart_does_everything_again(gazecurate: Command, done: Path, tmp_path: Path) -> None:
    store, out = done, tmp_path / "out"
    assert gazecurate("run", "--store", store, "--out", out, "--restart", "--dry-run", "--json") == 0
    assert all(set(row["todo"].values()) == {"restart"} for row in gazecurate.json()["plan"])
    assert gazecurate("run", "--store", store, "--out", out, "--restart", "-j", "1", "--json") == 0
    assert gazecurate.json()["n_unchanged"] == 0


def test_a_foreign_dataset_folder_is_refused_before_any_work(
    gazecurate: Command, store: Path, tmp_path: Path
) -> None:
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.tex").write_text("precious")
    before = sorted(store.rglob("*"))
    for command in ("run", "export"):
        assert gazecurate(command, "--store", store, "--out", foreign) == ExitCode.USAGE
        assert "not empty" in gazecurate.err
        assert gazecurate(command, "--store", store, "--out", store / "dataset") == ExitCode.USAGE
        assert gazecurate(command, "--store", store, "--out", foreign / "chapter.tex") == ExitCode.USAGE
        assert gazecurate(command, "--store", store, "--out", foreign / "chapter.tex" / "x") == ExitCode.USAGE
    assert sorted(store.rglob("*")) == before
    assert [p.name for p in foreign.iterdir()] == ["chapter.tex"]


def test_a_bad_config_is_refused_before_any_work(gazecurate: Command, store: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[quality]\nloss = 1\n")
    before = sorted(store.rglob("*"))
    assert gazecurate("run", "--store", store, "--out", tmp_path / "out", "-c", config) == ExitCode.USAGE
    assert "quality.loss" in gazecurate.err
    assert "GT-CONFIG" in gazecurate.err
    assert sorted(store.rglob("*")) == before


@pytest.mark.parametrize("damage", ["missing", "corrupt", "other_size"])
def test_a_bad_picture_fails_its_reading_only(
    gazecurate: Command, store: Path, one_format: Path, tmp_path: Path, damage: str
) -> None:
    bad = Store.open(store).reading_ids()[1]
    picture = Store.open(store).image_path(bad, 0)
    assert picture is not None
    if damage == "missing":
        picture.unlink()
    elif damage == "corrupt":
        picture.write_bytes(picture.read_bytes()[:300])
    else:
        Image.new("L", (50, 60)).save(picture)
    command = ("run", "--store", store, "--out", tmp_path / "out", "-c", one_format, "-j", "1", "--json")
    assert gazecurate(*command) == ExitCode.SOME_FAILED
    result = gazecurate.json()
    assert [(f["reading_id"], f["stage"], f["code"]) for f in result["failed"]] == [
        (bad, "regions", "GT-IMAGE")
    ]
    assert result["failed"][0]["hint"]
    assert len(result["kept"]) == result["export"]["n_readings"] == 2
    assert gazecurate("status", "--store", store, "--json") == 0
    status = gazecurate.json()
    assert (status["curated"], len(status["failed"]), status["to_do"]) == (2, 1, 0)
    assert status["stages_done"]["events"] == 3
    assert status["stages_done"]["trajectory"] == 2


def test_a_mended_reading_is_taken_up_again(
    gazecurate: Command, store: Path, one_format: Path, tmp_path: Path
) -> None:
    bad, *others = Store.open(store).reading_ids()
    for other in others[1:]:
        shutil.rmtree(store / other)
    picture = Store.open(store).image_path(bad, 0)
    assert picture is not None
    content = picture.read_bytes()
    picture.write_bytes(b"nothing")
    command = ("run", "--store", store, "--out", tmp_path / "out", "-c", one_format, "-j", "1", "--json")
    assert gazecurate(*command) == ExitCode.SOME_FAILED
    picture.write_bytes(content)
    assert gazecurate(*command) == 0
    assert gazecurate.json()["n_unchanged"] == 1
    assert gazecurate("status", "--store", store, "--json") == 0
    assert gazecurate.json()["failed"] == []


def test_fail_fast_leaves_no_dataset(gazecurate: Command, store: Path, tmp_path: Path) -> None:
    for reading_id in Store.open(store).reading_ids():
        picture = Store.open(store).image_path(reading_id, 0)
        assert picture is not None
        picture.write_bytes(b"")
    out = tmp_path / "out"
    code = gazecurate("run", "--store", store, "--out", out, "-j", "1", "--fail-fast", "--json")
    assert code == ExitCode.SOME_FAILED
    assert len(gazecurate.json()["failed"]) == 1
    assert not out.exists()


def test_where_all_fail_nothing_is_left(gazecurate: Command, store: Path, tmp_path: Path) -> None:
    for table in store.glob("*/gaze.parquet"):
        table.write_bytes(b"PAR1")
    out = tmp_path / "out"
    assert gazecurate("run", "--store", store, "--out", out, "-j", "1", "--json") == ExitCode.NOTHING_LEFT
    result = gazecurate.json()
    assert {f["code"] for f in result["failed"]} == {"GT-SCHEMA"}
    assert {f["stage"] for f in result["failed"]} == {"load"}
    assert result["dataset"] is None
    assert not out.exists()
    assert gazecurate("status", "--store", store, "--json") == 0
    assert len(gazecurate.json()["failed"]) == 3


def test_rejection_is_a_result(gazecurate: Command, store: Path, tmp_path: Path) -> None:
    config, out = tmp_path / "c.toml", tmp_path / "out"
    config.write_text('[quality.severity]\nGQ-NO-VALIDATION = "error"\n')
    assert gazecurate("qc", "--store", store, "-j", "1") == 0
    assert "3 pass, 0 rejected" in gazecurate.out
    assert gazecurate("qc", "--store", store, "-c", config, "-j", "1", "--json") == ExitCode.NOTHING_LEFT
    assert {row["verdict"] for row in gazecurate.json()["readings"]} == {"rejected"}
    code = gazecurate("run", "--store", store, "--out", out, "-c", config, "-j", "1", "--json")
    assert code == ExitCode.NOTHING_LEFT
    assert set(gazecurate.json()["rejected"].values()) == {"GQ-NO-VALIDATION"}
    assert gazecurate("status", "--store", store, "--json") == 0
    assert gazecurate.json()["rejected"] == 3


def test_one_rejected_of_three_is_code_0(
    gazecurate: Command, readings: ModuleType, store: Path, one_format: Path, tmp_path: Path
) -> None:
    picture = readings.picture(tmp_path / "p.png")
    lossy = readings.make_reading(9, lost=[(1.0, 5.0)], picture_path=picture)
    Store.open(store).add(lossy, {0: picture})
    command = ("run", "--store", store, "--out", tmp_path / "out", "-c", one_format, "-j", "1", "--json")
    assert gazecurate(*command) == 0
    result = gazecurate.json()
    assert list(result["rejected"]) == [lossy.meta.reading_id]
    assert result["export"]["n_readings"] == 3


def test_export_before_any_run_has_nothing(gazecurate: Command, store: Path, tmp_path: Path) -> None:
    assert gazecurate("export", "--store", store, "--out", tmp_path / "out") == ExitCode.NOTHING_LEFT
    assert "3 unfinished" in gazecurate.err
    assert not (tmp_path / "out").exists()


def test_export_leaves_out_what_is_listed(gazecurate: Command, done: Path, tmp_path: Path) -> None:
    out, listed = tmp_path / "other", tmp_path / "without.txt"
    gone = Store.open(done).reading_ids()[0]
    listed.write_text(f"# asked to be left out\n{gone}  # by letter\n\n")
    arguments = ("export", "--store", done, "--out", out, "--exclude-list", listed, "--json")
    assert gazecurate(*arguments) == 0
    left_out = {"excluded": 1, "unfinished": 0, "rejected": 0, "held_back": 0, "failed": 0}
    assert gazecurate.json()["left_out"] == left_out
    assert gazecurate.json()["export"]["n_readings"] == 2
    rows = [row for shard in (out / "readings").iterdir() for row in pq.read_table(shard).to_pylist()]
    assert gone not in {row["reading_id"] for row in rows}
    listed.write_text("0123456789abcdef\n")
    assert gazecurate(*arguments) == ExitCode.USAGE
    assert "does not have" in gazecurate.err


@pytest.mark.parametrize("command", ["run", "export"])
def test_a_picture_lost_since_the_last_run_fails_its_reading(
    gazecurate: Command, done: Path, one_format: Path, tmp_path: Path, command: str
) -> None:
    first, second, third = Store.open(done).reading_ids()
    for n, reading_id in enumerate((second, first, third), start=1):
        picture = Store.open(done).image_path(reading_id, 0)
        assert picture is not None
        picture.unlink()
        code = ExitCode.SOME_FAILED if n < 3 else ExitCode.NOTHING_LEFT
        assert gazecurate(command, "--store", done, "--out", tmp_path / "other", "-c", one_format) == code
        assert f"failed: {reading_id} export: picture 0 of the reading is missing" in gazecurate.err


def test_export_judges_by_the_settings_of_the_last_run(
    gazecurate: Command, done: Path, tmp_path: Path
) -> None:
    remember_config(done, CurationConfig.model_validate({"keyframes": {"lead_s": 1.0}}))
    assert gazecurate("export", "--store", done, "--out", tmp_path / "other") == ExitCode.NOTHING_LEFT
    assert "3 unfinished" in gazecurate.err


def test_export_without_images_lets_none_out(gazecurate: Command, done: Path, tmp_path: Path) -> None:
    out = tmp_path / "other"
    assert gazecurate("export", "--store", done, "--out", out, "--without-images") == 0
    for shard in (out / "readings").glob("*.parquet"):
        for row in pq.read_table(shard).to_pylist():
            assert not any(image["bytes"] for image in row["images"])
            assert not any(k["picture"] and k["picture"]["bytes"] for k in row["keyframes"])
    assert not list(out.glob("images/*"))


def test_a_store_in_use_is_refused(gazecurate: Command, store: Path, tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable, "-c",
            "import sys; from pathlib import Path; from curation.lock import store_lock\n"
            "with store_lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()",
            str(store),
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert gazecurate("run", "--store", store, "--out", tmp_path / "out") == ExitCode.INTERNAL
        assert "GT-BUSY" in gazecurate.err
        assert str(holder.pid) in gazecurate.err
        assert gazecurate("status", "--store", store, "--json") == 0
        assert gazecurate.json()["in_use_by_process"] == holder.pid
        holder.kill()
    assert gazecurate("qc", "--store", store, "-j", "1") == 0, "a dead owner does not hold the store"
    assert not (store / ".lock").exists()


def test_a_store_that_cannot_be_written(filled: Path, readings: ModuleType, tmp_path: Path) -> None:
    """Every write fails, whoever runs this, root included: the process may write files of no size."""
    store = Path(shutil.copytree(filled, tmp_path / "store"))
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); from curation.cli import main; main()"
        if os.name == "posix"
        else "import os, sys; os.chmod(sys.argv[3], 0o444); from curation.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "--store", str(store), "--out", str(tmp_path / "out"), "-j", "1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (ExitCode.INTERNAL, ExitCode.USAGE), done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert not list(store.glob("*/stages/*"))
    assert not (tmp_path / "out").exists()


def test_keyframes_tells_what_was_made(gazecurate: Command, curated: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    assert gazecurate("keyframes", "--store", curated, "--pictures", pictures, "--json") == 0
    found = gazecurate.json()
    assert len(found["readings"]) == 3
    n_pictures = 0
    for row in found["readings"]:
        assert row["sentences"] == 2
        assert row["parameters"]["lead_s"] == 2.0
        assert len(row["keyframes"]) == sum(row[k] for k in ("no_gaze", "cluster", "holistic", "silent"))
        n_pictures += row["n_pictures"]
    files = sorted(pictures.glob("*.png"))
    assert len(files) == n_pictures > 0
    with Image.open(files[0]) as picture:
        assert picture.size == (160, 192)
    one = found["readings"][0]["reading_id"]
    assert gazecurate("keyframes", "--store", curated, "--reading", one) == 0
    assert one in gazecurate.out
    assert len(gazecurate.out.splitlines()) == 2
    assert gazecurate("keyframes", "--store", curated, "--reading", "0" * 16) == ExitCode.USAGE


def test_fit_lead_tells_why_there_is_none(gazecurate: Command, store: Path, curated: Path) -> None:
    assert gazecurate("fit-lead", "--store", store) == ExitCode.NOTHING_LEFT
    assert gazecurate("keyframes", "--store", store) == ExitCode.NOTHING_LEFT
    before = {path: path.read_bytes() for path in (curated / "readers").iterdir()}
    assert gazecurate("fit-lead", "--store", curated, "--json") == 0
    readers = gazecurate.json()["readers"]
    assert [reader["reader_code"] for reader in readers] == ["R01", "R02", "R03"]
    assert all(reader["lead_s"] is None and not reader["changed"] for reader in readers)
    assert gazecurate("fit-lead", "--store", curated, "--restart") == 0
    assert "2 sentences, 30 are needed" in gazecurate.out
    assert {path: path.read_bytes() for path in (curated / "readers").iterdir()} == before
