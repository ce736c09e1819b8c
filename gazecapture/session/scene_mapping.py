"""Where the screen was in a session's scene video; found once, kept in ``SESSION/mapping``."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gazecapture.files import atomic_path, make_private_folder
from gazecapture.screen.homography import ScreenHomography
from gazecapture.screen.scene_camera import SceneCamera, read_scene_camera
from gazecapture.screen.scene_map import SceneMap
from gazecapture.screen.tag_detectors import TagDetector, best_detector
from gazecapture.screen.tag_tracker import TagTracker
from gazecapture.session.clock_fit import fit_clock
from gazecapture.session.journal import read_journal
from gazecapture.session.schema import OFFSETS, SessionInfo, read_stream_info
from keyframes.errors import UsageError

__all__ = ["MAPPING_FOLDER", "SCENE_KIND", "import_av", "luma", "map_scene", "scene_map_of"]

MAPPING_FOLDER = "mapping"
SCENE_KIND = "SceneVideo"
"""Type of the stream that journals a scene video's pictures."""
CODE_VERSION = "1"
"""Raised by hand whenever the same video would give another map."""
_KEY = b"gazecapture.key"
_TABLE = pa.schema(
    [
        pa.field("t_ns", pa.int64(), nullable=False),
        pa.field("matrix", pa.list_(pa.float64(), 9), nullable=False),
        pa.field("n_tags", pa.int64(), nullable=False),
        pa.field("residual_px", pa.float64(), nullable=False),
    ]
)

Progress = Callable[[int, int], None]


def scene_map_of(session: Path, info: SessionInfo, *, progress: Progress | None = None) -> SceneMap | None:
    """Return the map of a session's scene video, found now or before; None where it has no video or drew no tags.

    Raises SchemaError where the camera's calibration is missing, UsageError where a library is.
    """
    folder = next(
        (
            described.parent
            for described in sorted((session / "streams").glob("*/stream.json"))
            if read_stream_info(described.parent).kind == SCENE_KIND
        ),
        None,
    )
    if folder is None or not info.tags:
        return None
    video = session / "video" / folder.name
    camera = read_scene_camera(video / "calibration.json")
    kept = session / MAPPING_FOLDER / f"{folder.name}.parquet"
    key = _key(folder, video, info)
    if kept.is_file():
        table = pq.read_table(kept, partitioning=None)
        # Where a video is gone, of a session that a reading was taken out of, nothing else can tell.
        if (table.schema.metadata or {}).get(_KEY) == key or not any(video.glob("*.mp4")):
            return _as_map(table, camera)
    found = map_scene(session, folder.name, info, camera, best_detector(), progress=progress)
    make_private_folder(kept.parent)
    with atomic_path(kept) as scratch:
        pq.write_table(_as_table(found).replace_schema_metadata({_KEY: key}), scratch)
    return found


def map_scene(
    session: Path,
    stream_id: str,
    info: SessionInfo,
    camera: SceneCamera,
    detector: TagDetector,
    *,
    progress: Progress | None = None,
) -> SceneMap:
    """Look for the tags in every picture of a session's scene video that came whole."""
    frames = read_journal(session / "streams" / stream_id).table
    clock = fit_clock(read_journal(session / "offsets" / stream_id, schema=OFFSETS).table, frames)
    t_ns = clock.to_session_ns(frames["t_remote_s"].to_numpy(), frames["sequence"].to_numpy())
    clean = frames["is_clean"].to_numpy() > 0
    tracker = TagTracker(info.tags, camera, detector)
    homographies: list[ScreenHomography | None] = []
    times: list[int] = []
    for number in np.unique(frames["file_number"].to_numpy()[clean]).astype(int).tolist():
        rows = np.flatnonzero(clean & (frames["file_number"].to_numpy() == number))
        row_of = dict(zip(frames["frame_in_file"].to_numpy()[rows].astype(int).tolist(), rows, strict=True))
        tracker.forget()
        for place, grey in _pictures(session / "video" / stream_id / f"{number:05d}.mp4"):
            if place in row_of:
                homographies.append(tracker.next(grey))
                times.append(int(t_ns[row_of[place]]))
            if progress is not None:
                progress(len(times), int(clean.sum()))
    return SceneMap.build(times, homographies, camera)


def _pictures(path: Path) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Give the grey pictures of a file with their place in it; what a kill left unreadable at its end is left out."""
    av = import_av()
    if not path.is_file():
        return
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        # One thread: several would keep pictures back, and the other cores have work of their own.
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        try:
            for place, frame in enumerate(container.decode(stream)):
                yield place, luma(frame)
        except (EOFError, av.error.InvalidDataError):
            return


def luma(frame: Any) -> NDArray[np.uint8]:
    """Return the grey plane of a decoded picture, (h, w), contiguous."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    return np.ascontiguousarray(rows[:, : frame.width])


def import_av() -> Any:
    """Return PyAV. Raises UsageError (GT-EXTRA-MISSING) where it is not installed."""
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise UsageError(
            "reading a scene video needs PyAV, which is not installed",
            hint="pip install 'gazecapture[neon]'",
            code="GT-EXTRA-MISSING",
        ) from error


def _key(folder: Path, video: Path, info: SessionInfo) -> bytes:
    """Return what a kept map depends on."""
    files = [*sorted(folder.glob("*.arrows")), *sorted(video.glob("*"))]
    parts = [CODE_VERSION, repr(info.tags), *(f"{f.name} {f.stat().st_size}" for f in files)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest().encode()


def _as_table(found: SceneMap) -> pa.Table:
    columns = {
        "t_ns": found.t_ns,
        "matrix": pa.FixedSizeListArray.from_arrays(pa.array(found.matrices.ravel()), 9),
        "n_tags": found.n_tags,
        "residual_px": found.residual_px,
    }
    return pa.table(columns, schema=_TABLE)


def _as_map(table: pa.Table, camera: SceneCamera) -> SceneMap:
    matrices = np.array(table["matrix"].to_pylist(), np.float64).reshape(-1, 3, 3)
    return SceneMap(
        t_ns=table["t_ns"].to_numpy(),
        matrices=matrices,
        n_tags=table["n_tags"].to_numpy(),
        residual_px=table["residual_px"].to_numpy(),
        camera=camera,
    )
