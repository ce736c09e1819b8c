"""Names planted at random in headers and in what is said, from the store through a whole export, in every container."""

from __future__ import annotations

import unicodedata
import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Literal

import pyarrow.parquet as pq
import pydicom
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import UID

from curation.config import CurationConfig, ExportConfig, PrivacyConfig
from curation.export.dataset import export_dataset
from curation.privacy import REDACTED
from curation.run import curate
from gazecapture.radiograph.phantom import make_phantom
from gazecapture.radiograph.phantom_dicom import write_dicom
from tests import byte_search
from tests.planted_headers import CANARY, planted

LETTERS = "bcdfghjklmnpqrstvwxzüñčêå"
"""Without plain vowels no word of the list comes about, and in six that differ nothing that packed numbers hold."""
NAMES = st.lists(st.sampled_from(LETTERS), min_size=6, max_size=9, unique=True).map("".join)
PLAIN = ("the", "left", "lung", "is", "clear")
UID_ROOT = "1.2.3.8675309421"


@dataclass(frozen=True)
class Said:
    """A name as somebody says or writes it, one or more words."""

    words: tuple[str, ...]


@st.composite
def said(draw: st.DrawFn, family: str, first: str) -> Said:
    """Give a way to say one of two names, or both."""
    name, other = draw(st.permutations([family, first]))
    cut = draw(st.integers(3, 5))
    place = draw(st.integers(0, len(name) - 1))
    words = draw(
        st.sampled_from(
            [
                (name,),
                (name.upper() + ",",),
                (f"{name}'s",),
                (name[:cut], name[cut:]),
                (name + other,),
                (f"{name}-{other}",),
                (f"dr{name}",),
                (f"{name[:place]}y{name[place + 1 :]}",),
                (first, family),
            ]
        )
    )
    form: Literal["NFC", "NFD"] = draw(st.sampled_from(["NFC", "NFD"]))
    return Said(tuple(unicodedata.normalize(form, word) for word in words))


@st.composite
def readings_said(draw: st.DrawFn) -> tuple[str, str, list[Said]]:
    family, first = draw(NAMES), draw(NAMES)
    return family, first, draw(st.lists(said(family, first), min_size=4, max_size=4))


def write_film(path: Path, header: Dataset, family: str, first: str) -> None:
    """Write a generated film with a random header around it."""
    write_dicom(make_phantom(3, size_px=(160, 192)), path, patient_id="SYN1", study_uid_seed=3)
    film = pydicom.dcmread(path)
    for element in header:
        if element.keyword not in film or element.tag.is_private:
            film.add(element)
    film.SpecificCharacterSet = "ISO_IR 192"
    film.PatientName, film.PatientID = f"{family.upper()}^{first.capitalize()}", "MRN-8675309421"
    film.StudyInstanceUID, film.SeriesInstanceUID = f"{UID_ROOT}.1", f"{UID_ROOT}.2"
    film.SOPInstanceUID = f"{UID_ROOT}.3"
    film.file_meta.MediaStorageSOPInstanceUID = UID(f"{UID_ROOT}.3")
    film.preamble = CANARY.encode().ljust(128, b"\0")
    film.save_as(path)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(header=planted(), spoken=readings_said(), text=st.sampled_from(["lexicon", "names"]))
def test_nothing_that_was_planted_leaves_the_store(
    readings: ModuleType,
    header: Dataset,
    spoken: tuple[str, str, list[Said]],
    text: Literal["lexicon", "names"],
) -> None:
    family, first, sayings = spoken
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom tells of values that fit no attribute
        root = Path(folder)
        write_film(root / "film.dcm", header, family, first)
        words = [word for one in sayings for word in (*one.words, *PLAIN, ".")]
        timed = [(word, 0.1 + 0.02 * place, 0.11 + 0.02 * place) for place, word in enumerate(words)]
        store = readings.make_store(root / "store")
        reading = readings.make_reading(1, duration_s=2.0, words=timed, picture_path=root / "film.dcm")
        indication = f"Cough, known to {' '.join(sayings[0].words)} of the clinic"
        store.add(readings.with_meta(reading, indication=indication), {0: root / "film.dcm"})
        config = CurationConfig(
            privacy=PrivacyConfig(text=text),
            export=ExportConfig(keyframe_pictures=False, picture_max_side_px=64),
        )
        assert curate(store, config).kept == store.reading_ids()
        export_dataset(store, root / "out", reading_ids=store.reading_ids(), config=config)
        needles = {"marker": CANARY, "numbers": "8675309421"}
        forms = {family, first, *(" ".join(one.words) for one in sayings)}
        for form in ("NFC", "NFD"):
            for name in forms:
                needles[f"{name}, {form}"] = unicodedata.normalize(form, name)
                needles[f"{name}, {form}, capitals"] = unicodedata.normalize(form, name.upper())
        assert byte_search.find(root / "out", needles) == {}
        (shard,) = (root / "out" / "readings").iterdir()
        (row,) = pq.read_table(shard).to_pylist()
        kept = [word["word"] for word in row["words"]]
        assert [word for word in kept if REDACTED not in word] == [*PLAIN, "."] * len(sayings)
        assert REDACTED in row["indication"]
        assert row["indication"].startswith("Cough, known to ")
