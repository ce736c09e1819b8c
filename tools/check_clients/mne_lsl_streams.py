"""mne-lsl reads our outlet, and our recorder records mne-lsl's player: every sample, in order, once.

Run by ``run.py`` with the interpreter of mne-lsl's own environment; argument: the interpreter that has gazecapture.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

RATE_HZ = 500
SECONDS = 4.0
N_PLAYED = 60 * RATE_HZ
LSL_CONFIG = (
    "[ports]\nIPv6 = disable\n"
    "[multicast]\nResolveScope = machine\nAddressesOverride = {127.0.0.1}\nListenAddress = 127.0.0.1\n"
    f"[lab]\nKnownPeers = {{127.0.0.1}}\nSessionID = clients-{uuid.uuid4().hex}\n"
    "[log]\nlevel = -2\n"
)
RECORDED = """
import json, sys
from pathlib import Path
from gazecapture.session.journal import read_journal
(folder,) = (Path(sys.argv[1]) / "streams").iterdir()
table = read_journal(folder).table
names = table.column_names
print(json.dumps({"names": names, "counter": table.column("counter").to_pylist(),
                  "other": table.column("other").to_pylist()}))
"""


def main() -> None:
    """Check both ways; end with 1 at the first thing that is off."""
    tool = sys.argv[1]
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / "lsl_api.cfg"
        config.write_text(LSL_CONFIG)
        os.environ["LSLAPICFG"] = str(config)  # read when liblsl is loaded
        _reads_our_outlet(tool)
        _is_recorded(tool, Path(scratch) / "session")


def _reads_our_outlet(tool: str) -> None:
    import numpy as np
    from mne_lsl.stream import StreamLSL

    command = [tool, "-m", "gazecapture", "simulate", "--rate-hz", str(RATE_HZ)]
    sender = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        stream = StreamLSL(bufsize=2 * SECONDS, name="Simulated reader").connect(timeout=30)
        time.sleep(SECONDS)
        data, t_s = stream.get_data()
        names, rate_hz = stream.ch_names, stream.info["sfreq"]
        stream.disconnect()
    finally:
        sender.terminate()
        sender.wait()
    there = t_s > 0  # mne-lsl gives its whole buffer, filled or not
    frames = data[names.index("frame_number"), there]
    _check(rate_hz == RATE_HZ, f"mne-lsl reads {rate_hz:g} Hz")
    _check(frames.size > 0.8 * SECONDS * RATE_HZ, f"mne-lsl received {frames.size} samples in {SECONDS:g} s")
    _check(bool((np.diff(frames) == 1).all()), "every sample once and in order, by frame number")
    _check(bool(np.isfinite(data[names.index("left_x"), there]).any()), "gaze is in it")


def _is_recorded(tool: str, session: Path) -> None:
    import mne
    import numpy as np
    from mne_lsl.player import PlayerLSL

    values = np.vstack([np.arange(N_PLAYED), np.arange(N_PLAYED) * 0.5])
    raw = mne.io.RawArray(values, mne.create_info(["counter", "other"], RATE_HZ, "misc"), verbose="error")
    name = f"player-{uuid.uuid4().hex[:8]}"
    with PlayerLSL(raw, chunk_size=10, n_repeat=1, name=name, source_id=name):
        command = [tool, "-m", "gazecapture", "record", "--out", str(session), "--stream", name]
        done = subprocess.run(
            [*command, "--seconds", str(SECONDS), "--wait-s", "30", "--json"],
            check=True,
            stdout=subprocess.PIPE,
        )
    (status,) = json.loads(done.stdout)["streams"]
    text = subprocess.run([tool, "-c", RECORDED, str(session)], check=True, stdout=subprocess.PIPE).stdout
    recorded = json.loads(text)
    counter, other = np.array(recorded["counter"]), np.array(recorded["other"])
    _check(counter.size > 0.8 * SECONDS * RATE_HZ, f"recorded {counter.size} samples of PlayerLSL")
    _check(counter.size == status["n_samples"], "as many as the recorder says")
    _check(bool((np.diff(counter) == 1).all()), "every sample once and in order, by the counter in the data")
    _check(bool((other == counter * 0.5).all()), "the other channel beside it")


def _check(ok: bool, what: str) -> None:
    sys.stdout.write(f"{'ok  ' if ok else 'FAIL'}  {what}\n")
    if not ok:
        sys.exit(1)


if __name__ == "__main__":
    main()
