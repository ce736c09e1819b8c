"""The session folder as the viewer keeps it: made or resumed, its studies' pictures registered. No Qt.

::

    SESSION/session.json      written before anything is recorded; each study's images are added before it is shown
    SESSION/worklist.json     fingerprint and order of the worklist, so that a resumed session notices a change
    SESSION/images/           a copy of every radiograph shown; what is shown is decoded from the copy
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gazecapture import __version__
from gazecapture.files import (
    claim_output_folder,
    make_private_folder,
    write_bytes_atomically,
    write_json_atomically,
)
from gazecapture.radiograph.decode import Radiograph, load_radiograph
from gazecapture.screen.tags import ScreenTag
from gazecapture.session.consent import ConsentRecord, write_consent
from gazecapture.session.journal import read_journal
from gazecapture.session.schema import (
    ANNOTATIONS,
    DISPLAY_JOURNAL,
    SessionInfo,
    StudyImage,
    StudyInfo,
    read_session_info,
    write_session_info,
)
from gazecapture.viewer.findings import Finding, restored_findings
from gazecapture.viewer.render import Picture
from gazecapture.worklist import WorklistStudy, fingerprint
from keyframes.errors import GazeToolError, ImageError, UsageError
from keyframes.geometry import Display

__all__ = ["PreparedStudy", "ReadingSession", "SessionSetup"]

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSetup:
    """What is known of reader and screen when a session begins."""

    reader_code: str
    display: Display
    refresh_hz: float | None = None
    device_pixel_ratio: float = 1.0
    seed: int | None = None
    synthetic: bool = False
    """The reader is simulated."""
    gaze: Literal["stream", "mouse", "none"] = "stream"
    reader_site: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedStudy:
    """A study that was read from disk: its pictures, or why it cannot be shown."""

    reading_number: int
    pictures: tuple[Picture, ...] = ()
    images: tuple[StudyImage, ...] = ()
    error: ImageError | None = None

    @property
    def mean_grey(self) -> float | None:
        """Of its pictures as they are shown by default, 0 to 1; None where it cannot be shown."""
        if not self.pictures:
            return None
        return sum(picture.mean_grey for picture in self.pictures) / len(self.pictures)


class ReadingSession:
    """One session folder and the worklist that is read in it.

    `prepare` and `register` take time and are called from the loader's thread; the rest is quick.
    """

    def __init__(self, folder: Path, info: SessionInfo, studies: Sequence[WorklistStudy]) -> None:
        self.folder = folder
        self._info = info
        self._studies = tuple(studies)
        self._guard = threading.Lock()
        journal = read_journal(folder / "display", schema=DISPLAY_JOURNAL).table
        rows = journal.select(["t_ns", "reading_number", "event"]).sort_by("t_ns").to_pylist()
        closed = [row["reading_number"] for row in rows if row["event"] == "off"]
        self._read = set(closed)
        self._last_read: int | None = closed[-1] if closed and self._is_listed(closed[-1]) else None
        self._annotations = read_journal(folder / "annotations", schema=ANNOTATIONS).table

    @classmethod
    def open(cls, folder: Path, studies: Sequence[WorklistStudy], setup: SessionSetup) -> ReadingSession:
        """Make the session, or re-enter it where it was broken off.

        Raises UsageError where the folder is somebody else's, or worklist, reader or screen are not those that the
        session began with.
        """
        claim_output_folder(folder, kind="session")
        mark = fingerprint(studies)
        if (folder / "session.json").is_file():
            info = read_session_info(folder)
            _check_same(folder, info, mark, setup)
            return cls(folder, info, studies)
        listed_studies = tuple(study.unopened(number) for number, study in enumerate(studies, start=1))
        info = _new_info(setup, listed_studies)
        listed = [study.study_id for study in studies]
        write_json_atomically(folder / "worklist.json", {"fingerprint": mark, "studies": listed})
        write_session_info(folder, info)
        if setup.synthetic:
            write_consent(folder, ConsentRecord.of_simulated_reader(setup.reader_code))
        make_private_folder(folder / "images")
        return cls(folder, info, studies)

    @classmethod
    def open_without_studies(cls, folder: Path, setup: SessionSetup) -> ReadingSession:
        """Make a session in which nothing is read, or enter any session to measure its tracker once more.

        Raises UsageError where the folder is somebody else's, or the screen is not the one that the session began with.
        """
        claim_output_folder(folder, kind="session")
        if (folder / "session.json").is_file():
            info = read_session_info(folder)
            _check_same_screen(folder, info, setup)
        else:
            info = _new_info(setup, ())
            write_session_info(folder, info)
        return cls(folder, info, ())

    @property
    def info(self) -> SessionInfo:
        """What session.json holds at this moment."""
        return self._info

    @property
    def n_studies(self) -> int:
        """Studies of the worklist."""
        return len(self._studies)

    @property
    def n_read(self) -> int:
        """Studies of the worklist whose reading was closed."""
        return sum(1 for number in self._read if number <= len(self._studies))

    def study(self, reading_number: int) -> WorklistStudy:
        """Return the study of a reading; numbers count from 1, addenda come after the worklist's."""
        return self._studies[self.original(reading_number) - 1]

    def original(self, reading_number: int) -> int:
        """Return the number of the reading that an addendum goes back to; of any other its own."""
        return self._info.studies[reading_number - 1].addendum_of or reading_number

    def _is_listed(self, reading_number: int) -> bool:
        """Say whether the study is one of the worklist's: the reading that an addendum is of may have been removed."""
        return self.original(reading_number) <= len(self._studies)

    def begin_addendum(self, reading_number: int) -> int:
        """Enter a new reading of a study that was read; return its number. The first reading stays as it is."""
        first = self.original(reading_number)
        with self._guard:
            number = len(self._info.studies) + 1
            again = replace(self._info.studies[first - 1], reading_number=number, addendum_of=first)
            info = replace(self._info, studies=(*self._info.studies, again))
            write_session_info(self.folder, info)
            self._info = info
        return number

    def note_display_lag(self, lag_ms: float, sd_ms: float) -> None:
        """Write down how late the screen shows what was painted."""
        with self._guard:
            self._info = replace(self._info, display_lag_ms=lag_ms, display_lag_sd_ms=sd_ms)
            write_session_info(self.folder, self._info)

    def unread(self, *, after: int = 0) -> list[int]:
        """Return the numbers of the studies that were not read, those after number ``after``."""
        return [n for n in range(after + 1, len(self._studies) + 1) if n not in self._read]

    @property
    def last_read(self) -> int | None:
        """Number of the reading that was closed last; None before the first."""
        return self._last_read

    def mark_read(self, reading_number: int) -> None:
        """Say that a study's ``off`` rows were handed to the journal."""
        self._read.add(reading_number)
        self._last_read = reading_number

    def findings_before(self, reading_number: int) -> dict[str, Finding]:
        """Return what the reader had marked on this study before the session was broken off."""
        return restored_findings(self._annotations, reading_number)

    def prepare(self, reading_number: int) -> PreparedStudy:
        """Copy a study's files into the session and decode them.

        A study that cannot be shown comes back with its error; what stops the session (a full disk) is raised.
        """
        study = self.study(reading_number)
        pictures: list[Picture] = []
        images: list[StudyImage] = []
        for index, listed in enumerate(study.images):
            try:
                content = listed.path.read_bytes()
            except OSError as error:
                return _unreadable(reading_number, listed.path, f"cannot be read ({error.strerror})")
            sha256 = hashlib.sha256(content).hexdigest()
            problem = self._changed_since(reading_number, index, sha256)
            if problem:
                return _unreadable(reading_number, listed.path, problem)
            suffix = listed.path.suffix.lower()
            suffix = suffix if suffix.isascii() and suffix[1:].isalpha() and len(suffix) <= 6 else ".dcm"
            copy = make_private_folder(self.folder / "images") / f"{sha256}{suffix}"
            if not copy.is_file():
                write_bytes_atomically(copy, content)
            try:
                radiograph = load_radiograph(copy)
                pictures.append(Picture(radiograph, index))
            except GazeToolError as error:
                return _unreadable(
                    reading_number, listed.path, error.message.replace(str(copy), "").lstrip(": ")
                )
            except Exception:
                # One film of three hundred must not end the sitting, whatever a decoder library raises.
                _LOGGER.exception("decoding failed")
                return _unreadable(reading_number, listed.path, "cannot be decoded")
            images.append(_study_image(index, listed.role, sha256, suffix, radiograph, study))
        return PreparedStudy(reading_number=reading_number, pictures=tuple(pictures), images=tuple(images))

    def complete_display(self, described: Display | None) -> None:
        """Take the screen's size and the eye's distance from what a tracker says, where nobody else knew them.

        described : the tracker's own screen; ignored where it has another number of px than this one.
        """
        own = self._info.display
        if described is None or own is None or own.knows_degrees:
            return
        if (described.width_px, described.height_px) != (own.width_px, own.height_px):
            return
        sized = own if own.width_mm and own.height_mm else described
        with self._guard:
            self._info = replace(
                self._info,
                display=replace(
                    own,
                    width_mm=sized.width_mm,
                    height_mm=sized.height_mm,
                    distance_mm=own.distance_mm or described.distance_mm,
                ),
            )
            write_session_info(self.folder, self._info)

    def note_tags(self, tags: tuple[ScreenTag, ...]) -> None:
        """Write down which tags are on the screen; they stay for the whole session."""
        with self._guard:
            if self._info.tags != tags:
                self._info = replace(self._info, tags=tags)
                write_session_info(self.folder, self._info)

    def register(self, prepared: PreparedStudy) -> None:
        """Write a study's images into session.json; done before it is shown."""
        if prepared.error is not None:
            return
        place = prepared.reading_number - 1
        with self._guard:
            studies = list(self._info.studies)
            if studies[place].images == prepared.images:
                return
            studies[place] = replace(studies[place], images=prepared.images)
            info = replace(self._info, studies=tuple(studies))
            write_session_info(self.folder, info)
            self._info = info

    def _changed_since(self, reading_number: int, index: int, sha256: str) -> str:
        known = self._info.studies[reading_number - 1].images
        if index < len(known) and known[index].sha256 != sha256:
            return "was changed since this session showed it"
        return ""


def _new_info(setup: SessionSetup, studies: tuple[StudyInfo, ...]) -> SessionInfo:
    return SessionInfo(
        session_id=uuid.uuid4().hex,
        reader_code=setup.reader_code,
        created_unix_ns=time.time_ns(),
        tool_version=__version__,
        display=setup.display,
        refresh_hz=setup.refresh_hz,
        device_pixel_ratio=setup.device_pixel_ratio,
        seed=setup.seed,
        synthetic=setup.synthetic,
        gaze=setup.gaze,
        reader_site=setup.reader_site,
        studies=studies,
    )


def _unreadable(reading_number: int, path: Path, reason: str) -> PreparedStudy:
    return PreparedStudy(
        reading_number=reading_number,
        error=ImageError(
            f"{path.name}: {reason}", path=path, hint="The session goes on with the next study."
        ),
    )


def _study_image(
    index: int, role: str, sha256: str, suffix: str, radiograph: Radiograph, study: WorklistStudy
) -> StudyImage:
    height, width = radiograph.stored.shape
    listed_view = study.view if role == "current" else ""
    return StudyImage(
        image_index=index,
        role=role,
        sha256=sha256,
        suffix=suffix,
        width_px=width,
        height_px=height,
        spacing_x_mm=radiograph.spacing_x_mm,
        spacing_y_mm=radiograph.spacing_y_mm,
        spacing_kind=radiograph.spacing_kind,
        view_position=radiograph.view_position or listed_view,
        source_patient_id=radiograph.patient_id,
        source_study_uid=radiograph.study_uid,
    )


def _check_same(folder: Path, info: SessionInfo, found_fingerprint: str, setup: SessionSetup) -> None:
    """Refuse to go on with a session under other conditions than it began with."""
    try:
        marks = json.loads((folder / "worklist.json").read_bytes())
        expected = str(marks["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        expected = ""
    if expected != found_fingerprint:
        raise _other(folder, "the worklist, or its order, is not the one that this session began with")
    if info.reader_code != setup.reader_code:
        raise _other(folder, f"the session belongs to reader {info.reader_code}, not {setup.reader_code}")
    if info.gaze != setup.gaze:
        raise _other(folder, f"the session began with --gaze {info.gaze}, not {setup.gaze}")
    _check_same_screen(folder, info, setup)


def _check_same_screen(folder: Path, info: SessionInfo, setup: SessionSetup) -> None:
    begun, now = info.display, setup.display
    if begun is not None and (begun.width_px, begun.height_px) != (now.width_px, now.height_px):
        raise _other(
            folder,
            f"the session began on a screen of {begun.width_px}x{begun.height_px} px, "
            f"this one has {now.width_px}x{now.height_px} px",
        )


def _other(folder: Path, different: str) -> UsageError:
    return UsageError(
        f"{folder}: {different}",
        hint="Go on as the session began, or choose a new folder for a new session.",
        path=folder,
        code="GT-OTHER-SESSION",
    )
