"""How fast every view is written, beside reading the same rows and throwing them away.

    python benchmarks/views.py [--readings 100] [--views NAME ...] [--json FILE]

Rows are generated: a radiograph of 500 x 600 px, nine key frames with pictures, three sentences with findings, gaze
samples at 250 Hz. Each number is the least time of some rounds, in which all views take their turn and write into an
empty folder. MB/s is of what was written. Run it on a quiet machine: the line on top says how busy it is.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# Not this script's own folder: keyframes.py in it would hide the package of that name.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from curation.export.read import ShardReader
from curation.export.views import VIEWS, view_named
from curation.view_settings import ViewsConfig
from tests.shard_rows import full_row, write_shards
from tools.check_clients.make_views import enlarged

ROUNDS = 3
NAMES = tuple(view.name for view in VIEWS)


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readings", type=int, default=100)
    parser.add_argument("--views", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rows")
    asked = parser.parse_args()
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors, {load}")
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), asked.readings, asked.views)
    for row in rows:
        print(
            f"{row['view']:<14} | {row['readings_per_s']:8.1f} readings/s | {row['records_per_s']:8.1f} records/s"
            f" | {row['mb_per_s']:6.1f} MB/s | {row['times_reading']:6.1f} x the time of reading",
            flush=True,
        )
    if asked.json is not None:
        asked.json.write_text(json.dumps(rows, indent=1))


def measure(folder: Path, n: int, names: list[str]) -> list[dict[str, Any]]:
    """Return one row for reading alone and one per view."""
    shards = write_shards(folder / "dataset", [enlarged(full_row(number)) for number in range(n)])
    seconds: dict[str, list[float]] = {}
    written: dict[str, tuple[int, int]] = {}
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in ShardReader(shards).rows(batch_rows=1):
            pass
        seconds.setdefault("(reading)", []).append(time.perf_counter() - began)
        for name in names:
            target = folder / "view"
            target.mkdir()
            began = time.perf_counter()
            result = view_named(name).write(ShardReader(shards), target, ViewsConfig().options_of(name))
            seconds.setdefault(name, []).append(time.perf_counter() - began)
            written[name] = (
                result.n_records,
                sum(p.stat().st_size for p in target.rglob("*") if p.is_file()),
            )
            shutil.rmtree(target)
    reading_s = min(seconds["(reading)"])
    rows = []
    for name, times in seconds.items():
        n_records, n_bytes = written.get(name, (n, 0))
        least_s = min(times)
        rows.append(
            {
                "view": name,
                "readings_per_s": n / least_s,
                "records_per_s": n_records / least_s,
                "mb_per_s": n_bytes / least_s / 1e6,
                "times_reading": least_s / reading_s,
            }
        )
    return rows


if __name__ == "__main__":
    main()
