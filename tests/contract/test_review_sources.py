"""What a review reads: a session and the store that was made of it give one reading, and obey the same decisions."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from curation.config import CurationConfig, ExportConfig
from curation.decisions import read_decisions
from curation.ingest.into_store import INGESTERS, ingest
from curation.run import curate
from gazecapture.store import Store
from gazecapture.viewer.review.book import DecisionBook
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


def first(source: ReviewSource) -> Prepared:
    return prepare(source, source.items()[0].key)


def test_every_reading_is_listed_and_an_unknown_one_refused(source: ReviewSource) -> None:
    items = source.items()
    assert len(items) == 2
    assert len({item.key for item in items}) == 2
    with pytest.raises(UsageError) as caught:
        source.load("999")
    assert caught.value.code == "GT-NO-READING"


def test_a_review_leaves_everything_as_it_was_but_for_its_lines(source: ReviewSource, tmp_path: Path) -> None:
    before = digests(tmp_path / "copy")
    prepared = first(source)
    book = DecisionBook(source.decisions(prepared.material.item.key), reviewer="Q1")
    model = ReviewModel(prepared.material, book, found_text=prepared.found_text)
    model.step_sentence(1)
    model.correct_text("another text")
    model.reject("looked away")
    assert digests(tmp_path / "copy") == before
    again = DecisionBook(source.decisions(prepared.material.item.key), reviewer="Q2")
    assert again.standing("verdict", "reading") == "reject"
    other = source.items()[1].key
    assert DecisionBook(source.decisions(other), reviewer="Q1").history == [], "one reading's alone"


def test_both_show_the_same_reading(recorded: Path) -> None:
    session, store = SessionSource(recorded / "session"), StoreSource(recorded / "store")
    by_number = {store.load(i.key).reading.meta.reading_number: i.key for i in store.items()}
    for item in session.items():
        of_session, of_store = prepare(session, item.key), prepare(store, by_number[int(item.key)])
        for name in ("gaze", "display", "events", "sentences", "regions", "keyframes", "trajectory"):
            ours, theirs = (one.material.reading.to_pandas(name) for one in (of_session, of_store))
            pd.testing.assert_frame_equal(ours, theirs)
        assert of_session.pictures.keys() == of_store.pictures.keys()


def test_curation_obeys_what_was_decided_in_the_session(recorded: Path, tmp_path: Path) -> None:
    """Bounds and texts refer to ids that both sides make by themselves; all of it in one ingest and one run."""
    shutil.copytree(recorded / "session", tmp_path / "session")
    source = SessionSource(tmp_path / "session")
    prepared = first(source)
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
    config = CurationConfig(export=ExportConfig(formats=("parquet",), keyframe_pictures=False))
    curate(store, config)
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
        in_store.load(reading.meta.reading_id),
        DecisionBook(in_store.decisions(reading.meta.reading_id), reviewer="Q2"),
    )
    assert [s.text for s in again.timeline.sentences if s.sentence_id == sentence_id] == [sentence["text"]]
