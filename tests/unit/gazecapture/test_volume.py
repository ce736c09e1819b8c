"""Whether a folder is encrypted, from what Linux, macOS and Windows say; what they do not say is unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from gazecapture.cli.volume_warning import warn_where_not_encrypted
from gazecapture.volume import is_encrypted, linux_encrypted, parse_diskutil, parse_manage_bde

CRYPT = "CRYPT-LUKS2-0123456789abcdef0123456789abcdef-home"


class Linux:
    """A kernel's account of mounts and block devices, made of files."""

    def __init__(self, root: Path) -> None:
        self.mounts = root / "mountinfo"
        self.devices = root / "block"
        self.devices.mkdir()
        self.lines = ["22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"]
        disk = root / "sda"
        (disk / "sda1").mkdir(parents=True)
        (disk / "sda1" / "partition").write_text("1\n")
        (self.devices / "8:1").symlink_to(disk / "sda1")

    def device(self, number: str, *, uuid: str = "", slaves: tuple[str, ...] = ()) -> None:
        folder = self.devices / number
        (folder / "slaves").mkdir(parents=True)
        for slave in slaves:
            (folder / "slaves" / slave.replace(":", "_")).symlink_to(self.devices / slave)
        if uuid:
            (folder / "dm").mkdir()
            (folder / "dm" / "uuid").write_text(uuid + "\n")

    def mount(self, point: Path | str, number: str, kind: str = "ext4") -> None:
        shown = str(point).replace(" ", r"\040")
        self.lines.append(f"40 22 {number} / {shown} rw,relatime - {kind} /dev/mapper/x rw")

    def ask(self, folder: Path, *, policy: bool = False) -> bool | None:
        self.mounts.write_text("\n".join(self.lines) + "\n")
        return linux_encrypted(
            folder, mounts=self.mounts, devices=self.devices, has_policy=lambda _folder: policy
        )


@pytest.fixture
def linux(tmp_path: Path) -> Linux:
    return Linux(tmp_path)


def test_a_plain_partition_is_not_encrypted(linux: Linux, tmp_path: Path) -> None:
    assert linux.ask(tmp_path) is False
    assert linux.ask(tmp_path, policy=True) is True, "but this folder of it is"


def test_dm_crypt_is(linux: Linux, tmp_path: Path) -> None:
    home = tmp_path / "with space"
    home.mkdir()
    linux.device("254:0", uuid=CRYPT, slaves=("8:1",))
    linux.mount(home, "254:0")
    assert linux.ask(home) is True
    assert linux.ask(tmp_path) is False


def test_a_logical_volume_is_what_all_its_parts_are(linux: Linux, tmp_path: Path) -> None:
    linux.device("254:0", uuid=CRYPT, slaves=("8:1",))
    linux.device("254:1", uuid="LVM-one", slaves=("254:0",))
    linux.device("254:2", uuid="LVM-two", slaves=("254:0", "8:1"))
    linux.mount(tmp_path, "254:1")
    assert linux.ask(tmp_path) is True
    linux.mount(tmp_path, "254:2")
    assert linux.ask(tmp_path) is False, "what was mounted last is what is seen"


def test_file_systems_that_encrypt_and_such_as_do_not_tell(linux: Linux, tmp_path: Path) -> None:
    linux.mount(tmp_path, "0:50", "ecryptfs")
    assert linux.ask(tmp_path) is True
    for kind in ("nfs4", "overlay", "btrfs", "ext4"):  # an ext4 of no device that the kernel shows
        linux.mount(tmp_path, "0:51", kind)
        assert linux.ask(tmp_path) is None


def test_nonsense_is_unknown(linux: Linux, tmp_path: Path) -> None:
    linux.lines = ["", "garbage", "1 2 3", "1 2 8:1 / /elsewhere rw - ext4 x rw"]
    assert linux.ask(tmp_path) is None


FILEVAULT = """
   Device Identifier:         disk3s5
   Mounted:                   Yes
   Mount Point:               /System/Volumes/Data
   FileVault:                 {}
   Sealed:                    No
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FILEVAULT.format("Yes"), True),
        (FILEVAULT.format("No"), False),
        (FILEVAULT.replace("FileVault", "Encrypted").format("Yes (Unlocked)"), True),
        ("Could not find disk: x", None),
        ("", None),
    ],
)
def test_the_answer_of_diskutil(text: str, said: bool | None) -> None:
    assert parse_diskutil(text) is said


BITLOCKER = """
Volume C: [OS]
    Size:                 475.98 GB
    Conversion Status:    Fully Encrypted
    Percentage Encrypted: 100.0%
    Encryption Method:    XTS-AES 128
    Protection Status:    Protection {}
    Lock Status:          Unlocked
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BITLOCKER.format("On"), True),
        (BITLOCKER.format("Off"), False),
        ("ERROR: An attempt to access a required resource was denied.", None),
        ("Schutzstatus: Der Schutz ist aktiviert", None),
    ],
)
def test_the_answer_of_manage_bde(text: str, said: bool | None) -> None:
    assert parse_manage_bde(text) is said


@pytest.mark.parametrize("system", ["darwin", "win32", "freebsd14"])
def test_a_system_whose_tool_is_absent_or_fails_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert is_encrypted(tmp_path / "not" / "there", system=system) is None
    for tool in ("diskutil", "manage-bde"):
        (tmp_path / tool).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / tool).chmod(0o755)
    assert is_encrypted(tmp_path, system=system) is None


def test_the_answering_tool_is_asked_for_the_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "diskutil"
    tool.write_text('#!/bin/sh\n[ "$1" = info ] && [ -d "$2" ] && echo "   FileVault:  No"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert is_encrypted(tmp_path / "to be made", system="darwin") is False


def test_this_system_answers_or_does_not_know(tmp_path: Path) -> None:
    assert is_encrypted(tmp_path / "to" / "be" / "made") in (True, False, None)


def test_the_warning_names_folder_and_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for answer, warned in ((False, True), (True, False), (None, False)):
        monkeypatch.setattr(
            "gazecapture.cli.volume_warning.is_encrypted", lambda _folder, answer=answer: answer
        )
        warn_where_not_encrypted(tmp_path)
        said = capsys.readouterr().err
        assert ("not on an encrypted volume" in said) is warned
        assert (str(tmp_path) in said) is warned
