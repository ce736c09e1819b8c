"""The scalars of a Reading that is cut from a session."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from gazecapture import __version__
from gazecapture.profiles import NO_TRACKER
from gazecapture.session.addenda import beside_reading, first_reading_id, session_reading_id
from gazecapture.session.consent import SIMULATED_READER
from gazecapture.session.gaze_stream import GazeStream
from gazecapture.session.reading_spans import ReadingSpan
from gazecapture.session.schema import SessionInfo, StudyInfo
from gazecapture.store import KeyedHash
from keyframes.access import strictest
from keyframes.reading import AGE_BANDS, SEXES, SITE_CODE, ReadingMeta, Tracker

__all__ = ["pupil_baseline", "reading_meta"]

NS_PER_MINUTE = 60_000_000_000


def reading_meta(
    info: SessionInfo,
    study: StudyInfo,
    span: ReadingSpan,
    spans: list[ReadingSpan],
    gaze: GazeStream,
    pseudonym: KeyedHash,
) -> ReadingMeta:
    """Return the scalars of a study that was read in ``span``; ``gaze`` is of that time, ``spans`` of all studies."""
    first = study.images[0]
    study_id = first.source_study_uid or first.sha256
    return ReadingMeta(
        reading_id=session_reading_id(info, span.reading_number, pseudonym),
        source_format="session",
        reader_code=info.reader_code,
        study_key=pseudonym("study", study_id),
        patient_key=pseudonym("patient", first.source_patient_id or study_id),
        session_id=pseudonym("sitting", info.session_id),
        reading_number=span.reading_number,
        minutes_into_session=(span.on_ns - min(s.on_ns for s in spans)) / NS_PER_MINUTE,
        duration_ns=int(span.pauses.reading_time(span.off_ns)),
        repeat_of=first_reading_id(info, study, pseudonym),
        reader_site=info.reader_site if re.fullmatch(SITE_CODE, info.reader_site) else "",
        study_arm=study.arm,
        indication=study.indication,
        sex=_known(study.sex.upper(), SEXES),
        age_band=_known(study.age_band, AGE_BANDS),
        tracker=Tracker(profile=NO_TRACKER) if info.gaze == "none" else gaze.tracker,
        display=info.display,
        display_lag_ms=info.display_lag_ms,
        source_licence=study.licence or "own recording",
        access_tier=study.access_tier or ("open" if study.synthetic else strictest([])),
        synthetic=info.synthetic or study.synthetic or gaze.simulated,
        n_samples_expected=_expected(gaze, span),
        provenance={
            "tool_version": __version__,
            "recorded_with": info.tool_version,
            "clock_offset_ms": f"{gaze.clock.offset_s * 1e3:.3f}",
            "clock_residual_ms": f"{gaze.clock.residual_s * 1e3:.3f}",
            **_backfilled(gaze, span),
            **beside_reading(info, study, span, pseudonym),
            **(SIMULATED_READER if info.synthetic else {}),
        },
    )


def pupil_baseline(gaze: GazeStream, between_ns: tuple[int, int] | None) -> dict[str, str]:
    """Return the median pupil while the fixation cross was shown, with its unit, as provenance."""
    if between_ns is None:
        return {}
    shown = gaze.between(*between_ns).gaze
    seen = shown["pupil"][np.isfinite(shown["pupil"])]
    if not seen.size:
        return {}
    return {"pupil_baseline": f"{np.median(seen):.4g}", "pupil_baseline_unit": str(shown["pupil_unit"][0])}


def _expected(gaze: GazeStream, span: ReadingSpan) -> int | None:
    """Return what the device counted, less what came in pauses: nobody misses that."""
    if gaze.n_expected is None:
        return None
    return gaze.n_expected - int(np.count_nonzero(span.pauses.covers(gaze.t_ns)))


def _known(said: str, values: Sequence[str]) -> str:
    """Return what a worklist says where it is one of the values: anything else could name a patient."""
    return said if said in values else ""


def _backfilled(gaze: GazeStream, span: ReadingSpan) -> dict[str, str]:
    """Say how much was lost on the way, where the tracker's own recording tells."""
    losses = gaze.losses(span.on_ns, span.off_ns)
    if losses is None or gaze.backfill is None:
        return {}
    said = {
        "backfill_format": gaze.backfill.format,
        "backfill_aligned_by": gaze.backfill.alignment.method,
        "backfill_residual_ms": f"{gaze.backfill.alignment.residual_p99_ms:.3f}",
        "loss_eye_to_disk": f"{losses.eye_to_disk:.6f}",
    }
    if losses.outlet_to_disk is not None:
        said["loss_outlet_to_disk"] = f"{losses.outlet_to_disk:.6f}"
    if losses.eye_to_disk_streamed is not None:
        said["loss_eye_to_disk_streamed"] = f"{losses.eye_to_disk_streamed:.6f}"
    return said
