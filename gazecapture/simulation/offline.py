"""Finished sessions without a screen, a tracker or time passing; the same plans and samples as live."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gazecapture import __version__
from gazecapture.files import atomic_path, claim_output_folder, make_private_folder
from gazecapture.session.schema import SessionInfo
from gazecapture.session.status import read_status
from gazecapture.simulation.ambiguous import WITHOUT_LESIONS_ARM
from gazecapture.simulation.content import generic_content, load_contents
from gazecapture.simulation.feed import GazeFeed
from gazecapture.simulation.oculomotor import TrackerModel
from gazecapture.simulation.performer import VIRTUAL_DISPLAY
from gazecapture.simulation.plan import DEFAULT_DURATION_S, ReadingPlan, plan_reading
from gazecapture.simulation.session_writer import REFRESH_HZ, SessionWriter
from gazecapture.simulation.style import ReaderStyle
from gazecapture.simulation.truth import TruthWriter, load_truth, truth_head
from gazecapture.viewer.model import ImageView, Panel
from gazecapture.worklist import WorklistOrder, WorklistStudy, load_worklist, order_for_reader
from keyframes.geometry import Display

__all__ = ["SimulatedSession", "simulate_session"]

EPOCH_UNIX_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z: sessions of the same seed must not differ by when they were made."""

Rect = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedSession:
    """What one simulated session holds."""

    session: Path
    truth: Path
    n_readings: int
    n_gaze: int
    n_words: int


def simulate_session(
    session_dir: Path,
    studies_dir: Path,
    *,
    reader_seed: int,
    truth_dir: Path,
    rate_hz: float = 500.0,
    reader_code: str = "SIM1",
    display: Display = VIRTUAL_DISPLAY,
    area: Rect | None = None,
    panels: Sequence[Panel] = (),
    duration_s: float = DEFAULT_DURATION_S,
    model: TrackerModel | None = None,
    order: WorklistOrder = "listed",
    order_seed: int = 0,
    study_ids: Collection[str] | None = None,
    before_each: Callable[[], None] = lambda: None,
) -> SimulatedSession:
    """Write one finished session, of the format of a live one, and its truth; a finished one is left as it is.

    Parameters
    ----------
    studies_dir : holds ``worklist.csv`` and, for phantoms, ``ground_truth/{study_id}.anatomy.json``.
    area        : screen px of the viewports; the whole display where None.
    panels      : what covers parts of the screen.
    study_ids   : of the worklist, those that are read; all of them where None.
    before_each : called before each reading; what it raises ends the session.

    The session appears as a whole or not at all. Raises ImageError where a study cannot be decoded, UsageError
    for a worklist or rate that is off.
    """
    state = read_status(session_dir) if session_dir.is_dir() else None
    if state is not None and state.state == "stopped" and (truth_dir / "session.json").is_file():
        truth = load_truth(truth_dir)
        return SimulatedSession(
            session=session_dir,
            truth=truth_dir,
            n_readings=len(truth.readings),
            n_gaze=truth.n_gaze_sent,
            n_words=truth.n_words_sent,
        )
    studies = load_worklist(studies_dir / "worklist.csv")
    if study_ids is not None:
        studies = tuple(study for study in studies if study.study_id in study_ids)
    studies = order_for_reader(studies, order=order, seed=order_seed, reader_code=reader_code)
    contents = load_contents(studies_dir / "ground_truth", [study.study_id for study in studies])
    style, model = ReaderStyle.from_seed(reader_seed), model or TrackerModel()
    truth_writer = TruthWriter(
        folder=truth_dir, head=truth_head(style, rate_hz=rate_hz, model=model), model=model
    )
    make_private_folder(session_dir.parent)
    with atomic_path(session_dir) as scratch:
        claim_output_folder(scratch, kind="session")
        with ExitStack() as stack:
            writer = SessionWriter(
                scratch,
                stack,
                info=_session_info(studies, reader_seed, reader_code, display),
                studies=studies,
                feed=GazeFeed(rate_hz=rate_hz, display=display, reader_seed=reader_seed, model=model),
            )
            for number, study in enumerate(studies, start=1):
                before_each()

                def plan(
                    images: tuple[ImageView, ...], number: int = number, study_id: str = study.study_id
                ) -> ReadingPlan:
                    return plan_reading(
                        style,
                        contents.get(study_id) or generic_content(study_id, images),
                        reading_number=number,
                        display=display,
                        area=area or (0.0, 0.0, float(display.width_px), float(display.height_px)),
                        images=images,
                        panels=panels,
                        duration_s=duration_s,
                    )

                writer.read(number, plan=plan, panels=panels, truth=truth_writer)
            writer.finish(truth_writer)
    return SimulatedSession(
        session=session_dir,
        truth=truth_dir,
        n_readings=len(studies),
        n_gaze=truth_writer.n_gaze_sent,
        n_words=truth_writer.n_words_sent,
    )


def _session_info(
    studies: Sequence[WorklistStudy], reader_seed: int, reader_code: str, display: Display
) -> SessionInfo:
    identity = "/".join([str(reader_seed), reader_code, *(study.study_id for study in studies)])
    # The same reader before the same bodies without their findings sits in another session.
    identity += "".join(
        f"/{arm}" for arm in sorted({str(study.arm) for study in studies} & {WITHOUT_LESIONS_ARM})
    )
    return SessionInfo(
        session_id=hashlib.sha256(f"simulated session/{identity}".encode()).hexdigest()[:32],
        reader_code=reader_code,
        created_unix_ns=EPOCH_UNIX_NS,
        tool_version=__version__,
        display=display,
        refresh_hz=REFRESH_HZ,
        seed=reader_seed,
        synthetic=True,
        studies=tuple(study.unopened(number) for number, study in enumerate(studies, start=1)),
    )
