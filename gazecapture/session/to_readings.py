"""Cut a recorded session into Readings by what its display journal says was on screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gazecapture.files import sha256_of
from gazecapture.profiles import Profile
from gazecapture.session.gaze_stream import load_gaze, put_on_screen
from gazecapture.session.journal import read_journal
from gazecapture.session.reading_meta import pupil_baseline, reading_meta
from gazecapture.session.reading_spans import ReadingSpan, reading_spans
from gazecapture.session.reading_tables import (
    display_table,
    findings_table,
    gaze_table,
    images_table,
    table_of,
    truth_table,
    words_table,
)
from gazecapture.session.scene_mapping import scene_map_of
from gazecapture.session.schema import (
    ANNOTATIONS,
    DISPLAY_JOURNAL,
    WORDS_JOURNAL,
    StudyInfo,
    read_session_info,
)
from gazecapture.session.validations import SittingValidations
from gazecapture.store import KeyedHash
from keyframes.errors import DataError, GazeToolError, ImageError
from keyframes.reading import Reading

__all__ = ["SessionReading", "SessionReadings", "to_readings"]

LEAD_IN_NS = 500_000_000
"""Gaze kept before image on, where no other reading was open: a saccade under way then keeps its onset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReading:
    """One study of a session: its Reading and pictures, or why there is none."""

    reading_number: int
    reading: Reading | None = None
    images: Mapping[int, Path] = field(default_factory=dict)
    error: GazeToolError | None = None
    n_damaged: int = 0
    """Places of the session's journals that cannot be read; what they held is in no reading."""


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

    Holds the session's gaze in memory as it was sent, some 100 bytes a sample; as columns that of one reading at a
    time. Raises SchemaError where the folder is no session.
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
        display = read_journal(session / "display", schema=DISPLAY_JOURNAL)
        self._journal = display.table
        self._spans = reading_spans(self._journal)
        words = read_journal(session / "words", schema=WORDS_JOURNAL)
        self._words = words.table.sort_by("t_start_ns")
        annotations = read_journal(session / "annotations", schema=ANNOTATIONS)
        self._annotations = annotations.table.sort_by("t_ns").to_pylist()
        self._gaze = load_gaze(session, self._info.display, override=own_profiles)
        self._n_damaged = self._gaze.n_damaged + sum(len(j.damage) for j in (display, words, annotations))
        self._scene = scene_map_of(session, self._info)
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
            reading = self._reading(study, self._spans[number])
        except GazeToolError as error:
            return SessionReading(reading_number=number, error=error)
        return SessionReading(
            reading_number=number, reading=reading, images=images, n_damaged=self._n_damaged
        )

    def _reading(self, study: StudyInfo, span: ReadingSpan) -> Reading:
        info, spans, validations = self._info, list(self._spans.values()), self._validations
        display = display_table(self._journal, span)
        first_ns = max(span.on_ns - LEAD_IN_NS, span.free_from_ns)
        part = put_on_screen(self._gaze.between(first_ns, span.off_ns), self._scene)
        tables = {
            "images": images_table(study),
            "display": display,
            "gaze": gaze_table(part, span, display, info, validations.offset_screen_px(span.on_ns)),
            "words": words_table(self._words, span, spans),
            "findings": findings_table(self._annotations, span),
            "truth": truth_table(study),
            "validations": table_of("validations", validations.of_reading(span.on_ns, span.off_ns)),
        }
        meta = reading_meta(info, study, span, spans, part, KeyedHash(self._key))
        baseline = pupil_baseline(self._gaze, validations.baseline_ns(span.on_ns))
        return Reading.build(replace(meta, provenance={**meta.provenance, **baseline}), tables)


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
