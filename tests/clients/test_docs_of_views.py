"""The documentation of the views is true: its code opens them, its settings are settings."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # no stubs among the test dependencies

from curation.config import CurationConfig, PrivacyConfig
from curation.export.dataset import export_dataset
from curation.export.views import VIEWS
from curation.run import curate
from tests.unit.curation.readings import fill_store

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [DOCS / "views.md", DOCS / "science-views.md"]
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
OPENED_ELSEWHERE = {"llamafactory", "swift", "pymovements"}
"""Clients with an environment of their own (tools/check_clients); their lines must at least compile."""
RUN = """
import pathlib, sys
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    exec(compile(path.read_text(), path.name, "exec"), {"__name__": path.stem})
    print("opened", path.stem, flush=True)
"""


def openers() -> dict[str, str]:
    """Return the first lines of Python under the heading of every view."""
    found = {}
    for page in PAGES:
        for section in re.split(r"^### ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            name, _, rest = section.partition("\n")
            found[name.strip()] = next(code for kind, code in BLOCK.findall(rest) if kind == "python")
    return found


def client_of(code: str) -> set[str]:
    """Return the packages that some lines import."""
    lines = [line.split() for line in code.splitlines() if line.startswith(("import ", "from "))]
    names = [name for words in lines for name in (words[1:2] if words[0] == "from" else words[1:])]
    return {name.strip(",").split(".")[0] for name in names}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which DATASET is a dataset with all views."""
    root = tmp_path_factory.mktemp("docs")
    config = CurationConfig(privacy=PrivacyConfig(gaze_tier="raw"))
    store = fill_store(root / "store", 1)
    assert curate(store, config).kept == store.reading_ids()
    views = [view.name for view in VIEWS]
    export_dataset(store, root / "DATASET", reading_ids=store.reading_ids(), config=config, views=views)
    return root


def test_every_view_is_opened_by_three_lines() -> None:
    found = openers()
    assert found.keys() == {view.name for view in VIEWS} | {"Croissant"}
    for name, code in found.items():
        assert len([line for line in code.splitlines() if line.strip()]) == 3, name
        compile(code, name, "exec")
        here = {client for client in client_of(code) if importlib.util.find_spec(client)}
        assert client_of(code) - here <= OPENED_ELSEWHERE, name


def test_the_lines_open_the_views(place: Path) -> None:
    scripts = place / "scripts"
    scripts.mkdir()
    names = [name for name, code in openers().items() if not client_of(code) & OPENED_ELSEWHERE]
    assert len(names) == 7
    for name in names:
        (scripts / f"{name}.py").write_text(openers()[name], encoding="utf-8")
    command = [sys.executable, "-c", RUN, str(scripts)]
    quiet = {**os.environ, "HF_HOME": str(place / "cache"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=place, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("opened ")] == sorted(
        names
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_settings_that_are_shown_are_taken(page: Path) -> None:
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    kinds = [kind for kind, _ in blocks]
    assert "toml" in kinds
    assert set(kinds) <= {"python", "toml", "yaml", "sh"}
    for kind, text in blocks:
        if kind == "toml":
            CurationConfig.model_validate(tomllib.loads(text))
        elif kind == "yaml":
            assert isinstance(yaml.safe_load(text), dict)
