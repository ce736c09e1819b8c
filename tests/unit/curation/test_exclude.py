"""Exclude lists: what a name may be, and what is refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from curation.config import CurationConfig
from curation.export.exclude import find_excluded
from curation.export.write import exported_hashes
from gazecapture.store import Store
from keyframes.errors import UsageError


@pytest.fixture
def store(readings: ModuleType, tmp_path: Path) -> Store:
    """Two readings of one public study, and one of nothing public."""
    store = Store.create(tmp_path / "store")
    for number in (1, 2, 3):
        picture = readings.picture(tmp_path / f"{min(number, 2)}.png", seed=min(number, 2))
        reading = readings.make_reading(number, duration_s=1.5, picture_path=picture)
        images = reading.table("images")
        if number < 3:
            place = images.column_names.index("public_dicom_id")
            field = images.schema.field("public_dicom_id")
            reading = reading.with_tables(images=images.set_column(place, field, [[f"dicom-{number}"]]))
            meta = replace(reading.meta, public_patient_id="s1", public_study_id="t1")
            reading = replace(reading, meta=meta)
        store.add(reading, {0: picture})
    return store


def excluded(store: Store, tmp_path: Path, *lines: str) -> tuple[set[int], int]:
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(lines))
    found = find_excluded(listed, store, lambda i: exported_hashes(store, i, CurationConfig()))
    return {store.reading_ids().index(i) for i in found.reading_ids}, found.n_unmatched


def test_every_kind_of_name(store: Store, tmp_path: Path) -> None:
    ids = store.reading_ids()
    metas = [store.meta(i) for i in ids]
    public = {n for n, meta in enumerate(metas) if meta.public_patient_id}
    assert len(public) == 2
    assert excluded(store, tmp_path, ids[0], "# nobody", "") == ({0}, 0)
    assert excluded(store, tmp_path, "s1") == (public, 0)
    assert excluded(store, tmp_path, "public_study_id:t1") == (public, 0)
    assert excluded(store, tmp_path, f"patient_key:{metas[1].patient_key}", "reading_id:gone")[1] == 1
    first = store.load(ids[0]).table("images").to_pylist()[0]
    stored = first["sha256"]
    same = {n for n, i in enumerate(ids) if store.load(i).table("images").to_pylist()[0]["sha256"] == stored}
    assert excluded(store, tmp_path, stored) == (same, 0)
    (written,) = exported_hashes(store, ids[0], CurationConfig())
    path = store.image_path(ids[0], 0)
    assert path is not None
    assert written != hashlib.sha256(path.read_bytes()).hexdigest()
    assert 0 in excluded(store, tmp_path, f"picture_sha256:{written}")[0]


def test_a_name_of_another_kind_does_not_match(store: Store, tmp_path: Path) -> None:
    assert excluded(store, tmp_path, "public_patient_id:t1") == (set(), 1)


@pytest.mark.parametrize("line", ["0123456789abcdef", "a" * 64, "colour:red"])
def test_a_slip_is_refused(store: Store, tmp_path: Path, line: str) -> None:
    with pytest.raises(UsageError):
        excluded(store, tmp_path, line)


def test_no_list_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not a text file"):
        find_excluded(tmp_path / "list.txt", store, lambda _: ())
    with pytest.raises(UsageError, match="does not exist"):
        find_excluded(tmp_path / "absent.txt", store, lambda _: ())
