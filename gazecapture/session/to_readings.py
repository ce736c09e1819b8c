"""Cut a recorded session into Readings by what its display journal says was on screen."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from gazecapture import __version__
from gazecapture.files import sha256_of
from gazecapture.profiles import NO_TRACKER, Profile
from gazecapture.session.consent import SIMULATED_READER
from gazecapture.session.gaze_stream import GazeStream, load_gaze, put_on_screen
from gazecapture.session.journal import read_journal
from gazecapture.session.pauses import Pauses
from gazecapture.session.scene_mapping import scene_map_of
from gazecapture.session.schema import (
    ANNOTATIONS,
    DISPLAY_JOURNAL,
    WORDS_JOURNAL,
    SessionInfo,
    StudyInfo,
    read_session_info,
)
from gazecapture.session.validations import SittingValidations
from gazecapture.store import KeyedHash
from keyframes.access import strictest
from keyframes.errors import DataError, GazeToolError, ImageError
from keyframes.geometry import map_gaze
from keyframes.reading import AGE_BANDS, SCHEMAS, SEXES, SITE_CODE, Reading, ReadingMeta, Tracker

__all__ = [
    "SessionReading",
    "SessionReadings",
    "SpeechSpan",
    "session_reading_id",
    "speech_spans",
    "to_readings",
]

NS_PER_MINUTE = 60_000_000_000
LEAD_IN_NS = 500_000_000
"""Gaze kept before image on, where no other reading was open: a saccade under way then keeps its onset."""

UNMEASURED_LAG_MS = 20.0
"""ms on top of one frame: what screens need to show a picture that they were given, where nobody measured this one."""
LAG_SPREADS = 2.0
"""Standard deviations of a measured lag that count as uncertain: 95 of 100 changes are on the screen by then."""
USUAL_REFRESH_HZ = 60.0
"""Of a screen that does not say."""
SPEECH_EDGE_NS = 10_000_000_000
"""Of speech before the first study and after the last; nobody dictates longer to an empty screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReading:
    """One study of a session: its Reading and pictures, or why there is none."""

    reading_number: int
    reading: Reading | None = None
    images: Mapping[int, Path] = field(default_factory=dict)
    error: GazeToolError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """When one study was on screen, session ns."""

    reading_number: int
    on_ns: int
    off_ns: int
    free_from_ns: int
    """From here on nothing else was read: the end of the study before, or image on itself where an attempt that was
    given up came between."""
    pauses: Pauses
    before: int
    """How often it was begun before and given up: the film was seen then."""


def to_readings(
    session: Path, *, key: bytes, own_profiles: Sequence[Profile] = (), with_pictures: bool = True
) -> Iterator[SessionReading]:
    """Give every study of a session that was opened, in the order of the sitting.

    key          : the store's pseudonym key; ids are hashed with it.
    own_profiles : a user's stream profiles, which come before those that the session brings with it.
    with_pictures: False for a session that came without them, as out of an XDF file.

    A study that was not finished, or whose picture is missing or altered, comes with its error in place of a
    Reading; the others are not touched by that. Of a study that was opened twice (the window was killed and the
    session resumed) the last finished time counts.

    Raises SchemaError where the folder is no session.
    """
    opened = SessionReadings(session, key=key, own_profiles=own_profiles, with_pictures=with_pictures)
    for number in opened.numbers:
        yield opened.cut(number)


class SessionReadings:
    """The studies of a session that were opened, each cut when it is asked for; parameters as of `to_readings`.

    Holds the session's gaze in memory. Raises SchemaError where the folder is no session.
    """

    def __init__(
        self,
        session: Path,
        *,
        key: bytes,
        own_profiles: Sequence[Profile] = (),
        with_pictures: bool = True,
    ) -> None:
        self._session, self._key, self._with_pictures = session, key, with_pictures
        self._info = read_session_info(session)
        self._journal = read_journal(session / "display", schema=DISPLAY_JOURNAL).table
        self._spans = _spans(self._journal)
        self._gaze = put_on_screen(
            load_gaze(session, self._info.display, override=own_profiles), scene_map_of(session, self._info)
        )
        self._validations = SittingValidations.load(session)
        opened = set(self._journal.column("reading_number").to_pylist())
        # Practice is no data, whoever asks.
        self._studies = {
            s.reading_number: s for s in self._info.studies if s.reading_number in opened and not s.practice
        }

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the studies that were opened, in the order of the sitting."""
        return tuple(self._studies)

    def is_finished(self, number: int) -> bool:
        """Say whether the reading was closed."""
        return number in self._spans

    def cut(self, number: int) -> SessionReading:
        """Return one study as a Reading, or with the error that keeps it from being one."""
        study = self._studies[number]
        try:
            if not self.is_finished(number):
                raise DataError(
                    f"reading {number} of the session was not finished",
                    hint="Resume the session with `gazecapture read`, or leave it out.",
                    record=number,
                    code="GT-UNFINISHED",
                )
            images = _pictures(self._session, study) if self._with_pictures else {}
            reading = _cut(
                self._session,
                self._info,
                study,
                self._spans[number],
                list(self._spans.values()),
                self._journal,
                self._gaze,
                self._validations,
                self._key,
            )
        except GazeToolError as error:
            return SessionReading(reading_number=number, error=error)
        return SessionReading(reading_number=number, reading=reading, images=images)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechSpan:
    """What was said then belongs to one study, session ns."""

    on_ns: int
    """Image on: time 0 of the reading."""
    start_ns: int
    end_ns: int
    pauses: Pauses

    def reading_time(self, since_on_ns: ArrayLike) -> NDArray[np.int64]:
        """Return ns since image on by the clock as reading time, which stands still in a pause."""
        return self.pauses.reading_time(np.asarray(since_on_ns, np.int64) + self.on_ns)


def speech_spans(session: Path) -> dict[int, SpeechSpan]:
    """Return by reading number when what was said belongs to it, as the words of `to_readings` do.

    Before the first study and after the last one `SPEECH_EDGE_NS` count.
    """
    spans = list(_spans(read_journal(session / "display", schema=DISPLAY_JOURNAL).table).values())
    found = {}
    for place, span in enumerate(spans):
        before_ns = spans[place - 1].off_ns if place else span.on_ns - SPEECH_EDGE_NS
        after_ns = span.off_ns if place + 1 < len(spans) else span.off_ns + SPEECH_EDGE_NS
        start_ns = max(before_ns, span.free_from_ns)
        found[span.reading_number] = SpeechSpan(
            on_ns=span.on_ns, start_ns=start_ns, end_ns=after_ns, pauses=span.pauses
        )
    return found


def session_reading_id(info: SessionInfo, reading_number: int, pseudonym: KeyedHash) -> str:
    """Return the id that a study of a session has as a Reading."""
    return pseudonym("session", f"{info.session_id}/{reading_number}", info.reader_code)


def _spans(journal: pa.Table) -> dict[int, _Span]:
    """Find each reading's last finished stretch from ``on`` to ``off``."""
    found: dict[int, _Span] = {}
    attempts: Counter[int] = Counter()
    opened: tuple[int, int] | None = None
    free_from = int(np.iinfo(np.int64).min)
    rows = journal.select(["t_ns", "reading_number", "event"]).sort_by("t_ns").to_pylist()
    for row in rows:
        number, t_ns = row["reading_number"], row["t_ns"]
        if row["event"] == "on" and opened != (number, t_ns):
            if opened is not None:
                free_from = (
                    t_ns  # the window was killed, and what was said before it came back is of no reading
                )
            opened = number, t_ns
            attempts[number] += 1
        elif row["event"] == "off" and opened is not None and opened[0] == number:
            found[number] = _Span(
                reading_number=number,
                on_ns=opened[1],
                off_ns=t_ns,
                free_from_ns=free_from,
                pauses=Pauses.of_rows(rows, opened[1], t_ns),
                before=attempts[number] - 1,
            )
            opened, free_from = None, t_ns
    return dict(sorted(found.items(), key=lambda item: item[1].on_ns))


def _pictures(session: Path, study: StudyInfo) -> dict[int, Path]:
    """Return the study's picture files, each checked against its hash."""
    paths = {}
    for image in study.images:
        path = session / "images" / f"{image.sha256}{image.suffix}"
        if not path.is_file():
            raise ImageError(
                f"picture {image.image_index} of reading {study.reading_number} is missing from the session",
                hint="Copy it back into the session's images folder.",
                path=path,
            )
        if sha256_of(path) != image.sha256:
            raise ImageError(
                f"picture {image.image_index} of reading {study.reading_number} was altered since it was read",
                hint="Restore the file that was shown.",
                path=path,
            )
        paths[image.image_index] = path
    return paths


def _cut(
    session: Path,
    info: SessionInfo,
    study: StudyInfo,
    span: _Span,
    spans: list[_Span],
    display_journal: pa.Table,
    gaze: GazeStream,
    validations: SittingValidations,
    key: bytes,
) -> Reading:
    """Build one Reading."""
    display = _display(display_journal, span)
    part = gaze.between(max(span.on_ns - LEAD_IN_NS, span.free_from_ns), span.off_ns)
    tables = {
        "images": _images(study),
        "display": display,
        "gaze": _gaze(part, span, display, info, validations.offset_screen_px(span.on_ns)),
        "words": _words(session, span, spans),
        "findings": _findings(session, span),
        "truth": _truth(study),
        "validations": _table("validations", validations.of_reading(span.on_ns, span.off_ns)),
    }
    meta = _meta(info, study, span, spans, part, KeyedHash(key))
    baseline = _pupil_baseline(gaze, validations.baseline_ns(span.on_ns))
    return Reading.build(replace(meta, provenance={**meta.provenance, **baseline}), tables)


def _pupil_baseline(gaze: GazeStream, between_ns: tuple[int, int] | None) -> dict[str, str]:
    """Return the median pupil while the fixation cross was shown, with its unit, as provenance."""
    if between_ns is None:
        return {}
    shown = gaze.between(*between_ns).gaze
    seen = shown["pupil"][np.isfinite(shown["pupil"])]
    if not seen.size:
        return {}
    return {"pupil_baseline": f"{np.median(seen):.4g}", "pupil_baseline_unit": str(shown["pupil_unit"][0])}


def _meta(
    info: SessionInfo,
    study: StudyInfo,
    span: _Span,
    spans: list[_Span],
    gaze: GazeStream,
    pseudonym: KeyedHash,
) -> ReadingMeta:
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
        repeat_of=_first_reading(info, study, pseudonym),
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
            **_beside_reading(info, study, span, pseudonym),
            **(SIMULATED_READER if info.synthetic else {}),
        },
    )


def _beside_reading(info: SessionInfo, study: StudyInfo, span: _Span, pseudonym: KeyedHash) -> dict[str, str]:
    """Say what was not plain reading: pauses, attempts that were given up, an addendum."""
    said = {}
    if span.pauses.taken_out_ns:
        said["paused_ms"] = f"{span.pauses.taken_out_ns / 1e6:.0f}"
    if span.before:
        said["attempts_before"] = str(span.before)
    if study.addendum_of is not None:
        said["addendum_of"] = session_reading_id(info, study.addendum_of, pseudonym)
    return said


def _first_reading(info: SessionInfo, study: StudyInfo, pseudonym: KeyedHash) -> str:
    """Return the id of this reader's first reading of the study, empty where this is it."""
    first = study.addendum_of
    if first is None and study.repeat_of:
        numbers = [s.reading_number for s in info.studies if s.study_id == study.repeat_of]
        first = numbers[0] if numbers else None
    return "" if first is None else session_reading_id(info, first, pseudonym)


def _expected(gaze: GazeStream, span: _Span) -> int | None:
    """Return what the device counted, less what came in pauses: nobody misses that."""
    if gaze.n_expected is None:
        return None
    return gaze.n_expected - int(np.count_nonzero(span.pauses.covers(gaze.t_ns)))


def _known(said: str, values: Sequence[str]) -> str:
    """Return what a worklist says where it is one of the values: anything else could name a patient."""
    return said if said in values else ""


def _backfilled(gaze: GazeStream, span: _Span) -> dict[str, str]:
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


def _images(study: StudyInfo) -> pa.Table:
    rows = [
        {
            "image_index": image.image_index,
            "role": image.role,
            "width_px": image.width_px,
            "height_px": image.height_px,
            "spacing_kind": image.spacing_kind,
            "sha256": image.sha256,
            "view_position": image.view_position or None,
            "spacing_x_mm": image.spacing_x_mm,
            "spacing_y_mm": image.spacing_y_mm,
        }
        for image in study.images
    ]
    return _table("images", rows)


def _display(journal: pa.Table, span: _Span) -> pa.Table:
    mine = pc.and_(
        pc.equal(journal["reading_number"], span.reading_number),
        pc.and_(pc.greater_equal(journal["t_ns"], span.on_ns), pc.less_equal(journal["t_ns"], span.off_ns)),
    )
    rows = journal.filter(mine).drop_columns(["reading_number", "event"])
    return rows.set_column(0, "t_ns", pa.array(span.pauses.reading_time(rows["t_ns"].to_numpy())))


def _gaze(
    part: GazeStream,
    span: _Span,
    display: pa.Table,
    info: SessionInfo,
    offset_screen_px: tuple[float, float],
) -> pa.Table:
    """Put the samples on reading time and on the image that was shown at that moment.

    offset_screen_px : of the drift check in force; taken off before gaze is placed on an image, while the screen
        columns stay as measured.
    """
    seen = ~span.pauses.covers(part.t_ns)
    gaze = {name: values[seen] for name, values in part.gaze.items()}
    t_ns = span.pauses.reading_time(part.t_ns[seen])
    n = t_ns.size
    mapped = map_gaze(
        t_ns,
        gaze["x_screen_px"] - offset_screen_px[0],
        gaze["y_screen_px"] - offset_screen_px[1],
        display,
    )
    per_deg_x = per_deg_y = np.nan
    if info.display is not None and info.display.knows_degrees:
        per_deg_x, per_deg_y = info.display.px_per_deg()
    columns: dict[str, Any] = {
        **gaze,
        "t_ns": t_ns,
        "x_image_px": mapped.x_image_px,
        "y_image_px": mapped.y_image_px,
        "px_per_deg_x": mapped.image_px_per_screen_px_x * per_deg_x,
        "px_per_deg_y": mapped.image_px_per_screen_px_y * per_deg_y,
        "viewport_id": pa.array(mapped.viewport_id, mask=mapped.viewport_id < 0),
        "image_index": pa.array(mapped.image_index, mask=mapped.image_index < 0),
        "on_panel": mapped.on_panel,
        "source": gaze.get("source", pa.repeat(part.source, n)),
        "display_uncertain": _within_lag(t_ns, display, info),
    }
    return pa.table(columns)


def _within_lag(t_ns: NDArray[np.int64], display: pa.Table, info: SessionInfo) -> NDArray[np.bool_]:
    """Say at which samples a change may not have been on the screen yet, though it was painted."""
    if info.display_lag_ms is not None:
        lag_ms = info.display_lag_ms + LAG_SPREADS * (info.display_lag_sd_ms or 0.0)
    else:
        lag_ms = 1000.0 / (info.refresh_hz or USUAL_REFRESH_HZ) + UNMEASURED_LAG_MS
    changes = np.unique(display["t_ns"].to_numpy())
    last = np.searchsorted(changes, t_ns, side="right") - 1
    since_ns = t_ns - changes[np.maximum(last, 0)]
    within: NDArray[np.bool_] = (last >= 0) & (since_ns < lag_ms * 1e6)
    return within


def _words(session: Path, span: _Span, spans: list[_Span]) -> pa.Table:
    """Give the words that began before this study's end and after the end of the study before.

    What is said between two studies belongs to the coming one, what is said after the last to the last, what is
    said during an attempt that was given up to none.
    """
    words = read_journal(session / "words", schema=WORDS_JOURNAL).table.sort_by("t_start_ns")
    offs = np.array([s.off_ns for s in spans], np.int64)
    own = next(place for place, s in enumerate(spans) if s.reading_number == span.reading_number)
    place = np.minimum(np.searchsorted(offs, words["t_start_ns"].to_numpy(), side="right"), offs.size - 1)
    said_here = words["t_start_ns"].to_numpy() >= span.free_from_ns
    in_pause = span.pauses.covers(words["t_start_ns"].to_numpy())
    mine = words.filter(pa.array((place == own) & said_here & ~in_pause))
    columns = {
        "word_index": np.arange(mine.num_rows, dtype=np.int32),
        "t_start_ns": span.pauses.reading_time(mine["t_start_ns"].to_numpy()),
        "t_end_ns": span.pauses.reading_time(mine["t_end_ns"].to_numpy()),
        "word": mine["word"],
        "supported": np.ones(mine.num_rows, np.bool_),
        "source": mine["source"],
        "confidence": mine["confidence"],
    }
    return pa.table(columns)


def _findings(session: Path, span: _Span) -> pa.Table:
    """Give the findings as they stood when the study was closed."""
    journal = read_journal(session / "annotations", schema=ANNOTATIONS).table
    standing: dict[str, dict[str, Any]] = {}
    marked_ns: dict[str, int] = {}
    for row in journal.sort_by("t_ns").to_pylist():
        if row["reading_number"] != span.reading_number or not span.on_ns <= row["t_ns"] <= span.off_ns:
            continue
        if row["action"] == "remove":
            standing.pop(row["finding_id"], None)
            marked_ns.pop(row["finding_id"], None)
        elif row["action"] == "put":
            standing[row["finding_id"]] = row
            marked_ns.setdefault(row["finding_id"], row["t_ns"])
    rows = [
        {
            "finding_id": row["finding_id"],
            "label": row["label"] or "Other",
            "present": True if row["present"] is None else row["present"],
            "shape": row["shape"] or ("none" if row["box"] is None else "box"),
            "sentence_ids": [],
            "source": "reader",
            "t_ns": int(span.pauses.reading_time(marked_ns[row["finding_id"]])),
            **{name: row[name] for name in ("certainty", "rating", "image_index", "box")},
        }
        for row in standing.values()
    ]
    return _table("findings", rows)


def _truth(study: StudyInfo) -> pa.Table:
    rows = [
        {
            "finding_id": lesion.finding_id,
            "label": lesion.label,
            "present": lesion.present,
            "shape": "none" if lesion.box is None else "box",
            "sentence_ids": [],
            "source": lesion.source,
            "image_index": lesion.image_index,
            "box": None if lesion.box is None else list(lesion.box),
        }
        for lesion in study.truth
    ]
    return _table("truth", rows)


def _table(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    schema = SCHEMAS[name]
    return pa.Table.from_pylist([{f.name: row.get(f.name) for f in schema} for row in rows], schema=schema)
