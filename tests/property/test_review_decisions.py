"""Decisions: the file only grows, curation obeys what the reviewer sees, undo gives back what was, two may write."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.decisions import read_decisions
from gazecapture.session.decisions import reading_decisions, session_decisions
from gazecapture.session.lock import FolderLock
from gazecapture.store import DECISIONS_FILE
from gazecapture.viewer.review.book import DecisionBook, DecisionFile, NewDecision
from gazecapture.viewer.review.writer import DecisionWriter
from keyframes.errors import RecordingError, UsageError

boxes = st.builds(
    lambda x, y, w, h: [x, y, x + w, y + h],
    st.floats(0, 500), st.floats(0, 500), st.floats(1.5, 200), st.floats(1.5, 200),
)  # fmt: skip
ids = st.sampled_from(["a1", "b2"])
indexes = st.sampled_from(["0", "1"])
decisions = st.one_of(
    st.tuples(st.just("verdict"), st.just("reading"), st.sampled_from(["accept", "reject"])),
    st.tuples(
        st.just("sentence_bounds"), ids,
        st.tuples(st.integers(-(10**9), 10**9), st.integers(1, 10**9)).map(lambda t: [t[0], t[0] + t[1]]),
    ),
    st.tuples(st.just("sentence_text"), ids, st.text("abc ", min_size=1).filter(str.strip)),
    st.tuples(
        st.just("region_boxes"), indexes,
        st.dictionaries(st.sampled_from(["left lung", "device"]), st.none() | boxes, min_size=1),
    ),
    st.tuples(st.just("burned_in"), indexes, st.just("ok") | st.lists(boxes, min_size=1, max_size=3)),
)  # fmt: skip
steps = st.lists(st.tuples(st.sampled_from([0, 1]), st.none() | decisions), max_size=14)


def file_of(folder: Path) -> DecisionFile:
    path = folder / DECISIONS_FILE
    return DecisionFile(path=path, read=lambda: reading_decisions(path), lock=(folder, ".lock"))


def done(book: DecisionBook, step: Any) -> str:
    """Decide, or undo where there is nothing to decide; return the code of what was refused."""
    try:
        if step is None:
            book.undo()
        else:
            book.decide(*step, reason="because")
    except UsageError as error:
        return error.code
    return ""


@settings(max_examples=15)
@given(todo=steps)
def test_the_file_only_grows_and_curation_reads_what_stands(
    todo: list[tuple[int, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """None in place of a decision is an undo; two reviewers work on one file."""
    folder = tmp_path_factory.mktemp("decisions")
    file = file_of(folder)
    books = [DecisionBook(file, reviewer=f"Q{n}") for n in (1, 2)]
    before = b""
    for who, step in todo:
        assert done(books[who], step) in ("", "GT-DECIDED-SINCE")
        now = file.path.read_bytes() if file.path.exists() else b""
        assert now.startswith(before), "a line that is written is never altered"
        before = now
        for book in books:
            book.reload()
    stands = read_decisions(folder).values
    assert not any(value is None for value in stands.values())
    for book in books:
        seen = {(line.kind, line.target): line.value for line in book.history}
        assert {key: value for key, value in seen.items() if value is not None} == dict(stands)


@settings(max_examples=15)
@given(todo=st.lists(decisions, min_size=1, max_size=8))
def test_undo_gives_back_every_state_in_reverse(
    todo: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("decisions")
    book = DecisionBook(file_of(folder), reviewer="Q1")
    states = [dict(read_decisions(folder).values)]
    for step in todo:
        made = book.decide(*step, reason="because")
        states += [dict(read_decisions(folder).values)] * made
    while book.can_undo:
        states.pop()
        book.undo()
        assert dict(read_decisions(folder).values) == states[-1]
    assert states == [{}]


def test_what_somebody_else_decided_since_is_not_undone(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    mine, theirs = (DecisionBook(file, reviewer=code) for code in ("Q1", "Q2"))
    mine.decide("verdict", "reading", "accept")
    theirs.reload()
    theirs.decide("verdict", "reading", "reject", reason="no gaze")
    with pytest.raises(UsageError, match="somebody else") as caught:
        mine.undo()
    assert caught.value.code == "GT-DECIDED-SINCE"
    assert read_decisions(tmp_path).verdict() == "reject"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("verdict", "maybe"), ("sentence_bounds", [5, 5]), ("sentence_text", "  "), ("burned_in", []),
        ("burned_in", [[5, 5, 5, 9]]), ("region_boxes", {"lung": [0, 0, float("nan"), 4]}), ("else", 1),
    ],
)  # fmt: skip
def test_what_curation_would_refuse_is_never_written(tmp_path: Path, kind: str, value: Any) -> None:
    book = DecisionBook(file_of(tmp_path), reviewer="Q1")
    with pytest.raises(UsageError):
        book.decide(kind, "0", value)
    assert not (tmp_path / DECISIONS_FILE).exists()


def test_a_rejection_needs_its_reason_and_a_decision_its_reviewer(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="reason"):
        DecisionBook(file_of(tmp_path), reviewer="Q1").decide("verdict", "reading", "reject", reason=" ")
    with pytest.raises(UsageError, match="reviewer"):
        DecisionBook(file_of(tmp_path), reviewer=" ")


WRITE_MANY = """
import sys
from pathlib import Path
from gazecapture.viewer.review.source import SESSION_LOCK
from gazecapture.viewer.review.book import DecisionFile, NewDecision
folder, reviewer = Path(sys.argv[1]), sys.argv[2]
path = folder / "decisions.jsonl"
file = DecisionFile(path=path, read=list, prefix="1/", lock=(folder, SESSION_LOCK))
for number in range(12):
    line = NewDecision(kind="sentence_text", target=f"s{number}", value="x" * 6000)
    file.append(line, reviewer=reviewer, patience_s=60.0)
"""


def test_two_processes_write_at_once_and_no_line_is_torn(tmp_path: Path) -> None:
    (tmp_path / DECISIONS_FILE).write_bytes(b"")
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE_MANY, str(tmp_path), code]) for code in ("Q1", "Q2")
    ]
    assert [writer.wait(timeout=300) for writer in writers] == [0, 0]
    lines = session_decisions(tmp_path / DECISIONS_FILE)[1]
    assert len(lines) == 24
    for code in ("Q1", "Q2"):
        own = [line["target"] for line in lines if line["reviewer"] == code]
        assert own == [f"s{number}" for number in range(12)]


def test_a_store_that_is_held_makes_a_decision_wait_and_then_it_is_written(tmp_path: Path) -> None:
    file, lock = file_of(tmp_path), FolderLock(tmp_path)
    lock.acquire()
    line = NewDecision(kind="verdict", target="reading", value="accept")
    with pytest.raises(RecordingError) as caught:
        file.append(line, reviewer="Q1", patience_s=0.0)
    assert caught.value.code == "GT-BUSY"
    writer = DecisionWriter("Q1")
    writer.write(file, line)
    assert writer.n_waiting == 1
    lock.release()
    assert writer.close(patience_s=60.0) == []
    assert [entry["decision_id"] for entry in map(json.loads, file.path.read_text().splitlines())] == [
        line.decision_id
    ]


def test_what_cannot_be_written_is_told_at_the_end(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    lock.acquire()
    writer = DecisionWriter("Q1")
    line = NewDecision(kind="verdict", target="reading", value="accept")
    writer.write(file_of(tmp_path), line)
    assert writer.close(patience_s=0.05) == [line]
    lock.release()
