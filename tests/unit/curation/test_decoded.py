"""What the scan sees of a file: a name in any container, at any place of it, and nothing where there is none."""

from __future__ import annotations

import base64
import gzip
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import Dataset

from curation.export.scan import scan_output
from curation.privacy import Identifiers
from gazecapture.radiograph.phantom import make_phantom
from gazecapture.radiograph.phantom_dicom import write_dicom

NAME = "Quillfeather"
SOUGHT = {"r1": Identifiers(names=frozenset({f"{NAME.upper()}^ADA"}), ids=frozenset({"MRN-8675309"}))}
SAID = f"read by {NAME}, Ada"
GREY = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))

Plant = Callable[[Path, str], object]
PLANTS: dict[str, Plant] = {}


def plant(suffix: str) -> Callable[[Plant], Plant]:
    """Enter a way to put a text into a file."""

    def enter(function: Plant) -> Plant:
        PLANTS[f"{function.__name__}{suffix}"] = function
        return function

    return enter


def packed(name: str, content: bytes) -> bytes:
    """Return a gzip member with a name in its header."""
    out = io.BytesIO()
    with gzip.GzipFile(filename=name, mode="wb", fileobj=out, mtime=0) as file:
        file.write(content)
    return out.getvalue()


@plant(".txt")
def plain(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


@plant(".json")
def json_key(path: Path, text: str) -> None:
    path.write_text(json.dumps({"a": [{text: 1}]}))


@plant(".jsonl")
def escaped_in_json_lines(path: Path, text: str) -> None:
    letters = "".join(f"\\u{ord(c):04x}" for c in text)
    path.write_text(f'{{"a": 1}}\n{{"b": "{letters}"}}\n')


@plant(".html")
def html_entities(path: Path, text: str) -> None:
    path.write_text("<p>" + "".join(f"&#{ord(c)};" for c in text))


@plant(".html")
def html_data_uri(path: Path, text: str) -> None:
    packed_json = base64.b64encode(json.dumps({"a": text}).encode()).decode()
    path.write_text(f'<a href="data:application/json;charset=utf-8;base64,{packed_json}">')


@plant(".html")
def html_percent_signs(path: Path, text: str) -> None:
    path.write_text("<a href='x?" + "".join(f"%{ord(c):02x}" for c in text) + "'>")


@plant(".csv")
def csv_cell(path: Path, text: str) -> None:
    path.write_text(f'a,b\n1.5,"{text}"\n')


@plant(".tsv")
def tsv_header(path: Path, text: str) -> None:
    path.write_text(f"a\t{text}\n1\t2\n")


@plant(".tsv.gz")
def gzip_cell(path: Path, text: str) -> None:
    path.write_bytes(packed("", f"a\n{text}\n".encode()))


@plant(".tsv.gz")
def gzip_name(path: Path, text: str) -> None:
    path.write_bytes(packed(text, b"a\n1\n"))


@plant(".json.gz")
def gzip_name_of_second_member(path: Path, text: str) -> None:
    path.write_bytes(packed("", b"[1,") + packed(text, b"2]"))


@plant(".json.gz")
def gzip_comment(path: Path, text: str) -> None:
    whole = packed("", b"{}")
    path.write_bytes(whole[:3] + b"\x10" + whole[4:10] + text.encode() + b"\0" + whole[10:])


@plant(".zip")
def zip_member(path: Path, text: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.tsv.gz", packed("", f"a\n{text}\n".encode()))


@plant(".zip")
def zip_comment(path: Path, text: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = text.encode()


@plant(".zip")
def zip_name(path: Path, text: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{text}/x", b"")


@plant(".tar.gz")
def tar_in_gzip(path: Path, text: str) -> None:
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("x.txt")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text.encode()))


@plant(".tar")
def tar_owner(path: Path, text: str) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("x.txt")
        info.pax_headers = {"comment": text}
        info.uname = "curator"
        archive.addfile(info)


@plant(".parquet")
def parquet_cell(path: Path, text: str) -> None:
    pq.write_table(pa.table({"a": [[{"b": text}]]}), path)


@plant(".parquet")
def parquet_label(path: Path, text: str) -> None:
    pq.write_table(pa.table({"a": pa.array([text]).dictionary_encode(), "b": [1.0]}), path)


@plant(".parquet")
def parquet_unused_label(path: Path, text: str) -> None:
    labels = pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), pa.array(["a", text]))
    pq.write_table(pa.table({"a": labels}), path)


@plant(".parquet")
def parquet_column_name(path: Path, text: str) -> None:
    pq.write_table(pa.table({"a": pa.array([{text: 1}])}), path)


@plant(".parquet")
def parquet_metadata(path: Path, text: str) -> None:
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({"note": text}), path)


@plant(".parquet")
def parquet_metadata_of_a_nested_field(path: Path, text: str) -> None:
    inner = pa.field("b", pa.int64(), metadata={"note": text})
    schema = pa.schema([pa.field("a", pa.struct([inner]))])
    pq.write_table(pa.Table.from_pylist([{"a": {"b": 1}}], schema), path)


@plant(".parquet")
def parquet_statistics(path: Path, text: str) -> None:
    """A file whose cell was blanked after it was written: only the statistics still have the value."""
    pq.write_table(pa.table({"a": [text]}), path, compression="none", use_dictionary=False)
    content = path.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    data = content[:footer].replace(text.encode(), b"x" * len(text))
    path.write_bytes(data + content[footer:])


@plant(".h5")
def hdf5_attribute(path: Path, text: str) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("a/b").attrs["note"] = ["x"] * 1500 + [text]


@plant(".h5")
def hdf5_name(path: Path, text: str) -> None:
    with h5py.File(path, "w") as file:
        file.create_group(f"a/{text}")


@plant(".h5")
def hdf5_bytes_of_any_kind(path: Path, text: str) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=np.frombuffer(text.encode(), np.uint8), compression="gzip", chunks=(8,))


@plant(".h5")
def hdf5_comment(path: Path, text: str) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("a/b")
        file["a"].id.set_comment(b"b", text.encode())


@plant(".h5")
def hdf5_user_block(path: Path, text: str) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        file["a"] = 1
    content = path.read_bytes()
    path.write_bytes(text.encode() + content[len(text) :])


@plant(".png")
def png_text(path: Path, text: str) -> None:
    notes = PngInfo()
    notes.add_text("Author", text, zip=True)
    GREY.save(path, pnginfo=notes)


@plant(".png")
def behind_a_png(path: Path, text: str) -> None:
    GREY.save(path)
    path.write_bytes(path.read_bytes() + text.encode())


@plant(".jpg")
def jpeg_comment(path: Path, text: str) -> None:
    GREY.save(path, comment=text)


@plant(".jpeg")
def jpeg_exif(path: Path, text: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = text
    GREY.save(path, exif=exif)


@plant(".tif")
def tiff_tag(path: Path, text: str) -> None:
    GREY.save(path, description=text)


@plant(".parquet")
def png_in_parquet(path: Path, text: str) -> None:
    picture = path.with_suffix(".png")
    png_text(picture, text)
    pq.write_table(pa.table({"a": [{"bytes": picture.read_bytes()}]}), path)
    picture.unlink()


def box(kind: bytes, content: bytes, *, long: bool = False) -> bytes:
    """Return a box of an mp4."""
    if long:
        return struct.pack(">I4sQ", 1, kind, len(content) + 16) + content
    return struct.pack(">I4s", len(content) + 8, kind) + content


@plant(".mp4")
def mp4_user_data(path: Path, text: str) -> None:
    note = box(b"\xa9nam", box(b"data", b"\0\0\0\1\0\0\0\0" + text.encode()))
    path.write_bytes(
        box(b"ftyp", b"isom") + box(b"mdat", bytes(64), long=True) + box(b"moov", box(b"udta", note))
    )


@plant(".mp4")
def mp4_wide_letters(path: Path, text: str) -> None:
    path.write_bytes(box(b"ftyp", b"isom") + box(b"uuid", bytes(16) + text.encode("utf-16-le")))


@plant(".mp4")
def mp4_coded_pictures(path: Path, text: str) -> None:
    path.write_bytes(box(b"ftyp", b"isom") + struct.pack(">I4s", 0, b"mdat") + bytes(9) + text.encode())


def film(path: Path) -> Dataset:
    write_dicom(make_phantom(5, size_px=(64, 80)), path, patient_id="SYN1", study_uid_seed=5)
    return pydicom.dcmread(path)


@plant(".dcm")
def dicom_private_nested(path: Path, text: str) -> None:
    data, inner = film(path), Dataset()
    inner.private_block(0x0011, "x", create=True).add_new(1, "UN", text.encode())
    data.RequestAttributesSequence = [inner]
    data.save_as(path)


@plant(".dcm")
def dicom_behind_the_pixels(path: Path, text: str) -> None:
    data = film(path)
    data.add_new(0xFFFCFFFC, "OB", text.encode().ljust(64, b"\0"))
    data.save_as(path)


@plant(".dcm")
def dicom_longer_pixels(path: Path, text: str) -> None:
    data = film(path)
    data.PixelData += text.encode().ljust(64, b"\0")
    data.save_as(path)


@plant(".dcm")
def dicom_plain_nested(path: Path, text: str) -> None:
    data, inner = film(path), Dataset()
    inner.RequestedProcedureDescription = ["knee", text]
    data.RequestAttributesSequence = [inner]
    data.save_as(path)


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 192", "Żółw^Ola"),
        ("ISO_IR 100", "Müßig^Björn"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
    ],
)
def test_a_name_in_any_character_set(tmp_path: Path, character_set: str, name: str) -> None:
    data = film(tmp_path / "file.dcm")
    data.SpecificCharacterSet, data.PerformingPhysicianName = character_set, name
    data.save_as(tmp_path / "file.dcm")
    for asked, hits in ((name.split("=")[-1], ["file.dcm: an identifier"]), ("Nobody^Here", [])):
        sought = {"r": Identifiers(names=frozenset({asked}))}
        assert scan_output(tmp_path, sought, []) == hits


def test_an_id_as_a_binary_number(tmp_path: Path) -> None:
    data = film(tmp_path / "file.dcm")
    data.private_block(0x0011, "x", create=True).add_new(1, "UL", 8675309)
    data.save_as(tmp_path / "file.dcm")
    assert scan_output(tmp_path, {}, [], codes=["8675309"]) == ["file.dcm: an identifier"]


@plant(".bin")
def bytes_of_no_kind(path: Path, text: str) -> None:
    path.write_bytes(b"\0\1\2\xff" + text.encode() + b"\0")


PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".parquet"}


@pytest.mark.filterwarnings("ignore:The length of the pixel data")
@pytest.mark.parametrize("name", sorted(PLANTS))
def test_a_name_is_found_wherever_it_is(tmp_path: Path, name: str) -> None:
    PLANTS[name](tmp_path / f"file.{name.partition('.')[2]}", SAID)
    hits = scan_output(tmp_path, SOUGHT, [])
    kind = (
        "a picture with metadata"
        if Path(name).suffix in PICTURES - {".parquet"} or name.startswith("png_in")
        else "an identifier"
    )
    assert hits == [f"file.{name.partition('.')[2]}: {kind}"]


@pytest.mark.filterwarnings("ignore:The length of the pixel data")
@pytest.mark.parametrize(
    "name", sorted(set(PLANTS) - {n for n in PLANTS if Path(n).suffix in PICTURES - {".parquet"}})
)
def test_other_words_are_no_find(tmp_path: Path, name: str) -> None:
    if name.startswith("png_in"):
        GREY.save(tmp_path / "file.png")
    else:
        PLANTS[name](tmp_path / f"file.{name.partition('.')[2]}", "read by nobody, at all")
    assert scan_output(tmp_path, SOUGHT, []) == []


@pytest.mark.parametrize("mark", [b"PAR1", b"\x89HDF\r\n\x1a\n", b"\x1f\x8b\x08", b"PK\x03\x04"])
def test_what_cannot_be_looked_into_is_a_find(tmp_path: Path, mark: bytes) -> None:
    (tmp_path / "file.bin").write_bytes(mark + b"\xff" * 64)
    assert scan_output(tmp_path, SOUGHT, []) == ["file.bin: what is in it cannot be looked into"]


def test_hdf5_that_no_shard_is_is_a_find(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["a"] = h5py.ExternalLink("other.h5", "/x")
    assert scan_output(tmp_path, SOUGHT, []) == ["file.h5: what is in it cannot be looked into"]
