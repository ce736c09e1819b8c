"""A Neon over a bad network, that dies and comes back, that sends what nobody knows: recorded and compared."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pytest

from gazecapture.session.clock_fit import fit_clock
from gazecapture.session.journal import read_journal
from gazecapture.session.recorder import record_session
from gazecapture.session.schema import OFFSETS
from gazecapture.session.status import RecorderStatus
from gazecapture.sources.neon import NeonSource
from gazecapture.sources.neon_options import NeonOptions
from gazecapture.sources.neon_rtp import RtpCounts
from gazecapture.sources.neon_simulator import Faults, SimulatedNeon, SimulatorOptions
from gazecapture.sources.neon_simulator.truth import SentPacket
from gazecapture.sources.neon_video import SceneFrame, VideoFile
from keyframes.errors import DeviceUnavailableError, GazeToolError
from tests.waiting import marks_of, n_recorded, stopped_when, wait_until

OPTIONS = SimulatorOptions(video=False, eye_events=False, imu=False, payload="gaze")
LARGEST_ERROR_S = 0.002
DRIFT_PPM = 200.0


@dataclass(frozen=True, kw_only=True)
class Recorded:
    session: Path
    counts: dict[str, RtpCounts]
    status: RecorderStatus
    truth: dict[tuple[int, int], SentPacket]
    """Gaze packets that were due, by sender and sequence number."""
    n_over_tcp: int

    def rows(self, stream: str) -> dict[str, np.ndarray]:
        return rows_of(self.session, stream)

    def gaze_keys(self) -> list[tuple[int, int]]:
        return gaze_keys(self.session)

    def raw_keys(self, why: str) -> list[tuple[int, int]]:
        """Return the packets of gaze that were kept as they came."""
        kept = [json.loads(text) for text in self.rows("neon_packets")["packet"]]
        return [(packet["ssrc"], packet["sequence"]) for packet in kept if packet["why"] == why]

    def offsets(self) -> pa.Table:
        return read_journal(self.session / "offsets" / "neon_gaze", schema=OFFSETS).table

    def time_errors_s(self) -> np.ndarray:
        fit = fit_clock(self.offsets())
        found_s = fit.to_session_ns(self.rows("neon_gaze")["t_remote_s"]) / 1e9
        return found_s - np.array([self.truth[key].t_session_s for key in self.gaze_keys()])

    def largest_error_s(self) -> float:
        """Return what the phone's own echoes allow: how slow they were says how busy this machine was."""
        offsets = self.offsets()
        span_s = float(np.ptp(self.rows("neon_gaze")["t_received_ns"])) / 1e9
        uncertain_s = float(offsets["uncertainty_s"].to_numpy().max())
        return max(LARGEST_ERROR_S, uncertain_s + DRIFT_PPM * 1e-6 * span_s)


def rows_of(session: Path, stream: str) -> dict[str, np.ndarray]:
    table = read_journal(session / "streams" / stream).table
    return {name: table[name].to_numpy() for name in table.column_names}


def gaze_keys(session: Path) -> list[tuple[int, int]]:
    rows = rows_of(session, "neon_gaze")
    return [(int(s), int(q)) for s, q in zip(rows["ssrc"], rows["rtp_sequence"], strict=True)]


def recorded(
    tmp_path: Path,
    options: SimulatorOptions,
    *,
    until: Callable[[Path], object],
    neon: NeonOptions | None = None,
    meanwhile: Callable[[SimulatedNeon, Path], None] = lambda _phone, _session: None,
) -> Recorded:
    """Record until ``until`` holds of the session; ``meanwhile`` happens before that is asked."""
    session = tmp_path / "session"
    with SimulatedNeon(options) as phone:
        source = NeonSource(phone.host, phone.port, session=session, options=neon)
        happened: list[bool] = []

        def enough() -> object:
            if not happened:
                wait_until(
                    lambda: n_recorded(session, "neon_packets") or n_recorded(session), "for a first row"
                )
                meanwhile(phone, session)
                happened.append(True)
            return until(session)

        with stopped_when(session, enough):
            status = record_session(session, connect=lambda: [source])
        truth = {(p.ssrc, p.sequence): p for p in phone.truth.packets("gaze")}
        n_over_tcp = phone.n_over_tcp
    return Recorded(
        session=session, counts=source.counts(), status=status, truth=truth, n_over_tcp=n_over_tcp
    )


def test_loss_order_drift_a_late_report_and_a_restart(tmp_path: Path) -> None:
    faults = Faults(
        drop=0.02, reorder=0.02, duplicate=0.02, garbage=0.01, drift_ppm=DRIFT_PPM, clock_offset_s=-40.0,
        first_report_s=2.0, report_interval_s=1.0,
    )  # fmt: skip

    def restart(phone: SimulatedNeon, session: Path) -> None:
        # Its report came, and what was held for that.
        wait_until(lambda: n_recorded(session, "neon_gaze") > 400, "for the first sender's gaze")
        phone.kill()
        time.sleep(0.4)
        phone.revive()

    def both_sent(session: Path) -> bool:
        keys = gaze_keys(session)
        return sum(ssrc != keys[0][0] for ssrc, _ in keys) > 400

    done = recorded(tmp_path, replace(OPTIONS, faults=faults), until=both_sent, meanwhile=restart)
    keys, counts = done.gaze_keys(), done.counts["gaze"]
    assert len(set(keys)) == len(keys), "no duplicates"
    senders = list(dict.fromkeys(ssrc for ssrc, _ in keys))
    assert len(senders) == 2
    # Of two datagrams that changed places the second may come any time later, where the sender has to wait.
    late = set(done.raw_keys("late"))
    assert not late & set(keys)
    n_missing = n_due = 0
    for sender in senders:
        due = [p for (ssrc, _), p in done.truth.items() if ssrc == sender]
        got = {sequence for ssrc, sequence in keys if ssrc == sender}
        first, last = _ends(due, got)
        between = due[first : last + 1]
        missing = [p for p in between if p.sequence not in got]
        n_due += len(between)
        n_missing += len(missing)
        assert {p.fate for p in missing if (sender, p.sequence) not in late} <= {"dropped"}, (
            "what was sent is there, from before the report on"
        )
    assert len(keys) == n_due - n_missing == counts.n_received, "to the last one that came"
    assert done.status.streams[0].missing_by_frame_number == n_missing
    assert (counts.n_late, counts.n_restarts) == (len(late), 1)
    assert n_missing - len(late) <= counts.n_lost <= n_missing
    truth = [done.truth[key] for key in keys]
    rows = done.rows("neon_gaze")
    np.testing.assert_allclose(rows["x_scene_px"], np.array([p.x_scene_px for p in truth], float), atol=1e-3)
    assert np.abs(done.time_errors_s()).max() <= done.largest_error_s()
    (restarted,) = [mark for mark in marks_of(done.session) if mark["kind"] == "restart"]
    samples = [p.sample for p in truth]
    swallowed = max(np.diff(samples)) - 1
    assert restarted["stream_id"] == "neon_gaze"
    assert restarted["n_samples"] == swallowed
    reports = done.rows("neon_reports")
    assert {int(s) for s in reports["ssrc"]} >= set(senders)
    held = done.raw_keys("held")
    assert held, "on disk before the report came"
    for sender in senders:
        before_report = [key for key in held if key[0] == sender]
        assert before_report == [key for key in keys if key[0] == sender][: len(before_report)]


def _ends(due: list[SentPacket], got: set[int]) -> tuple[int, int]:
    places = [place for place, packet in enumerate(due) if packet.sequence in got]
    return places[0], places[-1]


def test_a_payload_of_a_length_unknown_here_is_kept_and_its_beginning_read(tmp_path: Path) -> None:
    options = replace(OPTIONS, payload="eye_state", faults=Faults(extra_bytes=7))
    done = recorded(
        tmp_path, options, until=lambda s: n_recorded(s, "neon_gaze") > 100, neon=NeonOptions(backup=False)
    )
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

    def all_seen(session: Path) -> bool:
        scene, events = rows_of(session, "neon_scene"), rows_of(session, "neon_eye_events")
        n_written = np.isfinite(scene["frame_in_file"]).sum()
        return n_written > 10 and not scene["is_complete"].all() and {0.0, 1.0, 3.0} <= set(events["kind"])

    done = recorded(tmp_path, options, until=all_seen)
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
    np.testing.assert_array_equal([p.pts for p in packets], (ticks - ticks[0]) % 2**32)
    calibration = json.loads((folder / "calibration.json").read_text())
    assert len(calibration["scene"]["distortion_coefficients"]) == 8
    assert calibration["scene"]["camera_matrix"][0][0] == pytest.approx(890 * 0.2)
    events = done.rows("neon_eye_events")
    assert {0.0, 1.0} <= set(events["kind"])
    assert not np.isfinite(events["mean_x_scene_px"][events["kind"] == 3.0]).any()


def test_what_waits_for_a_report_when_recording_ends_is_recorded(tmp_path: Path) -> None:
    options = replace(OPTIONS, faults=Faults(first_report_s=600.0))
    done = recorded(tmp_path, options, until=lambda s: n_recorded(s, "neon_packets") > 50)
    assert done.rows("neon_reports")["ssrc"].size == 0
    keys = done.gaze_keys()
    assert keys == done.raw_keys("held")
    assert len(keys) == done.counts["gaze"].n_received > 50
    assert done.status.streams[0].n_samples == len(keys)


def test_the_phones_own_recording_is_begun_noted_and_ended_and_events_go_into_it(tmp_path: Path) -> None:
    with SimulatedNeon(OPTIONS) as phone:
        source = NeonSource(phone.host, phone.port, session=tmp_path / "session")
        began_s = time.time()
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
        assert began_s - 1 < event["timestamp"] / 1e9 < time.time() + 1
        marks = marks_of(tmp_path / "session")
        assert [m["detail"] for m in marks if m["kind"] == "backup"] == [
            f"phone recording {recording['id']}",
            f"phone recording {recording['id']} ended",
        ]


def test_no_phone_is_an_error_with_a_hint() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # ours, so that nobody else listens there
        with pytest.raises(DeviceUnavailableError) as caught:
            NeonSource(*nobody.getsockname()).open()
    assert caught.value.code == "GT-NO-NEON"
    assert "Companion" in caught.value.hint


def test_a_phone_that_vanishes_ends_nothing(tmp_path: Path) -> None:
    def lost(session: Path) -> list[dict[str, object]]:
        return [m for m in marks_of(session) if m["kind"] == "gap" and "connection lost" in str(m["detail"])]

    def vanish(phone: SimulatedNeon, session: Path) -> None:
        wait_until(lambda: n_recorded(session, "neon_gaze") >= 40, "for gaze")
        phone.kill()
        wait_until(lambda: lost(session), "for the loss to be told")
        with socket.create_server((phone.host, phone.port)) as nobody:
            nobody.settimeout(100.0)
            for _ in range(2):  # it is tried again and again
                nobody.accept()[0].close()

    done = recorded(tmp_path, OPTIONS, until=lambda _: True, meanwhile=vanish)
    assert done.status.state == "stopped"
    assert len(done.gaze_keys()) >= 40
    assert [m["stream_id"] for m in lost(done.session)] == ["neon_gaze"], "told once"


def test_over_tcp_nothing_is_lost_and_the_stored_reports_give_the_times_again(tmp_path: Path) -> None:
    faults = Faults(drift_ppm=DRIFT_PPM, clock_offset_s=7.0, first_report_s=0.5, report_interval_s=0.4)
    done = recorded(
        tmp_path,
        replace(OPTIONS, faults=faults),
        until=lambda s: n_recorded(s, "neon_gaze") > 250 and n_recorded(s, "neon_reports") >= 3,
        neon=NeonOptions(tcp=True, backup=False),
    )
    assert done.n_over_tcp == 1
    truth = done.truth
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
