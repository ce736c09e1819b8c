"""What a review reads: a session and the store that was made of it give one reading, and obey the same decisions."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from curation.config import CurationConfig
from curation.decisions import read_decisions
from curation.ingest.into_store import INGESTERS, ingest
from curation.run import curate
from curation.stages import STAGES
from gazecapture.store import Store
from gazecapture.viewer.review.book import DecisionBook
from gazecapture.viewer.review.derived import completed
from gazecapture.viewer.review.loading import Prepared, prepare
from gazecapture.viewer.review.model import ReviewModel
from gazecapture.viewer.review.source import ReviewSource, SessionSource, StoreSource
from keyframes.errors import UsageError
from tests.unit.curation.readings import write_session

Make = Callable[[], ReviewSource]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of synthetic readings, and the store made of it."""
    folder = tmp_path_factory.mktemp("review")
    write_session(folder, n_readings=2, name="session")
    store = Store.create(folder / "store")
    ingest(store, INGESTERS["session"], [folder / "session"])
    return folder


def digests(folder: Path) -> dict[str, str]:
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "decisions.jsonl"]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(params=["session", "store"])
def source(request: pytest.FixtureRequest, recorded: Path, tmp_path: Path) -> ReviewSource:
    shutil.copytree(recorded / request.param, tmp_path / "copy")
    kind = {"session": SessionSource, "store": StoreSource}[request.param]
    made: ReviewSource = kind(tmp_path / "copy")
    return made


@pytest.fixture(scope="module")
def ready(recorded: Path) -> dict[str, Prepared]:
    """The first reading, made ready once from either: finding regions takes a second."""
    made = {}
    for name, source in (
        ("session", SessionSource(recorded / "session")),
        ("store", StoreSource(recorded / "store")),
    ):
        numbers = {source.load(item.key).reading.meta.reading_number: item.key for item in source.items()}
        made[name] = prepare(source, numbers[1])
    return made


def test_every_reading_is_listed_and_an_unknown_one_refused(source: ReviewSource) -> None:
    items = source.items()
    assert len(items) == 2
    assert len({item.key for item in items}) == 2
    with pytest.raises(UsageError) as caught:
        source.load("999")
    assert caught.value.code == "GT-NO-READING"


def test_a_review_leaves_everything_as_it_was_but_for_its_lines(
    source: ReviewSource, ready: dict[str, Prepared], tmp_path: Path
) -> None:
    before = digests(tmp_path / "copy")
    prepared = ready["session" if isinstance(source, SessionSource) else "store"]
    own = prepared.material.item.key
    assert source.load(own).reading.to_pandas("gaze").equals(prepared.material.reading.to_pandas("gaze"))
    book = DecisionBook(source.decisions(prepared.material.item.key), reviewer="Q1")
    model = ReviewModel(prepared.material, book, found_text=prepared.found_text)
    model.step_sentence(1)
    model.correct_text("another text")
    model.reject("looked away")
    assert digests(tmp_path / "copy") == before
    again = DecisionBook(source.decisions(prepared.material.item.key), reviewer="Q2")
    assert again.standing("verdict", "reading") == "reject"
    (other,) = [item.key for item in source.items() if item.key != own]
    assert DecisionBook(source.decisions(other), reviewer="Q1").history == [], "one reading's alone"


def test_both_show_the_same_reading(ready: dict[str, Prepared]) -> None:
    for name in ("gaze", "display", "events", "sentences", "regions", "keyframes", "trajectory"):
        ours, theirs = (ready[kind].material.reading.to_pandas(name) for kind in ("session", "store"))
        pd.testing.assert_frame_equal(ours, theirs)
    assert ready["session"].pictures.keys() == ready["store"].pictures.keys()


def test_curation_obeys_what_was_decided_in_the_session(
    recorded: Path, ready: dict[str, Prepared], tmp_path: Path
) -> None:
    """Bounds and texts refer to ids that both sides make by themselves; all of it in one ingest and one run."""
    shutil.copytree(recorded / "session", tmp_path / "session")
    source = SessionSource(tmp_path / "session")
    prepared = ready["session"]
    book = DecisionBook(source.decisions("1"), reviewer="Q1")
    model = ReviewModel(prepared.material, book, found_text=prepared.found_text)
    model.step_sentence(1)
    assert model.sentence is not None
    moved = model.sentence.t_end_ns + 40_000_000
    model.move_bound("end", moved)
    model.correct_text("The heart is of normal size.")
    sentence_id = model.selected_sentence
    model.accept()
    model.undo()
    model.enter("regions")
    region = model.selected_region
    assert region is not None
    model.move_box(0.02, 0.0)
    model.save_boxes()
    moved_box = next(one.box for one in model.regions if one.name == region.name)
    model.enter("text")
    model.nothing_names_anybody()
    store = Store.create(tmp_path / "store")
    ingest(store, INGESTERS["session"], [tmp_path / "session"])
    obeying = [stage for stage in STAGES if stage.name in ("events", "regions", "dictation")]
    curate(store, CurationConfig(), stages=obeying)
    (reading,) = [r for r in map(store.load, store.reading_ids()) if r.meta.reading_number == 1]
    (sentence,) = [r for r in reading.table("sentences").to_pylist() if r["sentence_id"] == sentence_id]
    assert (sentence["text"], sentence["t_end_ns"]) == ("The heart is of normal size.", moved)
    decided = read_decisions(store.folder(reading.meta.reading_id))
    assert decided.verdict() is None, "what was undone counts no more"
    assert decided.burned_in(0) == ()
    (row,) = [
        r for r in reading.table("regions").to_pylist() if (r["image_index"], r["region"]) == (0, region.name)
    ]
    assert row["provider"] == "manual"
    assert row["box"] == pytest.approx(moved_box)
    in_store = StoreSource(tmp_path / "store")
    again = ReviewModel(
        replace(prepared.material, reading=completed(in_store.load(reading.meta.reading_id).reading, {})),
        DecisionBook(in_store.decisions(reading.meta.reading_id), reviewer="Q2"),
    )
    assert again.timeline._base[0].t_end_ns == moved - 40_000_000, "a review starts from what was said"
    assert [s.text for s in again.timeline.sentences if s.sentence_id == sentence_id] == [sentence["text"]]
