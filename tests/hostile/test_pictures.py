"""Pictures that claim gigapixels in a few bytes, or are of a kind that runs a program: refused, memory bounded."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable

import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    SecondaryCaptureImageStorage,
)

SIDE_PX = 60_000
BOUND_MIB = 300
"""What reading all of them may add; the least of them unpacked takes 3.4 GiB."""


def png(side_px: int = SIDE_PX, n_bytes: int = 1 << 26) -> bytes:
    """Return a picture whose data unpack to so many bytes of black."""
    buffer = io.BytesIO()
    Image.new("L", (4, 4)).save(buffer, format="PNG")
    small = buffer.getvalue()
    header = b"IHDR" + side_px.to_bytes(4, "big") * 2 + b"\x08\0\0\0\0"
    packer = zlib.compressobj(1)
    data = b"IDAT" + b"".join(packer.compress(bytes(1 << 24)) for _ in range(n_bytes >> 24)) + packer.flush()
    chunks = (len(c[4:]).to_bytes(4, "big") + c + zlib.crc32(c).to_bytes(4, "big") for c in (header, data))
    return small[:8] + b"".join(chunks) + small[-12:]


def tiff() -> bytes:
    """One strip that claims all rows."""
    buffer = io.BytesIO()
    Image.new("L", (4, 4)).save(buffer, format="TIFF")
    content = bytearray(buffer.getvalue())
    at = int.from_bytes(content[4:8], "little")
    for entry in range(int.from_bytes(content[at : at + 2], "little")):
        place = at + 2 + 12 * entry
        if int.from_bytes(content[place : place + 2], "little") in (
            256,
            257,
            278,
        ):  # width, height, rows of a strip
            content[place + 2 : place + 12] = b"\x04\0\x01\0\0\0" + SIDE_PX.to_bytes(4, "little")
    return bytes(content)


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (16, 16)).save(buffer, format="JPEG")
    content = bytearray(buffer.getvalue())
    at = content.index(b"\xff\xc0")
    content[at + 5 : at + 9] = SIDE_PX.to_bytes(2, "big") * 2
    return bytes(content)


def jpeg2000() -> bytes:
    """A code stream whose SIZ segment claims it."""
    buffer = io.BytesIO()
    Image.new("L", (16, 16)).save(buffer, format="JPEG2000", no_jp2=True)
    content = bytearray(buffer.getvalue())
    content[8:16] = SIDE_PX.to_bytes(4, "big") * 2
    content[24:32] = SIDE_PX.to_bytes(4, "big") * 2
    return bytes(content)


def postscript() -> bytes:
    """Pillow would hand it to Ghostscript."""
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) print\n%%EOF\n"


def dicom(
    *, syntax: pydicom.uid.UID = ExplicitVRLittleEndian, rows: int = SIDE_PX, frame: bytes = b"", **more: int
) -> bytes:
    """Return an object that claims ``rows`` x ``rows`` pixels and has 64 bytes of them, or one compressed frame."""
    data = pydicom.Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = SecondaryCaptureImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = pydicom.uid.UID("1.2.3")
    data.PhotometricInterpretation, data.SamplesPerPixel, data.PixelRepresentation = "MONOCHROME2", 1, 0
    data.Rows = data.Columns = rows
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit = 7
    for name, value in more.items():
        setattr(data, name, value)
    data.PixelData = encapsulate([frame]) if frame else bytes(64)
    data["PixelData"].VR = "OB"
    if frame:
        data["PixelData"].is_undefined_length = True
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, data, enforce_file_format=True)
    return buffer.getvalue()


BOMBS: dict[str, Callable[[], bytes]] = {
    "a.png": png,
    "b.tif": tiff,
    "c.jpg": jpeg,
    "d.j2k": jpeg2000,
    "e.eps": postscript,
    "f.dcm": dicom,
    "g.dcm": lambda: dicom(rows=16, NumberOfFrames=100_000_000),
    "h.dcm": lambda: dicom(rows=16, SamplesPerPixel=60_000),
    "i.dcm": lambda: dicom(rows=12_000),
    "j.dcm": lambda: dicom(syntax=JPEGBaseline8Bit, rows=16, frame=jpeg()),
    "k.dcm": lambda: dicom(syntax=JPEG2000Lossless, rows=16, frame=jpeg2000()),
    "l.dcm": lambda: dicom(syntax=JPEG2000Lossless, frame=jpeg2000()),
    "shard.png": lambda: png(12_000, 9 << 24),
}
"""Of ``i.dcm`` the size is one that is decoded, but the pixels are not there. ``shard.png`` is a radiograph of a size
that is read, all of it there, but no picture of a shard."""
READ = """
import json, resource, sys, warnings
from pathlib import Path
from curation.export.pictures import decode_png
from curation.report.pictures import decoded, load_picture
from gazecapture.radiograph.decode import load_radiograph
from keyframes.errors import GazeToolError
warnings.simplefilter("ignore")
def code(read):
    try:
        return "read" if read() is not None else "none"
    except GazeToolError as error:
        return error.code
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    content = path.read_bytes()
    found[path.name] = [
        "GT-IMAGE" if path.name == "shard.png" else code(lambda: load_radiograph(path)),
        code(lambda: load_picture(path)), code(lambda: decoded(content)), code(lambda: decode_png(content)),
    ]
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"found": found, "mib": (after - before) / 1024}))
"""


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What each way to read a picture makes of each bomb, in a process of its own, for its memory."""
    folder = tmp_path_factory.mktemp("bombs")
    for name, make in BOMBS.items():
        (folder / name).write_bytes(make())
        assert (folder / name).stat().st_size < 2 << 20
    programs = tmp_path_factory.mktemp("programs")
    (programs / "gs").write_text(f"#!/bin/sh\ntouch {programs / 'was-run'}\n")
    (programs / "gs").chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stderr
    assert not (programs / "was-run").exists()
    content: dict[str, object] = json.loads(done.stdout)
    return content


@pytest.mark.parametrize("name", list(BOMBS))
def test_a_picture_bomb_is_refused_wherever_pictures_are_read(name: str, looked: dict[str, object]) -> None:
    found = looked["found"]
    assert isinstance(found, dict)
    radiograph, shown, in_a_shard, for_a_view = found[name]
    assert radiograph == "GT-IMAGE"
    assert shown == "GT-IMAGE"
    assert in_a_shard == "none", "the page says that there is no picture"
    assert for_a_view == "GT-IMAGE"


def test_memory_is_bounded(looked: dict[str, object]) -> None:
    assert isinstance(looked["mib"], float)
    assert looked["mib"] < BOUND_MIB
