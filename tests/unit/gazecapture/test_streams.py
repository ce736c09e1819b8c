"""`gazecapture streams`: what is on the network, how fast it really comes, which profile reads it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pylsl
import pytest

from gazecapture.cli import cli
from gazecapture.console import run_command
from tests.waiting import wait_until

REAL_HZ = 100.0


@pytest.fixture
def sender() -> Iterator[str]:
    """A sender that claims 600 Hz and sends 100, as one that is known does."""
    source_id = f"claims-{id(object())}"
    header = pylsl.StreamInfo("Tobii", "Eyetracker", 2, 600, "float32", source_id)
    channels = header.desc().append_child("channels")
    for axis in "xy":
        node = channels.append_child("channel")
        for tag, text in (("label", f"left_{axis}"), ("eye", "left"), ("type", f"Screen{axis.upper()}")):
            node.append_child_value(tag, text)
    outlet = pylsl.StreamOutlet(header)
    stop = threading.Event()

    def send() -> None:
        began, n = pylsl.local_clock(), 0
        while not stop.wait(0.005):
            while began + n / REAL_HZ < pylsl.local_clock():
                outlet.push_sample([0.5, 0.5], began + n / REAL_HZ)
                n += 1

    sending = threading.Thread(target=send)
    sending.start()
    yield source_id
    stop.set()
    sending.join()


def row_of(sender: str, capsys: pytest.CaptureFixture[str], measure_s: str) -> dict[str, Any]:
    """Return what the command says of the sender, once that has answered it: on a busy machine it is late at times."""
    found: list[dict[str, Any]] = []

    def answered() -> bool:
        run_command(cli, ["streams", "--wait-s", "1", "--measure-s", measure_s, "--json"])
        found[:] = [row for row in json.loads(capsys.readouterr().out) if row["source_id"] == sender]
        return bool(found) and (measure_s == "0" or (found[0]["measured"] or {}).get("n_samples", 0) > 20)

    wait_until(answered, "for the sender's answer")
    (row,) = found
    return row


def test_the_rate_is_measured_not_believed(sender: str, capsys: pytest.CaptureFixture[str]) -> None:
    row = row_of(sender, capsys, "0.7")
    assert row["nominal_rate_hz"] == 600
    assert row["measured"]["n_samples"] > 20
    assert row["measured"]["rate_hz"] == pytest.approx(REAL_HZ, rel=0.01)
    assert (row["measured"]["role"], row["measured"]["profile"]) == ("gaze", "tobiipro")
    told: list[str] = []

    def is_told() -> bool:
        run_command(cli, ["streams", "--wait-s", "1", "--measure-s", "0.7"])
        told.append(capsys.readouterr().out)
        return "600 Hz nominal" in told[-1] and "100.0 Hz; gaze, read by profile tobiipro" in told[-1]

    wait_until(is_told, f"for the rate: {told}")


def test_nothing_is_received_where_nobody_asks(sender: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert row_of(sender, capsys, "0")["measured"] is None
