"""Published CSV files of any length: whole ones are streamed, damaged ones are one coded error with the file's name."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from curation.ingest.csv_files import read_rows, stream_rows
from keyframes.errors import SchemaError

ROWS = [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]
TEXT = b"a,b\n1,x\n2,y\n"


def packed(folder: Path) -> list[Path]:
    """Return the same table plain, gzipped and zipped."""
    plain, gz, archive = folder / "t.csv", folder / "t.csv.gz", folder / "t.csv.zip"
    plain.write_bytes(TEXT)
    gz.write_bytes(gzip.compress(TEXT))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("t.csv", TEXT)
    return [plain, gz, archive]


def test_streamed_rows_are_those_of_the_whole_file(tmp_path: Path) -> None:
    for path in packed(tmp_path):
        assert list(stream_rows(path, ["a"], code="GT-CORPUS")) == ROWS
        assert list(read_rows(path, ["b"])) == ROWS


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("column", ["a", "c"])
def test_a_damaged_or_other_file_is_one_coded_error(tmp_path: Path, place: int, column: str) -> None:
    path = packed(tmp_path)[place]
    if column == "a":
        path.write_bytes(path.read_bytes()[:12] + b"\xff")
    with pytest.raises(SchemaError) as caught:
        list(stream_rows(path, [column], code="GT-CORPUS"))
    assert caught.value.code == "GT-CORPUS"
    assert caught.value.path == path
