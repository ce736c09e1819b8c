"""How fast the parsers of trackers' own files are: MB of file read per second, beside pandas on the same text.

    python benchmarks/trackers.py [--mb 100]

Files are synthetic and written to a temporary folder.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gazecapture.trackers import read_recordings
from tests.trackers_fixture import (
    synthetic_eyes,
    write_eyelink_asc,
    write_neon_cloud,
    write_neon_native,
    write_tobii_tsv,
)


def grown(
    path: Path, target_mb: float, *, is_row: Callable[[bytes], bool], shift: Callable[[bytes, int], bytes]
) -> Path:
    """Repeat the rows of a small file, each time later, until it has the size."""
    lines = path.read_bytes().splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if is_row(line))
    last = max(i for i, line in enumerate(lines) if is_row(line)) + 1
    rows = [line for line in lines[first:last] if is_row(line)]
    size, turn = 0, 0
    with path.open("wb") as handle:
        handle.writelines(lines[:first])
        while size < target_mb * 1e6:
            piece = b"".join(shift(row, turn) for row in rows)
            handle.write(piece)
            size += len(piece)
            turn += 1
        handle.writelines(lines[last:])
    return path


def timed(read: Callable[[], object]) -> float:
    begin = time.perf_counter()
    read()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=float, default=100.0)
    wanted_mb = parser.parse_args().mb
    n, step_ms = 20_000, 1
    eyes = synthetic_eyes(n=n, rate_hz=1000.0)
    span_ms = n * step_ms

    def later_asc(row: bytes, turn: int) -> bytes:
        time_ms, rest = row.split(b"\t", 1)
        return b"%d\t" % (int(time_ms) + turn * span_ms) + rest

    def later_tsv(row: bytes, turn: int) -> bytes:
        cells = row.split(b"\t", 2)
        return b"\t".join([b"%d" % (int(cells[0]) + turn * span_ms * 1000), b"", cells[2]])

    def later_csv(row: bytes, turn: int) -> bytes:
        cells = row.split(b",", 3)
        cells[2] = b"%d" % (int(cells[2]) + turn * span_ms * 1_000_000)
        return b",".join(cells)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asc = grown(
            write_eyelink_asc(folder / "a.asc", eyes, rate_hz=1000.0),
            wanted_mb, is_row=lambda line: line[:1].isdigit() and line.count(b"\t") > 4, shift=later_asc,
        )  # fmt: skip
        tsv = grown(
            write_tobii_tsv(folder / "b.tsv", eyes, encoding="utf-8"),
            wanted_mb, is_row=lambda line: b"\tEye Tracker\t" in line, shift=later_tsv,
        )  # fmt: skip
        cloud = write_neon_cloud(folder / "c", eyes)
        grown(cloud / "gaze.csv", wanted_mb, is_row=lambda line: line[:2] == b"ZX", shift=later_csv)
        native = write_neon_native(folder / "d", eyes)
        repeat = int(wanted_mb * 1e6 / 16 / n) + 1
        times = np.concatenate([eyes.t_ns + k * span_ms * 1_000_000 for k in range(repeat)])
        times.astype("<i8").tofile(native / "gaze ps1.time")
        np.tile(np.fromfile(native / "gaze ps1.raw", "<f4"), repeat).tofile(native / "gaze ps1.raw")
        np.tile(np.fromfile(native / "worn ps1.raw", "u1"), repeat).tofile(native / "worn ps1.raw")
        read_recordings(write_eyelink_asc(folder / "warm.asc", synthetic_eyes()))
        print(f"{'format':14}{'MB':>8}{'s':>8}{'MB/s':>8}{'samples/s':>12}{'peak MB':>9}")
        for label, path, file in (
            ("eyelink-asc", asc, asc), ("tobii-tsv", tsv, tsv), ("neon cloud", cloud, cloud / "gaze.csv"),
            ("neon native", native, native / "gaze ps1.raw"),
        ):  # fmt: skip
            size_mb = file.stat().st_size / 1e6
            n_samples = 0

            def read(path: Path = path) -> None:
                nonlocal n_samples
                n_samples = sum(r.samples.num_rows for r in read_recordings(path))

            taken_s = min(timed(read) for _ in range(2))
            peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
            speeds = f"{size_mb / taken_s:8.0f}{n_samples / taken_s:12.0f}"
            print(f"{label:14}{size_mb:8.0f}{taken_s:8.2f}{speeds}{peak_mb:9.0f}")
        begin = time.perf_counter()
        pd.read_csv(tsv, sep="\t", usecols=[0, 14, 15, 16, 17, 18, 19, 20, 21])
        taken_s, size_mb = time.perf_counter() - begin, tsv.stat().st_size / 1e6
        print(f"{'pandas on tsv':14}{size_mb:8.0f}{taken_s:8.2f}{size_mb / taken_s:8.0f}")


if __name__ == "__main__":
    main()
