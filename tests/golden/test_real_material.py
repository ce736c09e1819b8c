"""The same path on real material: human gaze over a real radiograph, and every radiograph that can be decoded."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from curation.cli import cli
from curation.export.verify import verify_dataset
from gazecapture.console import run_command
from gazecapture.demo.studies import write_user_studies
from gazecapture.session.journal import read_journal
from gazecapture.simulation.offline import simulate_session
from gazecapture.sources.replay import Recording, ReplayOutlet
from gazecapture.store import Store
from keyframes.geometry import Display
from keyframes.reading import Tracker

pytestmark = pytest.mark.shared

RATE_HZ = 500.0
LUND = Display(width_px=1024, height_px=768, width_mm=380, height_mm=300, distance_mm=670)
SCREEN_PX = (1920, 1080)


N_ALIKE = 3
"""Of the radiographs that differ in their bodies alone."""


def gazecurate(*arguments: str | Path, expect: int = 0) -> None:
    """Run it in this process; in one of its own it is in the end-to-end tests."""
    assert run_command(cli, [str(argument) for argument in arguments]) == expect


class ReplayingReader:
    """A driver that lets recorded human gaze run over each study, then goes to the next."""

    def __init__(self, recordings: list[Recording]) -> None:
        self._recordings = recordings
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        joined = [r.values() for r in recordings]
        self.n_sent = 0
        self.n_values = sum(len(values) for values in joined)
        # One outlet for the whole sitting, as a tracker has: all recordings end to end.
        ends = np.cumsum([0.0, *(len(values) / RATE_HZ for values in joined)])
        points = np.concatenate([v[:, :2] for v in joined])
        self._ends_s = ends[1:]
        recording = Recording.from_points(
            t_s=np.arange(len(points)) / RATE_HZ, x_screen_px=points[:, 0], y_screen_px=points[:, 1], rate_hz=RATE_HZ,
            tracker=Tracker(manufacturer="SMI", model="Hi-Speed 1250"),
        )  # fmt: skip
        self._outlet = ReplayOutlet(recording)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as connection:
            lines = connection.makefile("rb")
            playing: threading.Thread | None = None
            done = threading.Event()

            def play() -> None:
                self.n_sent = self._outlet.run(linger_s=0.0)
                done.set()

            for line in lines:
                message: dict[str, Any] = json.loads(line)
                if message["type"] == "image_on":
                    if playing is None:
                        playing = threading.Thread(target=play, daemon=True)
                        playing.start()
                    last = message["reading_number"] == len(self._ends_s)
                    done.wait(
                        None if last else float(np.diff([0.0, *self._ends_s])[message["reading_number"] - 1])
                    )
                    connection.sendall(b'{"type":"next"}\n')
                elif message["type"] == "session_end":
                    done.wait()
                    reply = {"type": "done", "n_gaze_sent": self.n_sent, "n_words_sent": 0}
                    connection.sendall(json.dumps(reply).encode() + b"\n")


def lund_recordings(shared: Path, n: int) -> list[Recording]:
    manifest = json.loads((shared / "data" / "lund2013" / "manifest.json").read_bytes())
    images = [m for m in manifest if m["stim"] == "image"][:n]
    recordings = []
    for entry in images:
        frame = pd.read_parquet(shared / "data" / "lund2013" / entry["file"])
        scale = SCREEN_PX[0] / LUND.width_px, SCREEN_PX[1] / LUND.height_px
        recordings.append(
            Recording.from_points(
                t_s=np.arange(len(frame)) / RATE_HZ,
                x_screen_px=frame["x_px"].to_numpy() * scale[0],
                y_screen_px=frame["y_px"].to_numpy() * scale[1],
                rate_hz=RATE_HZ,
            )
        )
    return recordings


def n_fixations_by_coder(shared: Path, n: int) -> list[int]:
    """Count the fixations that the human coder MN marked in each recording."""
    manifest = json.loads((shared / "data" / "lund2013" / "manifest.json").read_bytes())
    counts = []
    for entry in [m for m in manifest if m["stim"] == "image"][:n]:
        labels = pd.read_parquet(shared / "data" / "lund2013" / entry["file"])["label_MN"].to_numpy()
        counts.append(int((np.diff((labels == 1).astype(int), prepend=0) == 1).sum()))
    return counts


def test_human_gaze_over_real_radiographs(shared: Path, tmp_path: Path) -> None:
    pictures = shared / "data" / "radiographs"
    films = [
        pictures / "dicom" / "RG1_J2KI_chest_mono1_j2k_lossy.dcm",
        pictures / "png" / "nih_cxr14_00000001_000.png",
    ]
    worklist = tmp_path / "worklist.csv"
    worklist.write_text("study_id,current\n" + "".join(f"S{i},{film}\n" for i, film in enumerate(films)))
    reader, coded = (
        ReplayingReader(lund_recordings(shared, len(films))),
        n_fixations_by_coder(shared, len(films)),
    )
    read: list[str | Path] = [
        sys.executable, "-m", "gazecapture", "read", worklist, "--out", tmp_path / "session",
        "--driver", f"127.0.0.1:{reader.port}", "--display-mm", "531x299", "--distance-mm", "650",
    ]  # fmt: skip
    done = subprocess.run(read, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    reader.thread.join(60)
    (stream,) = (tmp_path / "session" / "streams").iterdir()
    received = read_journal(stream).table
    assert reader.n_sent == reader.n_values == received.num_rows
    frame_numbers = received.to_pandas()["frame_number"].to_numpy()
    np.testing.assert_array_equal(frame_numbers, np.arange(reader.n_values))
    gazecurate("ingest", tmp_path / "session", "--format", "session", "--store", tmp_path / "store")
    gazecurate("run", "--store", tmp_path / "store", "--out", tmp_path / "dataset", "-j", "1")
    assert verify_dataset(tmp_path / "dataset").n_readings == 2
    rows = [
        row
        for p in (tmp_path / "dataset" / "readings").glob("*.parquet")
        for row in pq.read_table(p).to_pylist()
    ]
    for row in rows:
        assert row["synthetic"] is True  # the gaze is human, but nobody sat before these films
        assert row["tracker"]["gaze_source"] == "live"
        assert row["tracker"]["effective_rate_hz"] == pytest.approx(RATE_HZ, rel=0.01)
        n_coded = coded[row["reading_number"] - 1]
        assert abs(len(row["fixations"]) - n_coded) <= 2 + 0.25 * n_coded
        assert {frame["kind"] for frame in row["keyframes"]} == {"silent"}  # nobody spoke
    gazecurate("report", "--dataset", tmp_path / "dataset")
    assert (tmp_path / "dataset" / "report.html").stat().st_size > 100_000


@pytest.fixture
def radiographs(shared: Path, tmp_path: Path) -> Path:
    """One folder of links: every DICOM file and every PNG; of the films and masks that are all alike, some."""
    folder = tmp_path / "radiographs"
    folder.mkdir()
    pairs = shared / "data" / "radiographs" / "cxr_mask_pairs"
    # 1663b242, one of these, has a line of German in it.
    alike = [sorted((pairs / name).iterdir())[::4][:N_ALIKE] for name in ("images", "masks")]
    for file in (
        *(shared / "data" / "radiographs" / "dicom").iterdir(),
        *(shared / "data" / "radiographs" / "png").iterdir(),
        *(file for files in alike for file in files),
    ):
        (folder / f"{file.parent.name}-{file.name}").symlink_to(file)
    return folder


def test_every_decodable_radiograph_goes_through(
    radiographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_user_studies(radiographs, tmp_path / "studies")
    left_out = (tmp_path / "studies" / "left_out.csv").read_text(encoding="utf-8")
    assert "RG3_JPLY" in left_out
    assert sum("masks-" in line for line in left_out.splitlines()) == N_ALIKE
    simulate_session(
        tmp_path / "session", tmp_path / "studies", reader_seed=5, truth_dir=tmp_path / "truth", rate_hz=120.0,
        duration_s=9.0,
    )  # fmt: skip
    gazecurate("ingest", tmp_path / "session", "--format", "session", "--store", tmp_path / "store")
    capsys.readouterr()
    gazecurate("run", "--store", tmp_path / "store", "--out", tmp_path / "dataset", "-j", "1", expect=3)
    held_back = [line for line in capsys.readouterr().err.splitlines() if line.startswith("held back: ")]
    # One film with a line of German, and the same test pattern in two files.
    assert len(held_back) == 3
    assert all("GT-BURNED-IN" in line for line in held_back)
    n_studies = len((tmp_path / "studies" / "worklist.csv").read_text(encoding="utf-8").splitlines()) - 1
    assert n_studies >= 20
    assert len(Store.open(tmp_path / "store").reading_ids()) == n_studies
    assert verify_dataset(tmp_path / "dataset").n_readings == n_studies - len(held_back)
