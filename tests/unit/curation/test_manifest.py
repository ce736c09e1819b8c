from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.manifest import MANIFEST_NAME, Failure, ManifestLine, append_lines, last_lines, read_lines
from keyframes.errors import DiskFullError, ImageError


def _line(stage: str = "events", **more: object) -> ManifestLine:
    return ManifestLine.model_validate({"reading_id": "aa", "stage": stage, "verdict": "ok", **more})


def test_lines_come_back_in_order(tmp_path: Path) -> None:
    lines = [_line("quality", key="k1", seconds=0.5), _line("events"), _line("quality", key="k2")]
    append_lines(tmp_path, lines[:1])
    append_lines(tmp_path, lines[1:])
    assert list(read_lines(tmp_path)) == lines
    assert last_lines(tmp_path)["aa"].key == "k2"


def test_no_manifest_is_an_empty_one(tmp_path: Path) -> None:
    assert list(read_lines(tmp_path)) == []
    append_lines(tmp_path, [])
    assert not (tmp_path / MANIFEST_NAME).exists()


def test_a_torn_last_line_is_passed_over_and_does_not_spoil_the_next(tmp_path: Path) -> None:
    append_lines(tmp_path, [_line("quality"), _line("events")])
    path = tmp_path / MANIFEST_NAME
    path.write_bytes(path.read_bytes()[:-9])
    append_lines(tmp_path, [_line("regions")])
    assert [line.stage for line in read_lines(tmp_path)] == ["quality", "regions"]


def test_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_NAME).write_bytes(b'\n[]\n{"a": 1}\n\xff\n' + b"[" * 20_000 + b"\n")
    append_lines(tmp_path, [_line()])
    assert list(read_lines(tmp_path)) == [_line()]


@given(cut=st.integers(min_value=0, max_value=400))
def test_any_cut_leaves_whole_lines_before_it(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("manifest")
    lines = [_line(f"s{place}", key="x" * place) for place in range(6)]
    append_lines(folder, lines)
    path = folder / MANIFEST_NAME
    content = path.read_bytes()[:cut]
    path.write_bytes(content)
    # The last line is whole too where only its line end is cut off.
    n_whole = content.count(b"\n") + int(content.rpartition(b"\n")[2].endswith(b"}"))
    assert list(read_lines(folder)) == lines[:n_whole]


def test_a_failure_tells_our_errors_in_full() -> None:
    failure = Failure.of(
        ImageError("picture 0 is gone", hint="Ingest again."), reading_id="aa", stage="regions"
    )
    assert failure.one_line() == "aa regions: picture 0 is gone. Ingest again. (GT-IMAGE)"


def test_a_failure_of_foreign_errors_shows_no_text_of_theirs() -> None:
    def fail() -> None:
        raise ValueError("Jane Doe 1970-01-01")

    with pytest.raises(ValueError) as caught:
        fail()
    failure = Failure.of(caught.value, reading_id="aa", stage="events")
    assert failure.code == "GT-INTERNAL"
    assert "Doe" not in failure.model_dump_json()
    assert "ValueError" in failure.message
    assert "test_manifest" in failure.message
    assert Failure.of(MemoryError(), reading_id="aa", stage="events").code == "GT-MEMORY"


def test_an_unwritable_manifest_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_NAME).mkdir()
    with pytest.raises(Exception, match="writing the manifest") as caught:
        append_lines(tmp_path, [_line()])
    assert not isinstance(caught.value, DiskFullError)
