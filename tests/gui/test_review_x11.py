"""A real review on a real X server: scrub, move a bound, reject with a reason, quit; then `gazecurate` obeys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from gazecapture.session.decisions import session_decisions
from gazecapture.store import Store
from tests.conftest import run_tool
from tests.unit.curation.readings import write_session

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="X11 and xdotool are Linux's")

PATIENCE_S = 180.0


def hands(display: str, *words: str | int) -> str:
    done = subprocess.run(
        ["xdotool", *map(str, words)],  # noqa: S607 - wherever the system has it
        env={**os.environ, "DISPLAY": display}, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    return done.stdout.strip() if done.returncode == 0 else ""


def eventually(found: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE_S
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value


def test_what_is_decided_at_the_window_is_what_curation_does(tmp_path: Path, display: str) -> None:
    session = write_session(tmp_path, n_readings=2)
    command = [sys.executable, "-m", "gazecapture", "review", "--session", str(session), "--reviewer", "Q7"]
    environment = {k: v for k, v in os.environ.items() if k != "QT_QPA_PLATFORM"}
    window = subprocess.Popen(
        command,
        env={**environment, "DISPLAY": display},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def decided(number: int) -> list[dict[str, Any]]:
        return session_decisions(session / "decisions.jsonl").get(number, [])

    def shown_window() -> str:
        assert window.poll() is None, window.communicate()
        return hands(display, "search", "--onlyvisible", "--screen", 0, "--name", "gazecapture review")

    def accept_once_it_is_there(number: int) -> None:
        """Press A until it is decided: a key that comes before the reading is there does nothing."""

        def pressed() -> list[dict[str, Any]]:
            if not decided(number):
                hands(display, "key", "a")
            return decided(number)

        eventually(pressed)

    try:
        shown = eventually(shown_window)
        # No window manager runs here to give the window the keyboard.
        hands(display, "windowfocus", "--sync", shown.split()[0])
        accept_once_it_is_there(1)
        hands(display, "mousemove", 600, 660, "mousedown", 1, "mousemove", 700, 660, "mouseup", 1)
        hands(display, "key", "x")
        hands(display, "type", "gaze was lost")
        hands(display, "key", "Return", "Next")
        eventually(lambda: "reject" in [line["value"] for line in decided(1)])
        accept_once_it_is_there(2)
        hands(display, "key", "Down", "Right", "Right", "bracketleft")
        eventually(lambda: "sentence_bounds" in [line["kind"] for line in decided(2)])
        hands(display, "key", "ctrl+q")
        output, errors = window.communicate(timeout=PATIENCE_S)
    finally:
        window.kill()
        window.wait()
    assert (window.returncode, output.strip()) == (0, ""), errors
    last = decided(1)[-1]
    assert (last["value"], last["reason"], last["reviewer"]) == ("reject", "gaze was lost", "Q7")
    (moved,) = [line for line in decided(2) if line["kind"] == "sentence_bounds"]
    # A gate that lets no reading of 4 s through: what a person accepted is kept all the same.
    (tmp_path / "strict.toml").write_text("[quality]\nmin_duration_s = 60\n")
    root, dataset = tmp_path / "store", tmp_path / "dataset"
    run_tool("gazecurate", "ingest", session, "--format", "session", "--store", root)
    settings = ["-c", str(tmp_path / "strict.toml"), "-j", "1", "--json"]
    done = run_tool("gazecurate", "run", "--store", root, "--out", dataset, *settings)
    store = Store.open(root)
    readings = {store.meta(i).reading_number: i for i in store.reading_ids()}
    record = store.stage_record(readings[1], "quality")
    assert record is not None
    assert (record["verdict"], record["reason"]) == ("rejected", "GQ-REVIEW-REJECTED")
    ran = json.loads(done.stdout)
    assert ran["rejected"] == {readings[1]: "GQ-REVIEW-REJECTED"}
    assert ran["kept"] == [readings[2]], "accepted by a person, too short for the gate"
    (row,) = pq.read_table(next((dataset / "readings").glob("*.parquet"))).to_pylist()
    assert [[s["t_start_ns"], s["t_end_ns"]] for s in row["sentences"]] == [moved["value"]]
    (sentence,) = store.load(readings[2]).table("sentences").to_pylist()
    assert sentence["sentence_id"] == moved["target"]
    assert [sentence["t_start_ns"], sentence["t_end_ns"]] == moved["value"]
    said_ns = store.load(readings[2]).table("words").column("t_start_ns").to_pylist()[0]
    assert sentence["t_start_ns"] == said_ns + 200_000_000, "two steps of 0.1 s after its first word"
