"""Figures of one curated reading: scanpath, dwell, key frames, letters over time, ways between letters.

    python examples/draw_one_reading.py STORE OUT [READING_ID]

STORE is what `gazecurate run` worked on; without a reading id the first reading is taken. OUT gets five PNG files.
They show the patient's film, so OUT belongs where STORE is. Research use only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pyarrow.compute as pc

from gazecapture.radiograph.decode import load_radiograph
from gazecapture.store import Store
from keyframes import plot
from keyframes.errors import GazeToolError
from keyframes.regions.schemes import load_scheme

DOTS_PER_INCH = 80


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw one curated reading.")
    parser.add_argument("store", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("reading_id", nargs="?")
    arguments = parser.parse_args()
    try:
        store = Store.open(arguments.store)
        ids = store.reading_ids()
        if not ids:
            raise SystemExit(f"{arguments.store} holds no reading")
        draw(store, arguments.reading_id or ids[0], arguments.out)
    except GazeToolError as error:
        raise SystemExit(error.one_line()) from None


def draw(store: Store, reading_id: str, out: Path) -> None:
    reading = store.load(reading_id)
    path = store.image_path(reading_id, 0)
    if path is None:
        raise SystemExit(f"reading {reading_id} has no picture in the store")
    grey8 = load_radiograph(path).grey8()
    events, gaze, sentences = (reading.table(name) for name in ("events", "gaze", "sentences"))
    trajectory, keyframes = reading.table("trajectory"), reading.table("keyframes")
    looks = events.filter(pc.and_(pc.equal(events["kind"], "fixation"), pc.equal(events["image_index"], 0)))
    own = keyframes.filter(pc.equal(keyframes["image_index"], 0))
    names = trajectory["scheme"].unique().to_pylist()
    lanes = dict(load_scheme(names[0]).letters) if names else {}
    figures = {
        "scanpath": plot.scanpath(grey8, looks),
        "heat-map": plot.heat_map(grey8, looks),
        "key-frames": plot.keyframe_strip(grey8, own, events, gaze, sentences=sentences),
        "letters": plot.letter_timeline(trajectory, sentences, letters=list(lanes), names=lanes),
        "transitions": plot.transition_matrix(trajectory, letters=list(lanes), names=lanes),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(out / f"{name}.png", dpi=DOTS_PER_INCH)
        print(out / f"{name}.png")


if __name__ == "__main__":
    main()
