from __future__ import annotations

import errno
import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gazecapture.files import (
    as_tool_error,
    atomic_path,
    begin_storing,
    claim_output_folder,
    create_file,
    free_bytes,
    make_private_folder,
    replace_patiently,
    sha256_of,
    sweep_scratch,
    write_bytes_atomically,
    write_json_atomically,
)
from keyframes.errors import DiskFullError, UsageError


def test_a_new_folder_is_claimed_and_entered_again(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    claim_output_folder(out, kind="store")
    assert claim_output_folder(out, kind="store") == out


def test_a_folder_is_claimed_again_after_a_kill_while_it_was_marked(tmp_path: Path) -> None:
    (tmp_path / "..gazecapture.0a1b2c3d.partial").write_bytes(b"sto")
    assert claim_output_folder(tmp_path, kind="store") == tmp_path
    assert (tmp_path / ".gazecapture").read_bytes() == b"store\n"


def test_a_damaged_marker_is_a_foreign_folder(tmp_path: Path) -> None:
    (tmp_path / ".gazecapture").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="expected a store folder"):
        claim_output_folder(tmp_path, kind="store")


def test_foreign_folders_are_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("mine")
    with pytest.raises(UsageError, match="not empty") as error:
        claim_output_folder(tmp_path, kind="store")
    assert error.value.code == "GT-FOREIGN-FOLDER"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["thesis.doc"]


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    claim_output_folder(tmp_path / "x", kind="session")
    with pytest.raises(UsageError, match="is a session folder, expected a store folder"):
        claim_output_folder(tmp_path / "x", kind="store")


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        claim_output_folder(tmp_path / "x", kind="store")


@pytest.mark.skipif(os.name != "posix", reason="owner-only folders are a matter of POSIX permissions")
def test_private_folders_are_for_their_owner(tmp_path: Path) -> None:
    assert stat.S_IMODE(make_private_folder(tmp_path / "a").stat().st_mode) == 0o700


def test_atomic_write_replaces_or_leaves(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    write_json_atomically(target, {"b": 1, "a": "ü"})
    assert target.read_text(encoding="utf-8") == '{\n  "a": "ü",\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_atomically(target, {"a": float("nan")})

    def fail_halfway() -> None:
        with atomic_path(target) as scratch:
            scratch.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert target.read_bytes().startswith(b"{")
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_atomic_folder_replaces_a_folder(tmp_path: Path) -> None:
    for content in (b"1", b"2"):
        with atomic_path(tmp_path / "stage") as scratch:
            scratch.mkdir()
            (scratch / "f").write_bytes(content)
    assert (tmp_path / "stage" / "f").read_bytes() == b"2"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_is_made_once_by_whoever_comes_first(tmp_path: Path) -> None:
    key = tmp_path / "key"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: create_file(key, bytes([n]) * 32), range(8)))
    assert sum(made) == 1
    assert key.read_bytes() == bytes([made.index(True)]) * 32
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


def test_a_sweep_puts_back_what_was_moved_away_for_what_never_came(tmp_path: Path) -> None:
    for name in (".a.0a1b2c3d.replaced", "b", ".b.0a1b2c3d.replaced", ".c.d.0a1b2c3d.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
    (tmp_path / ".e.json.0a1b2c3d.partial").write_text("half")
    (tmp_path / "mine.partial").write_text("no scratch of ours")
    assert sweep_scratch(tmp_path) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "mine.partial"]
    assert (tmp_path / "b" / "f").read_text() == "b"
    assert sweep_scratch(tmp_path) == 0
    assert sweep_scratch(tmp_path / "absent") == 0


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "stage"
    target.mkdir()
    (target / "f").write_bytes(b"old")

    def stays_open(self: Path, to: Path) -> Path:  # as on Windows where a file in it is open
        if self.name.endswith(".partial"):
            raise PermissionError(errno.EACCES, "being used by another process")
        self.rename(to)
        return to

    monkeypatch.setattr(Path, "replace", stays_open)
    with pytest.raises(UsageError), atomic_path(target) as scratch:
        scratch.mkdir()
    assert (target / "f").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["stage"]


def test_a_rename_is_tried_again_where_somebody_looks_at_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new").write_text("new")
    refusals = iter([True, True, False])
    rename = Path.replace

    def sometimes(self: Path, to: Path) -> Path:
        if next(refusals):
            raise PermissionError(errno.EACCES, "being used by another process")
        return rename(self, to)

    monkeypatch.setattr(Path, "replace", sometimes)
    replace_patiently(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "new"


def test_a_path_that_cannot_be_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError) as error:
        claim_output_folder(tmp_path / "file" / "out", kind="store")
    assert error.value.exit_code == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_told_as_one() -> None:
    with (
        pytest.raises(OSError, match="No space left") as caught,
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"x")
    error = as_tool_error(caught.value, Path("/dev/full"), "writing")
    assert isinstance(error, DiskFullError)
    assert "Free some space" in error.hint


def test_windows_sharing_violation_is_a_permission(tmp_path: Path) -> None:
    # What Windows raises where another process holds the file.
    error = as_tool_error(PermissionError(errno.EACCES, "being used by another process"), tmp_path, "writing")
    assert isinstance(error, UsageError)


def test_sha256_and_free_bytes(tmp_path: Path) -> None:
    write_bytes_atomically(tmp_path / "x", b"abc")
    assert sha256_of(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert free_bytes(tmp_path / "not" / "yet" / "there") > 0


def test_one_of_our_errors_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match="inside"), atomic_path(tmp_path / "x"):
        raise DiskFullError("inside")


def test_an_output_folder_must_be_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        claim_output_folder(tmp_path / "\udcff", kind="store")


@pytest.mark.parametrize("system", [sys.platform, "darwin", "win32"])
def test_storing_may_begin_early_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100_000)
    with path.open("rb") as file:
        begin_storing(file.fileno(), 0, 50_000)
        begin_storing(file.fileno(), 90_000, 50_000)
    begin_storing(-1, 0, 1)
    assert path.read_bytes() == b"x" * 100_000
