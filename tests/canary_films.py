"""Films of every kind that the viewer shows, with a marker wherever a file of that kind has room for one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, JPEGBaseline8Bit

from gazecapture.radiograph.phantom import make_phantom
from gazecapture.radiograph.phantom_dicom import write_dicom

__all__ = ["STEM", "Canaries", "write_films"]

DISPLAYED = {
    "PhotometricInterpretation", "PresentationLUTShape", "VOILUTFunction", "SpecificCharacterSet", "BurnedInAnnotation",
    "ModalityLUTSequence", "VOILUTSequence", "PixelDataProviderURL",
}  # fmt: skip
"""Attributes without which the film could not be shown, or would be held back."""
TEXT_KINDS = {
    "LO": 64,
    "SH": 16,
    "LT": 64,
    "ST": 64,
    "UT": 64,
    "UC": 64,
    "PN": 64,
    "AE": 16,
    "UR": 64,
    "CS": 16,
}
"""Kinds of text, and how long one may be."""
SIZE_PX = (192, 224)
STEM = "Qzxwvk"
"""How every marker begins."""


class Canaries(dict[str, str]):
    """What was planted, by where; each marker is made when it is first asked for."""

    def __missing__(self, place: str) -> str:
        number = len(self)
        # Letters only: what is in no word list, and what no pattern of ids would give away.
        self[place] = f"{STEM}{chr(97 + number // 26)}{chr(97 + number % 26)}"
        return self[place]


def plant_in_film(film: Dataset, canary: Canaries) -> None:
    """Fill every text attribute that DICOM knows, every sequence two deep, private groups and an overlay."""
    for tag, (kind, _, _, retired, keyword) in DicomDictionary.items():
        if keyword in DISPLAYED or not keyword or tag >> 16 in {0x0000, 0x0002, 0x0004} or retired:
            continue
        if kind in TEXT_KINDS:
            film.add_new(
                tag, kind, canary[f"DICOM {kind}"].upper() if kind == "CS" else canary[f"DICOM {kind}"]
            )
        elif kind in {"DA", "DT"}:
            film.add_new(tag, kind, "19010101")
        elif kind == "SQ":
            film.add_new(tag, kind, DicomSequence([nested(canary)]))
    film.PatientName = f"{canary['patient name']}^LONG^MARIE"
    film.PatientID, film.AccessionNumber = canary["patient id"], "AC-8675309421"
    film.InstitutionName, film.OperatorsName = canary["institution"], canary["operator"]
    film.DeviceSerialNumber, film.StationName = canary["serial number"], canary["station"]
    film.WindowCenter, film.WindowWidth = [2048, 2000], [4096, 3000]
    film.WindowCenterWidthExplanation = [canary["window explanation"], canary["window explanation"]]
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        setattr(film, keyword, f"1.2.3.8675309421.{len(keyword)}")
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.8675309421.9")
    for place in (0x0011, 0x0029):
        film.private_block(place, canary["private creator"], create=True).add_new(1, "LO", canary["private"])
    lut = Dataset()
    lut.LUTDescriptor, lut.LUTData = [4096, 0, 12], list(range(4096))
    lut["LUTDescriptor"].VR = lut["LUTData"].VR = "US"
    lut.LUTExplanation = canary["LUT explanation"]
    lut.private_block(0x0011, "x", create=True).add_new(1, "LO", canary["private in LUT"])
    film.VOILUTSequence = DicomSequence([lut])
    film.add_new(0x60000010, "US", 8)
    film.add_new(0x60000011, "US", 64)
    film.add_new(0x60000022, "LO", canary["overlay description"])
    film.add_new(0x60001500, "LO", canary["overlay label"])
    film.add_new(0x60003000, "OW", canary["overlay data"].encode() * 8)
    film.add_new(0xFFFCFFFC, "OB", canary["trailing padding"].encode())
    film.file_meta.SourceApplicationEntityTitle = canary["file meta"]
    film.file_meta.PrivateInformationCreatorUID = UID("1.2.3.8675309421.8")
    film.file_meta.PrivateInformation = canary["file meta, private"].encode()
    film.preamble = canary["preamble"].encode().ljust(128, b"\0")


def nested(canary: Canaries) -> Dataset:
    inner, outer = Dataset(), Dataset()
    inner.PatientComments = inner.CodeValue = canary["nested twice"]
    outer.CodeMeaning = outer.PersonName = canary["nested"]
    inner.private_block(0x2001, "x", create=True).add_new(7, "UN", canary["private, nested twice"].encode())
    outer.RequestAttributesSequence = DicomSequence([inner])
    return outer


def write_films(folder: Path, canary: Canaries) -> dict[str, Path]:
    """Write one film of each kind that the viewer shows."""
    folder.mkdir(parents=True)
    films = {
        name: folder / f"{canary['file name']}-{name}"
        for name in ("plain.dcm", "packed.dcm", "a.png", "b.jpg", "c.tif")
    }
    for number, name in enumerate(("plain.dcm", "packed.dcm")):
        write_dicom(
            make_phantom(number, size_px=SIZE_PX), films[name], patient_id="SYN1", study_uid_seed=number
        )
        film = pydicom.dcmread(films[name])
        plant_in_film(film, canary)
        if name == "plain.dcm":
            film.PixelData += (canary["behind the pixels"] * 2).encode()
        else:
            film.PixelData = encapsulate([grey_jpeg(film.pixel_array, canary)])
            film["PixelData"].is_undefined_length = True
            film.BitsAllocated, film.BitsStored, film.HighBit = 8, 8, 7
            film.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
            film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.8675309421.7")
            del film.VOILUTSequence
        film.save_as(films[name])
    grey8 = (make_phantom(7, size_px=SIZE_PX).pixels >> 4).astype(np.uint8)
    notes = PngInfo()
    notes.add_text("Author", canary["PNG text"])
    notes.add_text("Comment", canary["PNG packed text"], zip=True)
    notes.add_itxt("Title", canary["PNG international text"])
    Image.fromarray(grey8).save(films["a.png"], pnginfo=notes)
    exif = Image.Exif()
    exif[0x010E] = canary["EXIF"]
    Image.fromarray(grey8[::-1]).save(films["b.jpg"], quality=95, exif=exif, comment=canary["JPEG comment"])
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, place in (
        (315, "TIFF artist"),
        (270, "TIFF description"),
        (316, "TIFF host"),
        (65000, "TIFF tag of no name"),
    ):
        tags[tag] = canary[place]
    tags.tagtype[65000] = 2
    Image.fromarray(grey8[:, ::-1]).save(films["c.tif"], tiffinfo=tags, software=canary["TIFF software"])
    return films


def grey_jpeg(pixels: NDArray[Any], canary: Canaries) -> bytes:
    content = io.BytesIO()
    Image.fromarray((pixels >> 4).astype(np.uint8)).save(
        content, "JPEG", quality=95, comment=canary["comment in the compressed pixels"]
    )
    return content.getvalue()
