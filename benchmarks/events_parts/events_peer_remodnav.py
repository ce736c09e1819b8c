"""Labels by REMoDNaV with its defaults; run by the interpreter that has it.

PYTHON events_peer_remodnav.py GAZE.npz LABELS.npz
"""

from __future__ import annotations

import logging
import sys

import numpy as np
from events_peer_protocol import FIXATION, PSO, PURSUIT, SACCADE, Gaze, Labels, serve
from remodnav.clf import EyegazeClassifier

CODES = {
    "FIXA": FIXATION,
    "SACC": SACCADE,
    "ISAC": SACCADE,
    "HPSO": PSO,
    "IHPS": PSO,
    "LPSO": PSO,
    "ILPS": PSO,
    "PURS": PURSUIT,
}


def label_remodnav(gaze: Gaze) -> Labels:
    """Positions are given in degrees, as it takes one scale for both axes."""
    data = np.zeros(gaze.lost.size, [("x", np.float64), ("y", np.float64)])
    data["x"], data["y"] = gaze.xy_deg.T
    classifier = EyegazeClassifier(px2deg=1.0, sampling_rate=gaze.rate_hz)
    labels = np.zeros(gaze.lost.size, np.int8)
    for event in classifier(classifier.preproc(data)):
        start, end = (round(event[name] * gaze.rate_hz) for name in ("start_time", "end_time"))
        labels[start:end] = CODES[event["label"]]
    return labels


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    serve({"REMoDNaV": label_remodnav}, sys.argv[1], sys.argv[2])
