"""What people decided in review is obeyed: verdicts, bounds and texts of sentences, also in what leaves the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest

from curation.config import CurationConfig, ExportConfig
from curation.decisions import read_decisions
from curation.export.dataset import export_dataset
from curation.ingest.into_store import INGESTERS, ingest
from curation.plan import plan_reading
from curation.run import curate
from curation.stages import STAGES
from curation.stages.quality import QUALITY_STAGE
from gazecapture.session.decisions import append_decision
from gazecapture.store import DECISIONS_FILE, Store
from keyframes.errors import SchemaError
from tests.unit.curation.readings import write_session

CONFIG = CurationConfig(export=ExportConfig(formats=("parquet",), keyframe_pictures=False))
WORDS = [("the", 0.5, 0.7), ("hart", 0.7, 1.0), ("is", 1.0, 1.1), ("large", 1.1, 1.5), (".", 1.5, 1.6),
         ("lungs", 2.0, 2.4), ("clear", 2.4, 2.9), (".", 2.9, 3.0)]  # fmt: skip
Decide = Callable[..., str]


@pytest.fixture
def store(tmp_path: Path, readings: ModuleType) -> Store:
    path = readings.picture(tmp_path / "film.png")
    made: Store = readings.make_store(tmp_path / "store")
    made.add(readings.make_reading(1, picture_path=path, duration_s=4.0, words=WORDS), {0: path})
    return made


@pytest.fixture
def decide(store: Store) -> Decide:
    file = store.folder(store.reading_ids()[0]) / DECISIONS_FILE

    def decided(kind: str, target: str, value: Any) -> str:
        return append_decision(file, kind=kind, target=target, value=value, reviewer="Q1")

    return decided


def sentences(store: Store) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.load(store.reading_ids()[0]).table("sentences").to_pylist()
    return rows


def redone(store: Store) -> set[str]:
    return {plan.stage for plan in plan_reading(store, store.reading_ids()[0], CONFIG, stages=STAGES).todo}


def test_a_sentence_has_the_text_and_bounds_that_a_person_gave_it_and_its_id(
    store: Store, decide: Decide
) -> None:
    curate(store, CONFIG)
    first, second = sentences(store)
    decide("sentence_text", first["sentence_id"], "the heart is\n very large.")
    decide("sentence_bounds", first["sentence_id"], [400_000_000, 1_900_000_000])
    decide("sentence_text", "0" * 16, "of no sentence")
    assert {"quality", "dictation", "keyframes"} <= redone(store)
    assert not {"events", "regions"} & redone(store)
    curate(store, CONFIG)
    assert redone(store) == set()
    changed, same = sentences(store)
    assert same == second
    assert changed["text"] == "the heart is very large."
    assert (changed["t_start_ns"], changed["t_end_ns"]) == (400_000_000, 1_900_000_000)
    assert changed["sentence_id"] == first["sentence_id"]
    notes = (store.stage_record(store.reading_ids()[0], "dictation") or {})["notes"]
    assert (notes["n_sentences_decided"], notes["n_decisions_without_sentence"]) == (1, 1)


def test_the_quality_of_a_sentence_that_was_moved_is_that_of_where_it_is_now(
    tmp_path: Path, readings: ModuleType
) -> None:
    store = readings.make_store(tmp_path / "store")
    store.add(readings.make_reading(1, duration_s=4.0, words=WORDS, lost=[(0.4, 1.7)]), {})
    reading_id = store.reading_ids()[0]

    def measured() -> tuple[dict[str, float], list[str]]:
        reading = store.load(reading_id)
        overlap = {
            str(row["sentence_id"]): row["value"]
            for row in reading.table("quality").to_pylist()
            if row["metric"] == "dictation_overlap" and row["sentence_id"]
        }
        issues = reading.table("issues").to_pylist()
        return overlap, [row["sentence_id"] for row in issues if row["code"] == "GQ-SENTENCE-LOSS"]

    stages = (QUALITY_STAGE,)
    curate(store, CONFIG, stages=stages)
    before, lost = measured()
    first, second = before
    assert before == {first: pytest.approx(0.0, abs=0.02), second: pytest.approx(1.0, abs=0.02)}
    assert lost == [first]
    file = store.folder(reading_id) / DECISIONS_FILE
    bounds = [1_800_000_000, 2_000_000_000]
    append_decision(file, kind="sentence_bounds", target=first, value=bounds, reviewer="Q1")
    curate(store, CONFIG, stages=stages)
    now, lost = measured()
    assert now == {first: pytest.approx(1.0, abs=0.02), second: before[second]}
    assert lost == []
    append_decision(file, kind="sentence_text", target=first, value="heart large.", reviewer="Q1")
    assert "quality" not in redone(store), "a text has no time"


def test_the_corrected_words_leave_and_what_was_misheard_stays(
    store: Store, decide: Decide, tmp_path: Path
) -> None:
    kept = curate(store, CONFIG).kept
    decide("sentence_text", sentences(store)[0]["sentence_id"], "the heart is very large .")
    curate(store, CONFIG)
    export_dataset(store, tmp_path / "out", reading_ids=kept, config=CONFIG)
    (row,) = pq.read_table(next((tmp_path / "out" / "readings").iterdir())).to_pylist()
    assert [word["word"] for word in row["words"]] == [
        "the", "heart", "is", "very", "large", ".", "lungs", "clear", ".",
    ]  # fmt: skip
    assert "hart" not in json.dumps([row["text"], row["words"], row["sentences"]])
    heart, very = row["words"][1], row["words"][3]
    assert (heart["t_start_ns"], heart["t_end_ns"], heart["source"]) == (700_000_000, 1_000_000_000, "typed")
    assert very["t_start_ns"] == very["t_end_ns"] == 1_100_000_000, (
        "between two words that touch there is no time"
    )
    assert [word["t_start_ns"] for word in row["words"]] == sorted(w["t_start_ns"] for w in row["words"])


def test_a_verdict_goes_before_the_gates(store: Store, decide: Decide) -> None:
    strict = CONFIG.model_copy(update={"quality": CONFIG.quality.model_copy(update={"min_duration_s": 60.0})})
    assert "GQ-TOO-SHORT" in str(curate(store, strict).rejected)
    decide("verdict", "reading", "accept")
    summary = curate(store, strict)
    assert summary.kept == store.reading_ids()
    issues = {row["code"]: row["severity"] for row in store.load(summary.kept[0]).table("issues").to_pylist()}
    assert (issues["GQ-TOO-SHORT"], issues["GQ-REVIEW-ACCEPTED"]) == ("warning", "info")
    decide("verdict", "reading", "reject")
    assert "quality" in redone(store)
    assert "GQ-REVIEW-REJECTED" in str(curate(store, CONFIG).rejected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("verdict", "perhaps"), ("verdict", 1), ("sentence_bounds", [5, 4]), ("sentence_bounds", ["1", "2"]),
        ("sentence_bounds", [0, 10**18]), ("sentence_text", " "), ("sentence_text", ["a"]),
    ],
)  # fmt: skip
def test_a_decision_that_is_none_is_refused(store: Store, decide: Decide, kind: str, value: Any) -> None:
    decide(kind, "reading", value)
    decisions = read_decisions(store.folder(store.reading_ids()[0]))
    asked = {"verdict": decisions.verdict, "sentence_bounds": decisions.sentence_bounds}
    with pytest.raises(SchemaError) as found:
        asked.get(kind, decisions.sentence_texts)()
    assert found.value.code == "GT-DECISION"


def test_a_session_s_decisions_come_with_its_readings_once(tmp_path: Path) -> None:
    session = write_session(tmp_path / "in")
    for target, value in (("2", "reject"), ("1/0", {"heart": None}), ("9", "reject")):
        kind = "verdict" if value == "reject" else "region_boxes"
        append_decision(session / DECISIONS_FILE, kind=kind, target=target, value=value, reviewer="Q1")
    store = Store.create(tmp_path / "store")
    for n_verdicts in (1, 1, 2):
        if n_verdicts == 2:
            append_decision(session / DECISIONS_FILE, kind="verdict", target=2, value="accept", reviewer="Q1")
            with (session / DECISIONS_FILE).open("ab") as torn:
                torn.write(b'{"torn')
        ingest(store, INGESTERS["session"], [session])
        files = {store.meta(i).reading_number: store.folder(i) / DECISIONS_FILE for i in store.reading_ids()}
        lines = {
            number: list(map(json.loads, file.read_text().splitlines())) for number, file in files.items()
        }
        assert [line["target"] for line in lines[1]] == ["0"]
        assert [line["target"] for line in lines[2]] == ["reading"] * n_verdicts


@pytest.mark.parametrize(
    "line", ["{}", "[1]", "[" * 3000, '{"decision_id": "a", "kind": "b", "target": "0", "value": 1}']
)
def test_a_damaged_decision_of_a_session_stops_its_ingest(tmp_path: Path, line: str) -> None:
    session = write_session(tmp_path / "in")
    (session / DECISIONS_FILE).write_text(f"{line}\n")
    with pytest.raises(SchemaError) as found:
        ingest(Store.create(tmp_path / "store"), INGESTERS["session"], [session])
    assert found.value.code == "GT-DECISION"
