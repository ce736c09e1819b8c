"""Small synthetic readings for the tests of curation; every value is generated."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from curation.consent import Consents
from gazecapture.session.consent import SIMULATED_READER, ConsentRecord, write_consent
from gazecapture.session.journal import JournalWriter
from gazecapture.session.schema import (
    DISPLAY_JOURNAL,
    OFFSETS,
    STREAM_PREFIX,
    WORDS_JOURNAL,
    SessionInfo,
    StreamChannel,
    StreamInfo,
    StudyImage,
    StudyInfo,
    write_session_info,
    write_stream_info,
)
from gazecapture.store import Store
from keyframes.geometry import Affine, Display, map_gaze
from keyframes.reading import SCHEMAS, Reading, ReadingMeta, Tracker

DISPLAY = Display(width_px=1920, height_px=1080, width_mm=530.0, height_mm=298.0, distance_mm=650.0)
WIDTH_PX, HEIGHT_PX = 160, 192
SCALE = 4.5
"""Screen px per image px."""
DEST = (600.0, 100.0, 600.0 + SCALE * WIDTH_PX, 100.0 + SCALE * HEIGHT_PX)
PANEL = (0.0, 0.0, 300.0, 1080.0)
FIXATION_S, SACCADE_S = 0.30, 0.04
SECOND_NS = 1_000_000_000


def picture(path: Path, seed: int = 0) -> Path:
    """Write a grey picture with a bright body and two dark lungs."""
    y, x = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX] * (240.0 / WIDTH_PX)
    grey = 60.0 + 110.0 * np.exp(-(((x - 120) / 95) ** 4) - ((y - 150) / 140) ** 4)
    for x_mid in (75, 165):
        grey -= 95.0 * np.exp(-(((x - x_mid) / 32) ** 4) - ((y - 130) / 75) ** 4)
    grey += np.random.default_rng(seed).normal(0.0, 2.0, grey.shape)
    Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(path)
    return path


def gaze_on_screen(
    seed: int, duration_s: float, rate_hz: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Give times and screen positions: fixations over the picture joined by minimum-jerk saccades, some noise."""
    rng = np.random.default_rng(seed)
    t_s = np.arange(0.0, duration_s, 1.0 / rate_hz)
    n = int(duration_s / (FIXATION_S + SACCADE_S)) + 2
    points = np.stack(
        [rng.uniform(DEST[0] + 60, DEST[2] - 60, n), rng.uniform(DEST[1] + 60, DEST[3] - 60, n)]
    )
    which = np.minimum((t_s // (FIXATION_S + SACCADE_S)).astype(int), n - 2)
    phase = np.clip((t_s % (FIXATION_S + SACCADE_S) - FIXATION_S) / SACCADE_S, 0.0, 1.0)
    done = 10 * phase**3 - 15 * phase**4 + 6 * phase**5
    noise = rng.normal(0.0, 0.6, (2, t_s.size))
    x, y = points[:, which] * (1 - done) + points[:, which + 1] * done + noise
    return np.round(t_s * 1e9).astype(np.int64), x, y


def make_reading(
    number: int = 1,
    *,
    seed: int | None = None,
    duration_s: float = 6.0,
    rate_hz: float = 250.0,
    lost: Sequence[tuple[float, float]] = (),
    words: Sequence[tuple[str, float, float]] | None = None,
    picture_path: Path | None = None,
    display: Display | None = DISPLAY,
) -> Reading:
    """Return a reading of one frontal picture.

    lost : stretches, s, in which the eyes are lost. words : (word, start s, end s); two sentences by default.
    """
    seed = number if seed is None else seed
    t_ns, x, y = gaze_on_screen(seed, duration_s, rate_hz)
    valid = np.ones(t_ns.size, np.bool_)
    for start_s, end_s in lost:
        valid &= (t_ns < start_s * 1e9) | (t_ns >= end_s * 1e9)
    x, y = np.where(valid, x, np.nan), np.where(valid, y, np.nan)
    shown = _display_table()
    mapped = map_gaze(t_ns, x, y, shown)
    per_deg = display.px_per_deg() if display is not None and display.knows_degrees else (np.nan, np.nan)
    nan = np.full(t_ns.size, np.nan)
    gaze = {
        "t_ns": t_ns,
        "x_screen_px": x,
        "y_screen_px": y,
        **{
            f"{eye}_{what}": nan
            for eye in ("left", "right")
            for what in ("x_screen_px", "y_screen_px", "pupil")
        },
        "x_image_px": mapped.x_image_px,
        "y_image_px": mapped.y_image_px,
        "px_per_deg_x": mapped.image_px_per_screen_px_x * per_deg[0],
        "px_per_deg_y": mapped.image_px_per_screen_px_y * per_deg[1],
        "pupil": np.where(valid, 3.5, np.nan),
        "valid": valid,
        "combined_by": ["device"] * t_ns.size,
        "pupil_unit": ["mm"] * t_ns.size,
        "source": ["simulated"] * t_ns.size,
        "viewport_id": pa.array(mapped.viewport_id, mask=mapped.viewport_id < 0),
        "image_index": pa.array(mapped.image_index, mask=mapped.image_index < 0),
    }
    meta = ReadingMeta(
        reading_id=hashlib.sha256(f"synthetic {number}".encode()).hexdigest()[:16],
        source_format="session",
        reader_code=f"R{number % 3 + 1:02d}",
        study_key=f"study{number:04d}",
        patient_key=f"patient{number:04d}",
        session_id="synthetic",
        reading_number=number,
        duration_ns=int(duration_s * 1e9),
        tracker=Tracker(name="synthetic", manufacturer="none", model="none", nominal_rate_hz=rate_hz),
        display=display,
        display_lag_ms=20.0,
        synthetic=True,
        n_samples_expected=int(t_ns.size),
        provenance={"tool_version": "test", **SIMULATED_READER},
    )
    tables = {
        "images": _images_table(picture_path),
        "gaze": pa.table(gaze),
        "display": shown,
        "words": _words_table(_default_words(duration_s) if words is None else words),
    }
    return Reading.build(meta, tables)


def make_store(root: Path) -> Store:
    """Return an empty store with the consent of the simulated readers R01 to R03."""
    store = Store.create(root)
    consents = Consents.of(store)
    for number in range(1, 4):
        consents = consents.put(ConsentRecord.of_simulated_reader(f"R{number:02d}"))
    return store


def fill_store(root: Path, n_readings: int, *, duration_s: float = 6.0, rate_hz: float = 250.0) -> Store:
    """Return a store of readings with a picture each."""
    store = make_store(root)
    folder = root.parent / f"{root.name}-pictures"
    folder.mkdir()
    for number in range(1, n_readings + 1):
        path = picture(folder / f"{number}.png", seed=number)
        store.add(make_reading(number, duration_s=duration_s, rate_hz=rate_hz, picture_path=path), {0: path})
    return store


def write_session(
    folder: Path, n_readings: int = 2, *, name: str = "s1", seed: int = 0, reader_code: str = "R01"
) -> Path:
    """Write a finished session of ``n_readings`` studies of one picture, 4 s each with 1 s between."""
    session = folder / name
    (session / "images").mkdir(parents=True)
    path = picture(session / "images" / "new.png", seed)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    path.rename(path.with_name(f"{sha256}.png"))
    image = StudyImage(
        image_index=0, role="current", sha256=sha256, suffix=".png", width_px=WIDTH_PX, height_px=HEIGHT_PX,
        spacing_x_mm=None, spacing_y_mm=None, spacing_kind="unknown", view_position="PA",
    )  # fmt: skip
    studies = tuple(
        StudyInfo(reading_number=number, study_id=f"S{number}", images=(image,), synthetic=True)
        for number in range(1, n_readings + 1)
    )
    write_session_info(
        session,
        SessionInfo(
            session_id=name, reader_code=reader_code, created_unix_ns=1, tool_version="test", display=DISPLAY,
            display_lag_ms=20.0, studies=studies, synthetic=True,
        ),
    )  # fmt: skip
    write_consent(session, ConsentRecord.of_simulated_reader(reader_code))
    _write_gaze(session, seed, duration_s=5.0 * n_readings + 1.0)
    shown = _display_table().to_pylist()[0]
    hidden = {**shown, "image_index": None, "affine": None, "panels": []}
    display, words = [], []
    for number in range(1, n_readings + 1):
        on_ns = (5 * number - 4) * SECOND_NS
        display.append({**shown, "reading_number": number, "event": "on", "t_ns": on_ns})
        display.append({**hidden, "reading_number": number, "event": "off", "t_ns": on_ns + 4 * SECOND_NS})
        for place, word in enumerate(("normal", "heart", ".")):
            t_ns = on_ns + SECOND_NS + place * SECOND_NS // 2
            words.append(
                {"t_start_ns": t_ns, "t_end_ns": t_ns + 300_000_000, "word": word, "source": "simulated"}
            )
    _journal(session / "display", DISPLAY_JOURNAL, display)
    _journal(session / "words", WORDS_JOURNAL, words)
    return session


def _write_gaze(session: Path, seed: int, duration_s: float) -> None:
    t_ns, x, y = gaze_on_screen(seed, duration_s, 250.0)
    channels = [("x", "ScreenX"), ("y", "ScreenY")]
    schema = pa.schema([*STREAM_PREFIX, *(pa.field(column, pa.float64()) for column, _ in channels)])
    columns = {
        "sequence": np.arange(t_ns.size),
        "t_remote_s": t_ns / 1e9,
        "t_received_ns": t_ns + 1_000_000,
        "x": x,
        "y": y,
    }
    folder = session / "streams" / "eye"
    with JournalWriter(folder, schema) as journal:
        journal.append(pa.table(columns).cast(schema))
    info = StreamInfo(
        stream_id="eye", role="gaze", name="Synthetic", kind="Gaze", channel_format="double64",
        nominal_rate_hz=250.0, tracker=Tracker(manufacturer="synthetic"),
        channels=tuple(StreamChannel(column=c, label=c, kind=k, eye="both", unit="pixels") for c, k in channels),
    )  # fmt: skip
    write_stream_info(folder, info)
    offsets = [
        {"t_ns": s * SECOND_NS, "offset_s": 0.0, "uncertainty_s": 1e-4} for s in range(int(duration_s) + 1)
    ]
    _journal(session / "offsets" / "eye", OFFSETS, offsets)


def _journal(folder: Path, schema: pa.Schema, rows: Sequence[Mapping[str, object]]) -> None:
    with JournalWriter(folder, schema) as journal:
        full = [{name: row.get(name) for name in schema.names} for row in rows]
        journal.append(pa.Table.from_pylist(full, schema=schema))


def with_meta(reading: Reading, **changes: object) -> Reading:
    """Return the reading with other scalars."""
    return Reading.build(replace(reading.meta, **changes), reading.tables)  # type: ignore[arg-type]


def with_gaze(reading: Reading, **columns: object) -> Reading:
    """Return the reading with other columns of gaze."""
    table = reading.table("gaze")
    for name, values in columns.items():
        field = table.schema.field(name)
        table = table.set_column(table.column_names.index(name), field, pa.array(values, field.type))
    return reading.with_tables(gaze=table)


def _default_words(duration_s: float) -> list[tuple[str, float, float]]:
    texts = ["heart", "size", "is", "normal", ".", "the", "lungs", "are", "clear", "."]
    step = (duration_s - 2.0) / len(texts)
    return [(word, 1.5 + place * step, 1.5 + (place + 0.8) * step) for place, word in enumerate(texts)]


def _words_table(words: Sequence[tuple[str, float, float]]) -> pa.Table:
    rows = [
        {
            "word_index": place,
            "t_start_ns": int(start * 1e9),
            "t_end_ns": int(end * 1e9),
            "word": word,
            "supported": True,
            "source": "simulated",
            "confidence": 1.0,
        }
        for place, (word, start, end) in enumerate(words)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS["words"])


def _images_table(path: Path | None) -> pa.Table:
    row = {
        "image_index": 0,
        "role": "current",
        "width_px": WIDTH_PX,
        "height_px": HEIGHT_PX,
        "spacing_kind": "unknown",
        "sha256": hashlib.sha256(path.read_bytes() if path else b"").hexdigest(),
        "view_position": "PA",
    }
    return pa.Table.from_pylist([row], schema=SCHEMAS["images"])


def _display_table() -> pa.Table:
    affine = Affine.from_rects(DEST, (0.0, 0.0, float(WIDTH_PX), float(HEIGHT_PX)))
    row = {
        "t_ns": 0,
        "viewport_id": 0,
        "inverted": False,
        "panels": [{"name": "list", "rect": list(PANEL)}],
        "image_index": 0,
        "affine": list(affine.coefficients),
        "source_rect": [0.0, 0.0, float(WIDTH_PX), float(HEIGHT_PX)],
        "dest_rect": list(DEST),
        "viewport_rect": list(DEST),
        "window_center": 128.0,
        "window_width": 256.0,
        "voi": "LINEAR",
        "preset_id": "auto",
    }
    return pa.Table.from_pylist([row], schema=SCHEMAS["display"])
