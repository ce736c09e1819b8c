from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from gazecapture.files import (
    as_tool_error,
    atomic_path,
    claim_output_folder,
    free_bytes,
    make_private_folder,
    sha256_of,
    write_bytes_atomically,
    write_json_atomically,
)
from keyframes.errors import DiskFullError, UsageError


def test_a_new_folder_is_claimed_and_entered_again(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    claim_output_folder(out, kind="store")
    assert claim_output_folder(out, kind="store") == out


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
