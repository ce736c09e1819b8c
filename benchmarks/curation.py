"""What curation costs per reading: from finished sessions to a dataset with key-frame pictures and both shard formats.

    python benchmarks/curation.py --corpus DIR [--blocks 1 3 10] [--jobs N] [--json FILE]

A block is a hundredth of a corpus of REFLACX's size and make: 30 readings of about 50 s at 1000 Hz of phantoms of
636 x 764 px, of which 25 phantoms are read once and one by five readers. Blocks are simulated where DIR lacks them
(about 45 CPU-s each) and kept. Each row ingests the sessions of so many blocks, found in one folder as a site keeps
them, into a new store, runs `gazecurate run`, and runs it again with nothing changed. CPU is that of the command and
all its workers, starting them included; memory the largest process of it. Of two rows the slope is given too: what a
further reading takes. Run it on a quiet machine: the line on top says how busy it is.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# Not this script's own folder: keyframes.py in it would hide the package of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1])

SINGLE, SHARED, SHARED_READERS = 25, 1, 5
READINGS = SINGLE + SHARED * SHARED_READERS
SIZE_PX = (636, 764)
N_AGAIN = 3
TARGET_CPU_S, TARGET_AGAIN_MS, TARGET_MIB = 0.8, 2.0, 1024.0


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="where blocks are kept")
    parser.add_argument("--blocks", type=int, nargs="+", default=[1, 3, 10])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rows")
    asked = parser.parse_args()
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors, {load}")
    for block in range(max(asked.blocks)):
        make_block(asked.corpus, block)
    rows = []
    for n_blocks in asked.blocks:
        with tempfile.TemporaryDirectory(prefix="curation-") as folder:
            row = measure(asked.corpus, n_blocks, Path(folder), asked.jobs)
        rows.append(row)
        print(
            f"{row['readings']:>5} readings, -j {asked.jobs}: {row['cpu_s_per_reading']:.3f} CPU-s each "
            f"(ingest {row['ingest_cpu_s_per_reading']:.3f}, target {TARGET_CPU_S:g} in all), "
            f"{row['wall_s']:.0f} s on the clock; largest process {row['max_mib']:.0f} MiB (target {TARGET_MIB:.0f}); "
            f"again {row['again_ms_per_reading']:.2f} ms each (target {TARGET_AGAIN_MS:g}); "
            f"store {row['store_mb_per_reading']:.1f} MB, dataset {row['dataset_mb_per_reading']:.1f} MB each",
            flush=True,
        )
    for before, after in itertools.pairwise(rows):
        print(
            f"from {before['readings']} to {after['readings']} readings: "
            f"{slope(before, after, 'cpu_s'):.3f} CPU-s for each more (ingest "
            f"{slope(before, after, 'ingest_cpu_s'):.3f}); again "
            f"{1000 * slope(before, after, 'again_cpu_s'):.2f} ms for each more"
        )
    if asked.json is not None:
        asked.json.write_text(json.dumps(rows, indent=2) + "\n")


def slope(before: dict[str, Any], after: dict[str, Any], name: str) -> float:
    """Return by how much a figure grows with each further reading."""
    return float((after[name] - before[name]) / (after["readings"] - before["readings"]))


def make_block(corpus: Path, block: int) -> None:
    """Simulate one block, unless it is there."""
    from gazecapture.demo.studies import write_demo_studies
    from gazecapture.simulation.offline import simulate_session

    for part, n_studies, n_readers in (("single", SINGLE, 1), ("shared", SHARED, SHARED_READERS)):
        folder = corpus / f"b{block:02}-{part}"
        if not (folder / "studies" / "worklist.csv").exists():
            seed = 1000 + 2 * block + (part == "shared")
            write_demo_studies(folder / "studies", n_studies=n_studies, seed=seed, size_px=SIZE_PX)
        for reader in range(1, n_readers + 1):
            simulate_session(
                folder / "sessions" / f"R{reader:02}",
                folder / "studies",
                reader_seed=100 * block + reader,  # a session's id comes of it
                reader_code=f"R{reader:02}",
                truth_dir=folder / "truth" / f"R{reader:02}",
                rate_hz=1000.0,
                duration_s=50.0,
            )


def measure(corpus: Path, n_blocks: int, folder: Path, jobs: int) -> dict[str, Any]:
    """Curate ``n_blocks`` blocks in ``folder``."""
    store, out = folder / "store", folder / "dataset"
    sessions = folder / "sessions"
    sessions.mkdir()
    for path in sorted(corpus.glob("b[0-9][0-9]-*/sessions/*")):
        part = path.parents[1].name
        if int(part[1:3]) < n_blocks:
            (sessions / f"{part}-{path.name}").symlink_to(path, target_is_directory=True)
    taken = command("ingest", sessions, "--format", "session", "--store", store)
    ingest_cpu_s = taken["cpu_s"]
    curate = ("run", "--store", store, "--out", out, "-j", jobs)
    first = command(*curate)
    again = least(*curate)
    idle = least("export", "--help")  # what a command that may write a dataset takes to start
    n = n_blocks * READINGS
    if (found := len(list(store.glob("*/reading.json")))) != n:
        raise SystemExit(f"the store has {found} readings, expected {n}")
    return {
        "readings": n,
        "jobs": jobs,
        "ingest_cpu_s_per_reading": ingest_cpu_s / n,
        "run_cpu_s_per_reading": first["cpu_s"] / n,
        "ingest_cpu_s": ingest_cpu_s,
        "cpu_s": ingest_cpu_s + first["cpu_s"],
        "cpu_s_per_reading": (ingest_cpu_s + first["cpu_s"]) / n,
        "wall_s": first["wall_s"],
        "max_mib": max(taken["max_mib"], first["max_mib"]),
        "ingest_max_mib": taken["max_mib"],
        "again_s": again["wall_s"],
        "start_s": idle["wall_s"],
        "again_cpu_s": again["cpu_s"],
        "again_ms_per_reading": 1000.0 * max(again["cpu_s"] - idle["cpu_s"], 0.0) / n,
        "store_mb_per_reading": size_bytes(store) / n / 1e6,
        "dataset_mb_per_reading": size_bytes(out) / n / 1e6,
    }


def least(*arguments: object) -> dict[str, float]:
    """Run `gazecurate` some times and return what the quickest took: the difference of two is looked for."""
    runs = [command(*arguments) for _ in range(N_AGAIN)]
    return min(runs, key=lambda used: used["cpu_s"])


def command(*arguments: object) -> dict[str, float]:
    """Run `gazecurate` and return what it and its workers took."""
    started = time.perf_counter()
    root = Path(__file__).resolve().parents[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "curation", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    said = process.stderr.read().decode(errors="replace") if process.stderr is not None else ""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = code = os.waitstatus_to_exitcode(status)  # waited for here, not by subprocess
    if code not in (0, 3):
        raise SystemExit(f"gazecurate {arguments[0]} ended with {code}:\n{said}")
    return {
        "wall_s": time.perf_counter() - started,
        "cpu_s": used.ru_utime + used.ru_stime,
        "max_mib": used.ru_maxrss / 1024,  # Linux counts in KiB
    }


def size_bytes(folder: Path) -> int:
    """Return the size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
