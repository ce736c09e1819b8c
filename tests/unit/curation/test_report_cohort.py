"""What the report says of all readings together: what was left, how figures spread, how far readers agree, files."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.cli import cli
from curation.cli.report import report_command
from curation.config import CurationConfig, QualityConfig, remember_config
from curation.export.dataset import MANIFEST, export_dataset
from curation.export.schema import SHARD
from curation.funnel import Funnel
from curation.report import DatasetSource, StoreSource, build_report, page
from curation.report.agreement import agreement_of
from curation.report.cohort import limits_of
from curation.report.distributions import distributions
from curation.report.downloads import NumberTable, all_as_json, as_csv
from curation.report.gathered import Gathered, ImageGaze, Visit
from curation.report.letters import letter_spreads, ways
from curation.report.per_reader import figures_per_reader
from curation.run import curate
from gazecapture.console import run_command
from gazecapture.store import Store
from keyframes.agreement import icc
from keyframes.errors import ExitCode, PrivacyError
from keyframes.reading import TRAJECTORY

FORMULAS = ("=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\uff1d1", "\0=1", "a\0b")


def reading(
    study: str, reader: str, letters: str = "ABC", *, at: float = 0.5, repeat: bool = False
) -> Gathered:
    """Return a reading whose gaze rests at (at, .5) and visits the letters in order, a second each."""
    visits = tuple(
        Visit(letter=letter, image_index=0, t_start_s=float(k), t_end_s=k + 1.0)
        for k, letter in enumerate(letters)
    )
    rows = [
        {"order": k, "letter": v.letter, "region": f"region {v.letter}", "image_index": 0, "dwell_s": 1.0,
         "n_fixations": 1, "t_start_ns": k * 10**9, "t_end_ns": (k + 1) * 10**9}
        for k, v in enumerate(visits)
    ]  # fmt: skip
    one = np.ones(1)
    return Gathered(
        reading_id=f"{study}-{reader}-{repeat:d}", study_key=study, reader_code=reader, is_repeat=repeat,
        duration_s=float(len(letters)), metrics={"loss_share": 0.1}, units={"loss_share": "share"}, letters={},
        visits=visits, trajectory=pa.Table.from_pylist(rows, schema=TRAJECTORY),
        gaze={0: ImageGaze(x_share=one * at, y_share=one * 0.5, dwell_s=one, sigma_share=(0.05, 0.05))},
        targets={(0, "Cardiomegaly"): (at, 0.5)},
    )  # fmt: skip


def test_readers_who_looked_alike_agree_and_those_of_other_studies_say_what_chance_is() -> None:
    found = agreement_of(
        [
            reading(s, r, letters, at=at)
            for s, letters, at in (("s1", "ABC", 0.2), ("s2", "CAB", 0.8))
            for r in "xy"
        ]
    )
    assert found is not None
    assert [(s.study_key, s.n_readers, len(s.pairs)) for s in found.studies] == [("s1", 2, 1), ("s2", 2, 1)]
    assert (found.mean("attention"), found.mean("letters"), found.mean("regions")) == pytest.approx((1, 1, 1))
    assert found.chance["attention"] == pytest.approx(0.0, abs=1e-3)
    assert found.chance["letters"] == pytest.approx(1 / 3), "ABC to CAB is two edits of three"
    assert found.n_chance_pairs == 2, "x of one study with y of the other, and the other way round"
    assert {code: round(value, 6) for code, value in found.with_others.items()} == {"x": 1.0, "y": 1.0}


def test_a_reader_s_first_reading_of_a_study_counts_and_one_reader_agrees_with_nobody() -> None:
    assert agreement_of([reading("s1", "x"), reading("s1", "x", repeat=True), reading("s2", "y")]) is None
    twice = agreement_of([reading("s1", "x", at=0.9, repeat=True), reading("s1", "x"), reading("s1", "y")])
    assert twice is not None
    assert twice.mean("attention") == pytest.approx(1.0)


def test_centroids_are_those_of_the_published_formula() -> None:
    x = {"s1": (0.1, 0.2, 0.3), "s2": (0.5, 0.55, 0.5), "s3": (0.8, 0.9, 0.7)}
    same = agreement_of(
        [reading(s, r, at=at) for s, places in x.items() for r, at in zip("xyz", places, strict=True)]
    )
    assert same is not None
    whole = next(c for c in same.centroids if c.kind == "all gaze on an image" and c.axis == "x")
    assert (whole.form, whole.n_targets, whole.n_readers) == ("ICC(2,1)", 3, 3)
    assert whole.value == pytest.approx(icc(list(x.values())).absolute)
    assert {c.kind for c in same.centroids} == {"all gaze on an image", "gaze of a stated finding"}
    other = agreement_of([reading("s1", "x", at=0.1), reading("s1", "y", at=0.2), reading("s2", "y", at=0.8),
                          reading("s2", "z", at=0.9)])  # fmt: skip
    assert other is not None
    apart = next(c for c in other.centroids if c.axis == "x")
    assert apart.form == "ICC(1,1)", "each study has readers of its own"
    assert apart.value == pytest.approx(icc([[0.1, 0.2], [0.8, 0.9]]).one_way)


def test_figures_per_reader_are_of_five_or_more_under_codes_that_are_new_each_time() -> None:
    four, five = ([reading("s1", f"R0{n}") for n in range(k)] for k in (4, 5))
    with pytest.raises(PrivacyError, match="need 5 readers, there are 4") as refused:
        figures_per_reader(four, None)
    assert refused.value.code == "GT-FEW-READERS"
    once, again = (figures_per_reader(five, agreement_of(five)) for _ in range(2))
    assert [row.n_readings for row in once] == [1] * 5
    assert not {row.code for row in once} & {r.reader_code for r in five}
    assert {row.code for row in once} != {row.code for row in again}
    assert [row.code for row in once] == sorted(row.code for row in once), "not in the order of the readers"


def test_letters_and_ways_of_all_readings() -> None:
    rows = [reading("s1", "x", "ABAB"), reading("s2", "x", "A")]
    spreads = {s.letter: s for s in letter_spreads(rows, {"A": "airways", "B": "breathing"})}
    assert (spreads["A"].first, spreads["A"].name, spreads["A"].n) == (2, "airways", 2)
    assert {(w.start, w.end): (w.n, w.share) for w in ways(rows)} == {
        ("A", "B"): (2, 1.0),
        ("B", "A"): (1, 1.0),
    }


def test_distributions_count_every_reading_once_and_know_the_gates() -> None:
    values = [0.01, 0.02, 0.02, 0.11, 0.3]
    rows = [replace(reading("s", str(n)), metrics={"loss_share": v}) for n, v in enumerate(values)]
    (found,) = distributions(rows, limits_of(QualityConfig().model_dump()))
    assert sum(found.counts) == found.n == 5
    assert (found.low, found.median, found.high) == (0.01, 0.02, 0.3)
    assert [mark.text for mark in found.limits] == ["warns 10 %", "rejects 15 %"]
    assert [round(mark.left) for mark in found.limits] == [33, 50]
    (same,) = distributions([reading("s", str(n)) for n in range(3)], {})
    assert same.is_constant
    assert distributions(rows[:1], {}) == ()
    assert limits_of({"loss_share_warn": "much", "duration": None}) == {}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(st.text(), st.sampled_from(FORMULAS), st.floats(), st.integers(), st.none()), min_size=1
    )
)
def test_no_cell_is_a_formula_and_every_number_survives(values: list[Any]) -> None:
    table = NumberTable(name="t", about="", columns=("value",), rows=[[value] for value in values])
    text = as_csv(table)
    assert "\0" not in text
    cells = [row[0] if row else "" for row in csv.reader(io.StringIO(text, newline=""))][1:]
    for value, cell in zip(values, cells, strict=True):
        if isinstance(value, str):
            assert cell.lstrip()[:1] not in set("=+-@\uff1d\uff0b\uff0d\uff20")
            assert cell[:1] not in set("\t\r\n")
            assert cell.removeprefix("'") == value.replace("\0", "\ufffd").removeprefix("'")
        elif isinstance(value, int) or (value is not None and np.isfinite(value)):
            assert float(cell) == float(value)
        else:
            assert cell == ""
    assert len(json.loads(all_as_json([table]))["t"]) == len(values)


@pytest.fixture(scope="module")
def rows(exported: Path) -> list[dict[str, Any]]:
    """Six readings of one study by six readers, made of the two that there are."""
    found = [
        row
        for path in sorted((exported / "readings").glob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]
    return [
        {**found[n % 2], "reading_id": f"{n:016x}", "reader_code": f"READER{n}", "study_key": "study"}
        for n in range(6)
    ]


def written(folder: Path, rows: Sequence[dict[str, Any]], funnel: Any = None) -> DatasetSource:
    (folder / "readings").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SHARD), folder / "readings" / "train-0.parquet")
    (folder / MANIFEST).write_text(json.dumps({"files": [], "funnel": funnel}))
    return DatasetSource(folder)


def files_of(text: str) -> dict[str, str]:
    links = re.findall(r'download="([^"]+)" href="data:[a-z/]+(?:;charset=utf-8)?;base64,([^"]*)"', text)
    assert len(links) == len(dict(links)), "every file stands in the page once"
    return {name: base64.b64decode(content).decode() for name, content in links}


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """No reading in full: drawing takes a second."""
    monkeypatch.setattr(page, "MAX_DETAILED", 0)


@pytest.mark.usefixtures("light")
def test_no_reader_is_told_apart_unless_asked_for(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    source = written(tmp_path / "six", rows)
    text = build_report(source)
    everything = text + "".join(files_of(text).values())
    assert "READER" not in everything
    assert '<h2 id="readers">' not in text
    asked = build_report(source, per_reader=True)
    assert "READER" not in asked + "".join(files_of(asked).values())
    table = list(csv.DictReader(io.StringIO(files_of(asked)["readers.csv"])))
    assert [row["n_readings"] for row in table] == ["1"] * 6
    for row in table:
        assert asked.count(f"<code>{row['reader']}</code>") == 1, "nothing joins a code to a reading"
    few = written(tmp_path / "four", rows[:4])
    with pytest.raises(PrivacyError):
        build_report(few, per_reader=True)
    target = tmp_path / "few.html"
    arguments = ["--dataset", str(few.root), "--per-reader", "--out", str(target)]
    assert run_command(report_command, arguments) == ExitCode.PRIVACY
    assert not target.exists()


def test_every_number_can_be_downloaded(
    rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MAX_DETAILED", 1)
    funnel = {
        "n_by_state": {"kept": 6, "rejected": 2},
        "reasons": {"rejected": {"GQ-LOSS-SHARE": 2}, "failed": {}},
    }
    spoilt = [
        {**row, "sentences": [{**s, "text": "=cmd|' /C calc'!A0\0"} for s in row["sentences"]]}
        for row in rows
    ]
    text = build_report(written(tmp_path / "data", spoilt, {**funnel, "further": 1}))
    files = files_of(text)
    assert {
        "readings", "funnel", "quality", "quality_summary", "quality_histograms", "letters", "letters_summary",
        "transitions", "trajectories", "agreement", "agreement_summary", "reading_keyframes", "reading_sentences",
        "reading_quality", "report",
    } <= {name.partition(".")[0] for name in files}  # fmt: skip
    whole = json.loads(files["report.json"])
    for name, content in files.items():
        if name.endswith(".csv"):
            assert len(list(csv.DictReader(io.StringIO(content)))) == len(whole[name.removesuffix(".csv")]), (
                name
            )
    said = list(csv.DictReader(io.StringIO(files["reading_sentences.csv"])))
    assert {row["text"] for row in said} == {"'=cmd|' /C calc'!A0\ufffd"}
    # What the page shows, worked out again from the files.
    share = {
        row["reading_id"]: float(row["loss_share_share"])
        for row in csv.DictReader(io.StringIO(files["quality.csv"]))
    }
    assert len(share) == 6
    assert (
        f"median {100 * float(np.median(list(share.values()))):.3g} %" in text or "in every reading" in text
    )
    frames = whole["reading_keyframes"]
    assert len(frames) == text.count('<figure class="card">')
    assert "<li><b>2</b> <code>GQ-LOSS-SHARE</code>" in text
    assert "\N{MINUS SIGN}2 rejected by a gate" in text


@pytest.mark.parametrize(
    "funnel",
    [
        None,
        1,
        {},
        {"n_by_state": {"kept": -1}, "reasons": {}},
        {"n_by_state": {"kept": "<b>"}, "reasons": {}},
        {"n_by_state": {}, "reasons": {"failed": {"<script>": 1}}},
    ],
)
@pytest.mark.usefixtures("light")
def test_a_funnel_that_is_none_is_not_shown(funnel: Any, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    text = build_report(written(tmp_path / "data", rows[:1], funnel))
    assert "does not say what was left out" in text


@pytest.mark.usefixtures("light")
def test_the_funnel_of_a_store_and_of_what_was_exported(
    tmp_path: Path, readings: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    store: Store = readings.fill_store(tmp_path / "store", 1, duration_s=4.0)
    store.add(readings.make_reading(2, duration_s=4.0, lost=[(0.2, 3.8)]), {})
    store.add(readings.make_reading(3, duration_s=4.0), {})
    store.add(
        readings.with_meta(readings.make_reading(4, duration_s=4.0), reader_code="R09", provenance={}), {}
    )
    (store.folder(readings.make_reading(3).meta.reading_id) / "reading.json").write_bytes(b"{")
    config = CurationConfig()
    remember_config(store.root, config)
    summary = curate(store, config)
    wanted = Counter(kept=1, rejected=1, failed=1, held_back=1)
    of_store = StoreSource(store.root).funnel()
    assert of_store is not None
    assert of_store.n_by_state == wanted
    assert of_store.reasons["rejected"].keys() >= {"GQ-LOSS-SHARE", "GQ-LOSS-LONG"}
    assert set(of_store.reasons["held_back"]) == {"GT-NO-CONSENT"}
    assert set(of_store.reasons["failed"]) == {"GT-SCHEMA"}
    assert run_command(cli, ["status", "--store", str(store.root), "--json"]) == ExitCode.OK
    status = json.loads(capsys.readouterr().out)
    assert (status["curated"], status["rejected"], status["held_back"], status["to_do"]) == (1, 1, 1, 0)
    assert status["rejected_by"] == dict(of_store.reasons["rejected"])
    assert status["held_back_by"] == {"GT-NO-CONSENT": 1}
    assert [failure["code"] for failure in status["failed"]] == ["GT-SCHEMA"]
    out = tmp_path / "out"
    export_dataset(store, out, reading_ids=summary.kept, config=config, funnel=summary.funnel())
    of_dataset = DatasetSource(out).funnel()
    assert of_dataset is not None
    assert +of_dataset.n_by_state == wanted
    assert of_dataset.reasons["held_back"] == of_store.reasons["held_back"]
    text = build_report(DatasetSource(out))
    assert "From what came in to what is in this dataset" in text
    assert Funnel.of_manifest(json.loads((out / MANIFEST).read_bytes())) is not None
    # One more that is rejected: the dataset stays what it is, what came in does not.
    store.add(readings.make_reading(5, duration_s=4.0, lost=[(0.2, 3.8)]), {})
    summary = curate(store, config)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    for changed in ({MANIFEST}, set()):
        exported = export_dataset(
            store, out, reading_ids=summary.kept, config=config, funnel=summary.funnel()
        )
        assert exported.up_to_date
        after = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
        assert {path.name for path in after if after[path] != before.get(path)} == changed
        before = after
    of_dataset = DatasetSource(out).funnel()
    assert of_dataset is not None
    assert +of_dataset.n_by_state == wanted + Counter(rejected=1)


@pytest.mark.usefixtures("light")
def test_a_dataset_of_hdf5_alone_has_the_same_report(exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "data", ignore=shutil.ignore_patterns("readings"))
    from_parquet, from_hdf5 = DatasetSource(exported), DatasetSource(tmp_path / "data")
    ids = [row["reading_id"] for row in from_parquet.summaries()]
    assert len(ids) == 2
    for wanted in (ids, ids[1:], ["absent"]):
        a, b = (
            sorted(source.rows(wanted), key=lambda row: str(row["reading_id"]))
            for source in (from_parquet, from_hdf5)
        )
        assert repr(a) == repr(b)
    assert build_report(from_hdf5) == build_report(from_parquet)


def test_one_reading_has_its_numbers_and_nothing_of_the_others(exported: Path) -> None:
    first, second = sorted(
        row["reading_id"] for path in (exported / "readings").glob("*.parquet")
        for row in pq.read_table(path, columns=["reading_id"]).to_pylist()
    )  # fmt: skip
    text = build_report(DatasetSource(exported), reading_id=second)
    files = files_of(text)
    assert {"readings.csv", "reading_keyframes.csv", "reading_fixations.csv"} <= files.keys()
    assert first not in text + "".join(files.values())
    assert '<h2 id="funnel">' not in text
    assert 'id="readings"' in text
