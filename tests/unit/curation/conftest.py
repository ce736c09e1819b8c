"""Gives the tests of this folder the generator of synthetic readings."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


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
