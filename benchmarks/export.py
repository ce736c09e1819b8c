"""How fast shards are written and read, beside a raw copy of the file and beside other formats in the same run.

    python benchmarks/export.py [--parts write read random samples loader kept scale] [--webdataset-python PATH]
                                [--readings 300] [--scale 500 2000 8000] [--json FILE]

"Copy" reads a file in blocks of 1 MiB and writes it to another one. It and every write wait for the disk (fsync), as
in the figures that the targets come from. Reads are warm: the file was just written and read once. Each number is the
least time of some rounds, in which all competitors take their turn. Rows are generated; pictures of the shards are
random bytes of 79 kB, since neither writers nor readers look into them. --webdataset-python names a Python that has
webdataset. Run it on a quiet machine: the line on top says how busy it is.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

# Not this script's own folder: keyframes.py in it would hide the package of that name.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().with_name("export_parts")))

import export_kept
import export_loader
import export_random
import export_read
import export_samples
import export_scale
import export_write
from export_data import Row

PARTS = ("write", "read", "random", "samples", "loader", "kept", "scale")


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--readings", type=int, default=300, help="in the shards that are written and read")
    parser.add_argument("--scale", type=int, nargs="+", default=[500, 2000, 8000], metavar="READINGS")
    parser.add_argument("--webdataset-python", type=Path, metavar="PATH")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rows")
    asked = parser.parse_args()
    measures: dict[str, Callable[[Path], Iterable[Row]]] = {
        "write": lambda folder: export_write.measure(folder, asked.readings),
        "read": lambda folder: export_read.measure(folder, asked.readings, asked.webdataset_python),
        "random": lambda folder: export_random.measure(folder, asked.readings),
        "samples": export_samples.measure,
        "loader": export_loader.measure,
        "kept": export_kept.measure,
        "scale": lambda folder: export_scale.measure(folder, asked.scale),
    }
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors, {load}")
    rows: list[Row] = []
    for part in asked.parts:
        with tempfile.TemporaryDirectory() as folder:
            for row in measures[part](Path(folder)):
                print(row.line(), flush=True)
                rows.append(row)
    if asked.json is not None:
        asked.json.write_text(json.dumps([row.to_dict() for row in rows], indent=1))


if __name__ == "__main__":
    main()
