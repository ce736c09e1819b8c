"""``gazecurate burned-in``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
from PIL import Image

from curation.cli.options import as_json, hold_store, store_folder
from gazecapture.access_log import log_access
from gazecapture.console import echo_result
from gazecapture.files import make_private_folder
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.session.decisions import append_decision
from gazecapture.store import DECISIONS_FILE, Store
from keyframes.errors import ExitCode, UsageError

__all__ = ["burned_in"]

_STAGE = "privacy"
MARGIN_PX = 40
"""Around what was found, so that a person sees where on the film it stands."""


@click.command("burned-in")
@store_folder
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also write what was found as pictures into this folder. They may show names: keep it private.",
)
@click.option("--reading", "reading_id", metavar="ID", help="Decide about this reading.")
@click.option("--picture", "image_index", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--ok", "is_ok", is_flag=True, help="Nothing on the picture names anybody.")
@click.option(
    "--mask",
    "masks",
    metavar="X0,Y0,X1,Y1",
    multiple=True,
    help="Fill this box, px; may be given several times.",
)
@click.option("--reviewer", metavar="CODE", default="", help="Who decides; a code, never a name.")
@click.option("--reason", default="", help="Kept in the store.")
@as_json
def burned_in(
    *,
    store_root: Path,
    out: Path | None,
    reading_id: str | None,
    image_index: int,
    is_ok: bool,
    masks: tuple[str, ...],
    reviewer: str,
    reason: str,
    as_json: bool,
) -> ExitCode:
    """List the readings that are held back for text in their pixels, or decide about one (--reading, --ok or --mask).

    The decision is appended to the reading's decisions.jsonl; the next `gazecurate run` obeys it.
    """
    store = Store.open(store_root)
    if reading_id is None:
        if is_ok or masks:
            raise UsageError("--reading is needed: which one is decided about?")
        return _listed(store, out, as_json=as_json)
    if is_ok == bool(masks):
        raise UsageError("give either --ok or --mask")
    value = "ok" if is_ok else [_box(text) for text in masks]
    if store.image_path(reading_id, image_index) is None:
        raise UsageError(f"the reading has no picture {image_index}", record=reading_id, code="GT-NO-PICTURE")
    with hold_store(store):
        append_decision(
            store.folder(reading_id) / DECISIONS_FILE,
            kind="burned_in",
            target=image_index,
            value=value,
            reviewer=reviewer,
            reason=reason,
        )
        log_access(store_root, command="review", n_readings=1)
    result = {"reading_id": reading_id, "picture": image_index, "value": value}
    echo_result(result, as_json=as_json, text=f"{reading_id}, picture {image_index}: {value}")
    return ExitCode.OK


def _listed(store: Store, out: Path | None, *, as_json: bool) -> ExitCode:
    held: list[dict[str, Any]] = []
    for reading_id in store.reading_ids():
        record = store.stage_record(reading_id, _STAGE) or {}
        if record.get("verdict") != "held_back":
            continue
        for index, notes in record["notes"].get("burned_in", {}).items():
            if notes["masked"] is None:
                held.append({"reading_id": reading_id, "picture": int(index), "boxes": notes["found"]})
    if out is not None:
        make_private_folder(out)
        for entry in held:
            entry["file"] = str(_cropped(store, entry, out))
    lines = [f"{e['reading_id']}, picture {e['picture']}: {len(e['boxes'])} lines of text" for e in held]
    lines.append(f"{len(held)} pictures are held back")
    echo_result({"held_back": held}, as_json=as_json, text="\n".join(lines))
    return ExitCode.OK


def _cropped(store: Store, entry: dict[str, Any], out: Path) -> Path:
    """Write what was found on a picture; all of it where only its header says that something is there."""
    path = store.image_path(entry["reading_id"], entry["picture"])
    assert path is not None  # noqa: S101 - the stage looked at it
    grey8, boxes = load_radiograph(path).grey8(), entry["boxes"]
    if boxes:
        x0, y0 = (max(min(box[side] for box in boxes) - MARGIN_PX, 0) for side in (0, 1))
        x1, y1 = (max(box[side] for box in boxes) + MARGIN_PX for side in (2, 3))
        grey8 = grey8[y0:y1, x0:x1]
    target = out / f"{entry['reading_id']}_{entry['picture']}.png"
    Image.fromarray(grey8).save(target)
    return target


def _box(text: str) -> list[int]:
    match = re.fullmatch(r"(\d{1,6}),(\d{1,6}),(\d{1,6}),(\d{1,6})", text.replace(" ", ""))
    box = [] if match is None else [int(number) for number in match.groups()]
    if not box or box[0] >= box[2] or box[1] >= box[3]:
        raise UsageError(f"--mask {text!r} is not of the form X0,Y0,X1,Y1 with X0 < X1 and Y0 < Y1")
    return box
