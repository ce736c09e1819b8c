"""`gazecapture streams`: what is on the network, how fast it really comes, which profile reads it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pylsl
import pytest

from gazecapture.cli import cli
from gazecapture.console import run_command

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


def test_the_rate_is_measured_not_believed(sender: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(cli, ["streams", "--wait-s", "1", "--measure-s", "0.7", "--json"])
    rows = json.loads(capsys.readouterr().out)
    (row,) = [row for row in rows if row["source_id"] == sender]
    assert row["nominal_rate_hz"] == 600
    assert row["measured"]["rate_hz"] == pytest.approx(REAL_HZ, rel=0.01)
    assert row["measured"]["n_samples"] > 20
    assert (row["measured"]["role"], row["measured"]["profile"]) == ("gaze", "tobiipro")
    run_command(cli, ["streams", "--wait-s", "1", "--measure-s", "0.7"])
    text = capsys.readouterr().out
    assert "600 Hz nominal" in text
    assert "100.0 Hz; gaze, read by profile tobiipro" in text


def test_nothing_is_received_where_nobody_asks(sender: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(cli, ["streams", "--wait-s", "1", "--measure-s", "0", "--json"])
    (row,) = [row for row in json.loads(capsys.readouterr().out) if row["source_id"] == sender]
    assert row["measured"] is None
