"""Shards of a run: who has what, who finishes, who may hold the store meanwhile."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from curation.config import CurationConfig
from curation.lock import shard_lock, store_lock
from curation.manifest import MANIFEST_NAME, ManifestLine, append_lines, read_lines
from curation.run import curate_shard
from curation.sharding import Shard
from gazecapture.session.lock import FolderLock, is_held, process_start_s
from keyframes.errors import RecordingError, UsageError
from tests.unit.curation.readings import fill_store, make_store


@pytest.mark.parametrize(
    "text", ["", "0/3", "4/3", "1", "1/0", "-1/3", "1/3/5", "a/b", "1/100000", "\u0661/\u0663"]
)
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="I/N"):
        Shard.parse(text)


def test_shards_part_the_readings() -> None:
    ids = [f"r{n}" for n in range(10)]
    parts = [Shard.parse(f"{number}/4").of(ids) for number in (1, 2, 3, 4)]
    assert sorted(i for part in parts for i in part) == ids
    assert {len(part) for part in parts} == {2, 3}


def test_the_last_shard_finishes_and_others_say_that_they_wait(tmp_path: Path) -> None:
    store, config = fill_store(tmp_path / "store", 2, duration_s=3.0), CurationConfig()
    first, second, empty = (Shard(number=number, count=3) for number in (1, 2, 3))
    summary, is_finished = curate_shard(store, config, first)
    assert (len(summary.kept), is_finished) == (1, False)
    assert not list(store.root.glob("*/stages/keyframes"))
    assert curate_shard(store, config, empty)[0].n_readings == 0, "more shards than readings"
    changed = config.model_copy(update={"dictation": config.dictation.model_copy(update={"pause_s": 9.0})})
    assert not curate_shard(store, changed, second)[1], "marks of other settings do not count"
    summary, is_finished = curate_shard(store, config, second)
    assert (len(summary.kept), is_finished) == (2, True)
    assert len(list(store.root.glob("*/stages/keyframes/stage.json"))) == 2
    finishing = FolderLock(store.root, name=".lock-finish")
    finishing.acquire()
    assert not curate_shard(store, config, first)[1], "another one is finishing"
    finishing.release()


def test_who_may_hold_the_store_at_the_same_time(tmp_path: Path) -> None:
    make_store(tmp_path / "store")
    root = tmp_path / "store"
    with shard_lock(root, number=1, count=3), shard_lock(root, number=3, count=3):
        for other in (
            lambda: store_lock(root),
            lambda: shard_lock(root, number=1, count=3),
            lambda: shard_lock(root, number=1, count=4),
        ):
            with pytest.raises(RecordingError) as refused, other():
                pass
            assert refused.value.code == "GT-BUSY"
    with store_lock(root), pytest.raises(RecordingError), shard_lock(root, number=1, count=3):
        pass
    with store_lock(root):
        pass
    assert not list(root.glob(".lock*"))


@pytest.mark.parametrize(
    ("beats", "age_s", "held"), [(True, 10.0, True), (True, 1000.0, False), (False, 1e6, True)]
)
def test_a_lock_of_another_computer(tmp_path: Path, beats: bool, age_s: float, held: bool) -> None:
    lock = tmp_path / ".lock"
    owner = {"pid": os.getpid(), "start_s": process_start_s(), "host": "elsewhere.invalid", "beats": beats}
    lock.write_text(json.dumps(owner))
    os.utime(lock, (time.time() - age_s,) * 2)
    assert is_held(lock) is held
    mine = FolderLock(tmp_path)
    if held:
        with pytest.raises(RecordingError, match=r"computer elsewhere\.invalid"):
            mine.acquire()
    else:
        mine.acquire()
        mine.release()


def test_parts_of_the_manifest_are_read_and_joined(tmp_path: Path) -> None:
    make_store(tmp_path / "store")
    root = tmp_path / "store"

    def line(reading_id: str, stage: str) -> ManifestLine:
        return ManifestLine(reading_id=reading_id, stage=stage, verdict="ok")

    append_lines(root, [line("a", "ingest"), line("b", "ingest")])
    append_lines(root, [line("a", "quality")], part="00001-of-00002")
    append_lines(root, [line("b", "quality")], part="00002-of-00002")
    before = list(read_lines(root))
    assert len(before) == 4
    with store_lock(root):
        assert [path.name for path in root.glob("manifest*")] == [MANIFEST_NAME]
    assert list(read_lines(root)) == before
