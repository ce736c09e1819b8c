"""What every test gets: a Lab Streaming Layer that sees this worker alone, no display, no network."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

SHARED = Path(__file__).resolve().parents[2] / "shared"

# Before anything imports pylsl or Qt: both read their surroundings once, on import.
_lsl_folder = Path(tempfile.mkdtemp(prefix="lsl-test-"))
atexit.register(shutil.rmtree, _lsl_folder, ignore_errors=True)
_lsl_config = _lsl_folder / "lsl_api.cfg"
# Senders are found on 32 ports, which ten receivers take: another worker's, those of other test runs on this machine,
# and of processes that a broken run left behind. So each worker of a run has 100 of its own; they lie between the
# well-known ports and those that a system gives away.
_worker = os.environ.get("PYTEST_XDIST_WORKER", "")
_run = os.getppid() if _worker else os.getpid()
LSL_BASE_PORT = 17_000 + 400 * (_run % 37) + 100 * (int(_worker.removeprefix("gw") or 0) % 4)
_lsl_config.write_text(
    f"[ports]\nIPv6 = disable\nBasePort = {LSL_BASE_PORT}\nPortRange = 100\n"
    "[multicast]\nResolveScope = machine\nAddressesOverride = {127.0.0.1}\nListenAddress = 127.0.0.1\n"
    "[lab]\nKnownPeers = {127.0.0.1}\n"
    f"SessionID = test-{uuid.uuid4().hex}\n"
    "[log]\nlevel = -2\n"
)
# A shell that runs us in the background has us ignore Ctrl-C, and every process that we start and interrupt as well.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["LSLAPICFG"] = str(_lsl_config)
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples each time, so that a red run is red again; HYPOTHESIS_PROFILE=search looks for new ones.
settings.register_profile("same-examples", settings.get_profile("search"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same-examples"))


LONG_FILES = (
    "e2e/test_demo.py", "golden/test_real_material.py", "unit/curation/test_export_dataset.py", "e2e/test_canaries.py",
    "fault/test_run_interrupted.py", "fault/test_curate_killed.py", "fault/test_forget_killed.py",
    "fault/test_disk_full.py", "fault/test_viewer_kill.py", "fault/test_neon_processes.py",
    "fault/test_recorder_faults.py", "unit/gazecapture/test_lsl_senders.py", "contract/test_views.py",
    "fault/test_recorder_storage.py",
)  # fmt: skip
"""Files of half a minute or more, the longest first: who gets one last works on alone when the others are done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files before the others, whose order is random."""
    rank = {Path(__file__).parent / name: place for place, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared data folder beside the checkout; a test that needs it is skipped where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the shared data folder is not beside this checkout")
    return SHARED


@dataclass(frozen=True)
class SmallDataset:
    """Two simulated readers who read the same two phantom studies, offline, curated and exported."""

    studies: Path
    store: Path
    dataset: Path


def run_tool(*arguments: str | Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `gazecapture ...` or `gazecurate ...` as a process of its own and check its exit code."""
    module = {"gazecapture": "gazecapture", "gazecurate": "curation"}[str(arguments[0])]
    command = [sys.executable, "-m", module, *map(str, arguments[1:])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == expect, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> SmallDataset:
    """A small finished dataset, made once for all processes of a test run; tests that alter it work on a copy."""
    root = tmp_path_factory.getbasetemp() / "small"
    if "PYTEST_XDIST_WORKER" not in os.environ:
        _make_small_dataset(root)
    else:
        common = root.parents[1] / "small"
        with FileLock(common.with_suffix(".lock")):
            if not common.is_dir():
                _make_small_dataset(root)
                shutil.copytree(root, common.with_suffix(".partial"))
                common.with_suffix(".partial").rename(common)
        if not root.is_dir():
            shutil.copytree(common, root)
    return SmallDataset(studies=root / "studies", store=root / "store", dataset=root / "dataset")


@pytest.fixture(scope="session", autouse=True)
def _kernels_compiled_once(request: pytest.FixtureRequest) -> None:
    """Make the small dataset before the first test of several workers, if any of their tests wants it.

    That compiles most kernels, which takes 32 s of a processor. In a fresh checkout the workers, and what processes
    they start, would begin by compiling them side by side, each for itself.
    """
    wanted = any("small_dataset" in getattr(item, "fixturenames", ()) for item in request.session.items)
    if wanted and "PYTEST_XDIST_WORKER" in os.environ:
        with contextlib.suppress(Exception):  # the tests that want it say why there is none
            request.getfixturevalue("small_dataset")


def _make_small_dataset(root: Path) -> None:
    from gazecapture.demo.studies import write_demo_studies
    from gazecapture.simulation.offline import simulate_session

    write_demo_studies(root / "studies", n_studies=2, seed=3, size_px=(640, 768))
    for reader in (1, 2):
        simulate_session(
            root / "sessions" / f"R{reader:02}",
            root / "studies",
            reader_seed=reader,
            reader_code=f"R{reader:02}",
            truth_dir=root / "truth" / f"R{reader:02}",
            rate_hz=250.0,
            duration_s=15.0,
        )
    run_tool("gazecurate", "ingest", root / "sessions", "--format", "session", "--store", root / "store")
    run_tool("gazecurate", "run", "--store", root / "store", "--out", root / "dataset", "-j", "1")
