"""Markers planted in every field of the input, sought in all that leaves the store by a search of its own."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pydicom
import pytest
from pydicom.dataset import Dataset

from curation.cli import cli
from curation.consent import CONSENT_LOG
from curation.export import dataset as exporting
from curation.export import originals, write
from curation.export import place as placing
from curation.export.card import dataset_card
from curation.export.views import VIEWS
from curation.privacy import RowGuard
from gazecapture.console import run_command
from gazecapture.simulation.offline import simulate_session
from gazecapture.store import DECISIONS_FILE, Store
from keyframes.errors import ExitCode
from tests import byte_search
from tests.canary_films import STEM, Canaries, write_films
from tests.canary_inputs import (
    plant_in_session,
    plant_in_tables,
    write_own_profile,
    write_settings,
    write_worklist,
)


class Planted:
    """A session, a store and a dataset that came out of it."""

    def __init__(self, root: Path) -> None:
        self.canary = Canaries()
        self.told = io.StringIO()
        """What the commands wrote to stdout and stderr."""
        self.inputs = root / "in"
        films = write_films(self.inputs / "studies" / self.canary["picture folder"], self.canary)
        write_worklist(self.inputs / "studies", films, self.canary)
        session = self.inputs / "sessions" / self.canary["session folder"]
        simulate_session(
            session, self.inputs / "studies", reader_seed=1, truth_dir=root / "truth", rate_hz=120.0, duration_s=4.0,
            reader_code=self.canary["reader code"],
        )  # fmt: skip
        plant_in_session(session, self.canary)
        write_own_profile(session, self.canary)
        self.settings = write_settings(self.inputs / self.canary["settings folder"], self.canary)
        self.store, self.dataset = root / self.canary["store folder"], root / "dataset"
        assert self.run("ingest", self.inputs / "sessions", "--format", "session", "--store", self.store) == 0
        line = {
            "kind": "burned_in", "target": 0, "value": "ok", "reason": self.canary["decision's reason"],
            "reviewer": self.canary["reviewer"],
        }  # fmt: skip
        for reading_id in Store.open(self.store).reading_ids():
            (self.store / reading_id / DECISIONS_FILE).write_text(json.dumps(line) + "\n")
        plant_in_tables(self.store, self.canary)
        hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in films.values()]
        self.needles = {
            **self.canary, "uid or number": "8675309421", "birth date": "19010101", "store": str(root),
            **{f"hash of film {number}": digest for number, digest in enumerate(hashes)},
        }  # fmt: skip

    def run(self, *arguments: str | Path) -> ExitCode:
        command = ["-v", *(str(argument) for argument in arguments)]
        with contextlib.redirect_stdout(self.told), contextlib.redirect_stderr(self.told):
            return run_command(cli, command)

    def export_light(
        self, out: Path, *options: str | Path, formats: Sequence[str] = ("parquet", "hdf5")
    ) -> ExitCode:
        """Export again, without what takes most of the time."""
        light = self.settings.with_name("light.toml")
        light.write_text(
            self.settings.read_text().replace("names = ['", "# names = ['", 1)
            + f"[export]\nkeyframe_pictures = false\npicture_max_side_px = 64\nformats = {list(formats)}\n"
        )
        return self.run("export", "--store", self.store, "--out", out, "-c", light, *options)

    def export_one(self, out: Path, *, formats: Sequence[str] = ("parquet", "hdf5")) -> ExitCode:
        """Export the reading of one film with every attribute."""
        store = Store.open(self.store)
        plain = {i for i in store.reading_ids() if self._has_plain_film(store, i)}
        others = out.with_suffix(".others")
        others.write_text("\n".join(set(store.reading_ids()) - plain))
        assert len(plain) == 1
        return self.export_light(out, "--exclude-list", others, formats=formats)

    def _has_plain_film(self, store: Store, reading_id: str) -> bool:
        path = store.image_path(reading_id, 0)
        return path is not None and path.suffix == ".dcm" and "VOILUTSequence" in pydicom.dcmread(path)

    def canaries_told(self, said: str) -> list[str]:
        """Return what was told that it should not be; folders that the caller named are echoed."""
        return [p for p, c in self.canary.items() if c.lower() in said.lower() and "folder" not in p]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom tells of what is planted
        return Planted(tmp_path_factory.mktemp("canaries"))


@pytest.fixture(scope="module")
def dataset(planted: Planted) -> Path:
    stored = ("--store", planted.store, "--out", planted.dataset, "-c", planted.settings)
    assert planted.run("run", *stored, "-j", "1") == ExitCode.OK
    assert planted.run("report", "--dataset", planted.dataset) == ExitCode.OK
    return planted.dataset


def test_the_search_finds_each_marker_where_it_was_planted(planted: Planted) -> None:
    in_inputs = {place for place in planted.needles if "extra column" not in place}  # those are in the store
    unfound = in_inputs - byte_search.find(planted.inputs, planted.needles, stem=STEM).keys()
    assert unfound <= {"store", "store folder", "decision's reason", "reviewer", "picture folder"}
    assert len(planted.canary) >= 40


def test_no_marker_is_in_any_output(planted: Planted, dataset: Path) -> None:
    kinds = {path.suffix for path in dataset.rglob("*") if path.is_file()}
    assert {path.name for path in (dataset / "views").iterdir()} == {view.name for view in VIEWS}
    assert any((dataset / "samples").iterdir())
    packed = {".gz", ".mp4", ".csv", ".tsv"}
    assert {".parquet", ".h5", ".dcm", ".png", ".json", ".html", ".md", *packed} <= kinds
    assert byte_search.find(dataset, planted.needles, stem=STEM) == {}


def test_what_is_no_marker_is_still_there(planted: Planted, dataset: Path) -> None:
    rows = [row for path in (dataset / "readings").iterdir() for row in pq.read_table(path).to_pylist()]
    assert len(rows) == 5
    for row in rows:
        assert "Cough" in row["indication"]
        assert "heart" in row["text"].lower()
        assert len(row["images"]) == 1
        assert any("Nodule" in finding["label"] for finding in row["findings"])


@pytest.mark.usefixtures("dataset")
def test_attached_pictures_bring_nothing_with_them(planted: Planted, tmp_path: Path) -> None:
    assert planted.export_light(tmp_path / "out", "--without-images", formats=("parquet",)) == ExitCode.OK
    assert planted.run("attach-images", tmp_path / "out", planted.inputs / "studies") == ExitCode.OK
    rows = [
        row for path in (tmp_path / "out" / "readings").iterdir() for row in pq.read_table(path).to_pylist()
    ]
    assert [len(row["images"]) for row in rows] == [1] * 5
    assert byte_search.find(tmp_path / "out", planted.needles, stem=STEM) == {}


def without_rules(*_: object, **__: object) -> list[str]:
    return []


@pytest.mark.usefixtures("dataset")
def test_the_search_sees_what_a_missing_rule_lets_out(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RowGuard, "__call__", lambda _, row: dict(row))
    monkeypatch.setattr(exporting, "scan_output", without_rules)
    assert planted.export_one(tmp_path / "out") == ExitCode.OK
    found = byte_search.find(tmp_path / "out", planted.needles, stem=STEM)
    assert found.keys() >= {
        "reader code", "study arm", "indication", "tracker maker", "tracker model", "finding id", "finding label",
        "finding shape", "truth id", "truth label", "truth source", "dictated", "word source", "patient name",
    }  # fmt: skip
    assert {Path(hit.split(":")[0]).suffix for hit in found["dictated"]} >= {".parquet", ".h5"}


def names_in_originals(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaky(old: Dataset) -> Dataset:
        new = kept(old)
        new.InstitutionName = old.get("InstitutionName", "")
        return new

    kept = originals._of_defined_values
    monkeypatch.setattr(originals, "_of_defined_values", leaky)


def ids_in_originals(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaky(item: Dataset) -> Dataset:
        new = kept(item)
        new.SeriesInstanceUID = "1.2.3.8675309421.17"  # the film's own, nested
        return new

    kept = originals._lut
    monkeypatch.setattr(originals, "_lut", leaky)


def rows_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RowGuard, "__call__", lambda _, row: dict(row))


def codes_in_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaky(facts: Any) -> str:
        return dataset_card(facts) + ", ".join(sorted({meta.reader_code for meta in facts.metas}))

    monkeypatch.setattr(write, "dataset_card", leaky)


def paths_in_the_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        placing, "_shareable", lambda settings, _: json.loads(json.dumps(settings, default=str))
    )


@pytest.mark.parametrize(
    "broken",
    [names_in_originals, ids_in_originals, rows_as_they_are, codes_in_the_card, paths_in_the_manifest],
)
@pytest.mark.usefixtures("dataset")
def test_the_last_scan_refuses_what_a_broken_rule_lets_through(
    broken: Any,
    planted: Planted,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken(monkeypatch)
    # Rows are in both formats; the rest is beside the shards.
    formats = ("parquet", "hdf5") if broken is rows_as_they_are else ("parquet",)
    assert planted.export_one(tmp_path / "out", formats=formats) == ExitCode.PRIVACY
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name != ".gazecapture"] == []
    assert planted.canaries_told(planted.told.getvalue()) == []


@pytest.mark.usefixtures("dataset")
def test_source_hashes_in_the_card_are_refused(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = planted.needles["hash of film 0"]
    monkeypatch.setattr(write, "dataset_card", lambda facts: dataset_card(facts) + digest)
    assert planted.export_one(tmp_path / "out", formats=("parquet",)) == ExitCode.PRIVACY


@pytest.mark.usefixtures("dataset")
def test_no_marker_is_in_what_the_commands_say_and_log(planted: Planted, tmp_path: Path) -> None:
    planted.told.truncate(0)
    arguments = ("--store", planted.store, "--json")
    assert planted.run("verify", planted.dataset, *arguments) == ExitCode.OK
    assert planted.run("status", *arguments) == ExitCode.OK
    copy = tmp_path / "store"
    shutil.copytree(planted.store, copy)
    for name in ("access.jsonl", "sessions.json"):  # whose sessions and datasets are to stay
        (copy / name).unlink()
    gone = Store.open(copy).reading_ids()[0]
    assert planted.run("forget", "--reading", gone, "--store", copy, "--json") == ExitCode.OK
    assert '"n_readings": 1' in planted.told.getvalue()
    assert planted.canaries_told(planted.told.getvalue()) == []
    for path in (*planted.store.glob("*.jsonl"), *copy.glob("*.jsonl")):
        if path.name != CONSENT_LOG:  # which says who agreed to what
            assert planted.canaries_told(path.read_text()) == [], path.name
