"""What is to be done and why, by comparing records; no stage is run."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from curation.config import CurationConfig
from curation.plan import ReadingPlan, plan_reading, stage_record
from curation.stages import STAGES
from gazecapture.store import Store
from keyframes.errors import SchemaError

DEFAULT = CurationConfig()


@pytest.fixture
def store(readings: ModuleType, tmp_path: Path) -> Store:
    """A store of one reading whose stages are all recorded as finished."""
    store = Store.create(tmp_path / "store")
    reading = readings.make_reading()
    store.add(reading, {})
    keys: dict[str, str] = {}
    for stage in STAGES:
        source_hash = store.source_hash(reading.meta.reading_id)
        record = stage_record(stage, DEFAULT, source_hash=source_hash, keys=keys)
        keys[stage.name] = record["key"]
        store.write_stage(reading.meta.reading_id, stage.name, {}, {**record, "verdict": "ok", "reason": ""})
    return store


def _plan(store: Store, config: CurationConfig = DEFAULT, *, restart: bool = False) -> ReadingPlan:
    return plan_reading(store, store.reading_ids()[0], config, stages=STAGES, restart=restart)


def _change(store: Store, stage: str, **changes: Any) -> None:
    (reading_id,) = store.reading_ids()
    record = store.stage_record(reading_id, stage)
    assert record is not None
    store.write_stage(reading_id, stage, {}, record | changes)


def test_what_is_finished_is_not_done_again(store: Store) -> None:
    plan = _plan(store)
    assert plan.todo == ()
    assert plan.verdict == "ok"
    assert len(plan.stages) == len(STAGES)


def test_restart_does_all(store: Store) -> None:
    assert {step.reason for step in _plan(store, restart=True).todo} == {"restart"}
    assert len(_plan(store, restart=True).todo) == len(STAGES)


def test_restart_hashes_the_files_anew(store: Store) -> None:
    (reading_id,) = store.reading_ids()
    table = store.folder(reading_id) / "words.parquet"
    content = table.read_bytes()
    table.write_bytes(content + b"x")
    assert _plan(store).todo == ()
    with pytest.raises(SchemaError, match="not those that were ingested") as refused:
        _plan(store, restart=True)
    assert refused.value.code == "GT-SOURCE-CHANGED"
    table.unlink()
    with pytest.raises(SchemaError, match="not those that were ingested"):
        _plan(store, restart=True)
    table.write_bytes(content)
    assert len(_plan(store, restart=True).todo) == len(STAGES)


def test_a_missing_stage_alone_is_done(store: Store) -> None:
    store.drop_stage(store.reading_ids()[0], "regions")
    assert [(step.stage, step.reason) for step in _plan(store).todo] == [("regions", "not done yet")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"key": "x", "code_version": "0"}, "code version 0 -> 1"),
        ({"key": "x", "source_hash": "0"}, "the reading changed"),
        ({"key": "x", "settings": {}}, "settings changed: method"),
        ({"key": "x"}, "record damaged"),
    ],
)
def test_the_reason_is_told(store: Store, change: dict[str, Any], reason: str) -> None:
    _change(store, "events", **change)
    assert [(step.stage, step.reason) for step in _plan(store).todo] == [("events", reason)]


def test_another_version_of_the_toolkit_does_all_again(store: Store) -> None:
    _change(store, "quality", key="x", tool_version="0.0.1")
    (step,) = _plan(store).todo
    assert step.reason.startswith("tool version 0.0.1 -> ")


def test_a_changed_setting_runs_down_the_chain_and_no_further(store: Store) -> None:
    config = CurationConfig.model_validate({"regions": {"error_deg": 2.0}})
    assert {step.stage: step.reason for step in _plan(store, config).todo} == {
        "regions": "settings changed: error_deg",
        "keyframes": "builds on regions",
        "trajectory": "builds on regions",
    }
    config = CurationConfig.model_validate({"export": {"seed": 5}})
    assert _plan(store, config).todo == ()


def test_a_rejected_reading_is_planned_no_further(store: Store) -> None:
    _change(store, "quality", verdict="rejected", reason="GQ-LOSS-SHARE")
    store.drop_stage(store.reading_ids()[0], "events")
    plan = _plan(store)
    assert plan.todo == ()
    assert (plan.verdict, plan.verdict_reason) == ("rejected", "GQ-LOSS-SHARE")
    mild = CurationConfig.model_validate({"quality": {"severity": {"GQ-LOSS-SHARE": "info"}}})
    assert [step.stage for step in _plan(store, mild).todo][:2] == ["quality", "events"]


def test_a_changed_reading_is_done_again(store: Store, readings: ModuleType) -> None:
    (reading_id,) = store.reading_ids()
    before = store.stage_record(reading_id, "events")
    assert before is not None
    reading = readings.make_reading(duration_s=5.0)
    store.add(reading, {})
    assert {step.reason for step in _plan(store).todo} == {"not done yet"}
    store.write_stage(reading_id, "events", {}, before)
    assert _plan(store).stages[2].reason == "the reading changed"


def test_a_damaged_record_is_done_again(store: Store) -> None:
    path = store.folder(store.reading_ids()[0]) / "stages" / "events" / "stage.json"
    for content in ("{", json.dumps({"key": json.loads(path.read_text())["key"]})):
        path.write_text(content)
        assert [step.stage for step in _plan(store).todo] == ["events"]
