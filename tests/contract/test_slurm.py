"""Workers that SLURM starts: the job's script is what `sbatch` needs, and run for real it works for the engine."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from curation.cluster_settings import DaskConfig, SlurmConfig
from curation.engines.dask import dask_engines
from tests.dask_cluster import REPOSITORY
from tests.engine_tasks import square

SBATCH = """#!/bin/sh
# Runs the script at once, in a session of its own, as a node would.
cp "$1" "{folder}/job.sh"
setsid bash "{folder}/job.sh" > "{folder}/job.log" 2>&1 < /dev/null &
echo "Submitted batch job $!"
echo $! > "{folder}/submitted"
"""
SCANCEL = """#!/bin/sh
echo "$1" >> "{folder}/cancelled"
kill -TERM -- "-$1"
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which `sbatch` and `scancel` tell what they were asked for."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (commands / name).write_text(text.format(folder=tmp_path))
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    return tmp_path


def test_a_job_of_slurm_works_for_the_engine_and_is_cancelled_after(slurm: Path) -> None:
    settings = SlurmConfig(
        cores=2,
        memory="2GiB",
        walltime="01:02:03",
        queue="cpu",
        account="lab",
        interface=_loopback(),
        directives=("--exclusive",),
        prologue=(f"touch {slurm}/prologue",),
    )
    on_interrupt = signal.getsignal(signal.SIGINT)
    with dask_engines(DaskConfig(slurm=settings)) as engines:
        assert signal.getsignal(signal.SIGINT) is on_interrupt, "Ctrl-C stays the command's"
        done = {found.item: found.result for found in engines(1).run(square, range(5))}
        job = int((slurm / "submitted").read_text())
        assert psutil.pid_exists(job)
    assert {item: result[0] for item, result in done.items() if result is not None} == {
        item: item * item for item in range(5)
    }
    assert all(result is not None and result[1] != os.getpid() for result in done.values())
    lines = (slurm / "job.sh").read_text().splitlines()
    assert lines[0].startswith("#!")
    header = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")]
    assert {"-J gazecurate", "-p cpu", "-A lab", "-n 1", "-t 01:02:03", "--mem=2G", "--exclusive"} <= {
        *header
    }
    assert "--cpus-per-task=2" in header
    (worker,) = [line for line in lines if "dask_worker" in line]
    assert worker.startswith(sys.executable)
    assert "--nthreads 1 " in worker, "a reading is one thread's work, however many cores the job has"
    assert (slurm / "prologue").exists()
    assert (slurm / "cancelled").read_text().split() == [str(job)]
    until = time.monotonic() + 180
    while psutil.pid_exists(job) and psutil.Process(job).status() != "zombie" and time.monotonic() < until:
        time.sleep(0.05)
    assert not psutil.pid_exists(job) or psutil.Process(job).status() == "zombie"


def _loopback() -> str:
    """Return the name of the network interface that reaches this machine alone."""
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address == "127.0.0.1" for address in addresses):
            return name
    raise AssertionError("no interface has 127.0.0.1")
