"""The operator's view of a session that goes on, from its files alone: growing journals, figures, worries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gazecapture.session.journal import JournalWriter, read_journal
from gazecapture.session.journal_tail import JournalTail
from gazecapture.session.status import RecorderStatus, StreamStatus
from gazecapture.viewer.dictation_status import DictationStatus, write_dictation_status
from gazecapture.viewer.operator.feed import SessionFeed
from gazecapture.viewer.operator.model import OperatorModel, OperatorView
from gazecapture.viewer.operator.worries import dictation_worry, recorder_worries
from keyframes.events import detect
from keyframes.regions.region_map import Region, RegionMap
from tests.going_session import Going
from tests.unit.curation.readings import DISPLAY, HEIGHT_PX, WIDTH_PX

SECOND_NS = 1_000_000_000
SCHEMA = pa.schema([pa.field("n", pa.int64(), nullable=False)])


@pytest.fixture
def going(tmp_path: Path) -> Iterator[Going]:
    made = Going(tmp_path)
    yield made
    made.close()


def whole_map() -> RegionMap:
    box = (0.0, 0.0, float(WIDTH_PX), float(HEIGHT_PX))
    return RegionMap.build(
        width_px=WIDTH_PX, height_px=HEIGHT_PX, provider="test", confidence=1.0,
        regions={"left lung": Region.from_box("left lung", box)},
    )  # fmt: skip


def watched(going: Going, until_ns: int, step_ns: int = 100_000_000) -> OperatorView:
    """Look again and again while the session goes on."""
    sha256 = next((going.session / "images").glob("*")).stem
    feed, model = SessionFeed(going.session), OperatorModel({sha256: whole_map()})
    for t_ns in range(step_ns, until_ns + 1, step_ns):
        going.go_on(t_ns)
        going.say(t_ns)
        model.take(feed.look())
    return model.view(until_ns)


def test_a_reading_that_goes_on_is_seen_as_it_is(going: Going) -> None:
    view = watched(going, 4 * SECOND_NS)
    assert (view.reading_number, view.n_read, view.reading_s) == (1, 0, 3.0)
    assert view.study is not None
    assert [row["image_index"] for row in view.display] == [0]
    assert view.worries == ()
    t_s = going.gaze.column("t_remote_s").to_numpy()
    own = (t_s >= 1.0) & (t_s < 4.0)
    x, y = (going.gaze.column(name).to_numpy()[own].astype(float) for name in going.gaze.column_names[3:5])
    kinds = detect(t_s[own], x, y, *DISPLAY.px_per_deg()).table.column("kind").to_pylist()
    # Online and afterwards need not agree on the first and last one.
    assert view.counts["fixation"] == pytest.approx(kinds.count("fixation"), abs=2)
    assert view.counts["saccade"] == pytest.approx(kinds.count("saccade"), abs=2)
    (letter,) = [one for one in view.dwell if one.dwell_s > 0]
    assert (letter.letter, letter.dwell_s) == ("B", pytest.approx(2.5, abs=0.5))
    assert view.loss_share == 0.0
    # Noise of 0.6 px on each axis: a step is the difference of two samples.
    assert view.rms_s2s_deg == pytest.approx(0.6 * 2 / DISPLAY.px_per_deg()[0], rel=0.15)
    assert view.trail_x_screen_px.size == pytest.approx(0.8 * 250, abs=2)
    assert {seen.image_index for seen in view.recent} == {0}


def test_between_readings_nothing_is_counted_and_the_next_one_begins_anew(going: Going) -> None:
    view = watched(going, round(5.5 * SECOND_NS))
    assert (view.reading_number, view.n_read, view.display, view.dwell) == (0, 1, (), ())


def test_how_often_somebody_looks_changes_nothing(going: Going, tmp_path: Path) -> None:
    often = watched(going, 4 * SECOND_NS, step_ns=40_000_000)
    (tmp_path / "2").mkdir()
    other = Going(tmp_path / "2")
    seldom = watched(other, 4 * SECOND_NS, step_ns=500_000_000)
    other.close()
    assert often.counts == seldom.counts
    assert often.dwell == seldom.dwell


def test_an_empty_folder_is_no_error(tmp_path: Path) -> None:
    model = OperatorModel()
    model.take(SessionFeed(tmp_path).look())
    view = model.view(SECOND_NS)
    assert (view.info, view.status, view.reading_number) == (None, None, 0)
    assert [worry.text for worry in view.worries] == ["no recorder has begun yet"]


def test_watching_writes_nothing(going: Going) -> None:
    going.go_on(2 * SECOND_NS)
    before = {p: p.stat().st_mtime_ns for p in going.session.rglob("*")}
    model, feed = OperatorModel(), SessionFeed(going.session)
    model.take(feed.look())
    assert {p: p.stat().st_mtime_ns for p in going.session.rglob("*")} == before


def status(**facts: Any) -> RecorderStatus:
    stream = StreamStatus(
        stream_id="s", role="gaze", name="Eyes", rate_hz=500.0, nominal_rate_hz=500.0, last_sample_age_s=0.0
    )
    of_stream = {k: facts.pop(k) for k in [*facts] if k in StreamStatus.__dataclass_fields__}
    stream = replace(stream, **of_stream)
    return RecorderStatus(**{"state": "recording", "pid": 1, "t_ns": 0, "streams": (stream,), **facts})


@pytest.mark.parametrize(
    ("facts", "now_s", "severity", "text"),
    [
        ({}, 0.5, "", ""),
        ({}, 3.0, "alarm", "said nothing"),
        ({"last_sample_age_s": 1.5}, 0.0, "alarm", "nothing for"),
        ({"rate_hz": 200.0}, 0.0, "alarm", "200 of 500"),
        ({"rate_hz": 430.0}, 0.0, "notice", "430 of 500"),
        ({"missing_by_frame_number": 3}, 0.0, "notice", "3 samples lost"),
        ({"n_gaps": 2}, 0.0, "notice", "2 gaps"),
        ({"n_restarts": 1}, 0.0, "notice", "began anew"),
        ({"disk_is_low": True, "disk_free_bytes": 2**30}, 0.0, "alarm", "1.0 GiB"),
        ({"n_overflows": 1}, 0.0, "alarm", "keep up"),
        ({"n_sleeps": 1}, 0.0, "notice", "slept"),
        ({"n_clock_steps": 1}, 0.0, "notice", "clock"),
        ({"error": "GT-DISK-FULL"}, 0.0, "alarm", "GT-DISK-FULL"),
        ({"state": "failed"}, 0.0, "alarm", "failed"),
        ({"state": "stopped"}, 9.0, "", ""),
    ],
)
def test_what_is_worth_a_worry(facts: dict[str, Any], now_s: float, severity: str, text: str) -> None:
    worries = recorder_worries(status(**facts), round(now_s * 1e9))
    assert [worry.severity for worry in worries] == ([severity] if severity else [])
    assert all(text in worry.text for worry in worries)


@pytest.mark.parametrize(
    ("facts", "now_s", "text"),
    [
        ({}, 0.5, ""),
        ({"is_recording": True, "recorded_s": 9.0, "loudest_dbfs": -20.0}, 0.0, ""),
        ({"recorded_s": 9.0, "loudest_dbfs": -70.0}, 0.0, "hears nothing"),
        ({"recorded_s": 1.0, "loudest_dbfs": -70.0}, 0.0, ""),
        ({"trouble": "unplugged"}, 0.0, "unplugged"),
        ({}, 3.0, "gives nothing for 3 s"),
        ({"is_over": True, "trouble": "unplugged"}, 99.0, ""),
    ],
)
def test_what_a_microphone_is_worth_a_worry_for(facts: dict[str, Any], now_s: float, text: str) -> None:
    quiet = {"t_ns": 0, "level_dbfs": -80.0, "loudest_dbfs": -80.0}
    worry = dictation_worry(DictationStatus(**{**quiet, **facts}), round(now_s * 1e9))
    assert (worry is None) == (not text)
    assert worry is None or (worry.severity == "alarm" and text in worry.text)


def test_a_microphone_is_seen_with_the_gravest_things_first(going: Going) -> None:
    going.go_on(2 * SECOND_NS)
    going.say(2 * SECOND_NS)
    feed, model = SessionFeed(going.session), OperatorModel()
    model.take(feed.look())
    assert model.view(2 * SECOND_NS).dictation is None
    heard = DictationStatus(t_ns=2 * SECOND_NS, level_dbfs=-80.0, loudest_dbfs=-80.0, recorded_s=9.0)
    write_dictation_status(going.session, heard)
    model.take(replace(feed.look(), status=status(n_gaps=1, t_ns=2 * SECOND_NS)))
    view = model.view(2 * SECOND_NS)
    assert view.dictation == heard
    assert [worry.severity for worry in view.worries] == ["alarm", "notice"]


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, 4), max_size=6))
def test_a_tail_gives_every_row_once_and_in_order(
    cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    tail, n = JournalTail(folder), 0
    got: list[int] = []
    assert tail.new_rows() is None
    # A segment of no age: every second message begins a new one.
    with JournalWriter(folder, SCHEMA, segment_s=0.0) as writer:
        for size in cuts:
            for _ in range(size):
                writer.append_rows([{"n": n}, {"n": n + 1}])
                n += 2
            rows = tail.new_rows()
            got += [] if rows is None else rows.column("n").to_pylist()
    rows = tail.new_rows()
    got += [] if rows is None else rows.column("n").to_pylist()
    assert got == list(range(n))
    assert JournalTail(folder).new_rows() == (read_journal(folder).table if n else None)


def test_a_damaged_message_is_left_out_and_what_follows_is_kept(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, SCHEMA) as writer:
        for number in range(3):
            writer.append_rows([{"n": number}])
    path = tmp_path / "00000.arrows"
    content = bytearray(path.read_bytes())
    record = path.with_suffix(".crc").read_bytes()[40:60]
    offset, length = (int.from_bytes(record[at : at + 8], "little") for at in (0, 8))
    content[offset + length - 8] ^= 255  # of the number itself: nothing but its checksum tells
    path.write_bytes(content)
    rows = JournalTail(tmp_path).new_rows()
    assert rows is not None
    assert rows.column("n").to_pylist() == [0, 2]
