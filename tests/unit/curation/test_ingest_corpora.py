"""Corpora without gaze: what their files become, what is checked, and that it all comes out of a dataset again."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from curation.config import CurationConfig, ExportConfig
from curation.export.dataset import export_dataset
from curation.export.hdf5_shard import read_hdf5
from curation.export.read import ShardReader
from curation.export.verify import verify_dataset
from curation.ingest.grouped import grouped
from curation.ingest.into_store import INGESTERS, ingest
from curation.ingest.json_stream import stream_items
from curation.ingest.protocol import Ingested
from curation.ingest.report_sections import report_sections
from curation.issues import source_issues
from curation.run import curate
from gazecapture.store import Store
from keyframes.errors import SchemaError
from keyframes.reading import Reading
from tests.corpora_fixture import (
    FRONTAL,
    LATERAL,
    OTHER_SUBJECT,
    REPORT,
    SECOND,
    SIZE,
    SUBJECT,
    THIRD,
    path_of,
    write_mimic_cxr,
    write_ms_cxr,
    write_packed,
    write_vqa,
)
from tests.reflacx_fixture import write_picture

KEY = b"k" * 32


def items(name: str, folder: Path) -> list[Ingested]:
    ingester = INGESTERS[name]
    return [item for unit in ingester.find(folder) for item in ingester.readings(unit, key=KEY)]


def by_label(name: str, folder: Path) -> dict[str, Reading]:
    return {item.label: item.reading for item in items(name, folder) if item.reading is not None}


def test_a_study_of_mimic_cxr_has_its_report_pictures_split_and_labels(tmp_path: Path) -> None:
    found = by_label("mimic-cxr", write_mimic_cxr(tmp_path / "in"))
    first, second, third = (found[study] for study in ("95000021", "95000022", "95000023"))
    images = first.table("images").to_pylist()
    assert [(row["role"], row["public_dicom_id"]) for row in images] == [
        ("current", FRONTAL),
        ("lateral", LATERAL),
    ]
    assert {(row["width_px"], row["height_px"]) for row in images} == {SIZE}
    assert first.meta.report_sections == {
        "findings": "The heart is enlarged. There is a small left pleural effusion. LUNGS: clear.",
        "impression": "Small left pleural effusion.",
        "examination": "CHEST (PA AND LAT)",
        "comparison": "None.",
    }
    assert first.meta.indication.startswith("___ year old with shortness")
    truth = {row["label"]: (row["present"], row["certainty"]) for row in first.table("truth").to_pylist()}
    assert truth == {"Cardiomegaly": (True, None), "Pleural Effusion": (True, None), "Pneumonia": (True, 0.5)}
    assert [r.meta.split_official for r in (first, second, third)] == ["train", "train", "test"]
    assert (first.meta.public_patient_id, third.meta.public_patient_id) == (SUBJECT, OTHER_SUBJECT)
    assert first.meta.patient_key == second.meta.patient_key != third.meta.patient_key
    assert source_issues(second.meta.provenance) == {"GI-REPORT-SECTIONS": 1}
    assert second.meta.report_sections == {"report": "AP chest compared to prior: The lungs are clear."}
    assert source_issues(third.meta.provenance) == {"GI-NO-REPORT": 1, "GI-NO-PICTURE": 1}
    assert third.table("images").num_rows == 1


def test_without_mimic_cxr_jpg_the_pictures_tell_their_size(tmp_path: Path) -> None:
    folder = write_mimic_cxr(tmp_path / "in")
    for table in folder.glob("mimic-cxr-*"):
        table.unlink()
    rows = [(d, SUBJECT if d != THIRD else OTHER_SUBJECT, path_of(d).split("/")[3][1:], path_of(d, ".dcm"))
            for d in (FRONTAL, THIRD)]  # fmt: skip
    write_packed(folder / "cxr-record-list.csv.gz", ("dicom_id", "subject_id", "study_id", "path"), rows)
    found = by_label("mimic-cxr", folder)
    (image,) = found["95000021"].table("images").to_pylist()
    assert (image["width_px"], image["height_px"]) == SIZE
    assert found["95000023"].table("images").num_rows == 0
    assert found["95000021"].meta.split_official == ""


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda t: t.replace(f"{FRONTAL},{SUBJECT}", f"{FRONTAL},{OTHER_SUBJECT}"), "GT-CORPUS"),
        (lambda t: t.replace(LATERAL, FRONTAL), "GT-CORPUS"),
        (
            lambda t: t.replace("LATERAL,144,120", "LATERAL,x,120"),
            "GT-CORPUS",
        ),
        (lambda t: t.replace("PA,144,120", "PA,145,120"), "GT-PICTURE-SIZE"),
    ],
)
def test_a_study_that_contradicts_itself_fails_alone(
    tmp_path: Path, change: Callable[[str], str], code: str
) -> None:
    folder = write_mimic_cxr(tmp_path / "in")
    table = folder / "mimic-cxr-2.0.0-metadata.csv.gz"
    table.write_bytes(gzip.compress(change(gzip.decompress(table.read_bytes()).decode()).encode()))
    found = items("mimic-cxr", folder)
    assert {item.label: item.error.code for item in found if item.error is not None} == {"95000021": code}
    assert len(found) == 3


def test_a_row_without_ids_is_listed_and_the_others_are_read(tmp_path: Path) -> None:
    folder = write_mimic_cxr(tmp_path / "in")
    table = folder / "mimic-cxr-2.0.0-metadata.csv.gz"
    text = gzip.decompress(table.read_bytes()).decode()
    table.write_bytes(gzip.compress((text + "x,y,z,a,b,1,1,1,1\n").encode()))
    found = items("mimic-cxr", folder)
    assert [item.error.record for item in found if item.error is not None] == [6]
    assert sum(item.reading is not None for item in found) == 3


@pytest.mark.parametrize("coco", [False, True])
def test_a_phrase_of_ms_cxr_is_a_sentence_and_its_boxes_findings(tmp_path: Path, coco: bool) -> None:
    found = by_label("ms-cxr", write_ms_cxr(tmp_path / "in", coco=coco))
    first, second = found[FRONTAL], found[SECOND]
    findings = first.table("findings").to_pylist()
    assert [(row["label"], row["box"]) for row in findings] == [
        ("Pleural Effusion", [70, 90, 100, 120.5]),
        ("Cardiomegaly", [40, 60, 90, 100]),
        ("Pleural Effusion", [100, 120, 120, 130]),
    ], "the last one is cut at the picture's edge"
    effusion, heart, more = (row["sentence_ids"] for row in findings)
    assert effusion == more
    assert len(effusion) == 1
    assert len(heart) == 2, "the phrase has two sentences"
    words = " ".join(first.table("words").column("word").to_pylist())
    assert words == "small left pleural effusion . The heart is enlarged. Unchanged ."
    assert (first.meta.split_official, second.meta.split_official) == ("test", "train")
    assert source_issues(second.meta.provenance) == {"GI-BOX": 1, "GI-NO-PICTURE": 1}
    assert second.table("findings").num_rows == 1


def test_boxes_of_ms_cxr_are_held_against_the_picture(tmp_path: Path) -> None:
    folder = write_ms_cxr(tmp_path / "in")
    write_picture(folder / path_of(FRONTAL, ".jpg"), (SIZE[0] // 2, SIZE[1] // 2))
    found = {item.label: item.error for item in items("ms-cxr", folder)}
    assert getattr(found[FRONTAL], "code", "") == "GT-PICTURE-SIZE"
    assert found[SECOND] is None
    table = next(folder.glob("*.csv"))
    table.write_text(table.read_text().replace(f",{SECOND},", f",{THIRD},"))
    assert [i.error.code for i in items("ms-cxr", folder)[1:] if i.error is not None] == ["GT-CORPUS"] * 2


def test_the_pairs_of_mimic_cxr_vqa_come_by_picture(tmp_path: Path) -> None:
    found = by_label("mimic-cxr-vqa", write_vqa(tmp_path / "in"))
    pairs = {label: reading.table("qa").to_pylist() for label, reading in found.items()}
    assert [(pair["answer"], pair["type"]) for pair in pairs[FRONTAL]] == [
        ("yes", "verify_presence"),
        ("left lung, left costophrenic angle", "query_anatomy"),
    ]
    assert pairs[SECOND][0]["answer"] == "none"
    assert found[THIRD].meta.split_official == "test"
    assert source_issues(found[THIRD].meta.provenance) == {"GI-NO-PICTURE": 1}


def test_all_of_it_comes_out_of_a_dataset(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    for name, write in (
        ("mimic-cxr", write_mimic_cxr),
        ("ms-cxr", write_ms_cxr),
        ("mimic-cxr-vqa", write_vqa),
    ):
        ingester = INGESTERS[name]
        assert not ingest(store, ingester, ingester.find(write(tmp_path / name))).failed
    config = CurationConfig(export=ExportConfig(formats=("parquet", "hdf5")))
    summary = curate(store, config)
    assert summary.kept == store.reading_ids()
    out = tmp_path / "out"
    export_dataset(store, out, reading_ids=summary.kept, config=config, views=("huggingface", "llamafactory"))
    rows = {row["reading_id"]: row for row in ShardReader(out).rows()}
    assert len(rows) == verify_dataset(out).n_readings == 8
    assert {row["access_tier"] for row in rows.values()} == {"credentialed"}
    assert {row["gaze_tier"] for row in rows.values()} == {"none"}
    splits: dict[str, set[str]] = {}
    for row in rows.values():
        splits.setdefault(row["public_patient_id"], set()).add(row["split"])
    assert splits == {SUBJECT: {"test"}, OTHER_SUBJECT: {"test"}}, (
        "one patient is in one split, the strictest of all"
    )
    report = next(
        row for row in rows.values() if row["source_format"] == "mimic-cxr" and len(row["images"]) == 2
    )
    assert {part["section"] for part in report["report_sections"]} >= {"findings", "impression"}
    assert any(len(row["qa"]) == 2 for row in rows.values())
    hdf5 = [row for path in sorted((out / "hdf5").glob("*.h5")) for row in read_hdf5(path).to_pylist()]
    assert {row["reading_id"]: (row["qa"], row["findings"], row["report_sections"]) for row in hdf5} == {
        name: (row["qa"], row["findings"], row["report_sections"]) for name, row in rows.items()
    }
    assert {row["source_format"] for row in rows.values()} == {"mimic-cxr", "ms-cxr", "mimic-cxr-vqa"}
    noted = {code for row in rows.values() for code in [issue["code"] for issue in row["issues"]]}
    assert noted == {"GI-REPORT-SECTIONS", "GI-NO-REPORT", "GI-NO-PICTURE", "GI-BOX"}, "what ingest found odd"
    assert "[redacted]" not in json.dumps([row["issues"] for row in rows.values()])
    examples = _examples(out)
    assert {"report_from_image", "grounded_report", "vqa"} <= set(examples)
    assert "small left pleural effusion" in json.dumps(examples["grounded_report"])
    assert "left costophrenic angle" in json.dumps(examples["vqa"])
    assert "The heart is enlarged." in json.dumps(examples["report_from_image"])


def _examples(out: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for path in (out / "views" / "huggingface").rglob("*.parquet"):
        if "examples" in path.parts:
            for row in pq.read_table(path).to_pylist():
                found.setdefault(row["task"].split(":")[0], []).append(
                    {k: row[k] for k in ("prompt", "answer")}
                )
    return found


def test_records_are_grouped_in_memory_that_does_not_grow() -> None:
    def records(n: int) -> Any:
        for place in range(n):
            yield f"{place * 7919 % n:06d}"[:5], {"place": place, "text": "x" * 200}

    peaks = []
    for n in (2_000, 20_000):
        tracemalloc.start()
        assert sum(len(group) for _, group in grouped(records(n))) == n
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0] + 200_000
    keys = [key for key, _ in grouped(records(2_000))]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[", b"[1,", b"[" * 100_000, b'[{"a":', b"\xff\xfe[1]", b"null", b"[1]]", b"[NaN]"],
)
def test_a_list_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(SchemaError):
        list(stream_items(tmp_path / "a.json", code="GT-CORPUS"))


def test_a_member_that_never_ends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.ingest.json_stream.MAX_ITEM_BYTES", 1 << 20)
    (tmp_path / "a.json").write_bytes(b'["' + b"x" * (1 << 21) + b'"]')
    with pytest.raises(SchemaError, match="member"):
        list(stream_items(tmp_path / "a.json", code="GT-CORPUS"))


def test_sections_of_a_report() -> None:
    assert list(report_sections(REPORT)) == [
        "examination",
        "indication",
        "comparison",
        "findings",
        "impression",
    ]
    assert report_sections("") == {}
    assert report_sections("IMPRESSION: a\nIMPRESSION : b") == {"impression": "a b"}
    assert report_sections("nothing special\x00 here") == {"report": "nothing special here"}
