"""Replay of sessions and of Readings: everything that they hold, in its own time or faster, nothing lost."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gazecapture.session.journal import JournalWriter
from gazecapture.session.schema import (
    OFFSETS,
    STREAM_PREFIX,
    WORDS_JOURNAL,
    StreamChannel,
    StreamInfo,
    write_stream_info,
)
from gazecapture.sources.lsl import FoundStream, LslSource, buffer_length, wait_for_streams
from gazecapture.sources.protocol import SourceBatch
from gazecapture.sources.recordings import load_recordings
from gazecapture.sources.replay import Recording, ReplayOutlet, play_together
from keyframes.errors import DataError, UsageError
from tests.waiting import LIMIT_S

RATE_HZ, SECONDS, OFFSET_S = 1000, 20, 500.0
N = RATE_HZ * SECONDS
S = 1_000_000_000


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gaze of 20 s at 1000 Hz with a hole, a stream of markers whose clock is its own, three words."""
    folder = tmp_path_factory.mktemp("replay") / "session"
    t_s = 100 + np.arange(N) / RATE_HZ
    t_s[N // 2 :] += 1.0
    gaze = StreamInfo(
        stream_id="eye", role="gaze", name="Replayed eye", kind="Gaze", channel_format="float32",
        nominal_rate_hz=RATE_HZ,
        channels=(
            StreamChannel(column="gx", label="gx", kind="ScreenX", eye="left", unit="pixels"),
            StreamChannel(column="gy", label="gy", kind="ScreenY", eye="left", unit="pixels"),
        ),
    )  # fmt: skip
    markers = StreamInfo(
        stream_id="markers", role="other", name="Replayed markers", kind="Markers", channel_format="string",
        nominal_rate_hz=0.0, channels=(StreamChannel(column="marker", label="marker"),),
    )  # fmt: skip
    x = np.where(np.arange(N) % 100 == 0, np.nan, np.arange(N))
    _write_stream(folder, gaze, t_s, {"gx": x.astype(np.float32), "gy": x.astype(np.float32)}, pa.float32())
    marker_t_s = np.array([101.0, 119.0]) - OFFSET_S
    _write_stream(folder, markers, marker_t_s, {"marker": np.array(["a", "b"], object)}, pa.string())
    _write_rows(
        folder / "offsets" / "markers", OFFSETS, [{"t_ns": 0, "offset_s": OFFSET_S, "uncertainty_s": 1e-4}]
    )
    rows: list[dict[str, object]] = [
        {"t_start_ns": t * S, "t_end_ns": t * S + S // 2, "word": w, "confidence": c, "source": "dictated"}
        for t, w, c in ((102, "no", 0.5), (103, "nodule", None), (120, ".", 0.25))
    ]
    _write_rows(folder / "words", WORDS_JOURNAL, rows)
    return folder


def _write_stream(
    session: Path, info: StreamInfo, t_s: np.ndarray, columns: dict[str, np.ndarray], kind: pa.DataType
) -> None:
    schema = pa.schema([*STREAM_PREFIX, *(pa.field(name, kind) for name in columns)])
    received = np.zeros(t_s.size, np.int64)
    table = {"sequence": np.arange(t_s.size), "t_remote_s": t_s, "t_received_ns": received, **columns}
    with JournalWriter(session / "streams" / info.stream_id, schema) as journal:
        journal.append(pa.table(table, schema=schema))
    write_stream_info(session / "streams" / info.stream_id, info)


def _write_rows(folder: Path, schema: pa.Schema, rows: list[dict[str, object]]) -> None:
    with JournalWriter(folder, schema) as journal:
        journal.append(pa.Table.from_pylist(rows, schema=schema))


@dataclass(frozen=True)
class Received:
    t_s: np.ndarray
    columns: dict[str, np.ndarray]


def play(recordings: list[Recording]) -> dict[str, Received]:
    """Play over Lab Streaming Layer and give back what came, by stream name."""
    outlets = [ReplayOutlet(r, source_id=f"{r.info.name} {time.monotonic_ns()}") for r in recordings]
    names = {r.info.name: r.t_s.size for r in recordings}

    def all_of_them(found: list[FoundStream]) -> list[FoundStream] | None:
        ours = [s for s in found if s.name in names]
        return ours if len(ours) == len(names) else None

    streams = wait_for_streams(all_of_them, wait_s=LIMIT_S)
    assert streams is not None
    sources = [LslSource(stream) for stream in streams]
    opening = [threading.Thread(target=source.open) for source in sources]
    for thread in opening:
        thread.start()
    for thread in opening:
        thread.join()
    # An inlet is open before its outlet knows of it; what is sent between the two goes to nobody.
    assert all(outlet.wait_for_consumer(LIMIT_S) for outlet in outlets)
    playing = threading.Thread(target=play_together, args=(outlets,), kwargs={"linger_s": 0.5})
    playing.start()
    received = {}
    for source in sources:
        info = source.info[0]
        batches: list[SourceBatch] = []
        end = time.monotonic() + LIMIT_S
        while sum(b.t_remote_s.size for b in batches) < names[info.name] and time.monotonic() < end:
            batch = source.read(0.2)
            batches += [] if batch is None else [batch]
        columns = {c.label: np.concatenate([b.columns[c.column] for b in batches]) for c in info.channels}
        received[info.name] = Received(np.concatenate([b.t_remote_s for b in batches]), columns)
    playing.join()
    for source in sources:
        source.close()
    return received


def test_a_session_at_forty_times_its_speed_loses_nothing(session: Path) -> None:
    recordings = load_recordings(session)
    assert [r.info.name for r in recordings] == ["Replayed eye", "Replayed words", "Replayed markers"]
    origin_s = min(r.t_s[0] for r in recordings)
    got = play([r.faster(40, origin_s=origin_s) for r in recordings])
    eye = got["Replayed eye"]
    assert eye.columns["frame_number"].tolist() == list(range(N))
    np.testing.assert_array_equal(eye.columns["gx"], np.where(np.arange(N) % 100 == 0, np.nan, np.arange(N)))
    steps = np.diff(eye.t_s) * 40
    assert steps[N // 2 - 1] == pytest.approx(1.001, abs=1e-5), "the hole is as long as it was"
    np.testing.assert_allclose(np.delete(steps, N // 2 - 1), 1 / RATE_HZ, atol=1e-5)
    start_s = eye.t_s[0]
    # The markers' own clock is 500 s behind; in the session they came 1 s after the gaze began and 1 s before 120 s.
    np.testing.assert_allclose((got["Replayed markers"].t_s - start_s) * 40, [1.0, 19.0], atol=1e-4)
    assert got["Replayed markers"].columns["marker"].tolist() == ["a", "b"]
    words = [json.loads(text) for text in got["Replayed words"].columns["word"]]
    assert [w["word"] for w in words] == ["no", "nodule", "."]
    assert [w.get("confidence") for w in words] == [0.5, None, 0.25]
    for name, expected in (("t_start_s", [2, 3, 20]), ("t_end_s", [2.5, 3.5, 20.5])):
        np.testing.assert_allclose([(w[name] - start_s) * 40 for w in words], expected, atol=1e-4)


@pytest.mark.parametrize("rate_hz", [0.0, 60.0, 2000.0, 4e4, 3e5, 1e12])
def test_a_buffer_is_never_so_long_that_it_cannot_be_had(rate_hz: float) -> None:
    length = buffer_length(rate_hz)
    assert length >= 1
    if 0 < rate_hz <= 2000:
        assert length == 360, "the default of LSL, never lower for a tracker"
    elif rate_hz <= 1e6:
        assert length * max(rate_hz, 100.0) <= 2_000_000


def test_three_hundred_times_as_fast(session: Path) -> None:
    """A rate of 300 kHz: buffers that grow with it would take gigabytes, and the receiver would not open."""
    eye = load_recordings(session)[0].faster(300)
    got = play([eye.renamed("Replayed at 300")])["Replayed at 300"]
    assert got.columns["frame_number"].tolist() == list(range(N))


def test_a_reading_is_played_with_its_words(tmp_path: Path) -> None:
    n = 100
    gaze = {"t_ns": np.arange(n) * 2_000_000 - 20_000_000, "pupil_unit": ["mm"] * n}
    for place, prefix in enumerate(("", "left_", "right_")):
        for what in ("x_screen_px", "y_screen_px", "pupil"):
            gaze[prefix + what] = np.arange(n) + 100.0 * place
    pq.write_table(pa.table(gaze), tmp_path / "gaze.parquet")
    words = {"word": ["clear"], "t_start_ns": [0], "t_end_ns": [100_000_000], "confidence": [0.5]}
    pq.write_table(pa.table(words), tmp_path / "words.parquet")
    recordings = load_recordings(tmp_path)
    got = play([recordings[0].renamed("Replayed reading"), recordings[1].renamed("Its words")])
    reading = got["Replayed reading"]
    assert reading.columns["right_pupil"].tolist() == (np.arange(n) + 200.0).tolist()
    np.testing.assert_allclose(np.diff(reading.t_s), 0.002, atol=1e-6)
    said = json.loads(got["Its words"].columns["word"][0])
    assert said["t_start_s"] == pytest.approx(reading.t_s[0] + 0.02, abs=1e-6)


def test_what_cannot_be_played(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither"):
        load_recordings(tmp_path)
    (tmp_path / "streams").mkdir()
    with pytest.raises(DataError, match="nothing was recorded"):
        load_recordings(tmp_path)
