"""A sender for the tests, run as a process: numbered gaze samples, and words if asked; prints what it sent.

It sends for ``--seconds``, or until a line comes in, and stays until it is ended: what it sent may be on its way.

The samples are synthetic: positions are the sample's own number.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time

import numpy as np
import pylsl

from gazecapture.clock import session_now_ns

CHANNELS = (
    ("left_x", "ScreenX", "left", "pixels"),
    ("left_y", "ScreenY", "left", "pixels"),
    ("right_x", "ScreenX", "right", "pixels"),
    ("right_y", "ScreenY", "right", "pixels"),
    ("frame_number", "FrameNumber", "both", "count"),
)
LONGER_THAN_A_TEST_S = 500.0


def outlet(name: str, rate_hz: float, source_id: str) -> pylsl.StreamOutlet:
    header = pylsl.StreamInfo(name, "Gaze", len(CHANNELS), rate_hz, "double64", source_id)
    channels = header.desc().append_child("channels")
    for label, kind, eye, unit in CHANNELS:
        node = channels.append_child("channel")
        for tag, text in (("label", label), ("type", kind), ("eye", eye), ("unit", unit)):
            node.append_child_value(tag, text)
    header.desc().append_child("acquisition").append_child_value("manufacturer", "synthetic")
    return pylsl.StreamOutlet(header)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="Sender")
    parser.add_argument("--rate-hz", type=float, default=1000.0)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--words", type=int, default=0)
    parser.add_argument("--skip", type=int, default=-1, help="frame number that is never sent")
    options = parser.parse_args()
    gaze = outlet(options.name, options.rate_hz, f"source-of-{options.name}")
    words = None
    if options.words:
        header = pylsl.StreamInfo(
            f"{options.name} words", "Words", 1, 0, "string", f"words-of-{options.name}"
        )
        words = pylsl.StreamOutlet(header)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    gaze.wait_for_consumers(LONGER_THAN_A_TEST_S)
    if words is not None:
        words.wait_for_consumers(LONGER_THAN_A_TEST_S)
        now_s = session_now_ns() / 1e9
        for n in range(options.words):
            said = {"word": f"word{n}", "t_start_s": now_s + n, "t_end_s": now_s + n + 0.4, "confidence": 0.5}
            words.push_sample([json.dumps(said)])
        words.push_sample(["no word at all"])
    asked = threading.Event()

    def listen() -> None:
        if sys.stdin.readline():
            asked.set()

    threading.Thread(target=listen, daemon=True).start()
    n_all, sent = round(options.rate_hz * options.seconds), 0
    start = pylsl.local_clock() + 0.05
    while sent < n_all and not asked.is_set():
        due = min(n_all, int((pylsl.local_clock() - start) * options.rate_hz) + 1)
        if due > sent:
            frames = np.arange(sent, due)
            frames = frames[frames != options.skip]
            stamps = start + frames / options.rate_hz
            gaze.push_chunk(np.repeat(frames[:, None], len(CHANNELS), axis=1).astype(float), stamps.tolist())
            sent = due
        time.sleep(0.002)
    sys.stdout.write(f"sent {sent}\n")
    sys.stdout.flush()
    threading.Event().wait(LONGER_THAN_A_TEST_S)


if __name__ == "__main__":
    main()
