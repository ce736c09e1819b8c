"""How dates of a patient's films leave."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest

from curation.export.originals import SHIFT_DAYS, write_original
from gazecapture.radiograph.phantom import make_phantom
from gazecapture.radiograph.phantom_dicom import write_dicom
from gazecapture.store import KeyedHash


def shifted(folder: Path, date: str, patient: str, key: bytes = b"k" * 32) -> str:
    path = folder / "film.dcm"
    write_dicom(make_phantom(1, size_px=(64, 80)), path, patient_id="SYN1", study_uid_seed=1)
    film = pydicom.dcmread(path)
    film.StudyDate = film.SeriesDate = film.AcquisitionDate = date
    film.StudyTime = "1200"
    film.save_as(path)
    pseudonym = KeyedHash(key)
    new = pydicom.dcmread(write_original(path, folder / "out", patient=patient, pseudonym=pseudonym))
    assert new.StudyTime == new.AcquisitionDate == new.AcquisitionTime == new.PatientBirthDate == ""
    assert "SeriesDate" not in new
    assert new.LongitudinalTemporalInformationModified == ("MODIFIED" if new.StudyDate else "REMOVED")
    return str(new.StudyDate)


def test_dates_of_a_patient_move_together(tmp_path: Path) -> None:
    def days(date: str) -> int:
        return (datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC) - datetime(1800, 1, 1, tzinfo=UTC)).days

    first, second = (shifted(tmp_path, date, "p1") for date in ("20240228", "20240305"))
    assert days(second) - days(first) == 6
    assert SHIFT_DAYS[0] <= days("20240228") - days(first) <= SHIFT_DAYS[1]
    assert (
        len({first, shifted(tmp_path, "20240228", "p2"), shifted(tmp_path, "20240228", "p1", b"x" * 32)}) == 3
    )


@pytest.mark.parametrize("date", ["", "00010105"])
def test_what_is_no_date_is_left_out(tmp_path: Path, date: str) -> None:
    assert shifted(tmp_path, date, "p1") == ""
