"""The journal: what is appended comes back, segment by segment, from one writer at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gazecapture.session.journal import JournalWriter, read_journal, read_last_row
from gazecapture.session.lock import FolderLock
from keyframes.errors import RecordingError, SchemaError

SCHEMA = pa.schema(
    [
        pa.field("n", pa.int64(), nullable=False),
        pa.field("x", pa.float64()),
        pa.field("text", pa.string()),
        pa.field("box", pa.list_(pa.float64())),
    ]
)


def rows(start: int, stop: int) -> list[dict[str, object]]:
    return [{"n": n, "x": n / 3, "text": f"w{n}", "box": [0.0, n * 1.0]} for n in range(start, stop)]


def test_what_is_appended_comes_back_with_its_metadata(tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "j", SCHEMA, metadata={"unit": "px"}) as journal:
        journal.append_rows(rows(0, 3))
        journal.append(pa.Table.from_pylist(rows(3, 5), schema=SCHEMA))
        journal.append(pa.RecordBatch.from_pylist(rows(5, 6), schema=SCHEMA))
        journal.append_rows([])
        content = read_journal(tmp_path / "j")
        assert content.table.to_pylist() == rows(0, 6), "readable while it is written"
        assert journal.n_rows == 6
    content = read_journal(tmp_path / "j", schema=SCHEMA)
    assert content.table.to_pylist() == rows(0, 6)
    assert content.table.schema.equals(SCHEMA)
    assert (content.damage, content.n_unverified, content.n_segments) == ((), 0, 1)
    assert content.metadata == {"unit": "px"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(0, 40), max_size=8), split=st.integers(0, 8))
def test_any_sequence_of_appends_over_two_processes_keeps_its_order(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], split: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    n = 0
    for part in (sizes[:split], sizes[split:]):
        with JournalWriter(folder, SCHEMA, segment_s=0.0) as journal:
            for size in part:
                journal.append_rows(rows(n, n + size))
                n += size
    content = read_journal(folder)
    assert content.table["n"].to_pylist() == list(range(n))
    assert content.damage == ()
    last = read_last_row(folder)
    assert (None if last is None else last["n"]) == (n - 1 if n else None)


def test_an_old_segment_is_followed_by_a_new_one(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, SCHEMA, segment_s=0.0) as journal:
        for n in range(3):
            journal.append_rows(rows(n, n + 1))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"0000{n}.{suffix}" for n in range(3) for suffix in ("arrows", "crc")
    ]
    assert read_journal(tmp_path).table["n"].to_pylist() == [0, 1, 2]


def test_every_segment_is_a_plain_arrow_stream(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, SCHEMA) as journal:
        journal.append_rows(rows(0, 4))
    with pa.ipc.open_stream((tmp_path / "00000.arrows").read_bytes()) as stream:
        assert stream.read_all().to_pylist() == rows(0, 4)


def test_rows_that_do_not_fit_are_refused_and_leave_no_trace(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, SCHEMA) as journal:
        with pytest.raises(SchemaError, match="unknown columns"):
            journal.append_rows([{"n": 1, "y": 2.0}])
        with pytest.raises(SchemaError, match="may not be empty"):
            journal.append_rows([{"x": 2.0}])
        with pytest.raises(SchemaError, match="does not fit"):
            journal.append_rows([{"n": "one"}])
        with pytest.raises(SchemaError, match="do not fit"):
            journal.append(pa.table({"n": [1]}))
        journal.append(
            pa.table({"text": ["w0"], "box": [[0.0, 0.0]], "x": [0.0], "n": pa.array([0], pa.int32())})
        )
    assert read_journal(tmp_path).table.to_pylist() == rows(0, 1)


def test_dictionary_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="dictionary"):
        JournalWriter(tmp_path, pa.schema([pa.field("d", pa.dictionary(pa.int8(), pa.string()))]))


def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path, SCHEMA)
    journal.close()
    journal.close()
    journal.sync()
    with pytest.raises(RecordingError, match="closed"):
        journal.append_rows(rows(0, 1))


def test_absent_journals(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "none", schema=SCHEMA).table.num_rows == 0
    assert read_last_row(tmp_path / "none") is None
    with pytest.raises(SchemaError, match="no journal"):
        read_journal(tmp_path / "none")


def test_a_segment_of_another_schema_is_reported_not_mixed_in(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, SCHEMA) as journal:
        journal.append_rows(rows(0, 2))
    with JournalWriter(tmp_path, pa.schema([pa.field("m", pa.int8())])) as journal:
        journal.append_rows([{"m": 1}])
    content = read_journal(tmp_path)
    assert content.table.to_pylist() == rows(0, 2)
    assert len(content.damage) == 1
    assert "another schema" in content.damage[0]


def test_a_second_writer_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, SCHEMA) as journal:
        with pytest.raises(RecordingError, match="writes here") as refused:
            JournalWriter(tmp_path, SCHEMA)
        assert refused.value.code == "GT-BUSY"
        code = (
            "import sys, pyarrow as pa; from pathlib import Path\n"
            "from gazecapture.session.journal import JournalWriter\n"
            "JournalWriter(Path(sys.argv[1]), pa.schema([('n', pa.int64())]))"
        )
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=False)
        assert done.returncode == 1
        assert b"writes here" in done.stderr
        journal.append_rows(rows(0, 1))
    with JournalWriter(tmp_path, SCHEMA):
        pass


@pytest.mark.parametrize("content", [b"", b"{", b'{"pid": 1}', b'{"pid": 4000000, "start_s": 1.0}'])
def test_a_lock_that_nobody_holds_is_set_aside(tmp_path: Path, content: bytes) -> None:
    lock = tmp_path / ".lock"
    lock.write_bytes(content)
    os.utime(lock, (1.0, 1.0))  # what is half written counts as being written, unless it is old
    with JournalWriter(tmp_path, SCHEMA) as journal:
        journal.append_rows(rows(0, 1))
    assert not list(tmp_path.glob(".lock*"))


def test_a_lock_of_a_reused_process_id_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text(f'{{"pid": {os.getpid()}, "start_s": 1000.0}}')
    JournalWriter(tmp_path, SCHEMA).close()


@pytest.mark.parametrize("left", [None, b"", b'{"pid": 4000000, "start_s": 1.0}'])
def test_only_one_of_many_writers_at_once_gets_the_folder(tmp_path: Path, left: bytes | None) -> None:
    for turn in range(8):
        folder = tmp_path / str(turn)
        folder.mkdir()
        if left is not None:
            (folder / ".lock").write_bytes(left)
            os.utime(folder / ".lock", (1.0, 1.0))
        got: list[FolderLock] = []
        refused: list[RecordingError] = []
        gate = threading.Barrier(12)

        def take(
            folder: Path = folder,
            gate: threading.Barrier = gate,
            got: list[FolderLock] = got,
            refused: list[RecordingError] = refused,
        ) -> None:
            lock = FolderLock(folder)
            gate.wait()
            try:
                lock.acquire()
                got.append(lock)
            except RecordingError as error:
                refused.append(error)

        threads = [threading.Thread(target=take) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(got), len(refused)) == (1, 11)
        got[0].release()
        assert list(folder.iterdir()) == []


def test_a_guard_that_a_dead_process_left_is_in_the_way_for_seconds_only(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text('{"pid": 4000000, "start_s": 1.0}')
    (tmp_path / ".lock.guard").write_text("")
    os.utime(tmp_path / ".lock.guard", (1.0, 1.0))
    lock = FolderLock(tmp_path)
    lock.acquire()
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_appends_go_on_while_another_thread_syncs(tmp_path: Path) -> None:
    ended = threading.Event()
    journal = JournalWriter(tmp_path, SCHEMA, segment_s=0.01)

    def sync() -> None:
        while not ended.is_set():
            journal.sync()

    thread = threading.Thread(target=sync)
    thread.start()
    for n in range(600):
        journal.append_rows(rows(n, n + 1))
    ended.set()
    thread.join()
    journal.close()
    content = read_journal(tmp_path)
    assert content.table["n"].to_pylist() == list(range(600))
    assert content.damage == ()


def test_sync_works_without_fdatasync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fdatasync", raising=False)
    with JournalWriter(tmp_path, SCHEMA) as journal:
        journal.append_rows(rows(0, 1))
        journal.sync()
    assert read_journal(tmp_path).table.num_rows == 1
