"""The session folder as the viewer keeps it: made, resumed, refused; its journals; its findings."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gazecapture.session.journal import read_journal
from gazecapture.session.schema import read_session_info
from gazecapture.viewer.findings import Finding, FindingsOfReading, restored_findings
from gazecapture.viewer.journals import ViewerJournals
from gazecapture.viewer.loader import StudyLoader
from gazecapture.viewer.model import ViewerModel
from gazecapture.viewer.session import PreparedStudy, ReadingSession, SessionSetup
from gazecapture.worklist import WorklistStudy, load_worklist
from keyframes.errors import DataError, RecordingError, UsageError
from keyframes.geometry import Display

SCREEN = Display(width_px=1920, height_px=1080, width_mm=None, height_mm=None, distance_mm=None)
SETUP = SessionSetup(reader_code="R1", reader_site="S1", display=SCREEN, refresh_hz=60.0)


@pytest.fixture
def studies(tmp_path: Path) -> tuple[WorklistStudy, ...]:
    folder = tmp_path / "films"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(np.full((80, 60), number * 10, np.uint8)).save(folder / f"{number}.png")
    (folder / "1.png").write_bytes(b"this is no picture")
    path = folder / "list.csv"
    path.write_text("study_id,current,prior,view\nS1,0.png,2.png,PA\nS2,1.png,,\nS3,2.png,,\n")
    return load_worklist(path)


def read_one(session: ReadingSession, number: int) -> None:
    """Journal one study as read."""
    prepared = session.prepare(number)
    session.register(prepared)
    failures: list[Exception] = []
    journals = ViewerJournals(session.folder, on_error=failures.append)
    model = ViewerModel((0, 0, 100, 100))
    model.open_study(number, [p.view for p in prepared.pictures])
    journals.write("display", model.presented(1000))
    journals.write("display", model.close_study(2000))
    journals.close()
    session.mark_read(number)
    assert failures == []


def test_session_json_comes_first_and_images_are_added_when_a_study_opens(
    tmp_path: Path, studies: tuple[WorklistStudy, ...]
) -> None:
    out = tmp_path / "session"
    session = ReadingSession.open(out, studies, SETUP)
    info = read_session_info(out)
    assert [s.study_id for s in info.studies] == ["S1", "S2", "S3"]
    assert all(s.images == () for s in info.studies)
    prepared = session.prepare(1)
    assert read_session_info(out).studies[0].images == ()  # read ahead is not opened
    session.register(prepared)
    images = read_session_info(out).studies[0].images
    assert [(i.image_index, i.role, i.width_px, i.view_position) for i in images] == [
        (0, "current", 60, "PA"),
        (1, "prior", 60, ""),
    ]
    for image, listed in zip(images, studies[0].images, strict=True):
        assert (out / "images" / f"{image.sha256}{image.suffix}").read_bytes() == listed.path.read_bytes()


def test_an_undecodable_study_is_told_and_stays_without_images(
    tmp_path: Path, studies: tuple[WorklistStudy, ...]
) -> None:
    session = ReadingSession.open(tmp_path / "session", studies, SETUP)
    prepared = session.prepare(2)
    assert prepared.error is not None
    assert "1.png" in prepared.error.message
    session.register(prepared)
    assert read_session_info(tmp_path / "session").studies[1].images == ()
    studies[2].images[0].path.unlink()
    assert session.prepare(3).error is not None


def test_resuming_goes_on_with_what_is_unread(tmp_path: Path, studies: tuple[WorklistStudy, ...]) -> None:
    out = tmp_path / "session"
    first = ReadingSession.open(out, studies, SETUP)
    read_one(first, 1)
    again = ReadingSession.open(out, studies, SETUP)
    assert (again.n_read, again.unread(), again.unread(after=2)) == (1, [2, 3], [3])
    assert again.info.session_id == first.info.session_id
    assert again.info.reader_site == "S1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("order", "the worklist, or its order"),
        ("reader", "belongs to reader R1, not R2"),
        ("screen", "began on a screen of 1920x1080 px, this one has 1280x720 px"),
        ("worklist", "the worklist, or its order"),
    ],
)
def test_other_conditions_are_refused(
    tmp_path: Path, studies: tuple[WorklistStudy, ...], change: str, message: str
) -> None:
    out = tmp_path / "session"
    ReadingSession.open(out, studies, SETUP)
    before = (out / "session.json").read_bytes()
    setup, listed = SETUP, studies
    if change == "order":
        listed = studies[::-1]
    elif change == "reader":
        setup = replace(SETUP, reader_code="R2")
    elif change == "screen":
        setup = replace(SETUP, display=replace(SCREEN, width_px=1280, height_px=720))
    else:
        (out / "worklist.json").write_text("{")
    with pytest.raises(UsageError, match=message):
        ReadingSession.open(out, listed, setup)
    assert (out / "session.json").read_bytes() == before


def test_a_film_that_changed_since_it_was_shown_is_not_shown_again(
    tmp_path: Path, studies: tuple[WorklistStudy, ...]
) -> None:
    out = tmp_path / "session"
    session = ReadingSession.open(out, studies, SETUP)
    session.register(session.prepare(3))
    Image.fromarray(np.full((80, 60), 99, np.uint8)).save(studies[2].images[0].path)
    prepared = ReadingSession.open(out, studies, SETUP).prepare(3)
    assert prepared.error is not None
    assert "changed since this session showed it" in prepared.error.message


def test_a_foreign_folder_is_left_alone(tmp_path: Path, studies: tuple[WorklistStudy, ...]) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not empty"):
        ReadingSession.open(tmp_path / "mine", studies, SETUP)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_the_tracker_completes_what_nobody_knows_of_the_screen(
    tmp_path: Path, studies: tuple[WorklistStudy, ...]
) -> None:
    session = ReadingSession.open(tmp_path / "session", studies, SETUP)
    told = Display(width_px=1920, height_px=1080, width_mm=531.0, height_mm=299.0, distance_mm=650.0)
    session.complete_display(replace(told, width_px=800))
    assert session.info.display == SCREEN  # another screen
    session.complete_display(told)
    assert read_session_info(tmp_path / "session").display == told
    measured = replace(SETUP, display=replace(SCREEN, width_mm=500.0, height_mm=281.0))
    other = ReadingSession.open(tmp_path / "other", studies, measured)
    other.complete_display(told)
    assert other.info.display == replace(told, width_mm=500.0, height_mm=281.0)


def test_the_loader_gives_the_study_asked_for_registered(
    tmp_path: Path, studies: tuple[WorklistStudy, ...]
) -> None:
    session = ReadingSession.open(tmp_path / "session", studies, SETUP)
    got: list[PreparedStudy | Exception] = []
    loader = StudyLoader(session, on_ready=got.append)
    loader.read_ahead(1)
    loader.open(1)
    loader.read_ahead(2)
    loader.open(3).result(timeout=180)  # not the one that was read ahead
    loader.close()
    assert [p.reading_number for p in got if isinstance(p, PreparedStudy)] == [1, 3]
    assert [len(s.images) for s in session.info.studies] == [2, 0, 1]


def test_two_viewers_do_not_write_into_one_session(
    tmp_path: Path, studies: tuple[WorklistStudy, ...]
) -> None:
    session = ReadingSession.open(tmp_path / "session", studies, SETUP)
    journals = ViewerJournals(session.folder, on_error=lambda error: None)
    with pytest.raises(RecordingError, match="writes here"):
        ViewerJournals(session.folder, on_error=lambda error: None)
    journals.close()
    ViewerJournals(session.folder, on_error=lambda error: None).close()
    assert read_journal(session.folder / "clock" / "viewer").table.num_rows >= 2


def test_a_row_that_cannot_be_written_is_told_to_the_window(
    tmp_path: Path, studies: tuple[WorklistStudy, ...]
) -> None:
    session = ReadingSession.open(tmp_path / "session", studies, SETUP)
    told = threading.Event()
    journals = ViewerJournals(session.folder, on_error=lambda error: told.set())
    journals.write("annotations", [{"t_ns": 1, "reading_number": 1, "action": "put", "finding_id": "kept"}])
    journals.write("annotations", [{"no": "such column"}])
    assert told.wait(60)
    journals.close()
    kept = read_journal(session.folder / "annotations").table
    assert kept.column("finding_id").to_pylist() == ["kept"]


def test_findings_come_back_after_a_crash(tmp_path: Path, studies: tuple[WorklistStudy, ...]) -> None:
    session = ReadingSession.open(tmp_path / "session", studies, SETUP)
    findings = FindingsOfReading(3)
    first = Finding(finding_id=findings.new_id(), label="Edema", image_index=0, box=(1.0, 2.0, 3.0, 4.0))
    second = Finding(finding_id=findings.new_id(), label="Fracture", shape="none")
    rows = [findings.put(first, 10), findings.put(second, 20)]
    removed = findings.remove_last(30)
    assert removed is not None
    assert removed["finding_id"] == second.finding_id
    journals = ViewerJournals(session.folder, on_error=lambda error: None)
    journals.write("annotations", [*rows, removed])
    journals.close()
    table = read_journal(session.folder / "annotations").table
    assert restored_findings(table, 2) == {}
    kept = restored_findings(table, 3)
    assert kept == {first.finding_id: first}
    again = FindingsOfReading(3, kept)
    assert again.new_id() != first.finding_id
    assert [r["t_ns"] for r in again.put_all_again(99)] == [99]
    assert ReadingSession.open(tmp_path / "session", studies, SETUP).findings_before(3) == kept


@pytest.mark.parametrize(
    "message", [{}, {"finding_id": "a"}, {"finding_id": "a", "label": "b", "box": [1, 2, 3]}]
)
def test_an_incomplete_finding_is_refused(message: dict[str, object]) -> None:
    with pytest.raises(DataError, match="finding lacks or has an impossible field"):
        Finding.from_message(message)
