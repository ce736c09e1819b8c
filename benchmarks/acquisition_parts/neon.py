"""Rows of the Neon line: a bad network, a late sender report, a restart; the official client beside ours."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from gazecapture.session.clock_fit import fit_clock
from gazecapture.session.journal import read_journal
from gazecapture.session.recorder import record_session
from gazecapture.session.schema import OFFSETS
from gazecapture.sources.neon import NeonSource
from gazecapture.sources.neon_options import NeonOptions
from gazecapture.sources.neon_phone import import_neon
from gazecapture.sources.neon_simulator import Faults, SimulatedNeon, SimulatorOptions

FAULTS = Faults(
    drop=0.02,
    reorder=0.02,
    duplicate=0.01,
    drift_ppm=200.0,
    clock_offset_s=5.0,
    first_report_s=2.0,
    report_interval_s=5.0,
)
DOWN_S = 0.5
Key = tuple[int, int]


def neon_rows(seconds: float = 20.0) -> list[dict[str, Any]]:
    """Return one row per receiver: measure, receiver, value, target; ``seconds`` of gaze at 200 Hz for each of both."""
    options = SimulatorOptions(payload="eye_state", video=False, eye_events=False, imu=False, faults=FAULTS)
    with SimulatedNeon(options) as phone, tempfile.TemporaryDirectory() as scratch:
        official: list[float] = []
        killer = threading.Thread(target=_die_and_return, args=(phone, seconds / 2))
        client = threading.Thread(
            target=lambda: asyncio.run(_official(phone.host, phone.port, seconds, official))
        )
        session = Path(scratch) / "session"
        source = NeonSource(phone.host, phone.port, options=NeonOptions(backup=False))

        def started(_: object) -> None:
            killer.start()
            client.start()

        status = record_session(session, connect=lambda: [source], seconds=seconds, on_start=started)
        killer.join()
        client.join()
        truth = {(p.ssrc, p.sequence): p for p in phone.truth.packets("gaze")}
        table = read_journal(session / "streams" / "neon_gaze").table
        fit = fit_clock(read_journal(session / "offsets" / "neon_gaze", schema=OFFSETS).table)
    keys = [
        (int(s), int(q))
        for s, q in zip(table["ssrc"].to_pylist(), table["rtp_sequence"].to_pylist(), strict=True)
    ]
    lost = _lost(keys, truth)
    errors_ms = 1e3 * np.abs(
        fit.to_session_ns(table["t_remote_s"].to_numpy()) / 1e9
        - np.array([truth[key].t_session_s for key in keys])
    )
    one = next(iter(truth.values()))
    zero_s = one.t_device_s - one.sample / options.rate_hz
    theirs = {round((t_s - zero_s) * options.rate_hz) for t_s in official}
    n_official = len(official)
    return [
        _row("samples lost by the network, as counted", "gazecapture", status.streams[0].missing_by_frame_number, lost),
        _row("duplicates", "gazecapture", len(keys) - len(set(keys)), 0),
        _row("time error p99 after the fit, ms", "gazecapture", float(np.percentile(errors_ms, 99)), 2.0),
        _row("time error max after the fit, ms", "gazecapture", float(errors_ms.max()), None),
        _row("samples recorded", "gazecapture", len(keys), None),
        _row("samples delivered", "pupil-labs-realtime-api", n_official, None),
        _row("samples due and not delivered", "pupil-labs-realtime-api", _missed(theirs, truth, keys), None),
        _row("duplicates", "pupil-labs-realtime-api", n_official - len(theirs), None),
        _row("steps back in time", "pupil-labs-realtime-api",
             int((np.diff(official) < 0).sum()) if n_official else 0, None),
    ]  # fmt: skip


def _row(measure: str, receiver: str, value: float | None, target: float | None) -> dict[str, Any]:
    return {"measure": measure, "receiver": receiver, "value": value, "target": target}


def _die_and_return(phone: SimulatedNeon, after_s: float) -> None:
    time.sleep(after_s)
    phone.kill()
    time.sleep(DOWN_S)
    phone.revive()


async def _official(host: str, port: int, seconds: float, taken: list[float]) -> None:
    """Take gaze as the official client gives it, with reconnecting."""
    client = import_neon()
    from pupil_labs.realtime_api import receive_gaze_data

    async with client.Device(host, port) as device:
        url = (await device.get_status()).direct_gaze_sensor().url

    async def take() -> None:
        async for datum in receive_gaze_data(url, run_loop=True, log_level=50):
            taken.append(datum.timestamp_unix_seconds)  # noqa: PERF401 - must keep what came before the end

    try:
        await asyncio.wait_for(take(), seconds)
    except TimeoutError:
        return


def _lost(keys: list[Key], truth: dict[Key, Any]) -> int:
    """Return how many packets between the first and the last received one of each sender never came."""
    lost = 0
    got = set(keys)
    for sender in {ssrc for ssrc, _ in keys}:
        due = [key for key in truth if key[0] == sender]
        places = [place for place, key in enumerate(due) if key in got]
        lost += places[-1] - places[0] + 1 - len(places)
    return lost


def _missed(seen: set[int], truth: dict[Key, Any], ours: list[Key]) -> int:
    """Return how many samples that were due to other receivers than ours were not delivered."""
    our_senders = {ssrc for ssrc, _ in ours}
    return len({packet.sample for (ssrc, _), packet in truth.items() if ssrc not in our_senders} - seen)


def main() -> None:
    rows = [
        {
            "measure": f"Neon, {row['receiver']}: {row['measure']}",
            "target": "-" if row["target"] is None else row["target"],
            "measured": row["value"],
            "met": None if row["target"] is None else _is_met(row),
        }
        for row in neon_rows()
    ]
    print(json.dumps(rows))


def _is_met(row: dict[str, Any]) -> bool:
    """Say whether a count is exact, or a time at most the target."""
    value, target = row["value"], row["target"]
    return bool(value <= target if row["measure"].endswith(", ms") else value == target)


if __name__ == "__main__":
    main()
