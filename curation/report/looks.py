"""The report's tables of what was inspected: letters, regions missed, reference lesions."""

from __future__ import annotations

from collections.abc import Mapping

from curation.report.hints import DASH
from curation.report.model import LesionLook, LetterLook
from curation.report.sources import Row

__all__ = ["lesion_looks", "letter_looks", "missed_regions"]

_ERRORS = {
    "search": "not reported: search (gaze never came near)",
    "recognition": "not reported: recognition (looked at shortly)",
    "decision": "not reported: decision (looked at for long)",
}


def letter_looks(row: Row, letters: Mapping[str, str], images: Mapping[int, str]) -> tuple[LetterLook, ...]:
    """Return a row per image and letter; of a dataset from before they were measured, none."""
    return tuple(
        LetterLook(
            letter=look["letter"],
            name=letters.get(look["letter"], ""),
            image_name=images.get(look["image_index"], "") if len(images) > 1 else "",
            first=_seconds(look["t_first_ns"]),
            dwell=f"{look['dwell_s']:.1f} s",
            share=_percent(look["dwell_share"]),
            n_visits=look["n_visits"],
            covered=_percent(look["covered_share"]),
        )
        for look in row.get("letter_coverage") or ()
    )


def missed_regions(row: Row) -> tuple[str, ...]:
    """Return the regions that no fixation came near to, on any image that shows them."""
    missed: dict[str, bool] = {}
    for look in row.get("region_coverage") or ():
        missed[look["region"]] = missed.get(look["region"], True) and look["missed"]
    return tuple(region for region, is_missed in missed.items() if is_missed)


def lesion_looks(row: Row, images: Mapping[int, str]) -> tuple[LesionLook, ...]:
    """Return a row per reference lesion; of a dataset from before they were measured, none."""
    lesions = {lesion["finding_id"]: lesion for lesion in row["truth"] or ()}
    views = []
    for look in row.get("lesion_gaze") or ():
        lesion = lesions.get(look["finding_id"])
        if lesion is None:
            continue
        outcome = "reported" if look["reported"] else _ERRORS.get(look["error"] or "", "not reported")
        views.append(
            LesionLook(
                label=lesion["label"],
                image_name=images.get(lesion["image_index"], ""),
                first=_seconds(look["t_first_ns"]),
                dwell=DASH if look["dwell_s"] is None else f"{look['dwell_s']:.1f} s",
                visits=DASH if look["n_visits"] is None else str(look["n_visits"]),
                outcome=outcome,
            )
        )
    return tuple(views)


def _seconds(t_ns: int | None) -> str:
    return DASH if t_ns is None else f"{t_ns / 1e9:.1f} s"


def _percent(share: float | None) -> str:
    return DASH if share is None or share != share else f"{100 * share:.0f} %"
