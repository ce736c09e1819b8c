"""How long the viewer takes for one frame, and whether it keeps up with gaze.

    python benchmarks/viewer.py [--frames 200] [--seconds 10] [--json FILE]

A synthetic film of 3000 x 3000 px and 16 bits, in the real window, offscreen. Wall is what a frame takes from action
to end of paint, CPU is this process's time for it, which a busy machine changes less. The gates: at 1920 x 1080 CPU p95
of 8 ms for a change of window and of 16 ms for zoom + pan + window; at 3840 x 2160, at half resolution while it moves,
16 ms; 60 frames a second while gaze comes at 1000 Hz, none of it lost; 150 ms from study to study that was prepared.
Beside them stands pyqtgraph's ImageItem, where that is installed (``pip install pyqtgraph``, or by PYTHONPATH).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

# Not this script's own folder: keyframes.py in it would hide the package of that name.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent / "viewer_parts"))

from bench_frames import our_frames, synthetic_film
from bench_live import live_frames, study_to_study
from bench_peer import peer_frames

from gazecapture.viewer.qt.platform import make_application

FULL_HD, FOUR_K = (1920, 1080), (3840, 2160)
N_STUDIES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0, help="of gaze")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    application = make_application(FOUR_K)
    figures: dict[str, Any] = {"load_average": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        films = folder / "films"
        films.mkdir()
        for number in range(N_STUDIES):
            synthetic_film(films / f"{number}.png", seed=number)
        film = films / "0.png"
        print(f"{options.frames} frames, ms{'':26s}{'wall p50':>10}{'p95':>10}{'CPU p50':>10}{'p95':>10}")
        for name, size in (("1920x1080", FULL_HD), ("3840x2160", FOUR_K)):
            figures[name] = our_frames(film, size, options.frames)
            tell(f"ours {name}", figures[name])
            peer = peer_frames(film, size, options.frames)
            if peer is not None:
                figures[f"pyqtgraph {name}"] = peer
                tell(f"pyqtgraph {name}", peer)
        figures["studies"] = study_to_study(films, folder / "studies", FULL_HD)
        print("study to study, prepared, ms (wall / CPU):", end=" ")
        print(", ".join(f"{w:.0f} / {c:.0f}" for w, c in zip(*figures["studies"].values(), strict=True)))
        figures["live"] = live_frames(films, folder / "live", FULL_HD, options.seconds)
        print("live: " + ", ".join(f"{name} {value:.1f}" for name, value in figures["live"].items()))
    application.quit()
    print(f"load average {figures['load_average']:.1f}")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2))


def tell(name: str, rows: dict[str, dict[str, float]]) -> None:
    for what, row in rows.items():
        print(f"{name + ', ' + what:44s}" + "".join(f"{value:10.1f}" for value in row.values()))


if __name__ == "__main__":
    main()
