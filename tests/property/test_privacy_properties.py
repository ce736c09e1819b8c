"""Names planted at random places of headers and texts never get out."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pydicom
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ComputedRadiographyImageStorage, ExplicitVRLittleEndian

from curation.export.originals import write_original
from curation.privacy import REDACTED, Identifiers, Redactor, load_lexicon
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.store import KeyedHash
from tests.planted_headers import CANARY, planted

WORDS = load_lexicon()
PLAIN = st.sampled_from(
    ["the", "left", "lung", "is", "clear", "no", "effusion", "seen", "catheter", "cm", "and"]
)
MARKS = st.sampled_from(["", ".", ",", ":", "'s"])
NAMES = st.text("bcdfghjklmnpqrstvwxz", min_size=5, max_size=10).map(str.capitalize)
"""Without vowels no word of the lexicon comes about but abbreviations."""


@settings(max_examples=25, deadline=None)
@given(header=planted(), behind=st.booleans())
def test_nothing_that_was_planted_in_a_header_gets_into_an_original(header: Dataset, behind: bool) -> None:
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom tells of values that fit no attribute
        source = write_film(Path(folder) / "film.dcm", header, behind)
        assert CANARY.encode() in source.read_bytes()
        out = write_original(source, Path(folder) / "out", patient="p", pseudonym=KeyedHash(b"k" * 32))
        content = out.read_bytes()
        assert CANARY.encode() not in content
        assert b"1.2.3." not in content
        film = pydicom.dcmread(io.BytesIO(content))
        np.testing.assert_array_equal(film.pixel_array, np.arange(64, dtype=np.uint8).reshape(8, 8))
        named = Identifiers.of([load_radiograph(source)])
        said = any(e.keyword in {"InstitutionName", "OperatorsName"} for e in header.iterall())
        assert (CANARY in named.names) == said
        assert "1.2.3.987654" in named.ids


def write_film(path: Path, header: Dataset, behind: bool) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = UID("1.2.3.4444")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film = FileDataset(str(path), header, file_meta=meta, preamble=CANARY.encode().ljust(128, b"\0"))
    film.SOPClassUID, film.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3.4444"
    film.StudyInstanceUID, film.SeriesInstanceUID = "1.2.3.987654", "1.2.3.66666"
    film.PatientName, film.PatientID = CANARY.lower(), CANARY
    film.Rows = film.Columns = 8
    film.SamplesPerPixel, film.PhotometricInterpretation = 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 8, 8, 7, 0
    film.PixelData = bytes(range(64)) + (CANARY.encode() if behind else b"")
    film.save_as(path, enforce_file_format=True)
    return path


@settings(max_examples=30, deadline=None)
@given(
    before=st.lists(PLAIN, max_size=6),
    name=NAMES.filter(lambda name: not WORDS.knows(name)),
    mark=MARKS,
    after=st.lists(PLAIN, max_size=6),
)
def test_a_name_in_a_transcript_goes_and_nothing_else(
    before: list[str], name: str, mark: str, after: list[str]
) -> None:
    words = [*before, name + mark, *after]
    said = Redactor(lexicon=WORDS)
    assert (
        said(" ".join(words)).split()
        == " ".join([*before, REDACTED + mark.replace("'s", ""), *after]).split()
    )
    assert said.words(words) == said(" ".join(words)).split()
    assert said.unknown_in(" ".join(words)) == {name + mark if mark == "'s" else name}


@settings(max_examples=30, deadline=None)
@given(
    before=st.lists(PLAIN, max_size=4),
    name=NAMES,
    cut=st.integers(2, 8),
    wrong=st.integers(0, 9),
    how=st.sampled_from(["as it is", "upper case", "split", "a letter wrong"]),
)
def test_a_name_of_the_header_goes_misspelt_and_split(
    before: list[str], name: str, cut: int, wrong: int, how: str
) -> None:
    only_names = Redactor(identifiers=Identifiers(names=frozenset({f"{name}^ANN"})))
    place = wrong % len(name)
    said = {
        "as it is": name,
        "upper case": name.upper(),
        "split": f"{name[:cut]} {name[cut:]}".strip(),
        "a letter wrong": name if len(name) < 8 else f"{name[:place]}y{name[place + 1 :]}",
    }[how]
    kept = only_names(" ".join([*before, said]))
    assert kept == " ".join([*before, *[REDACTED] * len(said.split())])
