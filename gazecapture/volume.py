"""Is a folder on an encrypted volume? Told where the system tells it; unknown otherwise, never guessed.

Linux: the folder's block device and what lies below it (dm-crypt, so LUKS too), or a file system that encrypts by
itself (eCryptfs, fscrypt, gocryptfs). macOS: FileVault, by ``diskutil info``. Windows: BitLocker, by
``manage-bde -status``, which an ordinary user may not ask: then it is unknown.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["is_encrypted", "linux_encrypted", "parse_diskutil", "parse_manage_bde"]

ASK_S = 10.0
"""s for the system's own tool to answer."""
ENCRYPTING_FILE_SYSTEMS = {"ecryptfs", "fuse.encfs", "fuse.gocryptfs", "fuse.cryfs", "fuse.securefs"}
NO_DEVICE_OF_ITS_OWN = {
    "overlay",
    "tmpfs",
    "ramfs",
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "9p",
    "zfs",
    "btrfs",
    "virtiofs",
}
"""Where the block device below, if there is one, cannot be told from the mount."""
_FS_IOC_GET_ENCRYPTION_POLICY_EX = 0xC0096616
"""_IOWR('f', 22, __u8[9]), include/uapi/linux/fscrypt.h; it fails where the folder has no policy."""
_POLICY_BYTES = 24
"""Of the largest policy, version 2; a 64-bit number that says so comes first."""


def is_encrypted(folder: Path, *, system: str = sys.platform) -> bool | None:
    """Say whether the folder, or the nearest one above it that exists, is on an encrypted volume; None: unknown."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        if system.startswith("linux"):
            return linux_encrypted(place)
        if system == "darwin":
            return parse_diskutil(_answer(["diskutil", "info", str(_mount_point(place))]))
        if system == "win32":
            return parse_manage_bde(_answer(["manage-bde", "-status", place.resolve().drive]))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return None


def linux_encrypted(
    folder: Path,
    *,
    mounts: Path = Path("/proc/self/mountinfo"),
    devices: Path = Path("/sys/dev/block"),
    has_policy: Callable[[Path], bool] | None = None,
) -> bool | None:
    """Say whether a folder of a Linux system is encrypted; None: unknown.

    mounts, devices : where the kernel tells of mounts and of block devices.
    has_policy      : asks whether the folder itself is encrypted by its file system (fscrypt).
    """
    if (has_policy or _has_fscrypt_policy)(folder):
        return True
    mount = _mount_of(folder.resolve(), mounts.read_text(encoding="utf-8", errors="surrogateescape"))
    if mount is None:
        return None
    device, file_system = mount
    if file_system in ENCRYPTING_FILE_SYSTEMS:
        return True
    if file_system in NO_DEVICE_OF_ITS_OWN or not (devices / device).exists():
        return None
    return _is_crypt(devices / device)


def parse_diskutil(text: str) -> bool | None:
    """Read the answer of ``diskutil info`` for a volume of macOS."""
    found = re.search(r"^\s*(?:FileVault|Encrypted):\s*(Yes|No)\b", text, re.MULTILINE | re.IGNORECASE)
    return None if found is None else found[1].casefold() == "yes"


def parse_manage_bde(text: str) -> bool | None:
    """Read the answer of ``manage-bde -status`` for a volume of Windows; protection that is suspended is none.

    Only the English words are known; other languages give None.
    """
    found = re.search(r"^\s*Protection Status:\s*Protection (On|Off)\b", text, re.MULTILINE | re.IGNORECASE)
    return None if found is None else found[1].casefold() == "on"


def _mount_of(folder: Path, mountinfo: str) -> tuple[str, str] | None:
    """Return (major:minor, type) of the mount that holds the folder; of several at one place the last one counts."""
    best: tuple[int, str, str] | None = None
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), fields[4]))
        if folder.is_relative_to(point) and (best is None or len(point.parts) >= best[0]):
            best = len(point.parts), fields[2], after.split(" ")[0]
    return None if best is None else best[1:]


def _is_crypt(device: Path) -> bool:
    """Say whether a block device, or every one of those below it, is made by dm-crypt."""
    uuid = device / "dm" / "uuid"
    if uuid.is_file() and uuid.read_text(encoding="ascii", errors="replace").startswith("CRYPT-"):
        return True
    below = sorted((device / "slaves").iterdir()) if (device / "slaves").is_dir() else []
    if not below and (device / "partition").is_file():
        return _is_crypt(device.resolve().parent)
    return bool(below) and all(_is_crypt(part) for part in below)


def _has_fscrypt_policy(folder: Path) -> bool:
    try:
        # In here: Windows has no such module.
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        return False
    try:
        fcntl.ioctl(
            handle,
            _FS_IOC_GET_ENCRYPTION_POLICY_EX,
            bytearray(struct.pack("=Q", _POLICY_BYTES) + bytes(_POLICY_BYTES)),
        )
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _mount_point(place: Path) -> Path:
    while not place.is_mount() and place != place.parent:
        place = place.parent
    return place


def _answer(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_S, check=True)
    return done.stdout
