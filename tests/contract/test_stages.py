"""What every stage must keep, whichever it is."""

from __future__ import annotations

import importlib.util
import inspect
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from curation.config import CurationConfig
from curation.stages import STAGES, stage_named
from curation.stages.protocol import Stage, StageContext, StageOutput
from gazecapture.store import Store
from keyframes.events import METHODS, detect
from keyframes.frames import toolkit_keyframes
from keyframes.reading import SCHEMAS, SOURCE_TABLES, Reading, conform
from keyframes.regions.assignment import assign_regions
from keyframes.sentences import split_sentences
from keyframes.trajectory import inspection_trajectory

READINGS = Path(__file__).parents[1] / "unit" / "curation" / "readings.py"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("synthetic_readings_for_stages", READINGS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def store(generator: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = generator.fill_store(tmp_path_factory.mktemp("contract") / "store", 1)
    assert isinstance(store, Store)
    return store


def _context(store: Store) -> StageContext:
    (reading_id,) = store.reading_ids()
    return StageContext(config=CurationConfig(), image_path=lambda index: store.image_path(reading_id, index))


def _before(stage: Stage, store: Store) -> Reading:
    """Return the reading with the tables of the stages that ``stage`` names, and of those that they name."""
    reading = store.load(store.reading_ids()[0])
    for earlier in STAGES:
        if earlier.name == stage.name:
            return reading
        if earlier.name in _needed(stage):
            reading = reading.with_tables(**earlier.run(reading, _context(store)).tables)
    raise AssertionError(stage.name)


def _needed(stage: Stage) -> set[str]:
    return set(stage.depends_on).union(*(_needed(stage_named(name)) for name in stage.depends_on))


def test_the_order_and_the_tables_are_those_of_the_design() -> None:
    assert [(stage.name, stage.tables) for stage in STAGES] == [
        ("quality", ("quality", "issues")),
        ("dictation", ("sentences",)),
        ("events", ("events",)),
        ("regions", ("regions", "event_regions")),
        ("keyframes", ("keyframes",)),
        (
            "trajectory",
            ("trajectory", "region_coverage", "letter_coverage", "transitions", "inspection", "lesion_gaze"),
        ),
        ("privacy", ()),
    ]


def test_every_table_has_one_writer() -> None:
    written = [table for stage in STAGES for table in stage.tables]
    assert sorted(written) == sorted(set(SCHEMAS) - set(SOURCE_TABLES))


def test_the_configured_methods_are_those_of_the_library() -> None:
    for method in METHODS:
        assert CurationConfig.model_validate({"events": {"method": method}}).events.method == method


def test_the_default_settings_are_the_defaults_of_the_library() -> None:
    config = CurationConfig()
    for function, section, not_settings in (
        (toolkit_keyframes, config.keyframes, {"profile", "fit_lead", "published"}),
        (
            inspection_trajectory,
            config.trajectory,
            {"coverage_radius_deg", "lesion_radius_deg", "decision_dwell_s"},
        ),
        (split_sentences, config.dictation, set()),
        (detect, config.events, set()),
        (assign_regions, config.regions, {"scheme", "annotations", "segmenter"}),
    ):
        defaults = {
            name: parameter.default
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.default is not inspect.Parameter.empty
        }
        settings = section.model_dump(exclude=not_settings)
        assert settings == {name: defaults[name] for name in settings}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
class TestEveryStage:
    def test_keeps_the_protocol(self, stage: Stage) -> None:
        assert isinstance(stage, Stage)
        assert stage.code_version

    def test_builds_on_earlier_stages_only(self, stage: Stage) -> None:
        earlier = [other.name for other in STAGES[: STAGES.index(stage)]]
        assert set(stage.depends_on) <= set(earlier)

    def test_settings_are_json_and_follow_its_section(self, stage: Stage) -> None:
        json.dumps(dict(stage.config_part(CurationConfig())))

    def test_needs_no_more_than_it_names(self, stage: Stage, store: Store) -> None:
        reading = _before(stage, store)
        output = stage.run(reading, _context(store))
        assert isinstance(output, StageOutput)
        assert output.verdict == "ok"
        assert set(output.tables) == set(stage.tables)
        json.dumps(dict(output.notes), allow_nan=False)
        for name, table in output.tables.items():
            conform(name, table)

    def test_reads_no_more_of_the_gaze_than_it_names(self, stage: Stage, store: Store) -> None:
        if stage.gaze_columns is None:
            return  # any of them
        whole = _before(stage, store)
        few = store.load(whole.meta.reading_id, gaze_columns=stage.gaze_columns)
        assert set(few.table("gaze").column_names) == {"t_ns", *stage.gaze_columns}
        few = few.with_tables(**{name: t for name, t in whole.tables.items() if name not in SOURCE_TABLES})
        for settings in ({}, {"keyframes": {"profile": "published"}}):
            config = CurationConfig.model_validate(settings)
            context = replace(_context(store), config=config)
            from_few, from_all = stage.run(few, context), stage.run(whole, context)
            assert from_few.notes == from_all.notes
            for name in stage.tables:
                assert from_few.tables[name].to_pandas().equals(from_all.tables[name].to_pandas())

    def test_is_the_same_every_time(self, stage: Stage, store: Store) -> None:
        reading = _before(stage, store)
        first, second = (stage.run(reading, _context(store)) for _ in range(2))
        assert first.notes == second.notes
        for name in stage.tables:
            assert first.tables[name].to_pandas().equals(second.tables[name].to_pandas())

    def test_a_reading_without_gaze_and_words_goes_through(
        self, stage: Stage, store: Store, generator: ModuleType
    ) -> None:
        bare = generator.make_reading(words=[])
        bare = bare.with_tables(gaze=bare.table("gaze").slice(0, 0))
        for earlier in STAGES[: STAGES.index(stage)]:
            bare = bare.with_tables(**earlier.run(bare, _context(store)).tables)
        output = stage.run(bare, _context(store))
        assert output.verdict == ("rejected" if stage.name == "quality" else "ok")
        for name, table in output.tables.items():
            conform(name, table)
