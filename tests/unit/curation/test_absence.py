"""`gazecurate verify --store` finds what was forgotten, and what must stay, anywhere in a dataset."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from types import ModuleType

import h5py
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest

from curation.config import CurationConfig, ExportConfig, PrivacyConfig
from curation.export.dataset import export_dataset
from curation.export.verify import finds_in, verify_absence
from curation.forget import forget
from curation.forget_plan import plan_forget
from curation.privacy.strings import code_pseudonym
from curation.run import curate
from curation.tombstones import TOMBSTONES, Tombstones
from gazecapture.radiograph.phantom import make_phantom
from gazecapture.radiograph.phantom_dicom import write_dicom
from gazecapture.store import Store
from keyframes.errors import PrivacyError

PATIENT, MRN = "QUILLFEATHER^ADA MARIE", "MRN-8675309"
STAYS = "OVERNIGHT-QUIBBLE^EVE"
READER = "Mirabel.K"
"""A code that its owner made of her name."""


@pytest.fixture(scope="module")
def made(readings: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one reading of each of two patients, and its dataset; the other reading is forgotten."""
    root = tmp_path_factory.mktemp("made")
    store = readings.make_store(root / "store")
    for number, name in ((1, STAYS), (2, PATIENT)):
        path = root / f"{number}.dcm"
        write_dicom(
            make_phantom(number, size_px=(160, 192)), path, patient_id=f"SYN{number}", study_uid_seed=number
        )
        film = pydicom.dcmread(path)
        film.PatientName, film.PatientID = name, MRN if name == PATIENT else "MRN-1111111"
        film.save_as(path)
        store.add(readings.make_reading(number, duration_s=3.0, picture_path=path), {0: path})
    ids = store.reading_ids()
    config = CurationConfig(
        privacy=PrivacyConfig(gaze_tier="120hz"),
        export=ExportConfig(keyframe_pictures=False, picture_max_side_px=64),
    )
    assert curate(store, config).kept == ids
    (gone,) = (i for i in ids if store.load(i).meta.reading_number == 2)
    export_dataset(
        store, root / "dataset", reading_ids=[i for i in ids if i != gone], config=config, views=["bids"]
    )
    Tombstones.of(store).put("reader", [READER])
    forget(store, plan_forget(store, "reading", gone))
    (root / "gone").write_text(gone)
    return root


def in_samples(dataset: Path, text: str) -> Path:
    path = next((dataset / "samples").glob("*.parquet"))
    table = pq.read_table(path)
    place = table.column_names.index("source")
    labels = pa.array([text] * table.num_rows).dictionary_encode()
    pq.write_table(table.set_column(place, "source", labels), path)
    return path


def in_statistics_of_events(dataset: Path, text: str) -> Path:
    path = next((dataset / "events").glob("*.parquet"))
    pq.write_table(
        pq.read_table(path).append_column(
            "who", pa.array([text]).take([0] * pq.read_metadata(path).num_rows)
        ),
        path,
    )
    return path


def in_tables(dataset: Path, text: str) -> Path:
    path = next((dataset / "tables").glob("*.csv"))
    path.write_text(path.read_text() + f"{text}\n")
    return path


def in_hdf5(dataset: Path, text: str) -> Path:
    path = next((dataset / "hdf5").glob("*.h5"))
    with h5py.File(path, "r+") as file:
        file.attrs["made_by"] = text
    return path


def in_a_name_in_gzip(dataset: Path, text: str) -> Path:
    path = next((dataset / "views").rglob("*.tsv.gz"))
    content = gzip.decompress(path.read_bytes())
    with path.open("wb") as raw, gzip.GzipFile(filename=text, fileobj=raw, mode="wb") as packed:
        packed.write(content)
    return path


def in_a_sidecar(dataset: Path, text: str) -> Path:
    path = next((dataset / "views").rglob("*.json"))
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "Who": text}))
    return path


def in_a_file_name(dataset: Path, text: str) -> Path:
    path = dataset / "views" / f"{text}.txt"
    path.write_text("x")
    return path


def in_an_original(dataset: Path, text: str) -> Path:
    path = next((dataset / "images").glob("*.dcm"))
    film = pydicom.dcmread(path)
    film.private_block(0x0011, "x", create=True).add_new(1, "LO", text)
    film.save_as(path)
    return path


def sought(root: Path) -> dict[str, str]:
    """Return what may stand nowhere, by what it is."""
    store = Store.open(root / "store")
    return {
        "reading": (root / "gone").read_text(),
        "reader": READER,
        "reader, as exported": code_pseudonym(store.keyed_hash, READER),
        "patient": "quillfeather ada marie",
        "patient's id": MRN,
    }


def test_it_is_found_wherever_it_hides(made: Path, tmp_path: Path) -> None:
    store, dataset = Store.open(made / "store"), tmp_path / "dataset"
    shutil.copytree(made / "dataset", dataset)
    assert verify_absence(store, dataset) == 2
    forgotten = sought(made)
    altered = {
        in_samples(dataset, forgotten["reading"]): "something forgotten",
        in_statistics_of_events(dataset, READER): "something forgotten",
        in_tables(dataset, forgotten["reader, as exported"]): "something forgotten",
        in_hdf5(dataset, forgotten["patient"]): "something forgotten",
        in_a_name_in_gzip(dataset, MRN): "something forgotten",
        in_a_sidecar(dataset, "Eve Overnight-Quibble"): "an identifier",
        in_a_file_name(dataset, READER): "something forgotten in its name",
        in_an_original(dataset, f"from {store.root}/x"): "a path or key of this computer",
    }
    expected = {f"{path.relative_to(dataset).as_posix()}: {kind}" for path, kind in altered.items()}
    found = finds_in(store, dataset)
    assert set(found) == expected
    with pytest.raises(PrivacyError) as error:
        verify_absence(store, dataset)
    assert error.value.code == "GT-FORGOTTEN"


def test_each_of_it_is_found_in_a_text(made: Path) -> None:
    finds = Tombstones.of(Store.open(made / "store")).finder()
    for what, text in sought(made).items():
        assert finds(f"about {text}, and so on"), what
        assert finds(text), what
    assert not finds("a clear lung, seen on 3 films")


def test_names_of_those_who_stay_are_a_find_of_another_kind(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "dataset", tmp_path / "dataset")
    (tmp_path / "dataset" / "notes.txt").write_text("Eve Overnight-Quibble")
    with pytest.raises(PrivacyError) as error:
        verify_absence(Store.open(made / "store"), tmp_path / "dataset")
    assert error.value.code == "GT-PRIVACY"
    assert "Quibble" not in str(error.value)


def test_tombstones_tell_nothing_without_the_key(made: Path) -> None:
    store = Store.open(made / "store")
    content = (store.root / TOMBSTONES).read_text()
    for text in sought(made).values():
        assert text.casefold() not in content.casefold()
    for line in content.splitlines():
        assert json.loads(line).keys() == {"hash", "kind", "date"}
    assert Tombstones.of(store).n_names == 2
