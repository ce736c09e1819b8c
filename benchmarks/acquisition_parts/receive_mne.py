"""mne-lsl's StreamInlet, polled every millisecond, as a peer: run by the Python of an environment that has it.

    PYTHON benchmarks/acquisition_parts/receive_mne.py --name NAME --seconds 10

Prints what `benchmarks/acquisition.py` prints of a receiver. Knows nothing of this project.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from mne_lsl.lsl import StreamInlet, local_clock, resolve_streams

DRAIN_S = 3.0
WARM_UP_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--name", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    inlet = StreamInlet(resolve_streams(timeout=20, name=options.name, minimum=1)[0])
    inlet.open_stream(timeout=5)
    sent, received = [], []
    began, cpu = time.monotonic(), time.process_time()
    while time.monotonic() - began < options.seconds + DRAIN_S:
        _, stamps = inlet.pull_chunk(timeout=0.0)
        if len(stamps):
            sent.append(np.array(stamps))  # a view of a buffer that is used again
            received.append(np.full(len(stamps), local_clock()))
        time.sleep(0.001)
    cpu = time.process_time() - cpu
    sent_s, received_s = np.concatenate(sent), np.concatenate(received)
    late_ms = (received_s - sent_s)[sent_s >= sent_s[0] + WARM_UP_S] * 1e3
    figures = [float(value) for value in (*np.percentile(late_ms, [50, 99]), late_ms.max())]
    print(
        json.dumps(
            {
                "n": int(sent_s.size),
                "arrival_ms": figures,
                "journal_ms": [None, None],
                "cpu_percent": 100 * cpu / options.seconds,
            }
        )
    )


if __name__ == "__main__":
    main()
