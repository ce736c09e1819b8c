"""kill -9 while views are added to a dataset: it is the old one or the new one, and the next command completes it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from curation.config import CurationConfig
from curation.export.dataset import export_dataset
from curation.export.switch import MANIFEST
from curation.export.verify import verify_dataset
from curation.run import curate
from gazecapture.store import Store
from tests.killed_command import killed_when
from tests.unit.curation.readings import fill_store

VIEWS = ("huggingface", "trl", "swift")


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def export(store: Store, out: Path, *views: str) -> None:
    export_dataset(store, out, reading_ids=store.reading_ids(), config=CurationConfig(), views=views)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = fill_store(tmp_path_factory.mktemp("killed") / "store", 1)
    curate(store, CurationConfig())
    return store


@pytest.fixture(scope="module")
def plain(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("killed") / "dataset"
    export(store, out)
    return out


@pytest.fixture(scope="module")
def whole(store: Store, plain: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = Path(shutil.copytree(plain, tmp_path_factory.mktemp("killed") / "whole"))
    export(store, out, *VIEWS)
    return content(out)


def test_killed_while_views_are_written(
    store: Store, plain: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    out = Path(shutil.copytree(plain, tmp_path / "dataset"))
    views = [word for view in VIEWS for word in ("--view", view)]
    killed_when(
        out,
        ".*.partial/views/huggingface/*",
        "curation",
        "export",
        "--store",
        store.root,
        "--out",
        out,
        *views,
    )
    verify_dataset(out)
    assert not (out / "views").exists()
    assert any(out.glob(".*.partial")), "killed in the middle of it"
    export(store, out, *VIEWS)
    assert content(out) == whole


def test_killed_before_the_manifest_names_them(
    store: Store, plain: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    """The folders are in place by then: the next command, whatever it was asked for, leaves a sound dataset."""
    for views, expected in ((VIEWS, whole), ((), content(plain))):
        out = Path(shutil.copytree(plain, tmp_path / f"dataset of {len(views)}"))
        for name, data in whole.items():
            if name.startswith("views/"):
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                (out / name).write_bytes(data)
        assert (out / MANIFEST).read_bytes() == (plain / MANIFEST).read_bytes()
        export(store, out, *views)
        assert content(out) == expected
        verify_dataset(out)
