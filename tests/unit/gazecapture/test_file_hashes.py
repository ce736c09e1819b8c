from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gazecapture.radiograph.annotations import hashes, source
from gazecapture.radiograph.annotations.hashes import file_hashes, forget_hashes, remember_hashes_in
from gazecapture.radiograph.annotations.source import AnnotationSource, source_hash


@pytest.fixture(autouse=True)
def _another_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    start_anew(monkeypatch)
    yield
    start_anew(monkeypatch)


def start_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a process knows, but not what is on the disk."""
    monkeypatch.setattr(hashes, "_place", None)
    monkeypatch.setattr(hashes, "_known", {})


def old_file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    os.utime(path, ns=(10**18, 10**18))
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_hashed_once_for_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, kept = old_file(tmp_path / "model.onnx", b"weights"), tmp_path / "hashes.json"
    remember_hashes_in(kept)
    assert file_hashes([model]) == [sha256(b"weights")]
    start_anew(monkeypatch)
    remember_hashes_in(kept)
    monkeypatch.setattr(hashes, "sha256_of", lambda _: pytest.fail("it was hashed before"))
    assert file_hashes([model, model]) == [sha256(b"weights")] * 2


def test_size_time_or_inode_tell_another_file(tmp_path: Path) -> None:
    remember_hashes_in(tmp_path / "hashes.json")
    model = old_file(tmp_path / "model.onnx", b"one")
    assert file_hashes([model]) == [sha256(b"one")]
    old_file(model, b"three")
    assert file_hashes([model]) == [sha256(b"three")]
    old_file(tmp_path / "other", b"seven").replace(model)
    assert file_hashes([model]) == [sha256(b"seven")]
    model.write_bytes(b"eight")
    assert file_hashes([model]) == [sha256(b"eight")]


def test_a_file_that_was_just_written_is_not_remembered(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"one")
    state = model.stat()
    assert file_hashes([model]) == [sha256(b"one")]
    model.write_bytes(b"two")
    os.utime(model, ns=(state.st_atime_ns, state.st_mtime_ns))  # as a coarse clock would have it
    assert file_hashes([model]) == [sha256(b"two")]


def test_what_is_forgotten_is_hashed_anew(tmp_path: Path) -> None:
    model, kept = old_file(tmp_path / "model.onnx", b"one"), tmp_path / "hashes.json"
    remember_hashes_in(kept)
    file_hashes([model])
    old_file(model, b"two")
    assert file_hashes([model]) == [sha256(b"one")], "nothing tells"
    forget_hashes()
    assert not kept.exists()
    assert file_hashes([model]) == [sha256(b"two")]


@pytest.mark.parametrize("content", ["[]", "{", '{"a": 1}', '{"a": [1, 2, 3]}', "[" * 100_000, "\x00"])
def test_a_damaged_memory_is_none(tmp_path: Path, content: str) -> None:
    kept = tmp_path / "hashes.json"
    kept.write_text(content)
    remember_hashes_in(kept)
    assert file_hashes([old_file(tmp_path / "a", b"a")]) == [sha256(b"a")]


def test_a_memory_that_cannot_be_written_costs_time_alone(tmp_path: Path) -> None:
    remember_hashes_in(tmp_path / "nowhere" / "hashes.json")
    assert file_hashes([old_file(tmp_path / "a", b"a")]) == [sha256(b"a")]


def test_two_processes_keep_both_what_they_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "hashes.json"
    for name in ("a", "b"):
        start_anew(monkeypatch)
        monkeypatch.setattr(hashes, "_place", kept)  # both began before either wrote
        file_hashes([old_file(tmp_path / name, name.encode())])
    assert len(hashes._read(kept)) == 2


def test_a_large_source_is_gone_through_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MANY_FILES", 2)
    folder = tmp_path / "graphs"
    folder.mkdir()
    graphs = AnnotationSource(format="coco", path=folder)
    old_file(folder / "a.json", b"a")
    first = source_hash(graphs)
    old_file(folder / "b.json", b"b")
    second = source_hash(graphs)
    assert first != second, "few files are looked at each time"
    old_file(folder / "c.json", b"c")
    assert source_hash(graphs) == second
    monkeypatch.setattr(source, "LOOK_AGAIN_S", 0.0)
    assert source_hash(graphs) not in (first, second)
