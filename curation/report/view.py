"""What the page shows of a reading: shard rows turned into texts and pictures, the same for both sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.report.gathered import gathered
from curation.report.hints import DASH, hint_of_issue, number, quality_figure, span
from curation.report.looks import lesion_looks, letter_looks, missed_regions
from curation.report.model import Card, Finding, ImageView, Issue, ReadingView, SentenceView, Summary
from curation.report.pictures import (
    Picture,
    decoded,
    figure_picture,
    figure_svg,
    grey_picture,
    heat_thumbnail,
)
from curation.report.sources import KEYFRAME_PX, Row
from keyframes import plot
from keyframes.errors import ConfigError
from keyframes.regions.schemes import load_scheme

__all__ = ["letters_of", "summary_of", "view_of"]

TIMES = "\u00d7"
THUMBNAIL_PX = 320
"""Longer side; in the gallery it is 150 CSS px wide."""
_SEVERITIES = ("error", "warning", "info")
_ROLES = {"current": "Current image", "lateral": "Lateral image", "prior": "Prior image"}
Rows = Sequence[Mapping[str, Any]]


def summary_of(row: Row) -> Summary:
    """Return one reading's row of the table of all readings."""
    quality = {q["metric"]: q["value"] for q in row["quality"] or () if q["sentence_id"] is None}
    severities = [issue["severity"] for issue in row["issues"] or ()]
    rate = (row["tracker"] or {}).get("effective_rate_hz") or quality.get("effective_rate")
    lost = quality.get("loss_share")
    visits = sorted(row["trajectory"] or (), key=lambda visit: visit["order"])
    return Summary(
        reading_id=row["reading_id"],
        split=row["split"] or "",
        synthetic=bool(row["synthetic"]),
        duration_s=(row["duration_ns"] or 0) / 1e9,
        rate_hz=None if rate is None else float(rate),
        loss_share=lost,
        n_fixations=len(row["fixations"] or ()),
        n_sentences=len(row["sentences"] or ()),
        n_keyframes=len(row["keyframes"] or ()),
        letters=tuple(dict.fromkeys(visit["letter"] for visit in visits)),
        n_issues=len(severities),
        severity=next((s for s in _SEVERITIES if s in severities), ""),
    )


def view_of(row: Row) -> ReadingView:
    """Return what the page shows of one reading; its pictures are drawn here."""
    lanes = letters_of(row)
    images = {info["image_index"]: info for info in row["image_info"] or ()}
    pictures = _pictures(row)
    trajectory = _table(row["trajectory"], _TRAJECTORY)
    has_visits = trajectory.num_rows > 0
    names = {index: _name_of(info) for index, info in images.items()}
    scheme = row["region_scheme"] or ""
    return ReadingView(
        reading_id=row["reading_id"],
        facts=_facts(row),
        thumbnail=_thumbnail(row, pictures),
        images=tuple(_image_view(row, info, pictures.get(index)) for index, info in images.items()),
        timeline=_timeline(row, trajectory, lanes) if has_visits or row["sentences"] else None,
        transitions=figure_svg(
            plot.transition_matrix(trajectory, letters=list(lanes), names=lanes, scheme=scheme, title=None)
        )
        if has_visits
        else None,
        letter_names=tuple(lanes.items()),
        scheme=scheme,
        dwell_by_letter=_dwell_by_letter(row, lanes),
        letter_looks=letter_looks(row, lanes, names),
        missed_regions=missed_regions(row),
        lesion_looks=lesion_looks(row, names),
        sentences=_sentences(row, images, pictures),
        figures=tuple(
            quality_figure(q["metric"], q["value"], q["unit"])
            for q in row["quality"] or ()
            if q["sentence_id"] is None
        ),
        issues=tuple(
            Issue(code=i["code"], severity=i["severity"], message=i["message"], hint=hint_of_issue(i["code"]))
            for i in row["issues"] or ()
        ),
        findings=_findings(row, row["findings"] or (), images),
        truth=_findings(row, row["truth"] or (), images),
    )


_TRAJECTORY = pa.schema(
    [
        ("order", pa.int32()),
        ("letter", pa.string()),
        ("image_index", pa.int16()),
        ("t_start_ns", pa.int64()),
        ("t_end_ns", pa.int64()),
    ]
)
_SENTENCES = pa.schema([("text", pa.string()), ("t_start_ns", pa.int64()), ("t_end_ns", pa.int64())])
_FIXATIONS = pa.schema(
    [
        ("t_start_ns", pa.int64()),
        ("duration_s", pa.float64()),
        ("x_image_px", pa.float64()),
        ("y_image_px", pa.float64()),
        ("px_per_deg_x", pa.float64()),
    ]
)


def _table(rows: Rows | None, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(
        [{name: row[name] for name in schema.names} for row in rows or ()], schema=schema
    )


def letters_of(row: Row) -> dict[str, str]:
    """Return the scheme's letters with their names; of an unknown scheme the letters that occur, if any."""
    try:
        return dict(load_scheme(row["region_scheme"] or "").letters)
    except ConfigError:
        found = sorted({visit["letter"] for visit in row["trajectory"] or ()})
        return dict.fromkeys(found, "") or {DASH: "no regions"}


def _pictures(row: Row) -> dict[int, NDArray[np.uint8]]:
    """Return the row's pictures by image index; the shard lists those that there are in order of their images."""
    with_picture = [i["image_index"] for i in row["image_info"] or () if i["picture_width_px"] is not None]
    found = {}
    for index, picture in zip(with_picture, row["images"] or (), strict=False):
        grey8 = decoded(picture["bytes"]) if picture and picture["bytes"] else None
        if grey8 is not None:
            found[index] = grey8
    return found


def _facts(row: Row) -> tuple[tuple[str, str], ...]:
    tracker, display = row["tracker"] or {}, row["display"] or {}
    rate = tracker.get("effective_rate_hz") or tracker.get("nominal_rate_hz")
    device = " ".join(dict.fromkeys(t for t in (tracker.get("manufacturer"), tracker.get("model")) if t))
    screen = ""
    if display.get("width_px"):
        screen = f"{display['width_px']} {TIMES} {display['height_px']} px"
        if display.get("distance_mm"):
            screen += f" at {number(round(display['distance_mm']))} mm"
    facts = {
        "Duration": f"{(row['duration_ns'] or 0) / 1e9:.1f} s",
        "Indication": row["indication"],
        "Tracker": ", ".join(
            part for part in (device, f"{number(round(rate, 1))} Hz" if rate else "") if part
        ),
        "Gaze": {"simulated": "simulated", "mouse": "mouse pointer"}.get(tracker.get("gaze_source") or ""),
        "Display": screen,
        "Split": row["split"],
        "Arm": row["study_arm"],
        "Source": row["source_format"],
        "Access": row["access_tier"],
        "Regions": row["region_scheme"],
    }
    return tuple((label, str(value)) for label, value in facts.items() if value)


def _thumbnail(row: Row, pictures: Mapping[int, NDArray[np.uint8]]) -> Picture | None:
    """Return the first image that there is a picture of, lit by dwell; None where there is none."""
    for index, grey8 in sorted(pictures.items()):
        return heat_thumbnail(grey8, gathered(row).gaze.get(index), THUMBNAIL_PX)
    return None


def _image_view(row: Row, info: Mapping[str, Any], grey8: NDArray[np.uint8] | None) -> ImageView:
    own = [f for f in row["fixations"] or () if f["image_index"] == info["image_index"]]
    size = (int(info["matrix_width_px"]), int(info["matrix_height_px"]))
    table = _table(own, _FIXATIONS)
    drawings: tuple[Picture | None, Picture | None] = (None, None)
    if grey8 is not None:
        drawings = (
            figure_picture(plot.scanpath(grey8, table, image_size_px=size, title=None)),
            figure_picture(plot.heat_map(grey8, table, image_size_px=size, title=None)),
        )
    return ImageView(
        name=_name_of(info),
        size=f"{size[0]} {TIMES} {size[1]} px",
        n_fixations=len(own),
        dwell=f"{sum(f['duration_s'] for f in own):.1f} s",
        scanpath=drawings[0],
        heat_map=drawings[1],
    )


def _name_of(info: Mapping[str, Any] | None) -> str:
    if info is None:
        return ""
    name = _ROLES.get(info["role"], str(info["role"]))
    return f"{name}, {info['view_position']}" if info["view_position"] else name


def _timeline(row: Row, trajectory: pa.Table, lanes: Mapping[str, str]) -> Picture:
    figure = plot.letter_timeline(
        trajectory,
        _table(row["sentences"], _SENTENCES),
        letters=list(lanes),
        names=lanes,
        duration_s=(row["duration_ns"] or 0) / 1e9,
        title=None,
    )
    return figure_svg(figure)


def _dwell_by_letter(row: Row, lanes: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    dwell = dict.fromkeys(lanes, 0.0)
    for visit in row["trajectory"] or ():
        dwell[visit["letter"]] = dwell.get(visit["letter"], 0.0) + visit["dwell_s"]
    return tuple((letter, f"{seconds:.1f} s") for letter, seconds in dwell.items())


def _sentences(
    row: Row, images: Mapping[int, Mapping[str, Any]], pictures: Mapping[int, NDArray[np.uint8]]
) -> tuple[SentenceView, ...]:
    """Return sentences and silences in the order of their key frames; sentences without any come at their time."""
    small = {index: grey_picture(grey8, KEYFRAME_PX) for index, grey8 in pictures.items()}
    said = {s["sentence_id"]: s for s in sorted(row["sentences"] or (), key=lambda s: s["t_start_ns"])}
    numbers = {sentence_id: place for place, sentence_id in enumerate(said, start=1)}
    groups: list[tuple[str | None, list[Mapping[str, Any]]]] = []
    for frame in sorted(row["keyframes"] or (), key=lambda f: f["order"]):
        if not groups or groups[-1][0] != frame["sentence_id"]:
            groups.append((frame["sentence_id"], []))
        groups[-1][1].append(frame)
    drawn = {sentence_id for sentence_id, _ in groups}
    groups += [(sentence_id, []) for sentence_id in said if sentence_id not in drawn]
    labels = {f["finding_id"]: _label(f) for f in row["findings"] or ()}
    views = []
    for sentence_id, frames in groups:
        sentence = said.get(sentence_id or "")
        start_ns = sentence["t_start_ns"] if sentence else min(f["t_start_ns"] for f in frames)
        end_ns = sentence["t_end_ns"] if sentence else max(f["t_end_ns"] for f in frames)
        views.append(
            SentenceView(
                number=numbers.get(sentence_id or ""),
                text=sentence["text"] if sentence else "",
                when=span(start_ns, end_ns),
                cards=tuple(_card(f, images, small) for f in frames if f["status"] != "no_gaze"),
                findings=tuple(
                    labels[i] for i in (sentence["finding_ids"] or () if sentence else ()) if i in labels
                ),
                without_gaze=any(f["status"] == "no_gaze" for f in frames),
            )
        )
    return tuple(views)


def _card(
    frame: Mapping[str, Any], images: Mapping[int, Mapping[str, Any]], small: Mapping[int, Picture]
) -> Card:
    info = images.get(frame["image_index"], {})
    box, centroid = frame["box"], frame["centroid"]
    lit = decoded(frame["picture"]["bytes"]) if frame["picture"] and frame["picture"]["bytes"] else None
    return Card(
        number=frame["order"] + 1,
        kind=frame["kind"],
        picture=small.get(frame["image_index"]) if lit is None else grey_picture(lit, KEYFRAME_PX),
        image_name=_name_of(info) if len(images) > 1 and info else "",
        width_px=int(info.get("matrix_width_px") or 1),
        height_px=int(info.get("matrix_height_px") or 1),
        box=(box[0], box[1], box[2], box[3]) if box else None,
        centroid=(centroid[0], centroid[1]) if centroid else None,
        box_text=f"x {box[0]:.0f}{DASH}{box[2]:.0f}, y {box[1]:.0f}{DASH}{box[3]:.0f} px" if box else "",
        letter=frame["letter"] or "",
        region=frame["region"] or "",
        when=span(frame["t_start_ns"], frame["t_end_ns"]),
        dwell=f"{frame['dwell_s']:.1f} s",
    )


def _label(finding: Mapping[str, Any]) -> str:
    return str(finding["label"]) if finding["present"] else f"no {finding['label']}"


def _findings(row: Row, rows: Rows, images: Mapping[int, Mapping[str, Any]]) -> tuple[Finding, ...]:
    said = sorted(row["sentences"] or (), key=lambda s: s["t_start_ns"])
    views = []
    for finding in rows:
        named = set(finding["sentence_ids"] or ())
        places = [
            str(place)
            for place, s in enumerate(said, start=1)
            if s["sentence_id"] in named or finding["finding_id"] in (s["finding_ids"] or ())
        ]
        certainty = finding["certainty"]
        views.append(
            Finding(
                label=finding["label"],
                state="present" if finding["present"] else "absent",
                certainty=DASH
                if certainty is None or not np.isfinite(certainty)
                else f"{100 * certainty:.0f} %",
                image_name=_name_of(images.get(finding["image_index"])),
                sentences=", ".join(places) or DASH,
                source=finding["source"] or "",
            )
        )
    return tuple(views)
