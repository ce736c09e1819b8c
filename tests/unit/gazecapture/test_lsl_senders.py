"""Each sender's real header on a real outlet, recorded, cut into a Reading: what arrives there."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pylsl
import pytest

from gazecapture import profiles
from gazecapture.clock import session_now_ns
from gazecapture.session.journal import JournalWriter
from gazecapture.session.recorder import record_session
from gazecapture.session.schema import (
    DISPLAY_JOURNAL,
    SessionInfo,
    StudyImage,
    StudyInfo,
    read_stream_info,
    write_session_info,
)
from gazecapture.session.to_readings import to_readings
from gazecapture.sources.lsl import LslSource, wait_for_streams
from gazecapture.sources.recordings import load_recording
from gazecapture.sources.replay import ReplayOutlet
from keyframes.geometry import Display
from keyframes.reading import Reading
from tests.waiting import LIMIT_S, beside, n_recorded, stopped_when

DISPLAY = Display(width_px=2000, height_px=1000, width_mm=500, height_mm=250, distance_mm=600)
FILM = b"a film"
SHA256 = hashlib.sha256(FILM).hexdigest()
STEP_S = 0.01


def _load_table() -> ModuleType:
    name = "lsl_senders"
    if name not in sys.modules:
        path = Path(__file__).resolve().parents[2] / "lsl_senders.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


SENDERS: tuple[Any, ...] = _load_table().SENDERS
BY_PROFILE = {sender.profile: sender for sender in SENDERS}


def outlet_of(sender: Any) -> Any:
    n_channels = len(sender.channels) + sender.n_undescribed
    header = pylsl.StreamInfo(
        sender.name, sender.kind, n_channels, sender.nominal_rate_hz, sender.channel_format, sender.source_id
    )
    for tag, text in sender.top.items():
        header.desc().append_child_value(tag, text)
    if sender.acquisition:
        node = header.desc().append_child("acquisition")
        for tag, text in sender.acquisition.items():
            node.append_child_value(tag, text)
    channels = header.desc().append_child("channels")
    for described in sender.channels:
        node = channels.append_child("channel")
        for tag, text in described.items():
            node.append_child_value(tag, text)
    return pylsl.StreamOutlet(header, sender.chunk_size)


@dataclass(frozen=True, kw_only=True)
class Arrived:
    session: Path
    reading: Reading


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Arrived]:
    """Record every sender into a session of its own, all at once, and cut each into its one Reading."""
    root = tmp_path_factory.mktemp("senders")
    with ThreadPoolExecutor(len(SENDERS)) as pool:
        found = list(pool.map(lambda sender: _record(root / sender.profile, sender), SENDERS))
    return dict(zip(BY_PROFILE, found, strict=True))


def _record(session: Path, sender: Any) -> Arrived:
    session.mkdir()
    image = StudyImage(
        image_index=0, role="current", sha256=SHA256, suffix=".png", width_px=1000, height_px=500, spacing_x_mm=None,
        spacing_y_mm=None, spacing_kind="unknown",
    )  # fmt: skip
    write_session_info(
        session,
        SessionInfo(
            session_id=sender.profile, reader_code="R1", created_unix_ns=1, tool_version="0", display=DISPLAY,
            studies=(StudyInfo(reading_number=1, study_id="S1", images=(image,)),),
        ),
    )  # fmt: skip
    (session / ".gazecapture").write_text("session\n")
    (session / "images").mkdir()
    (session / "images" / f"{SHA256}.png").write_bytes(FILM)
    outlet = outlet_of(sender)
    found = wait_for_streams(
        lambda all_: [s for s in all_ if s.source_id == sender.source_id and s.name == sender.name] or None,
        wait_s=LIMIT_S,
    )
    assert found is not None
    source = LslSource(found[0])

    def send() -> None:
        assert outlet.wait_for_consumers(LIMIT_S)
        began = pylsl.local_clock()
        for place, row in enumerate(sender.rows):
            outlet.push_sample(list(row), began + place * STEP_S)
            time.sleep(STEP_S)

    on_ns = session_now_ns()
    with beside(send), stopped_when(session, lambda: n_recorded(session) == len(sender.rows)):
        record_session(session, connect=lambda: [source])
    _show(session, on_ns, session_now_ns())
    (item,) = to_readings(session, key=b"k" * 32)
    assert item.reading is not None, item.error
    return Arrived(session=session, reading=item.reading)


def _show(session: Path, on_ns: int, off_ns: int) -> None:
    """Journal one picture at half size in the screen's top left quarter, from ``on_ns`` to ``off_ns``."""
    shown = dict.fromkeys(DISPLAY_JOURNAL.names) | {
        "reading_number": 1, "viewport_id": 0, "inverted": False, "panels": [],
        "viewport_rect": [0.0, 0.0, 2000.0, 1000.0],
    }  # fmt: skip
    rows = [
        shown | {"event": "on", "t_ns": on_ns, "image_index": 0, "affine": [0.5, 0.0, 0.0, 0.0, 0.5, 0.0]},
        shown | {"event": "off", "t_ns": off_ns},
    ]
    with JournalWriter(session / "display", DISPLAY_JOURNAL) as journal:
        journal.append(pa.Table.from_pylist(rows, schema=DISPLAY_JOURNAL))


def test_every_built_in_profile_of_a_device_has_its_sender_here() -> None:
    built_in = {profile.name for profile in profiles.load_profiles() if profile.source == "live"}
    # One more reading of a scene camera, and streams of our own source.
    assert built_in - {"xdf-generic-scene", "neon-direct"} == set(BY_PROFILE)


@pytest.mark.parametrize("name", list(BY_PROFILE))
def test_what_arrives_in_the_reading(arrived: dict[str, Arrived], name: str) -> None:
    sender, reading = BY_PROFILE[name], arrived[name].reading
    gaze = reading.to_pandas("gaze")
    assert reading.meta.tracker.profile == name
    assert len(gaze) == 3, "one row per device sample"
    for column, values in sender.expected.items():
        found = gaze[column].to_numpy(dtype=np.float64)
        np.testing.assert_allclose(found, np.array(values, np.float64), rtol=1e-6, err_msg=column)
    assert set(gaze["combined_by"]) == {sender.combined_by}
    assert set(gaze["pupil_unit"]) == {sender.pupil_unit}
    assert set(gaze["source"]) == {"live"}
    # Names no rate, or a wrong one: what was measured stands beside it.
    rate_hz = reading.meta.tracker.effective_rate_hz
    assert rate_hz == pytest.approx(1 / STEP_S, rel=0.01) or name in {"eyelink", "titta-lsl"}


@pytest.mark.parametrize("name", list(BY_PROFILE))
def test_raw_channels_are_kept_as_they_came(arrived: dict[str, Arrived], name: str) -> None:
    from gazecapture.session.journal import read_journal

    sender = BY_PROFILE[name]
    (folder,) = (arrived[name].session / "streams").iterdir()
    info = read_stream_info(folder)
    assert (info.role, info.profile, info.name) == ("gaze", name, sender.name)
    table = read_journal(folder).table
    raw = np.column_stack([table.column(channel.column).to_numpy() for channel in info.channels])
    np.testing.assert_allclose(raw, np.array(sender.rows, np.float64), rtol=1e-6)


def test_gaze_on_the_screen_reaches_the_picture(arrived: dict[str, Arrived]) -> None:
    gaze = arrived["gazepoint"].reading.to_pandas("gaze")
    np.testing.assert_allclose(gaze["x_image_px"], [500.0, 750.0, np.nan], rtol=1e-6)


@pytest.mark.parametrize("sender", SENDERS, ids=list(BY_PROFILE))
@pytest.mark.parametrize("turn", [1, 3])
def test_the_place_of_a_channel_means_nothing(sender: Any, turn: int) -> None:
    """Channels in another order give the same gaze."""
    from gazecapture.session.schema import StreamChannel, StreamInfo
    from gazecapture.sources.lsl_xml import column_names
    from keyframes.reading import Tracker

    described = [*sender.channels, *({} for _ in range(sender.n_undescribed))]
    order = np.roll(np.arange(len(described)), turn)

    def read(places: Any) -> profiles.NormalisedGaze:
        chosen = [described[place] for place in places]
        columns = column_names([channel.get("label", "") for channel in chosen])
        info = StreamInfo(
            stream_id="s", role="gaze", name=sender.name, kind=sender.kind, channel_format=sender.channel_format,
            nominal_rate_hz=0.0, tracker=Tracker(manufacturer=sender.acquisition.get("manufacturer", "")),
            channels=tuple(
                StreamChannel(
                    column=column, label=channel.get("label", ""),
                    kind=channel.get("type", channel.get("metatype", "")), eye=channel.get("eye", ""),
                    unit=channel.get("unit", ""), coordinate_system=channel.get("coordinate_system", ""),
                )
                for column, channel in zip(columns, chosen, strict=True)
            ),
        )  # fmt: skip
        profile = profiles.match(info)
        assert profile is not None
        assert profile.name == sender.profile
        rows = np.array(sender.rows, np.float64)
        table = pa.table({column: rows[:, place] for column, place in zip(columns, places, strict=True)})
        return profiles.normalise(profile, info, table, DISPLAY)

    straight, turned = read(np.arange(len(described))), read(order)
    for field in ("x_screen_px", "left_pupil", "right_x_screen_px", "x_scene_px", "device_time_s"):
        one, other = getattr(straight, field), getattr(turned, field)
        if one is None:
            assert other is None
        else:
            np.testing.assert_array_equal(one, other)


def test_every_senders_session_is_played_again_as_it_was(arrived: dict[str, Arrived]) -> None:
    """Streams from a replay read as those of the sender: same profile, same gaze."""
    for name, sender in BY_PROFILE.items():
        recording = load_recording(arrived[name].session)
        outlet = ReplayOutlet(recording, source_id=f"again-{name}")
        again = f"again-{name}"
        found = wait_for_streams(
            lambda all_, again=again: [s for s in all_ if s.source_id == again] or None,  # type: ignore[misc]
            wait_s=LIMIT_S,
        )
        assert found is not None
        source = LslSource(found[0])
        source.open()
        playing = threading.Thread(
            target=outlet.run, kwargs={"linger_s": 0.3, "wait_for_consumer_s": LIMIT_S}
        )
        playing.start()
        batches: list[Any] = []
        while sum(batch.t_remote_s.size for batch in batches) < len(sender.rows):
            batch = source.read(60.0)
            assert batch is not None
            batches.append(batch)
        playing.join()
        info = source.info[0]
        source.close()
        assert info.profile == name
        table = pa.table(
            {c.column: np.concatenate([b.columns[c.column] for b in batches]) for c in info.channels}
        )
        profile = profiles.match(info)
        assert profile is not None
        gaze = profiles.normalise(profile, info, table, DISPLAY)
        # The Reading leaves out what the sender sent twice.
        kept = [0, *range(len(sender.rows) - 2, len(sender.rows))]
        for column in {"x_screen_px", "x_scene_px", "left_pupil", "right_pupil"} & set(sender.expected):
            np.testing.assert_allclose(getattr(gaze, column)[kept], sender.expected[column], rtol=1e-6)
