"""No room left while a dataset is written: one line, nothing half-done, and the next run ends up the same."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from curation.cli import cli
from curation.export.hdf5_file import ForgivingFile
from gazecapture.console import run_command
from keyframes.errors import ExitCode

if TYPE_CHECKING:
    from tests.conftest import SmallDataset

WITH_A_SMALL_DISK = """
    import errno, io, pathlib, sys

    def small_disk(limit):
        \"\"\"Let no file grow beyond limit: by the system where it can, else for what Python itself writes.\"\"\"
        try:
            import resource
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        except ImportError:
            class Full(io.FileIO):
                def write(self, content):
                    if self.tell() + len(content) > limit:
                        raise OSError(errno.ENOSPC, "No space left on device")
                    return super().write(content)
            real = pathlib.Path.open
            def open(self, mode="r", *args, **kwargs):
                if self.suffix in (".h5", ".dcm") and "w" in mode:
                    return Full(self, "w+")
                return real(self, mode, *args, **kwargs)
            pathlib.Path.open = open
"""


def child(code: str, *arguments: str | int | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WITH_A_SMALL_DISK) + textwrap.dedent(code), *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.mark.parametrize("limit", [0, 5_000, 300_000])
def test_an_hdf5_shard_that_does_not_fit_crashes_nothing(tmp_path: Path, limit: int) -> None:
    done = child(
        """
        from pathlib import Path
        import h5py, numpy as np
        from curation.export.hdf5_file import ForgivingFile
        from keyframes.errors import GazeToolError
        small_disk(int(sys.argv[2]))
        sink = ForgivingFile(Path(sys.argv[1]))
        file = h5py.File(sink, "w")
        noise = np.random.default_rng(0).integers(0, 256, 400_000, np.uint8)
        for name in "abc":
            data = file.create_dataset(name, shape=(0,), maxshape=(None,), chunks=(4096,), dtype="u1")
            for part in noise.reshape(8, -1):
                data.resize((data.shape[0] + part.size,))
                data[-part.size:] = part
        assert (file["a"][:] == noise).all(), "what the disk did not take is still there"
        file.close()
        sink.close()
        try:
            sink.raise_failure()
        except GazeToolError as error:
            print(type(error).__name__, error.code)
        """,
        tmp_path / "x.h5",
        limit,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() in {"RecordingError GT-OS", "DiskFullError GT-DISK-FULL"}


def test_what_fits_is_on_the_disk(tmp_path: Path) -> None:
    with ForgivingFile(tmp_path / "x") as sink:
        sink.write(b"0123456789")
        sink.seek(3)
        sink.write(memoryview(b"abc"))
        sink.seek(-4, os.SEEK_END)
        assert sink.read(10) == b"6789"
        sink.truncate(8)
        assert sink.seek(0, os.SEEK_END) == 8
    sink.raise_failure()
    assert (tmp_path / "x").read_bytes() == b"012abc67"


def test_export_onto_a_full_disk(small_dataset: SmallDataset, tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    command = ("export", "--store", small_dataset.store, "--out", out)
    for limit in (200_000, 3_000_000):
        done = child(
            """
            from curation.cli import main
            small_disk(int(sys.argv.pop(1)))
            main()
            """,
            limit,
            *command,
        )
        errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
        assert (done.returncode, len(errors)) == (1, 1), done.stderr
        assert "Traceback" not in done.stderr
        assert [p.name for p in out.iterdir()] == [".gazecapture"]
    assert run_command(cli, [str(argument) for argument in command]) == ExitCode.OK
    shards = [sorted(folder.rglob("train*")) for folder in (out, small_dataset.dataset)]
    assert [p.read_bytes() for p in shards[0]] == [p.read_bytes() for p in shards[1]]
