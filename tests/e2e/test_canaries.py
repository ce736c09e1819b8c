"""Markers planted in every field of the input, sought in all that leaves the store by a search of its own."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, JPEGBaseline8Bit

from curation.cli import cli
from curation.consent import CONSENT_LOG
from curation.export import dataset as exporting
from curation.export import originals, write
from curation.export import place as placing
from curation.export.card import dataset_card
from curation.export.views import VIEWS
from curation.privacy import RowGuard
from gazecapture.console import run_command
from gazecapture.radiograph.phantom import make_phantom
from gazecapture.radiograph.phantom_dicom import write_dicom
from gazecapture.session.journal import JournalWriter, read_journal
from gazecapture.session.schema import (
    ANNOTATIONS,
    DISPLAY_JOURNAL,
    MARKS,
    WORDS_JOURNAL,
    read_session_info,
    read_stream_info,
    write_session_info,
    write_stream_info,
)
from gazecapture.simulation.offline import simulate_session
from gazecapture.store import DECISIONS_FILE, Store
from keyframes.errors import ExitCode
from keyframes.reading import Tracker
from tests import byte_search

pytestmark = pytest.mark.timeout(360)
"""The first test waits for a dataset with every view, on a machine that may have other work."""

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
WORD_NS = 250_000_000
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


def write_worklist(folder: Path, films: Mapping[str, Path], canary: Canaries) -> None:
    lesion = {
        "finding_id": canary["truth id"], "label": canary["truth label"], "present": True, "image_index": 0,
        "box": [40.0, 60.0, 90.0, 120.0], "source": canary["truth source"],
    }  # fmt: skip
    (folder / "truth.json").write_text(json.dumps([lesion]))
    with (folder / "worklist.csv").open("w", newline="") as handle:
        table = csv.writer(handle)
        table.writerow(["study_id", "current", "indication", "arm", "truth", "view", "referrer"])
        for number, path in enumerate(films.values()):
            table.writerow([
                f"{canary['study id']}{number}", path.relative_to(folder), f"Cough. Known to {canary['indication']}.",
                canary["study arm"], "truth.json", canary["view column"],
                canary["worklist column of no name"],
            ])  # fmt: skip


def plant_in_session(session: Path, canary: Canaries) -> None:
    """Fill what senders, the window and the reader give as text."""
    info = read_session_info(session)
    studies = tuple(
        replace(
            study,
            images=tuple(
                replace(
                    image,
                    view_position=canary["view position"],
                    source_patient_id=canary["patient id, session"],
                )
                for image in study.images
            ),
        )
        for study in info.studies
    )
    write_session_info(
        session,
        replace(
            info, session_id=canary["session id"], tool_version=canary["recording version"], studies=studies
        ),
    )
    for record in sorted((session / "streams").glob("*/stream.json")):
        stream = read_stream_info(record.parent)
        xml = (
            f"<hostname>{canary['host name']}</hostname><serial>{canary['tracker serial']}</serial>"
            f"<desc><x-subject><by>{canary['unknown stream metadata']}</by></x-subject></desc>"
        )
        tracker = Tracker(
            name=canary["tracker name"], manufacturer=canary["tracker maker"], model=canary["tracker model"],
            nominal_rate_hz=stream.tracker.nominal_rate_hz,
        )  # fmt: skip
        write_stream_info(
            record.parent,
            replace(
                stream, name=canary["stream name"], source_id=canary["source id"], xml=xml, tracker=tracker
            ),
        )
    display = read_journal(session / "display").table.to_pylist()
    opened = [row for row in display if row["event"] == "on"]
    with JournalWriter(session / "display", DISPLAY_JOURNAL) as journal:
        journal.append_rows([
            {
                **row, "event": "change", "t_ns": row["t_ns"] + 1_000_000, "preset_id": canary["preset"],
                "panels": [{"name": canary["panel"], "rect": [0.0, 0.0, 9.0, 9.0]}],
            }
            for row in opened
        ])  # fmt: skip
    with JournalWriter(session / "annotations", ANNOTATIONS) as journal:
        journal.append_rows([
            {
                "t_ns": row["t_ns"] + 2_000_000_000, "reading_number": row["reading_number"], "action": "put",
                "finding_id": canary["finding id"], "label": f"Nodule {canary['finding label']}", "image_index": 0,
                "shape": canary["finding shape"], "box": [40.0, 60.0, 90.0, 120.0],
            }
            for row in opened
        ])  # fmt: skip
    said = [
        "heart",
        canary["dictated"],
        canary["patient name"].lower() + ",",
        "Marie",
        "long",
        "14:32",
        "8675309421",
    ]
    with JournalWriter(session / "words", WORDS_JOURNAL) as journal:
        journal.append_rows([
            {
                "t_start_ns": row["t_ns"] + (place + 4) * WORD_NS, "t_end_ns": row["t_ns"] + (place + 5) * WORD_NS,
                "word": word, "confidence": 1.0, "source": canary["word source"],
            }
            for row in opened
            for place, word in enumerate([*said, "."])
        ])  # fmt: skip
    with JournalWriter(session / "marks", MARKS) as journal:
        journal.append_rows(
            [{"t_ns": 1, "stream_id": "x", "kind": "gap", "detail": canary["recorder's mark"]}]
        )


def write_own_profile(session: Path, canary: Canaries) -> None:
    """Put a profile into the session that fits no stream, with a marker in each of its texts and in a comment."""
    packaged = (files("gazecapture.profiles") / "eyelink.toml").read_text(encoding="utf-8")
    (session / "profiles").mkdir()
    (session / "profiles" / "own.toml").write_text(
        f"# {canary['comment in a profile']}\n" + packaged, encoding="utf-8"
    )


def plant_in_tables(store: Path, canary: Canaries) -> None:
    """Give every table of every reading a column of no known name."""
    for path in sorted(store.glob("*/*.parquet")):
        table = pq.read_table(path)
        place = f"extra column of {path.stem}"
        text = pa.array([canary[place]] * table.num_rows, pa.string())
        pq.write_table(table.append_column(f"{canary['name of an extra column'].lower()}", text), path)


def write_settings(folder: Path, canary: Canaries) -> Path:
    """Write settings that name files of this computer, and a scheme with names of its own."""
    folder.mkdir()
    words = folder / f"{canary['word list name']}.txt"
    words.write_text("zweigstelle\n")
    packaged = (files("keyframes.regions") / "scheme_files" / "gazex-v1.toml").read_text(encoding="utf-8")
    scheme = folder / f"{canary['scheme file name']}.toml"
    scheme.write_text(
        packaged.replace('name = "gazex-v1"', f'name = "{canary["scheme name"].lower()}"'), encoding="utf-8"
    )
    annotations = folder / "boxes.json"
    annotations.write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    settings = folder / "gazecurate.toml"
    settings.write_text(
        f"[privacy]\ngaze_tier = 'raw'\nword_lists = ['{words}']\n[views]\nnames = {[view.name for view in VIEWS]}\n"
        f"[regions]\nscheme = '{scheme}'\n"
        f"[[regions.annotations]]\nformat = 'coco'\npath = '{annotations}'\n"
        f"names = {{ {canary['region of a source']} = '{canary['region name']}' }}\n"
    )
    return settings


class Planted:
    """A session, a store and a dataset that came out of it."""

    def __init__(self, root: Path) -> None:
        self.canary = Canaries()
        self.told = io.StringIO()
        """What the commands wrote to stdout and stderr."""
        self.inputs = root / "in"
        films = write_films(self.inputs / "studies" / self.canary["picture folder"], self.canary)
        write_worklist(self.inputs / "studies", films, self.canary)
        session = self.inputs / "sessions" / self.canary["session folder"]
        simulate_session(
            session, self.inputs / "studies", reader_seed=1, truth_dir=root / "truth", rate_hz=120.0, duration_s=4.0,
            reader_code=self.canary["reader code"],
        )  # fmt: skip
        plant_in_session(session, self.canary)
        write_own_profile(session, self.canary)
        self.settings = write_settings(self.inputs / self.canary["settings folder"], self.canary)
        self.store, self.dataset = root / self.canary["store folder"], root / "dataset"
        assert self.run("ingest", self.inputs / "sessions", "--format", "session", "--store", self.store) == 0
        line = {
            "kind": "burned_in", "target": 0, "value": "ok", "reason": self.canary["decision's reason"],
            "reviewer": self.canary["reviewer"],
        }  # fmt: skip
        for reading_id in Store.open(self.store).reading_ids():
            (self.store / reading_id / DECISIONS_FILE).write_text(json.dumps(line) + "\n")
        plant_in_tables(self.store, self.canary)
        hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in films.values()]
        self.needles = {
            **self.canary, "uid or number": "8675309421", "birth date": "19010101", "store": str(root),
            **{f"hash of film {number}": digest for number, digest in enumerate(hashes)},
        }  # fmt: skip

    def run(self, *arguments: str | Path) -> ExitCode:
        command = ["-v", *(str(argument) for argument in arguments)]
        with contextlib.redirect_stdout(self.told), contextlib.redirect_stderr(self.told):
            return run_command(cli, command)

    def export_light(
        self, out: Path, *options: str | Path, formats: Sequence[str] = ("parquet", "hdf5")
    ) -> ExitCode:
        """Export again, without what takes most of the time."""
        light = self.settings.with_name("light.toml")
        light.write_text(
            self.settings.read_text().replace("names = ['", "# names = ['", 1)
            + f"[export]\nkeyframe_pictures = false\npicture_max_side_px = 64\nformats = {list(formats)}\n"
        )
        return self.run("export", "--store", self.store, "--out", out, "-c", light, *options)

    def export_one(self, out: Path, *, formats: Sequence[str] = ("parquet", "hdf5")) -> ExitCode:
        """Export the reading of one film with every attribute."""
        store = Store.open(self.store)
        plain = {i for i in store.reading_ids() if self._has_plain_film(store, i)}
        others = out.with_suffix(".others")
        others.write_text("\n".join(set(store.reading_ids()) - plain))
        assert len(plain) == 1
        return self.export_light(out, "--exclude-list", others, formats=formats)

    def _has_plain_film(self, store: Store, reading_id: str) -> bool:
        path = store.image_path(reading_id, 0)
        return path is not None and path.suffix == ".dcm" and "VOILUTSequence" in pydicom.dcmread(path)

    def canaries_told(self, said: str) -> list[str]:
        """Return what was told that it should not be; folders that the caller named are echoed."""
        return [p for p, c in self.canary.items() if c.lower() in said.lower() and "folder" not in p]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom tells of what is planted
        return Planted(tmp_path_factory.mktemp("canaries"))


@pytest.fixture(scope="module")
def dataset(planted: Planted) -> Path:
    stored = ("--store", planted.store, "--out", planted.dataset, "-c", planted.settings)
    assert planted.run("run", *stored, "-j", "1") == ExitCode.OK
    assert planted.run("report", "--dataset", planted.dataset) == ExitCode.OK
    return planted.dataset


def test_the_search_finds_each_marker_where_it_was_planted(planted: Planted) -> None:
    in_inputs = {place for place in planted.needles if "extra column" not in place}  # those are in the store
    unfound = in_inputs - byte_search.find(planted.inputs, planted.needles, stem=STEM).keys()
    assert unfound <= {"store", "store folder", "decision's reason", "reviewer", "picture folder"}
    assert len(planted.canary) >= 40


def test_no_marker_is_in_any_output(planted: Planted, dataset: Path) -> None:
    kinds = {path.suffix for path in dataset.rglob("*") if path.is_file()}
    assert {path.name for path in (dataset / "views").iterdir()} == {view.name for view in VIEWS}
    assert any((dataset / "samples").iterdir())
    packed = {".gz", ".mp4", ".csv", ".tsv"}
    assert {".parquet", ".h5", ".dcm", ".png", ".json", ".html", ".md", *packed} <= kinds
    assert byte_search.find(dataset, planted.needles, stem=STEM) == {}


def test_what_is_no_marker_is_still_there(planted: Planted, dataset: Path) -> None:
    rows = [row for path in (dataset / "readings").iterdir() for row in pq.read_table(path).to_pylist()]
    assert len(rows) == 5
    for row in rows:
        assert "Cough" in row["indication"]
        assert "heart" in row["text"].lower()
        assert len(row["images"]) == 1
        assert any("Nodule" in finding["label"] for finding in row["findings"])


@pytest.mark.usefixtures("dataset")
def test_attached_pictures_bring_nothing_with_them(planted: Planted, tmp_path: Path) -> None:
    assert planted.export_light(tmp_path / "out", "--without-images", formats=("parquet",)) == ExitCode.OK
    assert planted.run("attach-images", tmp_path / "out", planted.inputs / "studies") == ExitCode.OK
    rows = [
        row for path in (tmp_path / "out" / "readings").iterdir() for row in pq.read_table(path).to_pylist()
    ]
    assert [len(row["images"]) for row in rows] == [1] * 5
    assert byte_search.find(tmp_path / "out", planted.needles, stem=STEM) == {}


def without_rules(*_: object, **__: object) -> list[str]:
    return []


@pytest.mark.usefixtures("dataset")
def test_the_search_sees_what_a_missing_rule_lets_out(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RowGuard, "__call__", lambda _, row: dict(row))
    monkeypatch.setattr(exporting, "scan_output", without_rules)
    assert planted.export_one(tmp_path / "out") == ExitCode.OK
    found = byte_search.find(tmp_path / "out", planted.needles, stem=STEM)
    assert found.keys() >= {
        "reader code", "study arm", "indication", "tracker maker", "tracker model", "finding id", "finding label",
        "finding shape", "truth id", "truth label", "truth source", "dictated", "word source", "patient name",
    }  # fmt: skip
    assert {Path(hit.split(":")[0]).suffix for hit in found["dictated"]} >= {".parquet", ".h5"}


def names_in_originals(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaky(old: Dataset) -> Dataset:
        new = kept(old)
        new.InstitutionName = old.get("InstitutionName", "")
        return new

    kept = originals._of_defined_values
    monkeypatch.setattr(originals, "_of_defined_values", leaky)


def ids_in_originals(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaky(item: Dataset) -> Dataset:
        new = kept(item)
        new.SeriesInstanceUID = "1.2.3.8675309421.17"  # the film's own, nested
        return new

    kept = originals._lut
    monkeypatch.setattr(originals, "_lut", leaky)


def rows_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RowGuard, "__call__", lambda _, row: dict(row))


def codes_in_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaky(facts: Any) -> str:
        return dataset_card(facts) + ", ".join(sorted({meta.reader_code for meta in facts.metas}))

    monkeypatch.setattr(write, "dataset_card", leaky)


def paths_in_the_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        placing, "_shareable", lambda settings, _: json.loads(json.dumps(settings, default=str))
    )


@pytest.mark.parametrize(
    "broken",
    [names_in_originals, ids_in_originals, rows_as_they_are, codes_in_the_card, paths_in_the_manifest],
)
@pytest.mark.usefixtures("dataset")
def test_the_last_scan_refuses_what_a_broken_rule_lets_through(
    broken: Any,
    planted: Planted,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken(monkeypatch)
    # Rows are in both formats; the rest is beside the shards.
    formats = ("parquet", "hdf5") if broken is rows_as_they_are else ("parquet",)
    assert planted.export_one(tmp_path / "out", formats=formats) == ExitCode.PRIVACY
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name != ".gazecapture"] == []
    assert planted.canaries_told(planted.told.getvalue()) == []


@pytest.mark.usefixtures("dataset")
def test_source_hashes_in_the_card_are_refused(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = planted.needles["hash of film 0"]
    monkeypatch.setattr(write, "dataset_card", lambda facts: dataset_card(facts) + digest)
    assert planted.export_one(tmp_path / "out", formats=("parquet",)) == ExitCode.PRIVACY


@pytest.mark.usefixtures("dataset")
def test_no_marker_is_in_what_the_commands_say_and_log(planted: Planted, tmp_path: Path) -> None:
    planted.told.truncate(0)
    arguments = ("--store", planted.store, "--json")
    assert planted.run("verify", planted.dataset, *arguments) == ExitCode.OK
    assert planted.run("status", *arguments) == ExitCode.OK
    copy = tmp_path / "store"
    shutil.copytree(planted.store, copy)
    for name in ("access.jsonl", "sessions.json"):  # whose sessions and datasets are to stay
        (copy / name).unlink()
    gone = Store.open(copy).reading_ids()[0]
    assert planted.run("forget", "--reading", gone, "--store", copy, "--json") == ExitCode.OK
    assert '"n_readings": 1' in planted.told.getvalue()
    assert planted.canaries_told(planted.told.getvalue()) == []
    for path in (*planted.store.glob("*.jsonl"), *copy.glob("*.jsonl")):
        if path.name != CONSENT_LOG:  # which says who agreed to what
            assert planted.canaries_told(path.read_text()) == [], path.name
