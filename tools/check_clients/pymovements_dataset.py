"""pymovements loads the definition of view ``pymovements``, its samples and events, and computes velocities.

Run by ``run.py`` with the interpreter of pymovements' own environment; argument: the interpreter that has gazecapture.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pymovements
from docs_lines import run_lines

SETTINGS = '[privacy]\ngaze_tier = "raw"\nimages = "exclude"\n[views]\nnames = ["pymovements"]\n'


def main() -> None:
    """End with 1 at the first thing that is off."""
    tool = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "settings.toml").write_text(SETTINGS, encoding="utf-8")
        simulate = ["gazecapture", "simulate", "--offline", "--out", root / "sessions"]
        ingest = ["curation", "ingest", root / "sessions", "--format", "session", "--store", root / "store"]
        curate = [
            "curation",
            "run",
            "--store",
            root / "store",
            "--out",
            root / "DATASET",
            "-c",
            root / "settings.toml",
        ]
        for command in (
            [*simulate, "--studies", 2, "--readers", 1, "--seed", 1, "--size", "320x384"],
            ingest,
            curate,
        ):
            subprocess.run([tool, "-m", *map(str, command)], check=True, stdout=subprocess.DEVNULL)
        dataset = run_lines("pymovements", root / "DATASET")["dataset"]
        n_readings = len(list((root / "DATASET" / "samples").iterdir()))
        if not len(dataset.gaze) == len(dataset.precomputed_events) == n_readings > 0:
            raise SystemExit(f"{len(dataset.gaze)} recordings for {n_readings} readings")
        dataset.pix2deg()
        dataset.pos2vel()
        for gaze, events in zip(dataset.gaze, dataset.precomputed_events, strict=True):
            if "velocity" not in gaze.samples.columns or not gaze.samples.height:
                raise SystemExit("a recording without velocities")
            if "fixation" not in events.frame["name"].to_list():
                raise SystemExit("a recording without fixations")
    sys.stdout.write(f"pymovements {pymovements.__version__} loads {n_readings} readings\n")


if __name__ == "__main__":
    main()
