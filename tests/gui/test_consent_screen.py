"""The consent screen: nothing is agreed to beforehand, answers are kept as given, who declines is not recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import QPoint, Qt, QTimer
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gazecapture.session.consent import ConsentRecord, read_consent, write_consent
from gazecapture.session.schema import SessionInfo, write_session_info
from gazecapture.viewer.consent_form import (
    CONSENT_VERSION,
    ConsentForm,
    is_enough,
    record_on_file,
)
from gazecapture.viewer.qt.consent import ConsentScreen, ensure_consent
from gazecapture.viewer.settings import ConsentSettings
from keyframes.access import SCOPES
from keyframes.errors import PrivacyError, UsageError

K = Qt.Key


def make_session(folder: Path, reader_code: str = "R7") -> Path:
    folder.mkdir(parents=True)
    info = SessionInfo(
        session_id=folder.name, reader_code=reader_code, created_unix_ns=1, tool_version="test"
    )
    write_session_info(folder, info)
    return folder


def asked(qtbot: QtBot, session: Path, do: Callable[[ConsentScreen], Any], *, beside: bool = True) -> None:
    """Ask, and let ``do`` answer once the screen is there."""

    def answer() -> None:
        (screen,) = [
            w for w in QApplication.topLevelWidgets() if isinstance(w, ConsentScreen) and w.isVisible()
        ]
        do(screen)

    timer = QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(answer)
    timer.start(0)
    screen = QApplication.primaryScreen()
    assert screen is not None
    ensure_consent(session, "R7", screen, asked=ConsentSettings(), beside=beside, size_px=(1280, 800))
    timer.stop()


def test_what_is_ticked_is_what_is_recorded(qtbot: QtBot, tmp_path: Path, screenshots: Path) -> None:
    def agree(screen: ConsentScreen) -> None:
        qtbot.keyClick(screen, K.Key_Return)
        assert screen.isVisible(), "without gaze there is nothing to agree to"
        qtbot.keyClick(screen, K.Key_Space)
        for _ in range(3):
            qtbot.keyClick(screen, K.Key_Down)
        qtbot.keyClick(screen, K.Key_Space)
        qtbot.keyClick(screen, K.Key_Right)
        screen.grab().save(str(screenshots / "consent.png"))
        qtbot.keyClick(screen, K.Key_Return)

    session = make_session(tmp_path / "s")
    asked(qtbot, session, agree)
    record = read_consent(session)
    assert record is not None
    assert (record.reader_code, record.version, record.simulated) == ("R7", CONSENT_VERSION, False)
    assert record.scopes == ("gaze", "teaching")
    assert record.sharing_tier == "credentialed"


@pytest.mark.parametrize("key", [K.Key_Escape, None])
def test_who_does_not_agree_is_not_recorded(qtbot: QtBot, tmp_path: Path, key: Qt.Key | None) -> None:
    session = make_session(tmp_path / "s")
    with pytest.raises(PrivacyError) as caught:
        asked(qtbot, session, lambda s: s.close() if key is None else qtbot.keyClick(s, key))
    assert (caught.value.code, caught.value.exit_code) == ("GT-CONSENT-DECLINED", 5)
    assert read_consent(session) is None


def test_by_mouse(qtbot: QtBot) -> None:
    screen = ConsentScreen(ConsentForm(reader_code="R7"))
    qtbot.addWidget(screen)
    screen.show()
    screen.grab()
    qtbot.mouseClick(screen, Qt.MouseButton.LeftButton, pos=screen._rows[1].center().toPoint())
    assert screen.form.scopes == {"audio"}
    qtbot.mouseClick(screen, Qt.MouseButton.LeftButton, pos=screen._rows[0].center().toPoint())
    with qtbot.waitSignal(screen.answered) as answer:
        qtbot.mouseClick(screen, Qt.MouseButton.LeftButton, pos=screen._agree.center().toPoint())
    assert answer.args == [True]
    assert not screen.rect().isNull()
    assert screen._decline.right() < screen.width(), QPoint(0, 0)


def refuse(_screen: ConsentScreen) -> None:
    pytest.fail("nobody is to be asked")


def given(version: str = CONSENT_VERSION, scopes: tuple[str, ...] = ("gaze",)) -> ConsentRecord:
    return ConsentRecord.given_now("R7", version=version, scopes=scopes, sharing_tier="local-only")


def test_a_record_of_this_version_is_enough_here_and_beside(qtbot: QtBot, tmp_path: Path) -> None:
    first, second = make_session(tmp_path / "1"), make_session(tmp_path / "2")
    write_consent(first, given())
    asked(qtbot, first, refuse)
    assert read_consent(second) is None
    asked(qtbot, second, refuse)
    assert read_consent(second) == read_consent(first), "the session is complete in itself"


@pytest.mark.parametrize(
    "record",
    [None, given(version="older"), given(scopes=()), given(scopes=("audio",))],
    ids=["none", "of an older text", "no scope", "not gaze"],
)
def test_anything_else_is_not(record: ConsentRecord | None) -> None:
    assert not is_enough(record, CONSENT_VERSION)


def test_a_program_another_reader_or_a_code_that_nobody_gave_lets_nobody_through(tmp_path: Path) -> None:
    session = make_session(tmp_path / "new")
    write_consent(make_session(tmp_path / "program"), ConsentRecord.of_simulated_reader("R7"))
    other = make_session(tmp_path / "other", "R8")
    write_consent(
        other, ConsentRecord.given_now("R8", version=CONSENT_VERSION, scopes=SCOPES, sharing_tier="open")
    )
    assert record_on_file(session, "R7", beside=True) is None
    write_consent(make_session(tmp_path / "earlier"), given())
    assert record_on_file(session, "R7", beside=False) is None
    assert record_on_file(session, "R7", beside=True) is not None


def test_pupil_and_teaching_need_gaze_and_go_with_it() -> None:
    form = ConsentForm(reader_code="R7")
    assert form.scopes == frozenset()
    form.toggle("pupil")
    assert form.scopes == {"gaze", "pupil"}
    form.toggle("audio")
    form.toggle("gaze")
    assert form.scopes == {"audio"}
    with pytest.raises(UsageError):
        form.record()
    form.step_tier(-1)
    assert form.tier == "local-only"
    for _ in range(9):
        form.step_tier(1)
    assert form.tier == "open"
