"""Several simulated readers on the same phantom studies: what `gazecapture simulate --offline` makes.

::

    OUT/simulation.json            what was asked for; another request needs another folder
    OUT/studies/                   worklist, phantoms and their ground truth, made once
    OUT/sessions/R01/ ...          one finished session per reader
    OUT/ground_truth/R01/ ...      the readers' truth
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from gazecapture.demo.studies import write_demo_studies
from gazecapture.files import (
    atomic_path,
    claim_output_folder,
    make_private_folder,
    sweep_scratch,
    write_bytes_atomically,
    write_json_atomically,
)
from gazecapture.radiograph.phantom import DEFAULT_SIZE_PX
from gazecapture.session.lock import FolderLock
from gazecapture.simulation.feed import check_rate
from gazecapture.simulation.offline import SimulatedSession, simulate_session
from gazecapture.simulation.randomness import generator
from gazecapture.simulation.style import reader_seed
from keyframes.errors import UsageError

__all__ = ["AMBIGUOUS_CONTRAST", "simulate_batch"]

AMBIGUOUS_CONTRAST = 0.35
"""Share of a finding's contrast that is left in the arm "ambiguous": visible to who looks there, easily missed."""

MAX_STUDIES, MAX_READERS = 10_000, 10_000
"""A phantom takes seconds and megabytes: more than this is a slip of the finger, and would plan until memory ends."""


def simulate_batch(
    out: Path,
    *,
    n_studies: int,
    n_readers: int,
    seed: int,
    rate_hz: float = 500.0,
    size_px: tuple[int, int] | None = None,
    ambiguous_share: float = 0.0,
    with_lesions: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> list[SimulatedSession]:
    """Write studies and sessions; what is there already is left as it is, so that a second call goes on.

    ambiguous_share : of the studies that get arm ``ambiguous``: the same findings, of less contrast.
    with_lesions    : False leaves the findings out of the same phantoms.
    progress        : called with (sessions done, sessions in all).

    The same arguments give the same bytes. Raises UsageError where ``out`` is another command's folder, or was
    made with other arguments, RecordingError (GT-BUSY) where another process works there.
    """
    check_rate(rate_hz)
    if n_studies < 1 or n_readers < 1:
        raise UsageError(f"{n_studies} studies and {n_readers} readers: at least one of each is needed")
    if n_studies > MAX_STUDIES or n_readers > MAX_READERS:
        raise UsageError(
            f"{n_studies} studies and {n_readers} readers are too many",
            hint=f"Give at most {MAX_STUDIES} and {MAX_READERS}.",
        )
    if not 0.0 <= ambiguous_share <= 1.0:
        raise UsageError(f"a share of {ambiguous_share:g} is not between 0 and 1")
    claim_output_folder(out, kind="simulation")
    settings = {
        "synthetic": True,
        "n_studies": n_studies,
        "seed": seed,
        "rate_hz": rate_hz,
        "size_px": list(size_px or DEFAULT_SIZE_PX),
        "ambiguous_share": ambiguous_share,
        "with_lesions": with_lesions,
    }
    lock = FolderLock(out)
    lock.acquire()
    try:
        sweep_scratch(out)
        sweep_scratch(out / "sessions")
        _keep_settings(out, settings)
        studies = out / "studies"
        if not (studies / "worklist.csv").is_file():
            with atomic_path(studies) as scratch:
                _write_studies(
                    scratch, n_studies, seed, size_px or DEFAULT_SIZE_PX, ambiguous_share, with_lesions
                )
        done = []
        for place in range(n_readers):
            code = f"R{place + 1:02d}"
            done.append(
                simulate_session(
                    out / "sessions" / code,
                    studies,
                    reader_seed=reader_seed(seed, place),
                    truth_dir=make_private_folder(out / "ground_truth" / code),
                    rate_hz=rate_hz,
                    reader_code=code,
                    order="shuffled",
                    order_seed=seed,
                )
            )
            if progress is not None:
                progress(len(done), n_readers)
        return done
    finally:
        lock.release()


def _keep_settings(out: Path, settings: dict[str, Any]) -> None:
    """Remember what the folder was made with; more readers may be added later, nothing else may change."""
    path = out / "simulation.json"
    if path.exists() and _json_of(path) != settings:
        raise UsageError(
            f"{out} holds a simulation that was made with other options",
            hint="Give another folder to --out, or the same options to go on with it.",
            path=out,
            code="GT-FOREIGN-FOLDER",
        )
    write_json_atomically(path, settings)


def _json_of(path: Path) -> Any:
    """Return what the file holds; None where that is no JSON."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None


def _write_studies(
    folder: Path, n: int, seed: int, size_px: tuple[int, int], ambiguous_share: float, with_lesions: bool
) -> None:
    write_demo_studies(folder, n_studies=n, seed=seed, size_px=size_px, with_findings=with_lesions)
    chosen = generator("ambiguous", seed).permutation(n)[: round(ambiguous_share * n)]
    rows = list(csv.DictReader(io.StringIO((folder / "worklist.csv").read_text(encoding="utf-8"))))
    if not chosen.size:
        return
    healthy = folder / ".without"
    if with_lesions:
        write_demo_studies(healthy, n_studies=n, seed=seed, size_px=size_px, with_findings=False)
    for place in chosen.tolist():
        rows[place]["arm"] = "ambiguous"
        if with_lesions:
            _soften(folder / rows[place]["current"], healthy / rows[place]["current"])
    shutil.rmtree(healthy, ignore_errors=True)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes_atomically(folder / "worklist.csv", text.getvalue().encode())


def _soften(picture: Path, healthy: Path) -> None:
    """Leave `AMBIGUOUS_CONTRAST` of what distinguishes a phantom from itself without findings."""
    shown, plain = pydicom.dcmread(picture), pydicom.dcmread(healthy)
    base = plain.pixel_array.astype(np.float64)
    mixed = base + AMBIGUOUS_CONTRAST * (shown.pixel_array.astype(np.float64) - base)
    shown.PixelData = np.round(mixed).astype(shown.pixel_array.dtype).tobytes()
    shown.save_as(picture)
