"""``gazecurate keyframes``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from curation.cli.options import as_json, list_lines, store_folder
from curation.export.pictures import encode_frame_png
from gazecapture.console import echo_result
from gazecapture.files import claim_output_folder, write_bytes_atomically
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.store import Store
from keyframes.errors import ExitCode, UsageError
from keyframes.reading import Reading
from keyframes.render import FramePainter

__all__ = ["keyframes"]

PICTURES_KIND = "key frame pictures"
"""What the marker file of the pictures' folder says."""
_COLUMNS = ("sentences", "no_gaze", "cluster", "holistic", "silent")
_JSON_COLUMNS = (
    "keyframe_index", "order", "kind", "status", "sentence_id", "image_index", "t_start_ns", "t_end_ns", "dwell_s",
    "box", "centroid", "fixation_indexes", "profile",
)  # fmt: skip


@click.command()
@store_folder
@click.option(
    "--reading", "reading_ids", multiple=True, help="Only this reading; may be given several times."
)
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder for the key frames as PNG; they show the patient's film, so it belongs where the store is.",
)
@as_json
def keyframes(
    *, store_root: Path, reading_ids: tuple[str, ...], pictures: Path | None, as_json: bool
) -> ExitCode:
    """Say which key frames `gazecurate run` made, reading by reading; changes nothing in the store."""
    store = Store.open(store_root)
    if pictures is not None:
        claim_output_folder(pictures, kind=PICTURES_KIND)
    rows: list[dict[str, Any]] = []
    without: list[str] = []
    for reading_id in reading_ids or store.reading_ids():
        if not store.has(reading_id):
            raise UsageError("the store has no such reading", record=reading_id, code="GT-NO-READING")
        record = store.stage_record(reading_id, "keyframes")
        if record is None:
            without.append(reading_id)
            continue
        reading = store.load(reading_id)
        n_pictures = 0 if pictures is None else _draw(store, reading, pictures)
        rows.append(_row(reading, record.get("notes", {}), n_pictures))
    if not as_json:
        list_lines(f"no key frames yet: {reading_id}" for reading_id in without)
    result = {"readings": rows, "without": without}
    echo_result(result, as_json=as_json, text=_table(rows, pictures))
    return ExitCode.OK if rows else ExitCode.NOTHING_LEFT


def _row(reading: Reading, notes: dict[str, Any], n_pictures: int) -> dict[str, Any]:
    made = reading.table("keyframes")
    frames = made.select(_JSON_COLUMNS).to_pylist()
    kinds = Counter("no_gaze" if frame["status"] == "no_gaze" else frame["kind"] for frame in frames)
    return {
        "reading_id": reading.meta.reading_id,
        "sentences": len({frame["sentence_id"] for frame in frames} - {None}),
        **{name: kinds[name] for name in _COLUMNS[1:]},
        "parameters": notes,
        "n_pictures": n_pictures,
        "keyframes": frames,
    }


def _table(rows: list[dict[str, Any]], pictures: Path | None) -> str:
    if not rows:
        return "no reading has key frames yet; `gazecurate run` makes them"
    heading = "".join(f"{name.replace('_', ' '):>10}" for name in _COLUMNS)
    lines = [f"{'reading':<18}{heading}{'lead s':>8}{'discarded':>11}"]
    for row in rows:
        notes = row["parameters"]
        lead_s, share = notes.get("lead_s"), notes.get("discarded_share")
        figures = "".join(f"{row[name]:>10}" for name in _COLUMNS)
        lead = f"{'-':>8}" if lead_s is None else f"{lead_s:>8.1f}"
        discarded = f"{'-':>11}" if share is None else f"{share:>11.1%}"
        lines.append(f"{row['reading_id']:<18}{figures}{lead}{discarded}")
    if pictures is not None:
        lines.append(f"{sum(row['n_pictures'] for row in rows)} pictures in {pictures}")
    return "\n".join(lines)


def _draw(store: Store, reading: Reading, folder: Path) -> int:
    """Write a picture of every key frame with gaze on an image that is attached; return how many."""
    reading_id = reading.meta.reading_id
    frames = reading.table("keyframes").to_pylist()
    paths = {
        index: store.image_path(reading_id, index)
        for index in sorted({frame["image_index"] for frame in frames} - {None})
    }
    films = {index: load_radiograph(path).grey8() for index, path in paths.items() if path is not None}
    painter = FramePainter(films, frames, reading.table("events"), reading.table("gaze"))
    n_drawn = 0
    for frame in frames:
        lit = painter.paint(frame)
        if lit is not None:
            name = f"{reading_id}_k{frame['keyframe_index']:03d}.png"
            write_bytes_atomically(folder / name, encode_frame_png(lit))
            n_drawn += 1
    return n_drawn
