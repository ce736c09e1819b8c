"""How far forgetting one reading reaches into its session, and that it reaches no farther."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gazecapture.screen.scene_camera import read_scene_camera
from gazecapture.screen.scene_map import SceneMap
from gazecapture.screen.tags import tag_layout
from gazecapture.session import scene_mapping
from gazecapture.session.journal import JournalWriter, read_journal
from gazecapture.session.removal import remove_reading
from gazecapture.session.schema import (
    CLOCK,
    STREAM_PREFIX,
    TRACKER_MARKS,
    VALIDATION_JOURNAL,
    StreamInfo,
    read_session_info,
    read_stream_info,
    write_session_info,
    write_stream_info,
)

GONE = 2
SECOND_NS = 1_000_000_000
STRETCH_NS = (5 * SECOND_NS, 10 * SECOND_NS)
"""From the end of the first reading to that of the second (`readings.write_session`: 4 s each, 1 s between)."""
IDENTITY = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]


def journal(folder: Path, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
    with JournalWriter(folder, schema) as written:
        written.append_rows(rows)


@pytest.fixture
def session(readings: ModuleType, tmp_path: Path) -> Path:
    """Three readings with all that a session can have beside them."""
    folder: Path = readings.write_session(tmp_path, 3)
    add_streams(folder)
    numbers = [(number, event) for number in (1, 2, 3) for event in ("on", "off")]
    journal(
        folder / "tracker_marks",
        TRACKER_MARKS,
        [
            {
                "t_ns": place * 3 * SECOND_NS,
                "reading_number": n,
                "event": e,
                "mark": 700 + place,
                "sent": True,
            }
            for place, (n, e) in enumerate(numbers)
        ],
    )
    every_s = range(16)
    journal(
        folder / "clock" / "viewer",
        CLOCK,
        [{"monotonic_ns": s, "unix_ns": s, "session_ns": s * SECOND_NS} for s in every_s],
    )
    journal(
        folder / "validation",
        VALIDATION_JOURNAL,
        [
            {"t_ns": s * SECOND_NS, "validation_id": "v", "event": "baseline", "trigger": "start"}
            for s in every_s
        ],
    )
    listed = {"fingerprint": "0", "studies": ["S1", "S2", "S3"]}
    (folder / "worklist.json").write_text(json.dumps(listed))
    decided = [
        {"decision_id": target, "kind": "verdict", "target": target, "value": None}
        for target in ("1", "2", "2/k003", "3/k002", "22")
    ]
    torn = '{"decision_id": "x", "kind": "verdict", "target": "2'
    (folder / "decisions.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in decided) + torn)
    for name in ("audio/00000.wav", "video/eyes/00000.mp4"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(b"x")
    return folder


def add_streams(session: Path) -> None:
    """Add the tracker's own recording and a scene video whose map of the screen was made."""
    eye = session / "streams" / "eye"
    backfill = session / "streams" / "backfill"
    content = read_journal(eye)
    with JournalWriter(backfill, content.table.schema, metadata=content.metadata) as written:
        written.append(content.table)
    write_stream_info(backfill, replace(read_stream_info(eye), stream_id="backfill"))
    info = read_session_info(session)
    assert info.display is not None
    tags = tag_layout(
        info.display.width_px, info.display.height_px, width_mm=info.display.width_mm,
        height_mm=info.display.height_mm,
    )  # fmt: skip
    write_session_info(session, replace(info, tags=tags))
    scene, video = session / "streams" / "scene", session / "video" / "scene"
    pictures = range(160)
    journal(
        scene,
        STREAM_PREFIX,
        [{"sequence": n, "t_remote_s": n / 10, "t_received_ns": n * SECOND_NS // 10} for n in pictures],
    )
    described = StreamInfo(
        stream_id="scene", role="other", name="scene", kind=scene_mapping.SCENE_KIND, channel_format="double64",
        nominal_rate_hz=10.0, channels=(),
    )  # fmt: skip
    write_stream_info(scene, described)
    video.mkdir(parents=True)
    lens = {
        "camera_matrix": [IDENTITY[:3], IDENTITY[3:6], IDENTITY[6:]],
        "distortion_coefficients": [0.0] * 8,
    }
    (video / "calibration.json").write_text(json.dumps({"scene": lens}))
    (video / "00000.mp4").write_bytes(b"pictures of a room")
    found = SceneMap(
        t_ns=np.array([n * SECOND_NS // 10 for n in pictures]),
        matrices=np.tile(np.reshape(IDENTITY, (3, 3)), (len(pictures), 1, 1)),
        n_tags=np.full(len(pictures), 4),
        residual_px=np.zeros(len(pictures)),
        camera=read_scene_camera(video / "calibration.json"),
    )
    key = scene_mapping._key(scene, video, read_session_info(session))
    (session / "mapping").mkdir()
    table = scene_mapping._as_table(found).replace_schema_metadata({scene_mapping._KEY: key})
    pq.write_table(table, session / "mapping" / "scene.parquet")


def in_stretch(t_ns: Any) -> Any:
    return (np.asarray(t_ns) >= STRETCH_NS[0]) & (np.asarray(t_ns) < STRETCH_NS[1])


def bytes_of(session: Path, *folders: str) -> dict[str, bytes]:
    paths = [path for folder in folders for path in (session / folder).rglob("*") if path.is_file()]
    return {path.relative_to(session).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize("stream", ["eye", "backfill", "scene"])
def test_samples_of_every_stream_go_and_no_others(session: Path, stream: str) -> None:
    before = read_journal(session / "streams" / stream).table
    remove_reading(session, GONE)
    after = read_journal(session / "streams" / stream).table
    t_ns = np.round(before["t_remote_s"].to_numpy() * 1e9)
    assert in_stretch(t_ns).any()
    assert after.to_pylist() == before.filter(pa.array(~in_stretch(t_ns))).to_pylist()


def test_marks_names_and_decisions_go_and_no_others(session: Path) -> None:
    remove_reading(session, GONE)
    marks = read_journal(session / "tracker_marks", schema=TRACKER_MARKS).table
    assert marks["reading_number"].to_pylist() == [1, 1, 3, 3]
    assert json.loads((session / "worklist.json").read_bytes())["studies"] == ["S1", "", "S3"]
    lines = (session / "decisions.jsonl").read_text().splitlines()
    assert [json.loads(line)["target"] for line in lines] == ["1", "3/k002", "22"]


def test_the_map_of_the_screen_outlives_the_video_without_the_reading(session: Path) -> None:
    before = scene_mapping.scene_map_of(session, read_session_info(session))
    remove_reading(session, GONE)
    after = scene_mapping.scene_map_of(session, read_session_info(session))
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(after.t_ns, before.t_ns[~in_stretch(before.t_ns)])
    assert bytes_of(session, "video").keys() == {"video/scene/calibration.json"}
    assert bytes_of(session, "audio") == {}


def test_what_is_of_the_sitting_stays(session: Path) -> None:
    sitting = ("offsets", "clock", "validation")
    before = bytes_of(session, *sitting)
    assert len(before) >= 3
    remove_reading(session, GONE)
    assert bytes_of(session, *sitting) == before


def test_a_second_time_changes_nothing(session: Path) -> None:
    remove_reading(session, GONE)
    once = bytes_of(session, ".")
    remove_reading(session, GONE)
    assert bytes_of(session, ".") == once
