"""Key frames of one reading, by the library's own calls.

    python examples/keyframes_of_one_reading.py STORE [READING_ID]

STORE is what `gazecurate ingest` wrote; without a reading id the first reading is taken. Research use only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pyarrow as pa

from gazecapture.store import Store
from keyframes.errors import GazeToolError
from keyframes.events import detect, on_images
from keyframes.frames import sentence_weights, toolkit_keyframes
from keyframes.reading import Reading
from keyframes.sentences import link_findings, split_sentences


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the key frames of one reading.")
    parser.add_argument("store", type=Path)
    parser.add_argument("reading_id", nargs="?")
    arguments = parser.parse_args()
    try:
        store = Store.open(arguments.store)
        ids = store.reading_ids()
        if not ids:
            raise SystemExit(f"{arguments.store} holds no reading")
        show(store.load(arguments.reading_id or ids[0]))
    except GazeToolError as error:
        raise SystemExit(error.one_line()) from None


def show(reading: Reading) -> None:
    gaze = reading.table("gaze")
    events = events_of(reading)
    sentences = link_findings(split_sentences(reading.table("words")), reading.table("findings"))
    weights = sentence_weights(events, sentences)
    keyframes = toolkit_keyframes(events, sentences, gaze, reading.table("display"), reading.table("images"))

    said = dict(zip(sentences["sentence_id"].to_pylist(), sentences["text"].to_pylist(), strict=True))
    n_spoken = len({row["event_index"] for row in weights.to_pylist() if row["sentence_id"] is not None})
    print(f"reading {reading.meta.reading_id}: {len(said)} sentences, {n_spoken} fixations belong to one")
    heading = None
    for row in keyframes.to_pylist():
        text = "(silence)" if row["sentence_id"] is None else said[row["sentence_id"]]
        if text != heading:
            print(f"\n{text}")
            heading = text
        if row["box"] is None:
            print("  no gaze")
            continue
        x0, y0, x1, y1 = (round(v) for v in row["box"])
        print(
            f"  {row['kind']:<9}{row['t_start_ns'] / 1e9:7.2f} to {row['t_end_ns'] / 1e9:6.2f} s"
            f"  dwell {row['dwell_s']:5.2f} s  image {row['image_index']}  box ({x0}, {y0})-({x1}, {y1}) px"
            f"  {len(row['fixation_indexes'])} fixations"
        )


def events_of(reading: Reading) -> pa.Table:
    """Detect on the screen where its degrees are known, else on the image."""
    gaze, display = reading.table("gaze"), reading.meta.display
    t_s = gaze["t_ns"].to_numpy() / 1e9
    if display is not None and display.knows_degrees:
        x, y, per_deg = gaze["x_screen_px"], gaze["y_screen_px"], display.px_per_deg()
    else:
        x, y = gaze["x_image_px"], gaze["y_image_px"]
        per_deg = gaze["px_per_deg_x"].to_numpy(), gaze["px_per_deg_y"].to_numpy()
    return on_images(detect(t_s, x.to_numpy(), y.to_numpy(), *per_deg), gaze)


if __name__ == "__main__":
    main()
