"""Teaching: a trainee beside an expert, on one film; never without both readers' consent, never before the end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PyQt6.QtCore import Qt
from pytestqt.qtbot import QtBot

from curation.consent import Consents
from gazecapture.cli import cli
from gazecapture.console import run_command
from gazecapture.session.consent import CONSENT_FILE, ConsentRecord, write_consent
from gazecapture.session.decisions import append_decision
from gazecapture.store import DECISIONS_FILE, Store
from gazecapture.viewer.qt.teaching import TeachingWindow
from gazecapture.viewer.teaching import (
    NO_TEACHING_CONSENT,
    Comparison,
    Pairing,
    SessionPairs,
    StorePairs,
    compared,
)
from keyframes.errors import DataError, ExitCode, PrivacyError

if TYPE_CHECKING:
    from tests.conftest import SmallDataset

K = Qt.Key


@pytest.fixture
def store(small_dataset: SmallDataset, tmp_path: Path) -> Store:
    return Store.open(shutil.copytree(small_dataset.store, tmp_path / "store"))


@pytest.fixture
def sessions(small_dataset: SmallDataset, tmp_path: Path) -> tuple[Path, Path]:
    root = small_dataset.store.parent / "sessions"
    own, expert = (shutil.copytree(root / code, tmp_path / code) for code in ("R01", "R02"))
    return own, expert


def pairs_of(store: Store) -> StorePairs:
    return StorePairs(store.root, reader_code="R01", expert_code="R02")


@pytest.fixture(scope="module")
def comparison(small_dataset: SmallDataset) -> Comparison:
    source = StorePairs(small_dataset.store, reader_code="R01", expert_code="R02")
    return compared(source, source.pairs()[0])


def test_both_sides_show_one_study(comparison: Comparison, store: Store) -> None:
    assert comparison.own.reading.meta.study_key == comparison.expert.reading.meta.study_key
    assert {comparison.own.reading.meta.reader_code, comparison.expert.reading.meta.reader_code} == {
        "R01",
        "R02",
    }
    for side in (comparison.own, comparison.expert):
        stored = store.load(side.reading.meta.reading_id)
        rows = stored.table("region_coverage").to_pylist()
        for index, missed in side.missed.items():
            assert missed == {r["region"] for r in rows if r["missed"] and r["image_index"] == index}
        dwell = sum(row["dwell_s"] for row in stored.table("letter_coverage").to_pylist())
        assert sum(one.dwell_s for one in side.letters) == pytest.approx(dwell)
        assert sum(one.dwell_share for one in side.letters) == pytest.approx(1.0)
    for index, missed in comparison.own.missed.items():
        only_expert, both = comparison.only_expert_saw(index), comparison.both_missed(index)
        assert set(only_expert) | set(both) == missed
        assert not set(only_expert) & comparison.expert.missed[index]


@pytest.mark.parametrize("code", ["R01", "R02"])
def test_without_either_consent_nothing_is_shown(store: Store, code: str) -> None:
    """Asked when the list is made, and again for every study: a reader may withdraw meanwhile."""
    source = pairs_of(store)
    pair = source.pairs()[0]
    record = ConsentRecord.of_simulated_reader(code)
    withdrawn = record.model_copy(
        update={"time": record.time.replace(year=2030), "scopes": ("gaze", "audio", "pupil")}
    )
    Consents.of(store).put(withdrawn)
    for ask in (source.pairs, lambda: source.load(pair)):
        with pytest.raises(PrivacyError, match=code) as caught:
            ask()
        assert (caught.value.code, caught.value.exit_code) == (NO_TEACHING_CONSENT, 5)


@pytest.mark.parametrize("place", [0, 1])
def test_sessions_need_both_consents_too(sessions: tuple[Path, Path], place: int) -> None:
    assert len(SessionPairs(*sessions).pairs()) == 2
    own = ConsentRecord.of_simulated_reader(("R01", "R02")[place])
    write_consent(sessions[place], own.model_copy(update={"scopes": ("gaze",)}))
    source = SessionPairs(*sessions)
    with pytest.raises(PrivacyError) as caught:
        source.pairs()
    assert caught.value.code == NO_TEACHING_CONSENT
    (sessions[place] / CONSENT_FILE).unlink()
    with pytest.raises(PrivacyError):
        source.pairs()


def test_a_reading_that_is_not_closed_is_not_shown(sessions: tuple[Path, Path]) -> None:
    from gazecapture.session.journal import JournalWriter, read_journal
    from gazecapture.session.schema import DISPLAY_JOURNAL

    table = read_journal(sessions[0] / "display").table
    shutil.rmtree(sessions[0] / "display")
    going_on = table.filter(
        [not (r["reading_number"] == 2 and r["event"] == "off") for r in table.to_pylist()]
    )
    with JournalWriter(sessions[0] / "display", DISPLAY_JOURNAL) as writer:
        writer.append(going_on)
    source = SessionPairs(*sessions)
    (pair,) = source.pairs()
    assert pair.own_key == "1"
    with pytest.raises(DataError) as caught:
        source.load(Pairing(title="", own_key="2", expert_key="2"))
    assert caught.value.code == "GT-NOT-CLOSED"


def test_a_rejected_reading_teaches_nobody(store: Store) -> None:
    pair = pairs_of(store).pairs()[0]
    append_decision(
        store.folder(pair.expert_key) / DECISIONS_FILE,
        kind="verdict", target="reading", value="reject", reviewer="Q1", reason="lost",
    )  # fmt: skip
    assert pair.expert_key not in [one.expert_key for one in pairs_of(store).pairs()]
    with pytest.raises(DataError) as caught:
        pairs_of(store).load(pair)
    assert caught.value.code == "GT-REJECTED"


@pytest.mark.parametrize("place", [0, 1])
def test_a_rejected_reading_of_a_session_teaches_nobody_until_that_is_taken_back(
    sessions: tuple[Path, Path], place: int
) -> None:
    pair = SessionPairs(*sessions).pairs()[0]
    rejected = (pair.own_key, pair.expert_key)[place]

    def decide(target: str, value: str | None) -> None:
        append_decision(
            sessions[place] / DECISIONS_FILE, kind="verdict", target=target, value=value, reviewer="Q1", reason="lost",
        )  # fmt: skip

    decide(rejected, "accept")
    decide(rejected, "reject")
    source = SessionPairs(*sessions)
    (left,) = source.pairs()
    assert rejected != (left.own_key, left.expert_key)[place]
    with pytest.raises(DataError) as caught:
        source.load(pair)
    assert caught.value.code == "GT-REJECTED"
    decide(rejected, None)
    assert len(SessionPairs(*sessions).pairs()) == 2


def test_the_command_lists_and_refuses(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["teach", "--store", str(store.root), "--reader", "R01", "--expert", "R02"]
    assert run_command(cli, [*command, "--list", "--json"]) is ExitCode.OK
    assert len(json.loads(capsys.readouterr().out)["studies"]) == 2
    (store.root / "consent.jsonl").unlink()
    assert run_command(cli, command) is ExitCode.PRIVACY
    assert NO_TEACHING_CONSENT in capsys.readouterr().err


def test_the_window_shows_both(small_dataset: SmallDataset, qtbot: QtBot, screenshots: Path) -> None:
    source = StorePairs(small_dataset.store, reader_code="R01", expert_code="R02")
    window = TeachingWindow(source, source.pairs())
    qtbot.addWidget(window)
    window.resize(1280, 800)
    window.show()
    qtbot.waitUntil(lambda: window.shown is not None, timeout=60_000)
    picture = window.grab()
    picture.save(str(screenshots / "teaching.png"))
    for x in (320, 960):
        assert picture.toImage().pixelColor(x, 300).lightness() > 10, "a film on either side"
    qtbot.keyClick(window, K.Key_Left)
    comparison = window.shown
    assert comparison is not None
    longest = max(comparison.own.timeline.end_ns, comparison.expert.timeline.end_ns)
    assert window.t_ns == longest - 500_000_000
    qtbot.keyClick(window, K.Key_Home)
    qtbot.keyClick(window, K.Key_M)
    assert (window.t_ns, window.shows_missed) == (0, False)
    qtbot.keyClick(window, K.Key_Space)
    qtbot.waitUntil(lambda: window.t_ns is not None and window.t_ns > 0, timeout=60_000)
    with qtbot.waitSignal(window.closed, timeout=60_000):
        qtbot.keyClick(window, K.Key_Q, Qt.KeyboardModifier.ControlModifier)
