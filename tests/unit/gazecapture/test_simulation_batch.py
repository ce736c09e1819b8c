"""`gazecapture simulate --offline`: phantoms once, a session per reader."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from gazecapture.cli.simulate import simulate_command
from gazecapture.console import run_command
from gazecapture.demo.studies import PLAN, write_demo_studies
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.session.lock import FolderLock
from gazecapture.session.schema import read_session_info
from gazecapture.session.to_readings import to_readings
from gazecapture.simulation.ambiguous import (
    INDICATION,
    LABELS,
    ambiguous_places,
    contrast,
    findings_of,
)
from gazecapture.simulation.batch import default_batch_jobs, simulate_batch
from gazecapture.simulation.dictation import NEUTRAL
from gazecapture.simulation.truth import load_truth
from gazecapture.workers import default_jobs
from gazecapture.worklist import load_worklist
from keyframes.errors import ExitCode, RecordingError, UsageError

SMALL = (110, 134)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("batch") / "out"
    simulate_batch(out, n_studies=2, n_readers=2, seed=3, rate_hz=60.0, size_px=SMALL, ambiguous_share=0.5)
    return out


def test_every_reader_reads_every_study(made: Path) -> None:
    seen = []
    for code in ("R01", "R02"):
        session = made / "sessions" / code
        readings = [r.reading for r in to_readings(session, key=b"1" * 32) if r.reading is not None]
        assert len(readings) == 2
        assert {r.meta.reader_code for r in readings} == {code}
        seen.append({r.meta.study_key for r in readings})
        assert {r.meta.study_arm for r in readings} == {"plain", "ambiguous"}
        truth = load_truth(made / "ground_truth" / code)
        assert sorted(r.study_id for r in truth.readings) == ["S001", "S002"]
    assert seen[0] == seen[1]


def test_the_phantoms_findings_are_dictated_and_travel_as_truth(made: Path) -> None:
    info = read_session_info(made / "sessions" / "R01")
    truth = load_truth(made / "ground_truth" / "R01")
    for study, reading in zip(info.studies, truth.readings, strict=True):
        assert study.study_id == reading.study_id
        marked = set(reading.tables["findings"]["lesion_id"].to_pylist())
        assert marked
        assert marked <= {lesion.finding_id for lesion in study.truth}
        assert study.synthetic


def test_of_the_ambiguous_arms_two_findings_neither_picture_nor_words_tell_which_is_meant(
    tmp_path: Path,
) -> None:
    shown, healthy = tmp_path / "shown", tmp_path / "healthy"
    options = {
        "n_studies": 2,
        "n_readers": 1,
        "seed": 11,
        "rate_hz": 30.0,
        "size_px": SMALL,
        "duration_s": 8.0,
    }
    simulate_batch(shown, ambiguous_share=1.0, **options)  # type: ignore[arg-type]
    write_demo_studies(healthy, n_studies=2, seed=11, size_px=SMALL, with_findings=False)
    for study in load_worklist(shown / "studies" / "worklist.csv"):
        assert (study.arm, study.indication) == ("ambiguous", INDICATION)
        lesions = [le for le in study.truth if le.present]
        assert {le.label for le in lesions} < set(LABELS)
        films = (root / study.study_id / "current.dcm" for root in (shown / "studies", healthy))
        with_them, without = (load_radiograph(film).stored.astype(np.float64) for film in films)
        boxes = [le.box for le in lesions if le.box is not None]
        assert (boxes[0][0] + boxes[0][2] < SMALL[0]) != (boxes[1][0] + boxes[1][2] < SMALL[0])
        first, second = (contrast(with_them - without, box) for box in boxes)
        assert first > 1
        assert second == pytest.approx(first, rel=0.1)  # grey levels are whole numbers
    for reading in load_truth(shown / "ground_truth" / "R01").readings:
        said = [s for s in reading.tables["sentences"].to_pylist() if s["finding_id"] is not None]
        marked = [f["lesion_id"] for f in reading.tables["findings"].to_pylist() if f["present"]]
        present = [s for s in said if s["finding_id"] in marked]
        assert len(present) == len(set(marked)) == 2
        assert not any(label.lower() in s["text"].lower() for s in present for label in LABELS)
        assert all(s["text"].removesuffix(".") in NEUTRAL for s in present)


def test_every_pair_of_findings_is_as_frequent_in_the_ambiguous_arm() -> None:
    places = ambiguous_places(24, 0.5, 3)
    assert len(places) == len(set(places)) == 12
    findings = findings_of(24, places)
    assert all(findings[place] == PLAN[place % len(PLAN)].findings for place in set(range(24)) - set(places))
    counts = Counter(findings[place] for place in places)
    assert set(counts) == set(combinations(LABELS, 2))
    assert set(counts.values()) == {2}


def test_each_study_is_read_by_as_many_readers_as_asked(tmp_path: Path) -> None:
    options = {
        "n_studies": 3,
        "n_readers": 2,
        "seed": 1,
        "rate_hz": 30.0,
        "size_px": SMALL,
        "duration_s": 5.0,
    }
    done = simulate_batch(tmp_path / "o", reads=1, with_lesions=False, **options)  # type: ignore[arg-type]
    assert [d.n_readings for d in done] == [2, 1]
    sessions = [read_session_info(d.session) for d in done]
    assert sorted(s.study_id for info in sessions for s in info.studies) == ["S001", "S002", "S003"]
    assert {s.arm for info in sessions for s in info.studies} == {"without_lesions"}
    with pytest.raises(UsageError):
        simulate_batch(tmp_path / "p", reads=3, **options)  # type: ignore[arg-type]


def bytes_below(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_two_processes_write_the_same_bytes_as_one_and_tell_how_far_they_are(
    made: Path, tmp_path: Path
) -> None:
    steps: list[tuple[int, int]] = []
    done = simulate_batch(
        tmp_path / "out", n_studies=2, n_readers=2, seed=3, rate_hz=60.0, size_px=SMALL, ambiguous_share=0.5,
        jobs=2, progress=lambda done, of: steps.append((done, of)),
    )  # fmt: skip
    assert [d.session.name for d in done] == ["R01", "R02"]
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert bytes_below(tmp_path / "out") == bytes_below(made)


def test_a_study_that_cannot_be_read_ends_all_processes_and_leaves_nothing_half_made(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made / "studies", tmp_path / "studies")
    shutil.copy(made / "simulation.json", tmp_path)
    shutil.copy(made / ".gazecapture", tmp_path)
    (tmp_path / "studies" / "S002" / "current.dcm").write_bytes(b"no film")
    arguments = [
        "--offline", "--out", str(tmp_path), "--studies", "2", "--readers", "2", "--seed", "3",
        "--rate-hz", "60", "--size", "110x134", "--ambiguous", "0.5", "-j", "2",
    ]  # fmt: skip
    assert run_command(simulate_command, arguments) == ExitCode.INTERNAL
    said = capsys.readouterr().err
    assert "current.dcm" in said
    assert "Traceback" not in said
    assert not list((tmp_path / "sessions").iterdir())
    lock = FolderLock(tmp_path)
    lock.acquire()
    lock.release()


def test_processes_are_as_many_as_have_something_to_do() -> None:
    assert default_batch_jobs(1) == 1
    assert 1 <= default_batch_jobs(10_000) == default_jobs()


def test_the_same_call_goes_on_and_another_is_refused(made: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in made.rglob("*.arrows")}
    done = simulate_batch(
        made, n_studies=2, n_readers=2, seed=3, rate_hz=60.0, size_px=SMALL, ambiguous_share=0.5
    )
    assert [d.n_readings for d in done] == [2, 2]
    assert {p: p.stat().st_mtime_ns for p in made.rglob("*.arrows")} == before
    with pytest.raises(UsageError):
        simulate_batch(
            made, n_studies=2, n_readers=2, seed=4, rate_hz=60.0, size_px=SMALL, ambiguous_share=0.5
        )


def test_what_a_killed_call_left_is_swept_and_another_process_is_not_disturbed(made: Path) -> None:
    def again() -> int:
        return len(
            simulate_batch(
                made, n_studies=2, n_readers=2, seed=3, rate_hz=60.0, size_px=SMALL, ambiguous_share=0.5
            )
        )

    for half in (made / ".studies.0a1b2c3d.partial", made / "sessions" / ".R03.0a1b2c3d.partial" / "display"):
        half.mkdir(parents=True)
    assert again() == 2
    assert not [p for p in made.rglob("*") if p.name.endswith(".partial")]
    lock = FolderLock(made)
    lock.acquire()
    try:
        with pytest.raises(RecordingError, match="writes here"):
            again()
    finally:
        lock.release()


def test_counts_beyond_reason_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    for studies, readers in (("999999999999", "1"), ("9" * 5000, "1"), ("\u00b2", "1"), ("1", "99999999")):
        arguments = ["--offline", "--out", str(tmp_path / "o"), "--studies", studies, "--readers", readers]
        assert run_command(simulate_command, arguments) == ExitCode.USAGE
    assert not (tmp_path / "o").exists()


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    arguments = ["--offline", "--out", str(tmp_path), "--studies", "1", "--readers", "1"]
    assert run_command(simulate_command, arguments) == ExitCode.USAGE
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_command_prints_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--offline", "--out", str(tmp_path / "o"), "--studies", "1", "--readers", "1", "--seed", "2",
        "--size", "110x134", "--rate-hz", "60", "--without-lesions", "--json",
    ]  # fmt: skip
    assert run_command(simulate_command, arguments) == ExitCode.OK
    (session,) = json.loads(capsys.readouterr().out)["sessions"]
    assert session["n_readings"] == 1
    assert session["n_gaze"] > 25 * 60
    assert session["n_words"] > 10
    (study,) = load_worklist(tmp_path / "o" / "studies" / "worklist.csv")
    assert [lesion.label for lesion in study.truth if lesion.present] == ["No Finding"]
