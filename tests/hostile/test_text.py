"""Manifests and records that lead out of their folder, are nested without end, or are no text at all."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curation.config import CurationConfig
from curation.decisions import read_decisions
from curation.export.dataset import MANIFEST
from curation.export.verify import verify_dataset
from curation.lock import lock_owner
from curation.manifest import Failure, read_lines
from curation.run import plan_store
from gazecapture.session.schema import read_session_info
from keyframes.errors import GazeToolError, ShardIntegrityError
from tests.unit.curation.readings import fill_store

SECRET = b"PATIENT: J. DOE"


class Runs:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("pickle-was-run"),))


NO_RECORDS: dict[str, bytes] = {
    "empty": b"",
    "nul": b"\0" * 100,
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "a pickle": pickle.dumps(Runs()),
    "null": b"null",
    "list": b"[]",
    "number": b"1",
    "long number": b"1" * 10_000,
    "half a character": b'{"files": "\xc3"}',
    "surrogate": b'{"files": "\\ud800", "pid": "\\ud800", "schema_version": "\\ud800", "source_hash": "x"}',
    "not finite": b'{"files": NaN, "n_readings": Infinity, "pid": NaN, "start_s": -Infinity}',
}


@pytest.fixture(params=list(NO_RECORDS))
def no_record(request: pytest.FixtureRequest) -> bytes:
    return NO_RECORDS[request.param]


def test_what_is_no_record(no_record: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (MANIFEST, "session.json", "manifest.jsonl", "decisions.jsonl", ".lock"):
        (tmp_path / name).write_bytes(no_record)
    strict: list[Callable[[Path], object]] = [verify_dataset, read_session_info]
    for read in strict:
        with pytest.raises(GazeToolError) as refused:
            read(tmp_path)
        assert refused.value.code.startswith("GT-")
    assert list(read_lines(tmp_path)) == []
    assert lock_owner(tmp_path) is None
    try:
        read_decisions(tmp_path)
    except GazeToolError as error:
        assert error.code.startswith("GT-")  # noqa: PT017, an empty file holds no decision
    assert not (tmp_path / "pickle-was-run").exists()


def test_a_reading_whose_record_is_none_fails_alone(no_record: bytes, tmp_path: Path) -> None:
    store = fill_store(tmp_path / "store", 2, duration_s=1.5)
    first, second = store.reading_ids()
    (store.root / first / "reading.json").write_bytes(no_record)
    (store.root / second / "stages" / "quality").mkdir(parents=True)
    (store.root / second / "stages" / "quality" / "stage.json").write_bytes(no_record)
    failed, planned = sorted(
        plan_store(store, CurationConfig()), key=lambda plan: not isinstance(plan, Failure)
    )
    assert isinstance(failed, Failure)
    assert (failed.reading_id, failed.code) == (first, "GT-SCHEMA")
    assert not isinstance(planned, Failure)
    assert planned.todo


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "readings/../../secret",
        "/etc/hostname",
        "link",
        "folder/secret",
        "..\\secret",
        "a\0b",
        "",
    ],
)
def test_a_manifest_that_names_a_file_elsewhere(name: str, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    for place in ("secret", "outside/secret"):
        (tmp_path / place).write_bytes(SECRET)
    dataset = tmp_path / "dataset"
    (dataset / "readings").mkdir(parents=True)
    (dataset / "link").symlink_to(tmp_path / "secret")
    (dataset / "folder").symlink_to(tmp_path / "outside")
    digest = hashlib.sha256(SECRET).hexdigest()  # even where the content is as promised
    entry = {"path": name, "sha256": digest, "bytes": len(SECRET)}
    (dataset / MANIFEST).write_text(json.dumps({"files": [entry], "n_readings": 0}))
    with pytest.raises(ShardIntegrityError) as refused:
        verify_dataset(dataset)
    assert refused.value.exit_code == 6
