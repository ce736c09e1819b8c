"""Memory of the recorder over a 2-hour stream at 1000 Hz, speeded up by replay.

    python benchmarks/acquisition_parts/memory.py [--hours 2] [--speed 60]

Prints the resident memory at tenths of the run, and over its last two thirds how it grew, as one JSON row. The slope is
the median over all pairs of moments: the allocator takes some MB more in one step in the midst of some runs and not of
others, which a least-squares line takes for a leak (6 hours in a row are level).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
from pathlib import Path

import numpy as np
import psutil
from scipy.stats import theilslopes

from gazecapture.session.recorder import record_session
from gazecapture.sources.replay import Recording, ReplaySource

RATE_HZ = 1000.0
FLAT_MB_PER_HOUR = 5.0
"""Of recorded time; a leak of one small object per batch would be 25 MB."""
LARGEST_STEP_MB = 15.0
"""From the first tenth of the settled run to its last, whatever way it went."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--speed", type=float, default=60.0)
    options = parser.parse_args()
    t_s = np.arange(round(options.hours * 3600 * RATE_HZ)) / RATE_HZ
    made = Recording.from_points(t_s=t_s, x_screen_px=t_s, y_screen_px=t_s, rate_hz=RATE_HZ)
    source = ReplaySource(made.faster(options.speed))
    seconds = options.hours * 3600 / options.speed + 1.0
    ended, seen, process = threading.Event(), [], psutil.Process()

    def watch() -> None:
        while not ended.wait(seconds / 100):
            seen.append(process.memory_info().rss / 1e6)

    threading.Thread(target=watch, daemon=True).start()
    with tempfile.TemporaryDirectory() as scratch:
        final = record_session(Path(scratch) / "session", connect=lambda: [source], seconds=seconds)
    ended.set()
    settled = np.array(seen[len(seen) // 3 :])
    slope = float(theilslopes(settled, np.linspace(0, options.hours * 2 / 3, settled.size)).slope)
    tenth = max(1, settled.size // 10)
    grown = float(np.median(settled[-tenth:]) - np.median(settled[:tenth]))
    series = " ".join(f"{value:.0f}" for value in seen[:: max(1, len(seen) // 10)])
    n_lost = t_s.size - final.streams[0].n_samples
    row = {
        "measure": f"memory over {options.hours:g} h at {RATE_HZ:g} Hz, {options.speed:g} times as fast",
        "target": "flat",
        "measured": f"MB {series}; {slope:+.1f} MB per hour, {grown:+.1f} MB in all, {n_lost} lost",
        "met": abs(slope) <= FLAT_MB_PER_HOUR and grown <= LARGEST_STEP_MB and n_lost == 0,
    }
    print(json.dumps([row]))


if __name__ == "__main__":
    main()
