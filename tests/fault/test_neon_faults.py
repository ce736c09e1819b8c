"""A Neon over a bad network, that dies and comes back, that sends what nobody knows: recorded and compared."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import pytest

from gazecapture.session.clock_fit import fit_clock
from gazecapture.session.journal import read_journal
from gazecapture.session.recorder import record_session
from gazecapture.session.schema import MARKS, OFFSETS
from gazecapture.session.status import RecorderStatus
from gazecapture.sources.neon import NeonSource
from gazecapture.sources.neon_options import NeonOptions
from gazecapture.sources.neon_rtp import RtpCounts
from gazecapture.sources.neon_simulator import Faults, SimulatedNeon, SimulatorOptions
from gazecapture.sources.neon_simulator.truth import SentPacket
from gazecapture.sources.neon_video import SceneFrame, VideoFile
from keyframes.errors import DeviceUnavailableError, GazeToolError

OPTIONS = SimulatorOptions(video=False, eye_events=False, imu=False, payload="gaze")
LARGEST_ERROR_S = 0.002


@dataclass(frozen=True, kw_only=True)
class Recorded:
    session: Path
    counts: dict[str, RtpCounts]
    status: RecorderStatus
    truth: dict[tuple[int, int], SentPacket]
    """Gaze packets that were due, by sender and sequence number."""

    def rows(self, stream: str) -> dict[str, np.ndarray]:
        table = read_journal(self.session / "streams" / stream).table
        return {name: table[name].to_numpy() for name in table.column_names}

    def marks(self) -> list[dict[str, object]]:
        return read_journal(self.session / "marks", schema=MARKS).table.to_pylist()

    def gaze_keys(self) -> list[tuple[int, int]]:
        rows = self.rows("neon_gaze")
        return [(int(s), int(q)) for s, q in zip(rows["ssrc"], rows["rtp_sequence"], strict=True)]

    def time_errors_s(self) -> np.ndarray:
        fit = fit_clock(read_journal(self.session / "offsets" / "neon_gaze", schema=OFFSETS).table)
        found_s = fit.to_session_ns(self.rows("neon_gaze")["t_remote_s"]) / 1e9
        return found_s - np.array([self.truth[key].t_session_s for key in self.gaze_keys()])


def recorded(
    tmp_path: Path,
    options: SimulatorOptions,
    *,
    seconds: float,
    neon: NeonOptions | None = None,
    meanwhile: Callable[[SimulatedNeon], None] | None = None,
) -> Recorded:
    with SimulatedNeon(options) as phone:
        session = tmp_path / "session"
        source = NeonSource(phone.host, phone.port, session=session, options=neon)
        other = threading.Thread(target=(lambda: None) if meanwhile is None else lambda: meanwhile(phone))
        status = record_session(
            session, connect=lambda: [source], seconds=seconds, on_start=lambda _: other.start()
        )
        other.join()
        truth = {(p.ssrc, p.sequence): p for p in phone.truth.packets("gaze")}
    return Recorded(session=session, counts=source.counts(), status=status, truth=truth)


def test_loss_order_drift_a_late_report_and_a_restart(tmp_path: Path) -> None:
    faults = Faults(
        drop=0.02, reorder=0.02, duplicate=0.02, garbage=0.01, drift_ppm=200.0, clock_offset_s=-40.0,
        first_report_s=2.0, report_interval_s=1.0,
    )  # fmt: skip

    def restart(phone: SimulatedNeon) -> None:
        time.sleep(2.2)
        phone.kill()
        time.sleep(0.4)
        phone.revive()

    options = replace(OPTIONS, faults=faults)
    done = recorded(tmp_path, options, seconds=6.0, meanwhile=restart)
    keys, counts = done.gaze_keys(), done.counts["gaze"]
    assert len(set(keys)) == len(keys), "no duplicates"
    senders = list(dict.fromkeys(ssrc for ssrc, _ in keys))
    assert len(senders) == 2
    expected_lost = n_due = 0
    for sender in senders:
        due = [p for (ssrc, _), p in done.truth.items() if ssrc == sender]
        got = {sequence for ssrc, sequence in keys if ssrc == sender}
        first, last = _ends(due, got)
        between = due[first : last + 1]
        missing = [p for p in between if p.sequence not in got]
        n_due += len(between)
        expected_lost += len(missing)
        assert {p.fate for p in missing} <= {"dropped"}, "what was sent is there, from before the report on"
    assert len(keys) == n_due - expected_lost
    assert done.status.streams[0].missing_by_frame_number == expected_lost
    assert (counts.n_late, counts.n_restarts) == (0, 1)
    # Between the last batch that was recorded and the end of the source a few more packets came.
    n_more = counts.n_received - len(keys)
    assert 0 <= counts.n_lost - expected_lost <= n_more < 40
    truth = [done.truth[key] for key in keys]
    rows = done.rows("neon_gaze")
    np.testing.assert_allclose(rows["x_scene_px"], np.array([p.x_scene_px for p in truth], float), atol=1e-3)
    assert np.percentile(np.abs(done.time_errors_s()), 99) <= LARGEST_ERROR_S
    (restarted,) = [mark for mark in done.marks() if mark["kind"] == "restart"]
    samples = [p.sample for p in truth]
    swallowed = max(np.diff(samples)) - 1
    assert restarted["stream_id"] == "neon_gaze"
    assert restarted["n_samples"] == swallowed
    reports = done.rows("neon_reports")
    assert {int(s) for s in reports["ssrc"]} >= set(senders)
    held = [json.loads(text) for text in done.rows("neon_packets")["packet"]]
    assert sum(packet["why"] == "held" for packet in held) > 300, "on disk before the report came"


def _ends(due: list[SentPacket], got: set[int]) -> tuple[int, int]:
    places = [place for place, packet in enumerate(due) if packet.sequence in got]
    return places[0], places[-1]


def test_a_payload_of_a_length_unknown_here_is_kept_and_its_beginning_read(tmp_path: Path) -> None:
    options = replace(OPTIONS, payload="eye_state", faults=Faults(extra_bytes=7))
    done = recorded(tmp_path, options, seconds=0.7, neon=NeonOptions(backup=False))
    rows, keys = done.rows("neon_gaze"), done.gaze_keys()
    assert len(keys) > 100
    np.testing.assert_allclose(
        rows["x_scene_px"], np.array([done.truth[key].x_scene_px for key in keys], float), atol=1e-3
    )
    assert set(rows["left_pupil_diameter_mm"].round(3)) == {3.1}
    kept = [json.loads(text) for text in done.rows("neon_packets")["packet"]]
    payloads = [base64.b64decode(packet["payload"]) for packet in kept if packet["why"] == "unknown payload"]
    assert len(payloads) >= len(keys)
    assert all(payload.endswith(bytes(range(7))) and len(payload) == 72 for payload in payloads)


def test_the_scene_video_plays_and_says_which_frames_are_whole(tmp_path: Path) -> None:
    options = SimulatorOptions(
        imu=False, payload="gaze", video_scale=0.2, video_rate_hz=10.0, noise_sd=6.0, faults=Faults(drop=0.01)
    )
    done = recorded(tmp_path, options, seconds=3.0)
    rows = done.rows("neon_scene")
    assert set(rows["file_number"][np.isfinite(rows["file_number"])]) == {0.0}
    written = np.isfinite(rows["frame_in_file"])
    assert rows["is_complete"][written].all()
    assert not rows["is_complete"].all(), "some lost a packet"
    # What is lost after the last picture is in no row.
    assert 0 < rows["n_lost_packets"][-1] <= done.counts["world"].n_lost
    folder = done.session / "video" / "neon_scene"
    with av.open(str(folder / "00000.mp4")) as file:
        packets = [packet for packet in file.demux(video=0) if packet.size]
    ticks = rows["rtp_timestamp"][written]
    # Pictures that came after the last batch that was recorded are in the file alone, behind the ones with a row.
    n_more = len(packets) - len(ticks)
    assert 0 <= n_more < 100
    np.testing.assert_array_equal([p.pts for p in packets[: len(ticks)]], (ticks - ticks[0]) % 2**32)
    calibration = json.loads((folder / "calibration.json").read_text())
    assert len(calibration["scene"]["distortion_coefficients"]) == 8
    assert calibration["scene"]["camera_matrix"][0][0] == pytest.approx(890 * 0.2)
    events = done.rows("neon_eye_events")
    assert {0.0, 1.0} <= set(events["kind"])
    assert not np.isfinite(events["mean_x_scene_px"][events["kind"] == 3.0]).any()


def test_the_phones_own_recording_is_begun_noted_and_ended_and_events_go_into_it(tmp_path: Path) -> None:
    with SimulatedNeon(OPTIONS) as phone:
        source = NeonSource(phone.host, phone.port, session=tmp_path / "session")
        record_session(
            tmp_path / "session",
            connect=lambda: [source],
            seconds=0.4,
            on_start=lambda _: source.send_event("7 on"),
        )
        (recording,) = phone.recordings
        assert recording["action"] == "SAVE"
        (event,) = phone.events
        assert (event["name"], event["recording_id"]) == ("7 on", recording["id"])
        assert abs(event["timestamp"] / 1e9 - time.time()) < 5
        marks = read_journal(tmp_path / "session" / "marks", schema=MARKS).table.to_pylist()
        assert [m["detail"] for m in marks if m["kind"] == "backup"] == [
            f"phone recording {recording['id']}",
            f"phone recording {recording['id']} ended",
        ]


def test_no_phone_is_an_error_with_a_hint() -> None:
    with SimulatedNeon(OPTIONS) as phone:
        host, port = phone.host, phone.port
    with pytest.raises(DeviceUnavailableError) as caught:
        NeonSource(host, port).open()
    assert caught.value.code == "GT-NO-NEON"
    assert "Companion" in caught.value.hint


def test_a_phone_that_vanishes_ends_nothing(tmp_path: Path) -> None:
    def vanish(phone: SimulatedNeon) -> None:
        time.sleep(0.3)
        phone.kill()

    done = recorded(tmp_path, OPTIONS, seconds=1.0, meanwhile=vanish)
    assert done.status.state == "stopped"
    assert len(done.gaze_keys()) >= 40
    lost = [m for m in done.marks() if m["kind"] == "gap" and "connection lost" in str(m["detail"])]
    assert [m["stream_id"] for m in lost] == ["neon_gaze"], "told once"


def test_over_tcp_nothing_is_lost_and_the_stored_reports_give_the_times_again(tmp_path: Path) -> None:
    faults = Faults(drift_ppm=200.0, clock_offset_s=7.0, first_report_s=0.5, report_interval_s=0.4)
    with SimulatedNeon(replace(OPTIONS, faults=faults)) as phone:
        session = tmp_path / "session"
        source = NeonSource(
            phone.host, phone.port, session=session, options=NeonOptions(tcp=True, backup=False)
        )
        status = record_session(session, connect=lambda: [source], seconds=2.0)
        assert phone.n_over_tcp == 1
        truth = {(p.ssrc, p.sequence): p for p in phone.truth.packets("gaze")}
    done = Recorded(session=session, counts=source.counts(), status=status, truth=truth)
    rows, keys = done.rows("neon_gaze"), done.gaze_keys()
    samples = [truth[key].sample for key in keys]
    assert samples == list(range(samples[0], samples[0] + len(samples)))
    assert (done.counts["gaze"].n_lost, len(keys) > 250) == (0, True)
    reports = done.rows("neon_reports")
    assert len(reports["ssrc"]) >= 3
    report_s = reports["ntp_seconds"] - 2_208_988_800 + reports["ntp_fraction"] / 2**32

    def by_report(place: int, rtp_timestamp: float) -> float:
        ticks = (int(rtp_timestamp) - int(reports["rtp_timestamp"][place]) + 2**31) % 2**32 - 2**31
        return float(report_s[place] + ticks / 90_000)

    for t_s, received_ns, rtp_timestamp in zip(
        rows["t_remote_s"], rows["t_received_ns"], rows["rtp_timestamp"], strict=True
    ):
        # By the newest report before the packet; before the first report by that one.
        newest = max(int((reports["t_received_ns"] <= received_ns).sum()) - 1, 0)
        assert t_s == pytest.approx(by_report(newest, rtp_timestamp), abs=1e-6)


def test_a_video_that_is_none_ends_no_thread(tmp_path: Path) -> None:
    frame = SceneFrame(ticks=0, t_received_ns=0, first_number=0, is_key=True, units=[b"\x65garbage"])
    with pytest.raises(GazeToolError):
        VideoFile(tmp_path / "video", rate_hz=90_000).write(frame, {7: b"\x67", 8: b"\x68"})
