"""Join one reading's tables into the shard row."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.export.phash import perceptual_hash
from curation.export.pictures import encode_frame_png, encode_png, salted_sha256, shrink
from curation.export.schema import SHARD, SHARD_SCHEMA_VERSION
from curation.privacy.gaze_tier import GazeTier
from curation.privacy.narrowing import gaze_tier_of
from gazecapture import __version__
from keyframes.access import AccessTier
from keyframes.reading import Reading
from keyframes.render import FramePainter

__all__ = ["GAZE_COLUMNS", "RowOptions", "build_row"]


_GAZE_QUALITY = {
    "accuracy_deg": "accuracy",
    "rms_s2s_deg": "rms_s2s",
    "sd_deg": "sd",
    "loss_share": "loss_share",
}
"""Member of ``gaze_quality`` -> metric of the quality stage."""


GAZE_COLUMNS: Final = frozenset({"image_index", "px_per_deg_x", "px_per_deg_y", "pupil", "source"})
"""Of table ``gaze``, what a row rests on besides ``t_ns``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOptions:
    """What a row carries."""

    split: str
    access_tier: AccessTier
    """The laxest tier of a dataset that the reading may be in."""
    gaze_tier: GazeTier
    consent_scopes: tuple[str, ...] = ()
    """What its reader, or its dataset's terms, allow."""
    repeat_of: str = ""
    """Id of the first reading, which the same dataset holds; empty where this one repeats none."""
    config_hash: str
    with_images: bool
    with_keyframe_pictures: bool
    picture_max_side_px: int
    keyframe_max_side_px: int
    picture_salt: str = ""
    """Of the hashes of pictures that stay behind; empty: there are none."""
    public_ids: bool = False
    """The ids of published datasets, which only a dataset of the source's access tier or a stricter one may hold."""
    guard: Callable[[Mapping[str, Any]], dict[str, Any]]
    """Frees the row of every string that its column may not hold (`curation.privacy.RowGuard`)."""


def build_row(
    reading: Reading, pictures: Mapping[int, NDArray[np.uint8]], options: RowOptions
) -> dict[str, Any]:
    """Return the shard row (`curation.export.schema.SHARD`) of one reading as Python values.

    pictures : 8-bit grey at full size by image index; an index without a picture gets none.
    Raises SchemaError where a stage's table is not there yet.
    """
    meta = reading.meta
    shown = pictures if options.with_images else {}
    encoded = {
        i: _picture(p, f"{meta.reading_id}_{i}", options.picture_max_side_px) for i, p in shown.items()
    }
    sentences = reading.table("sentences").to_pylist()
    events = reading.table("events").to_pylist()
    findings = reading.table("findings").to_pylist()
    primary = _primary_regions(reading)
    regions = reading.table("regions").to_pylist()
    row = {
        "reading_id": meta.reading_id,
        "schema_version": SHARD_SCHEMA_VERSION,
        "split": options.split,
        "split_official": meta.split_official or None,
        "source_format": meta.source_format,
        "source_licence": meta.source_licence or None,
        "access_tier": options.access_tier,
        "gaze_tier": gaze_tier_of(reading, options.gaze_tier),
        "synthetic": meta.synthetic,
        "time_origin": meta.time_origin,
        "consent_scopes": list(options.consent_scopes),
        "reader_code": meta.reader_code,
        "reader_site": meta.reader_site or None,
        "patient_key": meta.patient_key,
        "study_key": meta.study_key,
        "public_patient_id": meta.public_patient_id or None if options.public_ids else None,
        "public_study_id": meta.public_study_id or None if options.public_ids else None,
        "sex": meta.sex or None,
        "age_band": meta.age_band or None,
        "session_key": meta.session_id or None,
        "reading_number": meta.reading_number,
        "minutes_into_session": meta.minutes_into_session,
        "repeat_of": options.repeat_of or None,
        "study_arm": meta.study_arm or None,
        "indication": meta.indication or None,
        "report_sections": [{"section": k, "text": v} for k, v in meta.report_sections.items()],
        "duration_ns": meta.duration_ns,
        "gaze_quality": _gaze_quality(reading),
        "tracker": _tracker(reading),
        "display": _display(reading),
        "images": [{"bytes": p["bytes"], "path": p["path"]} for _, p in sorted(encoded.items())],
        "image_info": _image_info(reading, encoded, {} if options.with_images else pictures, options),
        "text": " ".join(s["text"] for s in sentences) or None,
        "words": reading.table("words").to_pylist(),
        "sentences": sentences,
        "fixations": _fixations(reading, events, findings, primary, sentences),
        "saccades": [event for event in events if event["kind"] == "saccade"],
        "keyframes": _keyframes(reading, pictures, primary, options),
        "trajectory": reading.table("trajectory").to_pylist(),
        "region_coverage": reading.table("region_coverage").to_pylist(),
        "letter_coverage": reading.table("letter_coverage").to_pylist(),
        "lesion_gaze": reading.table("lesion_gaze").to_pylist(),
        "region_scheme": regions[0]["scheme"] if regions else None,
        "regions": regions,
        "findings": findings,
        "truth": reading.table("truth").to_pylist(),
        "qa": reading.table("qa").to_pylist(),
        "quality": reading.table("quality").to_pylist(),
        "issues": reading.table("issues").to_pylist(),
        "config_hash": options.config_hash,
        "tool_version": __version__,
    }
    return options.guard(_of_the_schema(row))


def _of_the_schema(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row without what a shard has no column for: the writers would leave it out later anyway."""
    return {name: pruned(row[name]) if pruned else row[name] for name, pruned in _PRUNED.items()}


def _pruning(kind: pa.DataType) -> Callable[[Any], Any] | None:
    """Return what leaves of a value only what its type has a place for; None where that is all of any value."""
    if pa.types.is_struct(kind):
        members = [(member.name, _pruning(member.type)) for member in kind]
        plain = [name for name, inner in members if inner is None]
        nested = [(name, inner) for name, inner in members if inner is not None]

        def struct(value: Any) -> Any:
            if value is None:
                return None
            found = {name: value.get(name) for name in plain}
            for name, inner in nested:
                found[name] = inner(value.get(name))
            return found

        return struct
    if pa.types.is_list(kind):
        inner = _pruning(kind.value_type)
        return inner and (lambda value: None if value is None else [inner(member) for member in value])
    return None


_PRUNED: Final = {field.name: _pruning(field.type) for field in SHARD}
"""By column: made once, for a row has thousands of values."""


def _picture(grey8: NDArray[np.uint8], stem: str, longest_px: int) -> dict[str, Any]:
    small = shrink(grey8, longest_px)
    return {
        "bytes": encode_png(small),
        "path": f"{stem}.png",
        "shape": small.shape,
        "phash": perceptual_hash(small),
    }


def _gaze_quality(reading: Reading) -> dict[str, float | None]:
    found = {
        row["metric"]: row["value"]
        for row in reading.table("quality").to_pylist()
        if row["sentence_id"] is None
    }
    return {name: found.get(metric) for name, metric in _GAZE_QUALITY.items()}


def _tracker(reading: Reading) -> dict[str, Any]:
    tracker = reading.meta.tracker
    source = reading.table("gaze").column("source")
    return {
        "manufacturer": tracker.manufacturer or None,
        "model": tracker.model or None,
        "profile": tracker.profile or None,
        "nominal_rate_hz": tracker.nominal_rate_hz,
        "effective_rate_hz": tracker.effective_rate_hz,
        "gaze_source": source[0].as_py() if len(source) else None,
    }


def _display(reading: Reading) -> dict[str, Any] | None:
    display = reading.meta.display
    if display is None:
        return None
    return {
        "width_px": display.width_px,
        "height_px": display.height_px,
        "width_mm": display.width_mm,
        "height_mm": display.height_mm,
        "distance_mm": display.distance_mm,
        "lag_ms": reading.meta.display_lag_ms,
    }


def _image_info(
    reading: Reading,
    encoded: Mapping[int, Mapping[str, Any]],
    left: Mapping[int, NDArray[np.uint8]],
    options: RowOptions,
) -> list[dict[str, Any]]:
    rows = []
    for image in reading.table("images").to_pylist():
        picture = encoded.get(image["image_index"])
        # Of the exported bytes: the hash of the stored file would lead back to it.
        kept = left.get(image["image_index"]) if options.picture_salt else None
        digest = None if picture is None else hashlib.sha256(picture["bytes"]).hexdigest()
        rows.append(
            {
                **image,
                "matrix_width_px": image["width_px"],
                "matrix_height_px": image["height_px"],
                "picture_width_px": None if picture is None else picture["shape"][1],
                "picture_height_px": None if picture is None else picture["shape"][0],
                "public_dicom_id": image["public_dicom_id"] if options.public_ids else None,
                "sha256": digest,
                "picture_sha256": digest,
                "picture_phash": None if picture is None else picture["phash"],
                "picture_salted_sha256": None if kept is None else salted_sha256(kept, options.picture_salt),
            }
        )
    return rows


def _primary_regions(reading: Reading) -> dict[int, dict[str, Any]]:
    rows = reading.table("event_regions").to_pylist()
    return {row["event_index"]: row for row in rows if row["is_primary"]}


def _fixations(
    reading: Reading,
    events: Sequence[Mapping[str, Any]],
    findings: Sequence[Mapping[str, Any]],
    primary: Mapping[int, Mapping[str, Any]],
    sentences: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    gaze = reading.table("gaze")
    spoken_of = _sentences_of_fixations(reading)
    named_in = {sentence["sentence_id"]: set(sentence["finding_ids"]) for sentence in sentences}
    for finding in findings:
        for sentence_id in finding["sentence_ids"]:
            named_in.setdefault(sentence_id, set()).add(finding["finding_id"])
    t_ns = gaze.column("t_ns").to_numpy()
    measured = {name: gaze.column(name).to_numpy() for name in ("px_per_deg_x", "px_per_deg_y", "pupil")}
    fixations = [event for event in events if event["kind"] == "fixation"]
    ends = [[event[name] for event in fixations] for name in ("t_start_ns", "t_end_ns")]
    rows = []
    for event, first, last in zip(fixations, *np.searchsorted(t_ns, ends).tolist(), strict=True):
        part = slice(first, last)
        region = primary.get(event["event_index"], {})
        sentence_ids = spoken_of.get(event["event_index"], [])
        rows.append(
            {
                **event,
                **{name: _median(measured[name][part]) for name in ("px_per_deg_x", "px_per_deg_y")},
                "pupil": _known(measured["pupil"][part]),
                "region": region.get("region"),
                "letter": region.get("letter"),
                "region_weight": region.get("weight"),
                "sentence_ids": sentence_ids,
                "finding_ids_by_sentence": sorted(set().union(*(named_in.get(i, ()) for i in sentence_ids))),
                "finding_ids_by_box": sorted(f["finding_id"] for f in findings if _holds(f, event)),
            }
        )
    return rows


def _sentences_of_fixations(reading: Reading) -> dict[int, list[str]]:
    """Return, by event index, the sentences whose key frames list the fixation, in order."""
    found: dict[int, list[str]] = {}
    frames = reading.table("keyframes").select(["sentence_id", "fixation_indexes"]).to_pylist()
    for frame in frames:
        for index in frame["fixation_indexes"] if frame["sentence_id"] else ():
            sentence_ids = found.setdefault(index, [])
            if frame["sentence_id"] not in sentence_ids:
                sentence_ids.append(frame["sentence_id"])
    return found


def _holds(finding: Mapping[str, Any], fixation: Mapping[str, Any]) -> bool:
    """Say whether a finding's box (half-open) or the ellipse inscribed in it holds the fixation's centre."""
    if not finding["box"] or finding["image_index"] != fixation["image_index"]:
        return False
    x0, y0, x1, y1 = finding["box"]
    x, y = fixation["x_image_px"], fixation["y_image_px"]
    if not (x0 <= x < x1 and y0 <= y < y1):
        return False
    if finding["shape"] != "ellipse":
        return True
    return bool(((2 * x - x0 - x1) / (x1 - x0)) ** 2 + ((2 * y - y0 - y1) / (y1 - y0)) ** 2 <= 1.0)


def _known(values: NDArray[np.float64]) -> float | None:
    """Return the median; null where nothing was measured, or the reader keeps it."""
    median = _median(values)
    return median if np.isfinite(median) else None


def _median(values: NDArray[np.float64]) -> float:
    # `np.median` takes a hundred times as long for the few samples of a fixation.
    known = np.sort(values[np.isfinite(values)])
    if not known.size:
        return float("nan")
    return (float(known[(known.size - 1) // 2]) + float(known[known.size // 2])) / 2.0


def _keyframes(
    reading: Reading,
    pictures: Mapping[int, NDArray[np.uint8]],
    primary: Mapping[int, Mapping[str, Any]],
    options: RowOptions,
) -> list[dict[str, Any]]:
    events, gaze = reading.table("events"), reading.table("gaze")
    duration_s = dict(
        zip(events.column("event_index").to_pylist(), events.column("duration_s").to_pylist(), strict=True)
    )
    frames = reading.table("keyframes").to_pylist()
    shown = pictures if options.with_images and options.with_keyframe_pictures else {}
    painter = FramePainter(shown, frames, events, gaze, longest_px=options.keyframe_max_side_px)
    rows = []
    for frame in frames:
        region = _looked_at_most(frame["fixation_indexes"], duration_s, primary)
        picture = None
        drawn = painter.paint(frame) if frame["box"] else None
        if drawn is not None:
            name = f"{reading.meta.reading_id}_k{frame['keyframe_index']:03d}.png"
            picture = {"bytes": encode_frame_png(drawn), "path": name}
        rows.append({**frame, **region, "picture": picture})
    return rows


def _looked_at_most(
    fixation_indexes: list[int], duration_s: Mapping[int, float], primary: Mapping[int, Mapping[str, Any]]
) -> dict[str, str | None]:
    """Return region and letter with the longest dwell among a key frame's fixations."""
    dwell: Counter[tuple[str, str]] = Counter()
    for index in fixation_indexes:
        if index in primary:
            dwell[primary[index]["region"], primary[index]["letter"]] += duration_s.get(index, 0.0)  # type: ignore[assignment]
    if not dwell:
        return {"region": None, "letter": None}
    region, letter = max(sorted(dwell), key=lambda pair: dwell[pair])
    return {"region": region, "letter": letter}
