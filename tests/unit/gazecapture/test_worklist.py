"""Worklists: what is read, in which order, and how each mistake is told."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    generate_uid,
)

from gazecapture.worklist import fingerprint, load_worklist, order_for_reader
from keyframes.errors import UsageError

LESION = {
    "finding_id": "t1",
    "label": "Pneumothorax",
    "present": True,
    "image_index": 0,
    "box": [1.0, 2.0, 3.0, 4.0],
    "source": "phantom",
}


def worklist(folder: Path, text: str, *files: str) -> Path:
    for name in files or ("a.png", "b.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    path = folder / "list.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_all_columns_arrive(tmp_path: Path) -> None:
    (tmp_path / "truth.json").write_text(json.dumps([LESION]))
    path = worklist(
        tmp_path,
        "study_id,current,prior,lateral,indication,arm,truth,view,age_band,sex,synthetic\n"
        'S1,x/a.png,b.png,c.png,"cough, fever",plain,truth.json,PA,60-69,F,yes\n',
        "x/a.png",
        "b.png",
        "c.png",
    )
    (study,) = load_worklist(path)
    assert [(i.role, i.path.name) for i in study.images] == [
        ("current", "a.png"),
        ("lateral", "c.png"),
        ("prior", "b.png"),
    ]
    assert (study.indication, study.arm, study.view) == ("cough, fever", "plain", "PA")
    assert (study.age_band, study.sex, study.synthetic) == ("60-69", "F", True)
    opened = study.unopened(1)
    assert (opened.age_band, opened.sex, opened.indication) == ("60-69", "F", "cough, fever")
    assert study.truth[0].box == (1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("study_id,current\nS1,a.png\nS2,nowhere.png\n", r"row 3: column 'current': file nowhere\.png"),
        ("study_id,image\nS1,a.png\n", "lacks the column 'current'"),
        ("study_id,current\nS1,a.png\n\nS1,b.png\n", r"row 4: study_id occurs twice \(first in row 2\)"),
        ("study_id,current\n,a.png\n", "row 2: study_id is empty"),
        ("study_id,current\nS1,\n", "row 2: column 'current' is empty"),
        ("study_id,current\nS1,a.png,extra\n", "row 2: has 3 cells"),
        ("study_id,current,current\nS1,a.png,b.png\n", "row 1: column 'current' occurs twice"),
        ("study_id,current\n", "lists no study"),
        ("", "lacks the column 'study_id'"),
        ("study_id,current,truth\nS1,a.png,b.png\n", r"row 2: truth file b\.png"),
    ],
)
def test_mistakes_are_told_with_their_row(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        load_worklist(worklist(tmp_path, text))


def test_truth_on_an_image_that_the_study_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "truth.json").write_text(json.dumps([{**LESION, "image_index": 1}]))
    path = worklist(tmp_path, "study_id,current,truth\nS1,a.png,truth.json\n")
    with pytest.raises(UsageError, match=r"image_index 1, the study has 1 image"):
        load_worklist(path)


def test_a_radiograph_is_no_worklist(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM\xff\xfe")
    with pytest.raises(UsageError, match="not a CSV text file"):
        load_worklist(path)
    with pytest.raises(UsageError, match="does not exist"):
        load_worklist(tmp_path / "absent.csv")


def test_spreadsheet_flavours_are_read(tmp_path: Path) -> None:
    path = worklist(tmp_path, "")
    path.write_bytes("\ufeffStudy_ID;Current\r\nS1;a.png\r\nS2;b.png\r\n".encode())
    assert [s.study_id for s in load_worklist(path)] == ["S1", "S2"]


def test_a_folder_gives_one_study_per_image_in_natural_order(tmp_path: Path) -> None:
    for name in ("film10.png", "film9.png", ".hidden.png", "notes.txt", "Film2.PNG"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "1.2.840.7").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "sub").mkdir()
    studies = load_worklist(tmp_path)
    assert [s.images[0].path.name for s in studies] == ["1.2.840.7", "Film2.PNG", "film9.png", "film10.png"]


def test_files_of_one_stem_keep_different_ids(tmp_path: Path) -> None:
    for name in ("a.png", "a.dcm", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    assert sorted(s.study_id for s in load_worklist(tmp_path)) == ["a.dcm", "a.png", "b"]


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no radiograph"):
        load_worklist(tmp_path)


def test_order_depends_on_seed_and_reader_alone(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.png").write_bytes(b"x")
    studies = load_worklist(tmp_path)
    assert order_for_reader(studies, order="listed", seed=1, reader_code="R1") == studies
    shuffled = order_for_reader(studies, order="shuffled", seed=1, reader_code="R1")
    assert shuffled != studies
    assert sorted(shuffled, key=lambda s: s.study_id) == sorted(studies, key=lambda s: s.study_id)
    assert shuffled == order_for_reader(studies[::-1], order="shuffled", seed=1, reader_code="R1")
    assert shuffled != order_for_reader(studies, order="shuffled", seed=2, reader_code="R1")
    assert shuffled != order_for_reader(studies, order="shuffled", seed=1, reader_code="R2")


def test_fingerprint_tells_a_changed_list_from_a_moved_one(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    first.mkdir()
    second.mkdir()
    text = "study_id,current,indication\nS1,a.png,cough\nS2,b.png,\n"
    listed = load_worklist(worklist(first, text))
    assert fingerprint(listed) == fingerprint(load_worklist(worklist(second, text)))
    assert fingerprint(listed) != fingerprint(listed[::-1])
    changed = load_worklist(worklist(second, text.replace("cough", "fever")))
    assert fingerprint(listed) != fingerprint(changed)


def test_practice_comes_first_and_a_repeat_after_its_original(tmp_path: Path) -> None:
    lines = ["study_id,current,practice,repeat_of"]
    lines += (
        [f"S{n},a.png,," for n in range(20)] + [f"R{n},a.png,,S{n}" for n in range(10)] + ["P,b.png,yes,"]
    )
    listed = load_worklist(worklist(tmp_path, "\n".join(lines)))
    for seed in range(5):
        order = [s.study_id for s in order_for_reader(listed, order="shuffled", seed=seed, reader_code="R1")]
        assert sorted(order) == sorted(s.study_id for s in listed)
        assert order[0] == "P"
        assert all(order.index(f"S{n}") < order.index(f"R{n}") for n in range(10))
    assert listed[-1].unopened(1).practice
    assert listed[25].unopened(1).repeat_of == "S5"


def test_new_columns_leave_the_fingerprint_of_lists_without_them_as_it_was(tmp_path: Path) -> None:
    plain = load_worklist(worklist(tmp_path, "study_id,current\nS1,a.png\n"))
    assert fingerprint(plain) == "be180dfecbded3572a8700e518c6b341eee28d3ca9f6daa89159f69c5829e4e7"
    other = load_worklist(worklist(tmp_path, "study_id,current,practice\nS1,a.png,1\n"))
    assert fingerprint(other) != fingerprint(plain)


@pytest.mark.parametrize("other", ["S1", "S9"])
def test_a_repeat_of_nothing_or_of_itself_is_refused(tmp_path: Path, other: str) -> None:
    with pytest.raises(UsageError, match="row 2: repeat_of"):
        load_worklist(worklist(tmp_path, f"study_id,current,repeat_of\nS1,a.png,{other}\n"))


def written(path: Path, data: Dataset, sop_class: UID) -> Path:
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    path.parent.mkdir(exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def record(kind: str, **attributes: object) -> Dataset:
    data = Dataset()
    data.DirectoryRecordType = kind
    for name, value in attributes.items():
        setattr(data, name, value)
    return data


def test_a_dicomdir_gives_a_study_per_frontal_film_with_its_lateral(tmp_path: Path) -> None:
    records = [record("PATIENT", PatientID="CANARY")]
    for number, views in enumerate([("LL", "PA"), ("AP",)]):
        records += [record("STUDY", StudyID="CANARY"), record("SERIES", Modality="CR")]
        for view in views:
            name = f"{view}{number}"
            header = record("IMAGE", ViewPosition=view)
            written(tmp_path / "disc" / name, header, ComputedRadiographyImageStorage)
            records.append(record("IMAGE", ReferencedFileID=name))
    records += [record("SERIES", Modality="CT"), record("IMAGE", ReferencedFileID="SLICE")]
    directory = Dataset()
    directory.DirectoryRecordSequence = records
    listed = written(tmp_path / "disc" / "DICOMDIR", directory, MediaStorageDirectoryStorage)
    for place in (listed.parent, listed):
        one, other = load_worklist(place)
        assert [(i.role, i.path.name) for i in one.images] == [("current", "PA0"), ("lateral", "LL0")]
        assert [(i.role, i.path.name) for i in other.images] == [("current", "AP1")]
        assert "CANARY" not in one.study_id + other.study_id
    one.images[1].path.unlink()
    with pytest.raises(UsageError, match=r"record 4: its file does not exist"):
        load_worklist(listed)
    with warnings.catch_warnings(action="ignore"):  # pydicom does not like such a name either
        outside = record("IMAGE", ReferencedFileID=["..", "LIST.CSV"])
    directory.DirectoryRecordSequence = [records[1], outside]
    written(listed, directory, MediaStorageDirectoryStorage)
    (tmp_path / "LIST.CSV").touch()
    with pytest.raises(UsageError, match="in the folder of the DICOMDIR"):
        load_worklist(listed)
    listed.write_bytes(b"nothing")
    with pytest.raises(UsageError, match="is no DICOMDIR"):
        load_worklist(listed)
