"""Gives the tests of this folder the generator of synthetic readings."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from curation.config import CurationConfig
from curation.export.dataset import export_dataset
from curation.run import curate
from gazecapture.store import Store
from tests.gazecurate import Command


@pytest.fixture(scope="session")
def readings() -> ModuleType:
    """The module `readings.py` beside this file; test folders are no packages, so it is loaded by its path."""
    name = "synthetic_curation_readings"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("readings.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def curated(tmp_path_factory: pytest.TempPathFactory, readings: ModuleType) -> Store:
    """Two curated synthetic readings; for looking at, not for changing."""
    made: Store = readings.fill_store(tmp_path_factory.mktemp("curated") / "store", 2)
    assert len(curate(made, CurationConfig()).kept) == 2
    return made


@pytest.fixture(scope="session")
def exported(curated: Store) -> Path:
    """The same readings as a dataset; for looking at, not for changing."""
    out = curated.root.parent / "dataset"
    export_dataset(curated, out, reading_ids=curated.reading_ids(), config=CurationConfig())
    return out


@pytest.fixture
def gazecurate(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)
