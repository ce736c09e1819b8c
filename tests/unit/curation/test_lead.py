"""Fitted leads in a store: what is written, when it is fitted again, and who takes it."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from curation.config import CurationConfig
from curation.lead import READERS_FOLDER, fit_leads, fitted_lead_s, with_lead
from curation.plan import plan_reading
from curation.run import curate, sweep_scratch
from curation.stages import STAGES
from gazecapture.store import Store
from keyframes.reading import EVENTS, SENTENCES, Reading

CONFIG = CurationConfig()
LEAD_S = 3.2
SENTENCE_S, EVERY_S = 2.0, 6.0


def looking(number: int, *, lead_s: float = LEAD_S, n_sentences: int = 12) -> tuple[pa.Table, pa.Table]:
    """Return events and sentences of a reader who looks at one place from ``lead_s`` before a sentence to its end."""
    rng = np.random.default_rng(number)
    starts = 5.0 + EVERY_S * np.arange(n_sentences) + rng.uniform(0.0, 1.0, n_sentences)
    topics = rng.uniform(20, 140, (n_sentences, 2))
    events: list[dict[str, Any]] = []
    for t in np.arange(0.0, starts[-1] + 4.0, 0.3):
        topic = np.flatnonzero((t + 0.15 >= starts - lead_s) & (t + 0.15 < starts + SENTENCE_S))
        x, y = topics[topic[-1]] + rng.normal(0, 3, 2) if topic.size else rng.uniform(5, 155, 2)
        blank = {f.name: float("nan") if f.type == pa.float64() else None for f in EVENTS}
        events.append(
            {**blank, "event_index": len(events), "kind": "fixation", "t_start_ns": round(t * 1e9),
             "t_end_ns": round((t + 0.28) * 1e9), "duration_s": 0.28, "image_index": 0,
             "x_image_px": float(x), "y_image_px": float(y)}
        )  # fmt: skip
    sentences = [
        {"sentence_id": f"s{i}", "sentence_index": i, "text": "x", "t_start_ns": round(s * 1e9),
         "t_end_ns": round((s + SENTENCE_S) * 1e9), "finding_ids": []}
        for i, s in enumerate(starts)
    ]  # fmt: skip
    return (
        pa.Table.from_pylist(events, schema=EVENTS),
        pa.Table.from_pylist(sentences, schema=SENTENCES),
    )


@pytest.fixture
def store(readings: ModuleType, tmp_path: Path) -> Store:
    """Readings 1, 4 and 7 of reader R02 with 36 sentences in all, and reading 2 of R03, whose events are done."""
    store = Store.create(tmp_path / "store")
    for number in (1, 4, 7, 2):
        reading: Reading = readings.make_reading(number)
        store.add(reading, {})
        events, sentences = looking(number)
        for stage, table in (("events", events), ("dictation", sentences)):
            name = "events" if stage == "events" else "sentences"
            store.write_stage(reading.meta.reading_id, stage, {name: table}, {"key": stage})
    return store


def keys(store: Store) -> dict[str, dict[str, str]]:
    return {reading_id: {"dictation": "d1", "events": "e1"} for reading_id in store.reading_ids()}


def test_a_reader_with_enough_sentences_gets_a_lead(store: Store) -> None:
    leads = {lead.reader_code: lead for lead in fit_leads(store, CONFIG, keys(store))}
    assert sorted(leads) == ["R02", "R03"]
    assert leads["R02"].fit.n_sentences == 36
    assert leads["R02"].fit.lead_s == pytest.approx(LEAD_S, abs=0.3)
    assert leads["R03"].fit.lead_s is None
    assert "30 are needed" in leads["R03"].fit.reason
    assert fitted_lead_s(store, "R02") == leads["R02"].fit.lead_s
    assert fitted_lead_s(store, "R03") is None
    assert fitted_lead_s(store, "R09") is None
    content = json.loads((store.root / READERS_FOLDER / "R02.json").read_text())
    assert content["n_readings"] == 3
    assert content["gain_nats"] > 0


def test_it_is_fitted_again_only_where_something_changed(store: Store) -> None:
    first = fit_leads(store, CONFIG, keys(store))
    written = {path: path.stat().st_mtime_ns for path in (store.root / READERS_FOLDER).iterdir()}
    again = fit_leads(store, CONFIG, keys(store))
    assert [lead.fit for lead in again] == [lead.fit for lead in first]
    assert all(lead.was_fitted_before for lead in again)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert not any(lead.was_fitted_before for lead in fit_leads(store, CONFIG, keys(store), restart=True))
    other = keys(store)
    other[store.reading_ids()[0]]["events"] = "e2"
    assert [lead.was_fitted_before for lead in fit_leads(store, CONFIG, other)].count(False) == 1
    config = CurationConfig.model_validate({"keyframes": {"min_silent_s": 1.0}})
    assert not any(lead.was_fitted_before for lead in fit_leads(store, config, keys(store)))


def test_the_lead_is_part_of_the_key_of_the_key_frames(store: Store) -> None:
    def steps(config: CurationConfig = CONFIG) -> dict[str, str]:
        plan = plan_reading(store, reading_id, config, stages=STAGES)
        return {step.stage: step.key for step in plan.stages}

    reading_id = next(i for i in store.reading_ids() if store.meta(i).reader_code == "R02")
    before = steps()
    (lead, _) = fit_leads(store, CONFIG, keys(store))
    after = steps()
    assert [name for name in before if before[name] != after[name]] == ["keyframes"]
    assert plan_reading(store, reading_id, CONFIG, stages=STAGES).lead_s == lead.fit.lead_s
    for fixed in ({"fit_lead": False}, {"profile": "published"}):
        config = CurationConfig.model_validate({"keyframes": fixed})
        assert plan_reading(store, reading_id, config, stages=STAGES).lead_s is None
    assert with_lead(CONFIG, 3.5).keyframes.lead_s == 3.5
    assert with_lead(CONFIG, None) is CONFIG


@pytest.mark.parametrize(
    "content", [b"{", b'{"reader_code": "R9", "lead_s": 1.0}', b'{"reader_code": "R02", "lead_s": NaN}']
)
def test_a_damaged_file_is_no_file(store: Store, content: bytes) -> None:
    (store.root / READERS_FOLDER).mkdir()
    (store.root / READERS_FOLDER / "R02.json").write_bytes(content)
    assert fitted_lead_s(store, "R02") is None
    fit_leads(store, CONFIG, keys(store))
    assert fitted_lead_s(store, "R02") is not None


@pytest.mark.parametrize("code", ["../../evil", "", "x" * 200])
def test_a_code_that_is_no_file_name_stays_in_the_folder(
    store: Store, readings: ModuleType, code: str
) -> None:
    reading = readings.with_meta(readings.make_reading(11), reader_code=code)
    store.add(reading, {})
    events, sentences = looking(11, n_sentences=32)
    store.write_stage(reading.meta.reading_id, "events", {"events": events}, {})
    store.write_stage(reading.meta.reading_id, "dictation", {"sentences": sentences}, {})
    fit_leads(store, CONFIG, {reading.meta.reading_id: {"dictation": "d", "events": "e"}})
    (path,) = (store.root / READERS_FOLDER).iterdir()
    assert len(path.stem) == 16
    assert fitted_lead_s(store, code) == pytest.approx(LEAD_S, abs=0.3)


def test_a_damaged_reading_is_left_out_and_counted(store: Store) -> None:
    reading_id = next(i for i in store.reading_ids() if store.meta(i).reader_code == "R02")
    (store.folder(reading_id) / "gaze.parquet").write_bytes(b"PAR1")
    leads = {lead.reader_code: lead for lead in fit_leads(store, CONFIG, keys(store))}
    assert (leads["R02"].n_readings, leads["R02"].n_unreadable) == (3, 1)
    assert leads["R02"].fit.n_sentences == 24


def test_a_run_takes_the_lead_on_file_without_changing_it(readings: ModuleType, tmp_path: Path) -> None:
    store = readings.fill_store(tmp_path / "store", 1)
    (reading_id,) = store.reading_ids()
    path = store.root / READERS_FOLDER / "R02.json"
    path.parent.mkdir()
    path.write_text('{"reader_code": "R02", "lead_s": 1.1}')
    kept = path.read_bytes()
    (path.parent / ".R02.json.0123abcd.partial").write_text("torn")
    assert sweep_scratch(store) == 1
    assert curate(store, CONFIG, refit_leads=False).kept == [reading_id]
    notes = store.stage_record(reading_id, "keyframes")["notes"]
    assert (notes["lead_s"], notes["lead_is_fitted"]) == (1.1, True)
    assert path.read_bytes() == kept

    summary = curate(store, CONFIG)
    assert (summary.kept, summary.n_unchanged) == ([reading_id], 0)
    notes = store.stage_record(reading_id, "keyframes")["notes"]
    assert (notes["lead_s"], notes["lead_is_fitted"]) == (2.0, False), "two sentences settle nothing"
    done = {path: path.stat().st_mtime_ns for path in store.root.glob("*/stages/*/stage.json")}
    assert len(done) == len(STAGES)
    assert curate(store, CONFIG).n_unchanged == 1
    assert curate(store, CONFIG, restart=True).n_unchanged == 0
    assert not [path for path, before in done.items() if path.stat().st_mtime_ns == before]
