"""What every view must keep, whichever it is."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from curation.config import CurationConfig, ExportConfig, PrivacyConfig
from curation.export import dataset_views
from curation.export.dataset import MANIFEST, export_dataset
from curation.export.dataset_views import write_views
from curation.export.read import ShardReader
from curation.export.scan import scan_output
from curation.export.verify import verify_dataset
from curation.export.views import VIEWS, View, ViewResult, view_named
from curation.run import curate
from curation.view_settings import ViewOptions, ViewsConfig
from gazecapture.store import Store
from keyframes.errors import PrivacyError, SchemaError, ShardIntegrityError, UsageError
from tests.byte_search import find
from tests.shard_rows import varied_rows, write_shards
from tests.unit.curation.readings import fill_store

CONFIG = CurationConfig(privacy=PrivacyConfig(gaze_tier="raw"), export=ExportConfig(formats=("parquet",)))
"""A view of samples has something to show then; views are made of the Parquet shards."""
ALL = tuple(view.name for view in VIEWS)
ALL_ROWS, N_ROWS = slice(None), len(varied_rows())
ABSOLUTE = re.compile(rb"(?:/(?:home|root|tmp|work|mnt|Users)/|[A-Z]:\\\\)")


def options_of(view: View[Any]) -> ViewOptions:
    return ViewsConfig().options_of(view.name)


def write(view: View[Any], shards: Path, folder: Path) -> ViewResult:
    folder.mkdir()
    return view.write(ShardReader(shards), folder, options_of(view))


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def shards_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[slice], Path]:
    """Some of the rows made by hand as a dataset, which no view may change; the same rows are written once."""
    rows = varied_rows()
    written: dict[str, Path] = {}

    def of(part: slice) -> Path:
        if str(part) not in written:
            written[str(part)] = write_shards(tmp_path_factory.mktemp("rows") / "dataset", rows[part])
        return written[str(part)]

    return of


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two small readings, curated."""
    store = fill_store(tmp_path_factory.mktemp("views") / "store", 2)
    assert curate(store, CONFIG).kept == store.reading_ids()
    return store


@pytest.fixture(scope="module")
def exported(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with all views, written at once."""
    return export(store, tmp_path_factory.mktemp("views") / "dataset", *ALL)


@pytest.fixture(scope="module")
def plain(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same dataset without views."""
    return export(store, tmp_path_factory.mktemp("views") / "dataset")


@pytest.fixture
def dataset(plain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plain, tmp_path / "dataset"))


def export(store: Store, out: Path, *views: str, reading_ids: Sequence[str] = ()) -> Path:
    ids = reading_ids or store.reading_ids()
    export_dataset(store, out, reading_ids=ids, config=CONFIG, views=views)
    return out


@pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="tells what is synced by its descriptor, as Linux can"
)
def test_views_are_on_the_disk_before_the_manifest_lists_them(
    store: Store, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut takes what was not synced; so every file, its folder and the views' own come before the manifest."""
    synced: list[tuple[int, str]] = []
    really = os.fsync

    def noting(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((os.fstat(descriptor).st_ino, path.name))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    export(store, dataset, "trl")
    manifest_at = max(place for place, (_, name) in enumerate(synced) if name.startswith(f".{MANIFEST}"))
    before = {inode for inode, _ in synced[:manifest_at]}
    there = set((dataset / "views" / "trl").rglob("*")) | {
        dataset / "views",
        dataset / "views" / "trl",
    }
    assert {path for path in there if path.stat().st_ino not in before} == set()


def test_every_view_has_options_and_a_place_in_the_settings() -> None:
    assert sorted(view.name for view in VIEWS) == sorted(ViewsConfig.known_views())
    for view in VIEWS:
        assert isinstance(view, View)
        assert view_named(view.name) is view
        assert isinstance(options_of(view), ViewOptions)
        json.dumps(options_of(view).model_dump(mode="json"))


def test_a_name_that_no_view_has_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no view"):
        export(store, tmp_path / "out", "nonsense")


def test_added_later_they_are_the_same_and_the_shards_stay(
    store: Store, dataset: Path, exported: Path
) -> None:
    before = {p: p.stat().st_mtime_ns for p in dataset.rglob("*") if p.suffix in {".parquet", ".h5"}}
    for name in ALL:
        export(store, dataset, name)
        verify_dataset(dataset)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert content(dataset) == content(exported)
    summary = export_dataset(store, dataset, reading_ids=store.reading_ids(), config=CONFIG, views=ALL)
    assert summary.up_to_date


def test_they_follow_the_shards(store: Store, exported: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(exported, tmp_path / "out"))
    kept, gone = store.reading_ids()
    export(store, out, reading_ids=[kept])
    manifest = json.loads((out / MANIFEST).read_bytes())
    assert sorted(manifest["views"]) == sorted(ALL)
    for entry in manifest["views"].values():
        assert entry["n_readings"] + sum(entry["left_out"].values()) == 1
    assert not find(out / "views", {"the reading that is gone": gone})
    verify_dataset(out)


def test_other_options_replace_a_view(store: Store, dataset: Path) -> None:
    export(store, dataset, "huggingface")
    other = ViewsConfig.model_validate({"huggingface": {"rows_per_file": 1}})
    config = CONFIG.model_copy(update={"views": other})
    export_dataset(store, dataset, reading_ids=store.reading_ids(), config=config, views=["huggingface"])
    folder = dataset / "views" / "huggingface"
    assert len(list(folder.glob("readings/*.parquet"))) == 2
    verify_dataset(dataset)
    before = content(dataset)
    export(store, dataset)  # a view that is only in the dataset keeps its options
    assert content(dataset) == before


def test_what_the_scan_finds_is_not_put_in_place(
    store: Store, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(dataset)

    def leaky(shards: Path, folder: Path, requests: Any, dataset_key: str) -> dict[str, Any]:
        entries = write_views(shards, folder, requests, dataset_key)
        (folder / "views" / "huggingface" / "note.txt").write_text(f"see {store.root.resolve()}")
        return entries

    monkeypatch.setattr(dataset_views, "write_views", leaky)
    with pytest.raises(PrivacyError):
        export(store, dataset, "huggingface")
    assert content(dataset) == before


def test_a_failure_midway_changes_nothing(store: Store, dataset: Path) -> None:
    before = content(dataset)
    shard = next((dataset / "readings").glob("*.parquet"))
    good = shard.read_bytes()
    shard.write_bytes(good[: len(good) // 2])
    with pytest.raises(SchemaError):
        export(store, dataset, "huggingface")
    shard.write_bytes(good)
    assert content(dataset) == before


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
class TestEveryView:
    def test_every_row_is_written_or_counted(
        self, view: View[Any], shards_of: Callable[[slice], Path], tmp_path: Path
    ) -> None:
        result = write(view, shards_of(ALL_ROWS), tmp_path / "view")
        assert result.n_readings + sum(result.left_out.values()) == N_ROWS
        assert result.n_records >= result.n_readings > 0
        assert all(n > 0 for n in (*result.left_out.values(), *result.records_left_out.values()))
        assert content(tmp_path / "view")

    @pytest.mark.parametrize("number", range(N_ROWS))
    def test_takes_a_dataset_of_one_row_of_any_kind(
        self, view: View[Any], number: int, shards_of: Callable[[slice], Path], tmp_path: Path
    ) -> None:
        result = write(view, shards_of(slice(number, number + 1)), tmp_path / "view")
        assert result.n_readings + sum(result.left_out.values()) == 1

    def test_the_same_rows_give_the_same_bytes(
        self, view: View[Any], shards_of: Callable[[slice], Path], tmp_path: Path
    ) -> None:
        shards = shards_of(ALL_ROWS)
        before = content(shards)
        result = write(view, shards, tmp_path / "a")
        assert write(view, shards, tmp_path / "b") == result
        assert content(tmp_path / "a") == content(tmp_path / "b")
        assert content(shards) == before

    def test_holds_no_path_of_this_computer(self, view: View[Any], store: Store, exported: Path) -> None:
        folder = exported / "views" / view.name
        assert not find(folder, {"store": str(store.root), "home": f"{Path.home()}{os.sep}"})
        for name, data in content(folder).items():
            assert not ABSOLUTE.search(data), name
            assert not name.startswith("/")
            assert ".." not in Path(name).parts

    def test_tells_nothing_that_stays_in_the_store(
        self, view: View[Any], store: Store, exported: Path
    ) -> None:
        stays = {f"source hash {i}": store.source_hash(i) for i in store.reading_ids()}
        stays["key"] = store.pseudonym_key.hex()
        for reading_id in store.reading_ids():
            for image in store.load(reading_id).table("images").to_pylist():
                stays[f"hash of the stored file {reading_id}"] = image["sha256"]
        assert not find(exported / "views" / view.name, stays)

    def test_is_listed_and_verified(self, view: View[Any], exported: Path, tmp_path: Path) -> None:
        manifest = json.loads((exported / MANIFEST).read_bytes())
        listed = {file["path"] for file in manifest["files"]}
        there = {f"views/{view.name}/{name}" for name in content(exported / "views" / view.name)}
        assert there
        assert there <= listed
        entry = manifest["views"][view.name]
        assert entry["n_readings"] + sum(entry["left_out"].values()) == manifest["n_readings"]
        assert entry["options"] == options_of(view).model_dump(mode="json")
        damaged = Path(shutil.copytree(exported, tmp_path / "damaged"))
        path = damaged / min(there)
        path.write_bytes(path.read_bytes() + b" ")
        with pytest.raises(ShardIntegrityError, match="SHA-256"):
            verify_dataset(damaged)
        shutil.copy(exported / min(there), path)
        verify_dataset(damaged)
        (damaged / "views" / view.name / "stranger.txt").write_text("")
        with pytest.raises(ShardIntegrityError, match="does not list"):
            verify_dataset(damaged)

    def test_the_scan_reads_all_of_its_files(self, view: View[Any], exported: Path) -> None:
        # Sought: what every view holds somewhere, so that a format which the scan cannot take apart shows.
        ids = [row["reading_id"] for row in ShardReader(exported).rows(["reading_id"])]
        sought = ["lungs are clear", "fixation", *ids]
        hits = scan_output(exported / "views" / view.name, {}, [], codes=sought)
        assert any(not hit.endswith("in its name") for hit in hits)
