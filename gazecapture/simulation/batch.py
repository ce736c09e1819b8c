"""Several simulated readers on the same phantom studies: what `gazecapture simulate --offline` makes.

::

    OUT/simulation.json            what was asked for; another request needs another folder
    OUT/studies/                   worklist, phantoms and their ground truth, made once
    OUT/sessions/R01/ ...          one finished session per reader
    OUT/ground_truth/R01/ ...      the readers' truth
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gazecapture.demo.studies import (
    ANATOMY_SEED_STEP,
    NumberedStudy,
    planned_studies,
    write_demo_study,
    write_worklist,
)
from gazecapture.files import (
    atomic_path,
    claim_output_folder,
    make_private_folder,
    sweep_scratch,
    write_json_atomically,
)
from gazecapture.radiograph.phantom import DEFAULT_SIZE_PX, make_phantom
from gazecapture.session.lock import FolderLock
from gazecapture.simulation.ambiguous import (
    AMBIGUOUS_ARM,
    INDICATION,
    WITHOUT_LESIONS_ARM,
    ambiguous_places,
    findings_of,
    make_ambiguous,
)
from gazecapture.simulation.feed import check_rate
from gazecapture.simulation.offline import SimulatedSession, simulate_session
from gazecapture.simulation.plan import DEFAULT_DURATION_S
from gazecapture.simulation.style import ReaderKind, reader_seed
from gazecapture.workers import Workers, default_jobs, keep_on
from keyframes.errors import UsageError

__all__ = ["default_batch_jobs", "simulate_batch"]

MIN_DURATION_S, MAX_DURATION_S = 5.0, 600.0
"""Of a reading: room for a sentence and the gaze before it; longer than anybody reads one radiograph."""
MAX_STUDIES, MAX_READERS = 10_000, 10_000
"""A phantom takes seconds and megabytes: more than this is a slip of the finger, and would plan until memory ends."""
STUDIES_PER_JOB = 8
"""A process takes as long to begin as some ten small phantoms take to be drawn: for fewer it does not pay."""


def default_batch_jobs(n_studies: int) -> int:
    """Return in how many processes so many studies are best simulated: one per processor, each with enough to do."""
    return max(1, min(default_jobs(), n_studies // STUDIES_PER_JOB))


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
    reads: int | None = None,
    duration_s: float = DEFAULT_DURATION_S,
    kind: ReaderKind | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[SimulatedSession]:
    """Write studies and sessions; what is there already is left as it is, so that a second call goes on.

    ambiguous_share : of the studies that get arm ``ambiguous`` (`gazecapture.simulation.ambiguous`).
    with_lesions    : False leaves the findings out of the same phantoms, in arm ``without_lesions``.
    reads           : how many readers read each study, in turn; all of them where None.
    duration_s      : of a reading; longer where what must be said does not fit.
    kind            : of all readers; None: the kinds take turns (`reader_seed`).
    jobs            : processes that share the work; of more than one, the caller's main module is imported by each.
    progress        : called with how many studies and sessions are done, and how many there are.

    The same arguments give the same bytes, in any number of processes. Raises UsageError where ``out`` is another
    command's folder, or was made with other arguments, RecordingError where another process works there (GT-BUSY) or
    one of its own was ended (GT-WORKER).
    """
    check_rate(rate_hz)
    if n_studies < 1 or n_readers < 1:
        raise UsageError(f"{n_studies} studies and {n_readers} readers: at least one of each is needed")
    if n_studies > MAX_STUDIES or n_readers > MAX_READERS:
        raise UsageError(
            f"{n_studies} studies and {n_readers} readers are too many",
            hint=f"Give at most {MAX_STUDIES} and {MAX_READERS}.",
        )
    if reads is not None and not 1 <= reads <= n_readers:
        raise UsageError(f"{reads} readers of each study, of {n_readers}")
    if not MIN_DURATION_S <= duration_s <= MAX_DURATION_S:
        raise UsageError(
            f"a reading of {duration_s:g} s; {MIN_DURATION_S:g} to {MAX_DURATION_S:g} s can be simulated"
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
    # Only where they were asked for: a folder that was made before there were these goes on as it was.
    if reads is not None:
        settings |= {"reads": reads, "n_readers": n_readers}
    if duration_s != DEFAULT_DURATION_S:
        settings["duration_s"] = duration_s
    if kind is not None:
        settings["kind"] = kind
    n_done, n_all = 0, n_studies + n_readers

    def one_more(_: object) -> None:
        nonlocal n_done
        n_done += 1
        progress(n_done, n_all)

    lock = FolderLock(out)
    lock.acquire()
    try:
        sweep_scratch(out)
        sweep_scratch(out / "sessions")
        _keep_settings(out, settings)
        studies = out / "studies"
        with Workers(jobs) as workers:
            if not (studies / "worklist.csv").is_file():
                ambiguous = ambiguous_places(n_studies, ambiguous_share, seed)
                plan = planned_studies(
                    n_studies, findings_of(n_studies, ambiguous), with_findings=with_lesions
                )
                with atomic_path(studies) as scratch:
                    make_private_folder(scratch)
                    write = partial(
                        _write_study,
                        scratch,
                        ambiguous=frozenset(ambiguous),
                        with_lesions=with_lesions,
                        seed=seed,
                        size_px=size_px or DEFAULT_SIZE_PX,
                    )
                    write_worklist(scratch, workers.each(write, plan, done=one_more))
            n_done = n_studies
            read = partial(
                _read,
                out,
                settings=_Sitting(
                    n_studies=n_studies,
                    n_readers=n_readers,
                    reads=reads,
                    seed=seed,
                    rate_hz=rate_hz,
                    duration_s=duration_s,
                    kind=kind,
                ),
            )
            return workers.each(read, range(n_readers), done=one_more)
    finally:
        lock.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sitting:
    """What all readers have in common."""

    n_studies: int
    n_readers: int
    reads: int | None
    seed: int
    rate_hz: float
    duration_s: float
    kind: ReaderKind | None


def _read(out: Path, place: int, *, settings: _Sitting) -> SimulatedSession:
    """Write the session of one reader, in whatever process."""
    code = f"R{place + 1:02d}"
    n_studies, n_readers, reads = settings.n_studies, settings.n_readers, settings.reads
    return simulate_session(
        out / "sessions" / code,
        out / "studies",
        reader_seed=reader_seed(settings.seed, place, settings.kind),
        truth_dir=make_private_folder(out / "ground_truth" / code),
        rate_hz=settings.rate_hz,
        reader_code=code,
        order="shuffled",
        order_seed=settings.seed,
        duration_s=settings.duration_s,
        study_ids=None if reads is None else _read_by(place, n_studies, n_readers, reads),
        before_each=keep_on,
    )


def _read_by(reader: int, n_studies: int, n_readers: int, reads: int) -> frozenset[str]:
    """Return what one of the readers reads where each study is read by ``reads`` of them."""
    return frozenset(
        f"S{study + 1:03d}"
        for study in range(n_studies)
        if any((study * reads + k) % n_readers == reader for k in range(reads))
    )


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


def _write_study(
    folder: Path,
    numbered: NumberedStudy,
    *,
    ambiguous: frozenset[int],
    with_lesions: bool,
    seed: int,
    size_px: tuple[int, int],
) -> dict[str, str]:
    """Write one study, in whatever process; return its row of the worklist. ``ambiguous`` : places, from 0."""
    row = write_demo_study(folder, numbered, seed=seed, size_px=size_px)
    number, _ = numbered
    if number - 1 in ambiguous:
        healthy = make_phantom(seed * ANATOMY_SEED_STEP + number, size_px=size_px).pixels
        make_ambiguous(folder, row["study_id"], folder / row["current"], healthy)
        row |= {"arm": AMBIGUOUS_ARM, "indication": INDICATION}
    return row if with_lesions else row | {"arm": WITHOUT_LESIONS_ARM}
