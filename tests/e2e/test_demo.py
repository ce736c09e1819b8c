"""The whole path, live: real outlets, the real recorder, the real window (offscreen), the real commands."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from gazecapture.session.journal import read_journal
from gazecapture.session.schema import DISPLAY_JOURNAL, MARKS, OFFSETS
from gazecapture.session.to_readings import to_readings
from gazecapture.simulation.offline import simulate_session
from gazecapture.simulation.performer import VIRTUAL_DISPLAY
from gazecapture.store import Store
from gazecapture.viewer.model import Panel
from keyframes.reading import Reading

if TYPE_CHECKING:
    from tests.e2e.conftest import DemoRun


def scores(run: DemoRun) -> dict[str, dict[str, Any]]:
    return {score["name"]: score for score in run.summary["scores"]}


def test_an_interruption_ends_with_its_code_and_a_second_run_goes_on(demo_run: DemoRun) -> None:
    assert demo_run.interrupted_code == 130
    # Two runs of the simulated reader: the interrupted film was read anew, nothing else was.
    assert [p.name for p in sorted((demo_run.out / "ground_truth").iterdir())] == ["run-001", "run-002"]


def test_no_sample_and_no_word_is_lost(demo_run: DemoRun) -> None:
    found = scores(demo_run)
    assert found["samples sent"]["value"] > 40_000
    assert found["samples lost"]["value"] == 0
    assert found["words sent"]["value"] > 20
    assert found["words lost"]["value"] == 0
    marks = read_journal(demo_run.out / "session" / "marks", schema=MARKS).table.to_pandas()
    assert not set(marks["kind"]) & {"overflow", "clock_step"}


def test_agreement_with_the_ground_truth(demo_run: DemoRun) -> None:
    found = scores(demo_run)
    for name in (
        "fixation F1 (IoU >= 0.5)",
        "saccade F1 (IoU >= 0.5)",
        "sentence of a fixation",
        "letter of a fixation",
        "image of a fixation",
    ):
        assert found[name]["ok"] is True, found[name]


def test_the_tracker_was_measured_before_between_and_after(demo_run: DemoRun) -> None:
    store = Store.open(demo_run.out / "store")
    readings = [store.load(reading_id) for reading_id in store.reading_ids()]
    for reading in readings:
        rows = reading.table("validations").to_pylist()
        of_both = {row["phase"]: row for row in rows if row["eye"] == "both"}
        assert {"before", "after"} <= set(of_both)
        for phase in ("before", "after"):
            assert of_both[phase]["light"] == "green"
            assert of_both[phase]["n_points"] == 9
            # The simulated tracker is off by up to 0.3 degrees per eye, and has 0.05 degrees of noise.
            assert of_both[phase]["accuracy_deg"] < 0.4
    assert any(
        row["phase"] == "drift" for reading in readings for row in reading.table("validations").to_pylist()
    )


def test_the_shards_hold_what_was_read(demo_run: DemoRun) -> None:
    (shard,) = (demo_run.out / "dataset" / "readings").glob("*.parquet")
    rows = pq.read_table(shard).to_pylist()
    assert len(rows) == 2
    assert max(len(row["images"]) for row in rows) == 2
    for row in rows:
        assert row["tracker"]["effective_rate_hz"] == pytest.approx(1000, rel=0.01)
        assert len(row["fixations"]) > 40
        assert len(row["sentences"]) >= 3
        assert row["regions"][0]["provider"] == "atlas"
        assert {lesion["source"] for lesion in row["truth"]}


def test_the_reader_changed_the_display(demo_run: DemoRun) -> None:
    journal = read_journal(demo_run.out / "session" / "display", schema=DISPLAY_JOURNAL).table.to_pandas()
    changes = journal[journal["event"] == "change"]
    assert len(changes) >= 4
    assert changes["affine"].map(tuple).nunique() > 1
    assert changes["window_width"].nunique() > 1


def test_the_report_is_one_file_with_pictures(demo_run: DemoRun) -> None:
    report = (demo_run.out / "dataset" / "report.html").read_text(encoding="utf-8")
    assert report.count("data:image/") > 20
    assert "http://" not in report.replace("http://www.w3.org", "")
    assert "not for diagnosis" in report
    for picture in (demo_run.out / "screenshots").glob("*.png"):
        with Image.open(picture) as shown:
            assert np.asarray(shown.convert("L")).std() > 10


def test_a_finished_demo_does_nothing_again_and_changes_nothing(demo_run: DemoRun) -> None:
    dataset = demo_run.out / "dataset"
    before = {p: p.read_bytes() for p in dataset.rglob("*") if p.is_file() and p.name != "report.html"}
    before |= {p: p.read_bytes() for p in (demo_run.out / "session").rglob("*.arrows")}
    command = [
        sys.executable,
        "-m",
        "gazecapture",
        "demo",
        "--out",
        str(demo_run.out),
        "--readings",
        "2",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((demo_run.out / "ground_truth").iterdir())) == 2, "nothing was read again"
    assert json.loads(done.stdout)["scores"] == demo_run.summary["scores"]
    assert {p: p.read_bytes() for p in before} == before


def test_other_options_need_another_folder(demo_run: DemoRun) -> None:
    command = [sys.executable, "-m", "gazecapture", "demo", "--out", str(demo_run.out), "--seed", "13"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "other options" in done.stderr


@pytest.fixture(scope="module")
def live_and_offline(
    demo_run: DemoRun, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Reading, Reading]]:
    """The same seeded reader, live from the demo and offline over the same studies, window and seed."""
    root = tmp_path_factory.mktemp("offline")
    journal = read_journal(demo_run.out / "session" / "display", schema=DISPLAY_JOURNAL).table.to_pandas()
    on = journal[journal["event"] == "on"]
    rects = np.array(on["viewport_rect"].tolist())
    panels = [Panel(name=p["name"], rect=tuple(p["rect"])) for p in on["panels"].iloc[0]]
    simulate_session(
        root / "session",
        demo_run.out / "studies",
        reader_seed=12,
        truth_dir=root / "truth",
        rate_hz=float(RATE_HZ),
        area=(rects[:, 0].min(), rects[:, 1].min(), rects[:, 2].max(), rects[:, 3].max()),
        panels=panels,
    )
    live = [r.reading for r in to_readings(demo_run.out / "session", key=b"k" * 32)]
    offline = [r.reading for r in to_readings(root / "session", key=b"k" * 32)]
    assert len(live) == len(offline) == 2
    assert None not in live + offline
    return [(a, b) for a, b in zip(live, offline, strict=True) if a is not None and b is not None]


RATE_HZ = 1000
FRAME_NS = 40_000_000
"""Two frames of a 60 Hz screen."""


def uncertain_ns(run: DemoRun) -> float:
    """Return how far off the offset of a stream's clock may be."""
    measured = [
        read_journal(folder, schema=OFFSETS).table["uncertainty_s"].to_numpy()
        for folder in (run.out / "session" / "offsets").iterdir()
    ]
    return 1e9 * float(np.concatenate(measured).max())


def test_live_and_offline_say_the_same_words_at_the_same_time(
    live_and_offline: list[tuple[Reading, Reading]], demo_run: DemoRun
) -> None:
    for live, offline in live_and_offline:
        a, b = live.to_pandas("words"), offline.to_pandas("words")
        assert a["word"].tolist() == b["word"].tolist()
        # A word carries the time at which it was planned, whenever it is sent: only the clocks' offset is measured,
        # as well as this machine let it.
        assert (a["t_start_ns"] - b["t_start_ns"]).abs().max() < 2_000_000 + uncertain_ns(demo_run)


def at_rest(gaze: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which samples lie in no movement: two samples a millisecond apart are far apart within a saccade."""
    x, y = gaze["x_screen_px"], gaze["y_screen_px"]
    moved_px = np.hypot(
        x.shift(-REST_REACH) - x.shift(REST_REACH), y.shift(-REST_REACH) - y.shift(REST_REACH)
    )
    return np.asarray(moved_px / VIRTUAL_DISPLAY.px_per_deg()[0] < REST_DEG)


REST_REACH = 10
"""Samples to either side: 20 ms, in which a saccade of half a degree is over."""
REST_DEG = 0.4
"""Six times the tracker's noise; a resting eye drifts by a hundredth of it in that time."""


def test_live_and_offline_look_at_the_same_places(live_and_offline: list[tuple[Reading, Reading]]) -> None:
    """The seed gives eyes and noise: sample by sample they are the same, each taken within a millisecond of the other.

    What the window's drift check measured is taken off the live gaze on the image alone; offline there is no check.
    """
    n_drift_checks = 0
    for live, offline in live_and_offline:
        a, b = live.to_pandas("gaze"), offline.to_pandas("gaze")
        assert list(a.columns) == list(b.columns)
        assert live.meta.duration_ns > offline.meta.duration_ns - 4 * FRAME_NS, "read to its end"
        a, b = same_samples(a, b)
        assert (a["valid"] == b["valid"]).mean() > 0.99
        both = a["valid"] & b["valid"]
        assert both.mean() > 0.85
        px_per_deg = b["px_per_deg_x"]
        drift = [row for row in live.table("validations").to_pylist() if row["phase"] == "drift"]
        n_drift_checks += len(drift) > 0
        off_deg = next(
            ((row["offset_x_deg"], row["offset_y_deg"]) for row in drift if row["eye"] == "both"), (0.0, 0.0)
        )
        gap_screen_px = np.hypot(a["x_screen_px"] - b["x_screen_px"], a["y_screen_px"] - b["y_screen_px"])
        gap_image_deg = np.hypot(
            (a["x_image_px"] - b["x_image_px"]) / px_per_deg + off_deg[0],
            (a["y_image_px"] - b["y_image_px"]) / px_per_deg + off_deg[1],
        )
        gap_screen_deg = gap_screen_px / VIRTUAL_DISPLAY.px_per_deg()[0]
        resting = np.asarray(both) & at_rest(b)
        assert resting.mean() > 0.6
        # A live frame comes a little after what the reader did, on a busy machine more than a little.
        shown_alike = resting & np.isclose(affines(live, a), affines(offline, b), rtol=1e-6, atol=1e-6).all(
            axis=1
        )
        assert shown_alike.sum() > RATE_HZ
        for gap_deg in (gap_screen_deg[resting], gap_image_deg[shown_alike]):
            # Tremor and drift of a resting eye within a millisecond; the tracker's noise alone would be ten times that.
            assert np.median(gap_deg) < 0.01
            assert np.quantile(gap_deg, 0.95) < 0.1
        assert (a["image_index"] == b["image_index"])[both].mean() > 0.99
    assert n_drift_checks >= 1, "there is one before the second film at least"


TOLD_S = 5
"""s after which the reader certainly knows that the film is there; the eyes may idle until then."""


def affines(reading: Reading, gaze: pd.DataFrame) -> NDArray[np.float64]:
    """Return where the image of each sample was on the screen then, (n, 6)."""
    display = reading.to_pandas("display")
    found = np.full((len(gaze), 6), np.nan)
    for index, rows in display[display["affine"].notna()].groupby("image_index"):
        at = np.searchsorted(rows["t_ns"], gaze["t_ns"], side="right") - 1
        mine = np.asarray((gaze["image_index"] == index) & (at >= 0))
        found[mine] = np.stack(rows["affine"].tolist())[at[mine]]
    return found


def same_samples(live: pd.DataFrame, offline: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the samples of both from `TOLD_S` after image on, those in a row that have the same number there.

    The simulated tracker counts from image on, and its noise goes by that count; a sample that falls on the edge of
    two numbers may be counted as either, so the two rows of samples may be one apart.
    """
    live, offline = (g[g["t_ns"] >= 0].reset_index(drop=True) for g in (live, offline))

    def shifted(by: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        a, b = live[max(by, 0) :], offline[max(-by, 0) :]
        part = slice(TOLD_S * RATE_HZ, min(len(a), len(b)))
        return a[part].reset_index(drop=True), b[part].reset_index(drop=True)

    return min(
        (shifted(by) for by in (-1, 0, 1)),
        key=lambda pair: (pair[0]["x_screen_px"] - pair[1]["x_screen_px"]).abs().median(),
    )


def test_live_and_offline_show_the_same(live_and_offline: list[tuple[Reading, Reading]]) -> None:
    for live, offline in live_and_offline:
        a, b = live.to_pandas("display"), offline.to_pandas("display")
        # A live frame may swallow a state that lasted less than it; the last one of each viewport must agree.
        for viewport in a["viewport_id"].unique():
            last = [d[(d["viewport_id"] == viewport) & d["affine"].notna()].iloc[-1] for d in (a, b)]
            np.testing.assert_allclose(last[0]["affine"], last[1]["affine"], rtol=1e-6, atol=1e-6)
            assert last[0]["window_width"] == pytest.approx(last[1]["window_width"])
        assert (
            live.table("findings").column("label").to_pylist()
            == offline.table("findings").column("label").to_pylist()
        )
        assert live.meta.patient_key == offline.meta.patient_key


def test_the_store_has_every_table_of_every_reading(demo_run: DemoRun) -> None:
    store = Store.open(demo_run.out / "store")
    assert len(store.reading_ids()) == 2
    for reading_id in store.reading_ids():
        reading = store.load(reading_id)
        for name in (
            "gaze",
            "display",
            "events",
            "event_regions",
            "keyframes",
            "trajectory",
            "quality",
            "sentences",
        ):
            assert reading.table(name).num_rows, name
