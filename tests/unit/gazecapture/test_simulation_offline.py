"""Finished sessions without a screen: complete, exact, repeatable."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from gazecapture.radiograph.presets import ImageView, Preset
from gazecapture.session import segment
from gazecapture.session.journal import read_journal
from gazecapture.session.schema import read_session_info, read_stream_info
from gazecapture.session.status import read_status
from gazecapture.session.to_readings import to_readings
from gazecapture.simulation.content import generic_content, load_content
from gazecapture.simulation.oculomotor import TrackerModel
from gazecapture.simulation.offline import SimulatedSession, simulate_session
from gazecapture.simulation.truth import TRUTH_SCHEMAS, load_truth
from keyframes.errors import ImageError, SchemaError, UsageError
from keyframes.reading import Reading

KEY = b"0" * 32
DURATION_S = 16.0
LESION = {
    "finding_id": "L1", "label": "Consolidation", "present": True, "image_index": 0, "box": [60, 230, 110, 270],
    "source": "phantom",
}  # fmt: skip


def write_studies(folder: Path, n_studies: int = 2) -> Path:
    """Pictures of noise with a hand-made anatomy; every second study has a prior."""
    truth = folder / "ground_truth"
    truth.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = ["study_id,current,prior,truth,arm,synthetic"]
    preset = Preset(preset_id="auto", name="auto", center=128.0, width=256.0, voi="LINEAR")
    for number in range(n_studies):
        names = [f"s{number}_{place}.png" for place in range(1 + number % 2)]
        for name in names:
            Image.fromarray(rng.integers(0, 255, (360, 300), dtype=np.uint8)).save(folder / name)
        views = [
            ImageView(image_index=i, width_px=300, height_px=360, presets=(preset,))
            for i in range(len(names))
        ]
        maps = generic_content("", views).maps
        anatomy = {
            "study_id": f"S{number}",
            "images": {str(i): m.to_dict() for i, m in maps.items()},
            "lesions": [LESION],
        }
        (truth / f"S{number}.anatomy.json").write_text(json.dumps(anatomy))
        (truth / f"S{number}.json").write_text(json.dumps([LESION]))
        prior = names[1] if len(names) > 1 else ""
        rows.append(f"S{number},{names[0]},{prior},ground_truth/S{number}.json,plain,1")
    (folder / "worklist.csv").write_text("\n".join(rows))
    return folder


def simulate(
    root: Path, studies: Path, *, seed: int = 1, model: TrackerModel | None = None
) -> SimulatedSession:
    return simulate_session(
        root / "session",
        studies,
        reader_seed=seed,
        truth_dir=root / "truth",
        rate_hz=250.0,
        duration_s=DURATION_S,
        model=model,
    )


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_studies(tmp_path_factory.mktemp("studies"))


@pytest.fixture(scope="module")
def plain(studies: Path, tmp_path_factory: pytest.TempPathFactory) -> SimulatedSession:
    return simulate(tmp_path_factory.mktemp("plain"), studies)


def readings(session: Path) -> list[Reading]:
    found = []
    for item in to_readings(session, key=KEY):
        assert item.error is None
        assert item.reading is not None
        found.append(item.reading)
    return found


def test_a_session_is_complete(plain: SimulatedSession) -> None:
    truth = load_truth(plain.truth)
    assert truth.n_gaze_sent == plain.n_gaze
    table = read_journal(plain.session / "streams" / "simulated_reader").table
    assert table.num_rows == plain.n_gaze
    assert table["frame_number"].to_pylist() == list(range(plain.n_gaze))
    assert read_journal(plain.session / "words").table.num_rows == plain.n_words
    state = read_status(plain.session)
    assert state is not None
    assert state.state == "stopped"
    info = read_session_info(plain.session)
    assert info.synthetic
    assert all(study.images for study in info.studies)
    stream = read_stream_info(plain.session / "streams" / "simulated_reader")
    assert stream.tracker.manufacturer == "synthetic"
    marks = read_journal(plain.session / "marks").table.to_pylist()
    assert [m["kind"] for m in marks] == ["start", "start", "stop", "stop"]


def test_readings_hold_all_that_was_sent(plain: SimulatedSession) -> None:
    truth = load_truth(plain.truth)
    cut = readings(plain.session)
    assert [r.meta.reading_number for r in cut] == [1, 2]
    for reading, true in zip(cut, truth.readings, strict=True):
        t_ns = reading.table("gaze")["t_ns"].to_numpy()
        assert ((t_ns >= 0) & (t_ns < reading.meta.duration_ns)).sum() == true.n_gaze_sent_during
        assert reading.meta.synthetic
        assert set(reading.table("words")["source"].to_pylist()) == {"simulated"}
        assert reading.table("images").num_rows == reading.meta.reading_number
        assert reading.table("findings").num_rows == true.tables["findings"].num_rows
        assert reading.table("truth").num_rows == 1
        text = " ".join(reading.table("words")["word"].to_pylist()).replace(" .", ".")
        assert text == " ".join(true.tables["sentences"]["text"].to_pylist())


def test_gaze_is_on_its_target_to_a_fraction_of_a_pixel_through_every_zoom_and_pan(
    studies: Path, tmp_path: Path
) -> None:
    for seed in (1, 8):
        done = simulate(tmp_path / str(seed), studies, seed=seed, model=TrackerModel.ideal())
        truth = load_truth(done.truth)
        n_moved = 0
        for reading, true in zip(readings(done.session), truth.readings, strict=True):
            gaze = reading.to_pandas("gaze")
            moving = {"zoom", "pan", "fit", "one_to_one"}
            n_moved += sum(kind in moving for kind in true.tables["actions"]["kind"].to_pylist())
            for fixation in true.tables["fixations"].to_pandas().iloc[:-1].itertuples():
                # The display follows an action with the next frame; the saccade that goes with it takes longer.
                inside = gaze[(gaze.t_ns >= fixation.t_start_ns) & (gaze.t_ns < fixation.t_end_ns)]
                assert (inside.image_index == fixation.image_index).all()
                assert np.abs(inside.x_image_px - fixation.x_image_px).max() < 0.01
                assert np.abs(inside.y_image_px - fixation.y_image_px).max() < 0.01
        assert n_moved > 3


def test_truth_holds_where_the_eyes_were(plain: SimulatedSession, studies: Path) -> None:
    truth = load_truth(plain.truth)
    for true in truth.readings:
        content = load_content(studies / "ground_truth", true.study_id)
        assert content is not None
        fixations = true.tables["fixations"].to_pandas()
        assert (fixations.t_start_ns.diff().dropna() > 0).all()
        assert (fixations.t_end_ns > fixations.t_start_ns).all()
        assert fixations.region.notna().sum() == fixations.image_index.notna().sum()
        for row in fixations[fixations.region.notna() & (fixations.region != "external")].itertuples():
            region = content.maps[int(row.image_index)].regions[row.region]
            assert bool(region.contains(row.x_image_px, row.y_image_px))
        about = true.tables["sentences"].to_pandas()
        assert set(fixations.sentence_index.dropna().astype(int)) == set(about.sentence_index)
        assert set(true.tables["findings"]["lesion_id"].to_pylist()) <= {"L1"}


def test_same_seed_same_bytes(plain: SimulatedSession, studies: Path, tmp_path: Path) -> None:
    again = simulate(tmp_path, studies)
    for first, second in ((plain.session, again.session), (plain.truth, again.truth)):
        files = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
        assert files == sorted(p.relative_to(second) for p in second.rglob("*") if p.is_file())
        assert len(files) > 15
        for file in files:
            assert (first / file).read_bytes() == (second / file).read_bytes(), file


def test_another_seed_gives_another_reading(plain: SimulatedSession, studies: Path, tmp_path: Path) -> None:
    other = simulate(tmp_path, studies, seed=2)
    first, second = (load_truth(s.truth).readings[0].tables["fixations"] for s in (plain, other))
    assert not first.equals(second)


def test_a_finished_session_is_left_alone(studies: Path, tmp_path: Path) -> None:
    done = simulate(tmp_path, studies)
    mark = done.session / "status.json"
    before = mark.stat().st_mtime_ns
    assert simulate(tmp_path, studies) == done
    assert mark.stat().st_mtime_ns == before


def test_half_a_session_is_never_left(studies: Path, tmp_path: Path) -> None:
    broken = tmp_path / "studies"
    broken.mkdir()
    (broken / "worklist.csv").write_text("study_id,current\nS0,film.png\nS1,broken.png\n")
    (broken / "film.png").write_bytes((studies / "s0_0.png").read_bytes())
    (broken / "broken.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(ImageError):
        simulate(tmp_path, broken)
    assert not (tmp_path / "session").exists()
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


def test_a_study_without_anatomy_is_read_with_a_generic_one(studies: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "worklist.csv").write_text("study_id,current\nX,film.png\n")
    (own / "film.png").write_bytes((studies / "s0_0.png").read_bytes())
    done = simulate(tmp_path, own)
    (reading,) = readings(done.session)
    assert reading.table("findings").num_rows == 0
    assert reading.table("words").num_rows > 5


def test_bytes_do_not_depend_on_how_fast_the_machine_is(
    plain: SimulatedSession, studies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = itertools.count(0.0, 3600.0)
    monkeypatch.setattr(segment, "time", SimpleNamespace(monotonic=lambda: next(hours)))
    slow = simulate(tmp_path, studies)
    for a, b in ((plain.session, slow.session), (plain.truth, slow.truth)):
        files = sorted(f.relative_to(a) for f in a.rglob("*") if f.is_file())
        assert files == sorted(f.relative_to(b) for f in b.rglob("*") if f.is_file())
        assert all((a / f).read_bytes() == (b / f).read_bytes() for f in files)


def test_neither_lsl_nor_qt_is_needed(studies: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from gazecapture.simulation.offline import simulate_session;"
        f"simulate_session(Path({str(tmp_path / 's')!r}), Path({str(studies)!r}), reader_seed=1,"
        f" truth_dir=Path({str(tmp_path / 't')!r}), rate_hz=60.0, duration_s=8.0);"
        "sys.exit(any(m.split('.')[0] in ('pylsl', 'PyQt6') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_truth_tables_have_their_schemas(plain: SimulatedSession) -> None:
    for true in load_truth(plain.truth).readings:
        for name, schema in TRUTH_SCHEMAS.items():
            assert true.tables[name].schema.equals(schema), name


@pytest.mark.parametrize("damage", ["absent", "no_json", "no_table", "lacks_field"])
def test_broken_truth_is_refused(plain: SimulatedSession, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "truth"
    folder.mkdir()
    content = json.loads((plain.truth / "session.json").read_text())
    if damage == "no_json":
        (folder / "session.json").write_text("{")
    elif damage == "no_table":
        (folder / "session.json").write_text(json.dumps(content))
    elif damage == "lacks_field":
        del content["n_gaze_sent"]
        content["readings"] = []
        (folder / "session.json").write_text(json.dumps(content))
    with pytest.raises(SchemaError):
        load_truth(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"images": {"0": {}}, "lesions": []}', '{"images": 3}'])
def test_broken_anatomy_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "S.anatomy.json").write_text(text)
    with pytest.raises(SchemaError):
        load_content(tmp_path, "S")


def test_an_impossible_rate_is_refused_before_anything_is_written(studies: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        simulate_session(tmp_path / "s", studies, reader_seed=1, truth_dir=tmp_path / "t", rate_hz=5000.0)
    assert list(tmp_path.iterdir()) == []


def test_display_rows_come_with_frames(plain: SimulatedSession) -> None:
    journal: pa.Table = read_journal(plain.session / "display").table
    t_s = journal["t_ns"].to_numpy() / 1e9
    frames = (t_s - 1000.0) * 60.0
    assert np.abs(frames - np.round(frames)).max() < 1e-3
    events = journal["event"].to_pylist()
    assert events.count("on") == events.count("off") == 3, "one per viewport"


def test_every_fixation_of_a_two_image_study_lands_on_the_right_image(plain: SimulatedSession) -> None:
    truth = load_truth(plain.truth)
    (reading,) = [r for r in readings(plain.session) if r.table("images").num_rows == 2]
    (true,) = [t for t in truth.readings if t.reading_number == reading.meta.reading_number]
    gaze = reading.to_pandas("gaze").query("valid")
    seen: dict[int, int] = {0: 0, 1: 0}
    for fixation in true.tables["fixations"].to_pylist():
        during = gaze[(gaze["t_ns"] >= fixation["t_start_ns"]) & (gaze["t_ns"] < fixation["t_end_ns"])]
        if fixation["image_index"] is None or during.empty:
            continue
        # Where it was for most of the time: noise of the tracker may cross an edge for a sample.
        assert during["image_index"].mode()[0] == fixation["image_index"]
        seen[fixation["image_index"]] += 1
    assert min(seen.values()) >= 3
