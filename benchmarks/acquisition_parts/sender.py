"""A sender for the benchmarks: numbered gaze samples, pushed one by one, stamped with the time of the push.

    python benchmarks/acquisition_parts/sender.py --name NAME --rate-hz 1000 --seconds 10

Prints ``sent N`` when all are sent. The samples are synthetic: every channel holds the sample's own number.
"""

from __future__ import annotations

import argparse
import sys
import time

import pylsl

N_CHANNELS = 8
LINGER_S = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--name", required=True)
    parser.add_argument("--rate-hz", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    header = pylsl.StreamInfo(
        options.name, "Gaze", N_CHANNELS, options.rate_hz, "double64", f"source-of-{options.name}"
    )
    channels = header.desc().append_child("channels")
    kinds = ["ScreenX", "ScreenY", "FrameNumber", *["Diameter"] * (N_CHANNELS - 3)]
    for number, kind in enumerate(kinds):
        node = channels.append_child("channel")
        for tag, text in (("label", f"c{number}"), ("type", kind), ("eye", "both"), ("unit", "pixels")):
            node.append_child_value(tag, text)
    outlet = pylsl.StreamOutlet(header)
    outlet.wait_for_consumers(60)
    time.sleep(0.5)
    start = pylsl.local_clock()
    n_all = round(options.rate_hz * options.seconds)
    for n in range(n_all):
        while (wait_s := start + n / options.rate_hz - pylsl.local_clock()) > 0:
            time.sleep(wait_s)
        outlet.push_sample([float(n)] * N_CHANNELS, pylsl.local_clock())
    sys.stdout.write(f"sent {n_all}\n")
    sys.stdout.flush()
    time.sleep(LINGER_S)


if __name__ == "__main__":
    main()
