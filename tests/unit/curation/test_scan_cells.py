"""The scan sees what stands in a cell of a shard at any depth, and strings across its blocks."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from curation.export import decoded_parquet, scan
from curation.export.decoded import contents_of
from curation.export.hdf5_shard import Hdf5ShardWriter
from curation.export.parquet_shard import ParquetShardWriter
from curation.export.scan import scan_output
from curation.export.shards import RowBatches
from curation.privacy import Identifiers
from tests.shard_rows import full_row

CODE = "QZXWVK47"


def png_with_text() -> bytes:
    info = PngInfo()
    info.add_text("Comment", "anything")
    content = io.BytesIO()
    Image.new("L", (4, 4)).save(content, "PNG", pnginfo=info)
    return content.getvalue()


def planted(place: str) -> list[dict[str, Any]]:
    """Return nine rows, the last but one of which holds something at that place."""
    rows = [full_row(number) for number in range(9)]
    row = rows[-2]
    if place == "string":
        row["study_arm"] = CODE
    elif place == "string in a list":
        row["fixations"][-1]["region"] = f"left {CODE.lower()}"
    elif place == "string in lists of lists":
        row["sentences"][-1]["finding_ids"] = [CODE]
    elif place == "picture":
        row["images"][0]["bytes"] = png_with_text()
    elif place == "picture in a list":
        row["keyframes"][-1]["picture"]["bytes"] = png_with_text()
    return rows


def write(folder: Path, kind: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / f"a.{kind}"
    writer = (
        ParquetShardWriter(path, row_group_bytes=1 << 25, row_group_rows=3)
        if kind == "parquet"
        else Hdf5ShardWriter(path)
    )
    with RowBatches(writer) as batches:
        for row in rows:
            batches.add(row)
    return path


@pytest.mark.parametrize("kind", ["parquet", "h5"])
@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("nowhere", None),
        ("string", "an identifier"),
        ("string in a list", "an identifier"),
        ("string in lists of lists", "an identifier"),
        ("picture", "a picture with metadata"),
        ("picture in a list", "a picture with metadata"),
    ],
)
def test_cells_of_shards(tmp_path: Path, kind: str, place: str, found: str | None) -> None:
    write(tmp_path, kind, planted(place))
    assert scan_output(tmp_path, {}, [], codes=[CODE]) == ([f"a.{kind}: {found}"] if found else [])


@pytest.mark.parametrize("kind", ["parquet", "h5"])
def test_parts_of_a_name_in_what_its_own_reading_says(tmp_path: Path, kind: str) -> None:
    rows = [full_row(number) for number in range(3)]
    rows[1]["sentences"][0]["text"] = "as Okonkwo said"
    write(tmp_path, kind, rows)
    names = Identifiers(names=frozenset({"Okonkwo^Adaeze"}))
    for number, hits in ((0, []), (1, [f"a.{kind}: part of a name in a text"])):
        assert scan_output(tmp_path, {rows[number]["reading_id"]: names}, []) == hits


@pytest.mark.parametrize("kind", ["parquet", "h5"])
def test_what_people_said_is_found_in_every_column_of_it(tmp_path: Path, kind: str) -> None:
    rows = [full_row(number) for number in range(2)]
    rows[1] |= {
        "text": "a b", "indication": "c", "words": [{"word": "a"}, {"word": "b"}], "sentences": [{"text": "d"}],
        "report_sections": [{"section": "impression", "text": "e"}], "qa": [{"question": "f", "answer": "g"}],
    }  # fmt: skip
    spoken = [pair for content in contents_of(write(tmp_path, kind, rows)) for pair in content.spoken]
    said = sorted(text for reading_id, text in spoken if reading_id == rows[1]["reading_id"])
    assert said == ["a b", "a b", "c", "d", "e", "f", "g"]


@pytest.mark.parametrize("kind", ["parquet", "h5"])
def test_a_name_over_two_words_of_its_own_reading(tmp_path: Path, kind: str) -> None:
    row = full_row(2)
    row["words"] = [{"word": "Okon"}, {"word": "kwo"}]
    write(tmp_path, kind, [row])
    names = Identifiers(names=frozenset({"Okonkwo^Adaeze"}))
    assert scan_output(tmp_path, {row["reading_id"]: names}, []) == [f"a.{kind}: part of a name in a text"]


@pytest.mark.parametrize("kind", ["parquet", "h5"])
def test_a_name_is_put_together_within_a_cell_and_never_over_two(tmp_path: Path, kind: str) -> None:
    sought = {"r": Identifiers(names=frozenset({"Okonkwo^Adaeze"}))}
    row = full_row(2)
    row["findings"], row["truth"] = [{"label": "Okonkwo"}, {"label": "Adaeze"}], [{"label": "Adaeze"}]
    write(tmp_path, kind, [row])
    assert scan_output(tmp_path, sought, []) == []
    row["findings"][0]["label"] = "seen by ADAEZE - Okonkwo"
    write(tmp_path, kind, [row])
    assert scan_output(tmp_path, sought, []) == [f"a.{kind}: an identifier"]


@pytest.mark.parametrize("name", ["Okonkwo^Adaeze", "Okonkwo^Bisola", "Okonkwo^Chike"])
def test_names_that_begin_alike(tmp_path: Path, name: str) -> None:
    sought = {
        given: Identifiers(names=frozenset({f"Okonkwo^{given}"})) for given in ("Adaeze", "Bisola", "Chike")
    }
    (tmp_path / "a.txt").write_text(f"by {name.replace('^', ' ')} there")
    assert scan_output(tmp_path, sought, []) == ["a.txt: an identifier"]
    (tmp_path / "a.txt").write_text("by Okonkwo Dayo there")
    assert scan_output(tmp_path, sought, []) == []


@pytest.mark.parametrize("place", ["before the first cell", "behind the last", "between two"])
def test_hdf5_bytes_that_are_in_no_cell(tmp_path: Path, place: str) -> None:
    text = np.frombuffer(b"ab QZXWVK47 cd", np.uint8)
    offsets = {"before the first cell": [14, 14], "behind the last": [0, 0], "between two": [0, 14, 0, 14]}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("pictures")
        group.attrs["kind"] = "bytes"
        group["offsets"], group["data"] = offsets[place], text
    found = "what is in it cannot be looked into" if place == "between two" else "an identifier"
    assert scan_output(tmp_path, {}, [], codes=[CODE]) == [f"a.h5: {found}"]


@pytest.mark.parametrize(
    ("cell", "found"),
    [("8675309", True), ("-1.5", False), ("12345", False), ('"1\n8675309"', True), ("8675309\n1,2,3", True)],
)
def test_an_id_in_a_column_of_numbers(tmp_path: Path, cell: str, found: bool) -> None:
    (tmp_path / "a.csv").write_text(f"x,y\n1.5,2\n2.5,{cell}\n,n/a\n")
    hits = ["a.csv: an identifier"] if found else []
    assert scan_output(tmp_path, {}, [], codes=["8675309"]) == hits


def test_a_path_in_what_is_packed(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'{"a": "/home/somebody/store"}'))
    assert scan_output(tmp_path, {}, ["/home/somebody"]) == ["a.json.gz: a path or key of this computer"]


def test_a_path_where_nothing_is_decoded(tmp_path: Path) -> None:
    numbers = np.frombuffer(b"/home/somebody/a", np.int64)
    pq.write_table(pa.table({"x": numbers}), tmp_path / "a.parquet", compression="none", use_dictionary=False)
    assert scan_output(tmp_path, {}, ["/home/somebody/"]) == ["a.parquet: a path or key of this computer"]
    assert scan_output(tmp_path, {}, ["/home/anybody/"]) == []


def test_a_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / f"of {CODE.lower()}.txt").write_text("x")
    assert scan_output(tmp_path, {}, [], codes=[CODE]) == ["a .txt file: an identifier in its name"]


def test_bytes_across_the_scans_blocks_are_found(tmp_path: Path) -> None:
    for length in (1, 7, 60):
        literal = "/home/somebody/" + "x" * length
        for start in (0, (1 << 17) - 3, (1 << 18) - len(literal), 1 << 19):
            (tmp_path / "a.bin.md").write_bytes(b" " * start + literal.encode() + b" " * 9)
            assert scan_output(tmp_path, {}, [literal, "/elsewhere"]) == [
                "a.bin.md: a path or key of this computer"
            ]


def test_every_byte_of_a_file_is_searched_wherever_pieces_of_it_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a picture's pixels, which nothing decodes to text, so that only the search of the file itself can find it."""
    window = 1 << 18
    monkeypatch.setattr(scan, "_WINDOW_BYTES", window)
    monkeypatch.setattr(scan, "_BLOCK_BYTES", 1 << 14)
    literal = b"/home/somebody/store"
    pixels_at = 8 + 25 + 8
    size = 2 * window + 100
    path = tmp_path / "a.png"

    def found_with(start: int | None) -> list[str]:
        pixels = bytearray(size - pixels_at - 16)
        if start is not None:
            pixels[start - pixels_at : start - pixels_at + len(literal)] = literal
        chunks = ((b"IHDR", bytes(13)), (b"IDAT", bytes(pixels)), (b"IEND", b""))
        body = b"".join(len(c).to_bytes(4, "big") + kind + c + bytes(4) for kind, c in chunks)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
        assert path.stat().st_size == size
        return scan_output(tmp_path, {}, [literal.decode(), "/elsewhere/and/longer/than/the/other"])

    assert found_with(None) == []
    ends = [1 << 14, window, window + (1 << 14), 2 * window]
    starts = [pixels_at, size - 16 - len(literal)]
    starts += [end - before for end in ends for before in (len(literal), len(literal) - 1, 1, 0)]
    for start in starts:
        assert found_with(start) == ["a.png: a path or key of this computer"], start


@pytest.mark.parametrize("stretch_bytes", [1, 1 << 12, 1 << 25])
def test_every_row_group_is_looked_into_however_few_are_mapped_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stretch_bytes: int
) -> None:
    monkeypatch.setattr(decoded_parquet, "_STRETCH_BYTES", stretch_bytes)
    rows = [full_row(number) for number in range(10)]
    for number, row in enumerate(rows):
        row["study_arm"], row["text"] = f"ARM{number}", f"said {number}"
    path = write(tmp_path, "parquet", rows)
    assert pq.read_metadata(path).num_row_groups == 4
    contents = list(contents_of(path))
    cells = [cell for content in contents for cell in content.cells]
    assert {f"ARM{number}" for number in range(10)} <= set(cells)
    spoken = {pair for content in contents for pair in content.spoken}
    assert {(row["reading_id"], row["text"]) for row in rows} <= spoken
    pictures = [bytes(picture) for content in contents for picture in content.pictures]
    written = [p["bytes"] for row in rows for p in row["images"]]
    written += [frame["picture"]["bytes"] for row in rows for frame in row["keyframes"] if frame["picture"]]
    assert sorted(pictures) == sorted(written)
