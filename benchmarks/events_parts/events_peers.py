"""Runs other detectors in interpreters of their own: their pins exclude each other and ours."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from events_data import Recording
from numpy.typing import NDArray

__all__ = ["PEERS", "Peers"]

Labels = NDArray[np.int8]

PEERS = {
    "pm I-VT": "pymovements",
    "pm I-VT, Gaze": "pymovements",
    "pm E&K": "pymovements",
    "I2MC": "pymovements",
    "REMoDNaV": "remodnav",
}
"""Detector, and the adapter that knows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """The interpreters given, by adapter."""

    pythons: dict[str, Path]

    def given(self, detector: str) -> bool:
        """Return whether there is an interpreter to run it."""
        return PEERS[detector] in self.pythons

    def run(
        self, detectors: list[str], recordings: list[Recording], *, repeats: int = 1
    ) -> tuple[dict[str, dict[str, Labels]], dict[str, float], list[str]]:
        """Return labels by detector and recording, processor seconds by detector, and what failed."""
        labels: dict[str, dict[str, Labels]] = {}
        cpu_s: dict[str, float] = {}
        failed = []
        for adapter, python in self.pythons.items():
            asked = [name for name in detectors if PEERS[name] == adapter]
            if not asked:
                continue
            with tempfile.TemporaryDirectory() as folder:
                gaze_file, labels_file = Path(folder) / "gaze.npz", Path(folder) / "labels.npz"
                columns: dict[str, Any] = {}
                for index, one in enumerate(recordings):
                    columns |= {f"x{index}": one.x_px, f"y{index}": one.y_px}
                np.savez(
                    gaze_file,
                    detectors=np.array(asked),
                    rate_hz=np.array([one.rate_hz for one in recordings]),
                    px_per_deg=np.array([one.px_per_deg for one in recordings]),
                    repeats=np.array(repeats),
                    **columns,
                )
                script = Path(__file__).with_name(f"events_peer_{adapter}.py")
                done = subprocess.run(
                    [str(python), "-W", "ignore", str(script), str(gaze_file), str(labels_file)],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if done.returncode:
                    failed.append(f"{adapter}: {done.stderr.strip().splitlines()[-1]}")
                    continue
                with np.load(labels_file) as found:
                    for name in asked:
                        labels[name] = {
                            one.name: found[f"{name}/{index}"].astype(np.int8)
                            for index, one in enumerate(recordings)
                            if f"{name}/{index}" in found
                        }
                        if f"{name}/cpu_s" in found:
                            cpu_s[name] = float(found[f"{name}/cpu_s"])
                        errors = [
                            str(found[key])
                            for key in found
                            if key.startswith(name) and key.endswith("/error")
                        ]
                        if errors:
                            failed.append(
                                f"{name}: on {len(errors)} of {len(recordings)} recordings: {errors[0]}"
                            )
        return labels, cpu_s, failed
