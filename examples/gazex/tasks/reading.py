"""A row as the tasks use it: its radiograph, its key frames as frames, its gaze as points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from examples.gazex.data.pictures import PictureAt
from examples.gazex.data.rows import Row
from examples.gazex.tasks.example import Box, Frame, Level, Points

__all__ = ["Reading"]

LIGHT_SIGMA_DEG = 1.25
"""Of the Gaussian that a fixation lights a frame with; the published value."""
FALLBACK_SIGMA = 0.05
"""Share of the width, where a source knows no degrees."""


class Reading:
    """The first current radiograph of a row and what was seen on it."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.reading_id: str = row["reading_id"]

    @cached_property
    def image(self) -> PictureAt | None:
        """The first current radiograph that has a picture."""
        infos = [i for i in self.row["image_info"] or () if i["picture_width_px"] is not None]
        infos.sort(key=lambda info: int(info["image_index"]))
        current = [place for place, info in enumerate(infos) if info["role"] == "current"]
        return PictureAt(self.row.shard, self.row.row, "image", current[0]) if current else None

    @cached_property
    def _info(self) -> Mapping[str, Any]:
        current = [i for i in self.row["image_info"] if i["role"] == "current" and i["picture_width_px"]]
        return min(current, key=lambda info: int(info["image_index"]))

    @cached_property
    def sentences(self) -> dict[str, dict[str, Any]]:
        """Sentences by id, in order."""
        return {s["sentence_id"]: s for s in self.row["sentences"] or ()}

    @property
    def report(self) -> str:
        """What was dictated; without dictation findings and impression of the written report."""
        if self.sentences:
            return " ".join(s["text"] for s in self.sentences.values())
        sections = {part["section"]: part["text"] for part in self.row["report_sections"] or ()}
        written = "\n".join(sections[n] for n in ("findings", "impression") if sections.get(n))
        return written or self.row["text"] or ""

    @cached_property
    def keyframes(self) -> list[dict[str, Any]]:
        """Key frames on the radiograph, in order, that can be shown."""
        return sorted(
            (
                k
                for k in self.row["keyframes"] or ()
                if k["image_index"] == self._info["image_index"] and k["has_picture"] and k["box"]
            ),
            key=lambda k: int(k["order"]),
        )

    def frames(self, chosen: Sequence[Mapping[str, Any]]) -> tuple[Frame, ...]:
        """Return key frames to show."""
        return tuple(
            Frame(
                stored=PictureAt(self.row.shard, self.row.row, "keyframe", self._place(k)),
                points=self.points(k["fixation_indexes"] or ()),
                begins_ns=int(k["t_start_ns"]),
                letter=k["letter"],
                level=Level(
                    share=(k["centroid"] or _middle(k["box"]))[1] / float(self._info["matrix_height_px"])
                ),
            )
            for k in chosen
        )

    def points(self, event_indexes: Sequence[int] | None = None) -> Points:
        """Return fixations on the radiograph as points; all of them, or those of some events."""
        wanted = None if event_indexes is None else set(event_indexes)
        width, height = float(self._info["matrix_width_px"]), float(self._info["matrix_height_px"])
        found = []
        for fixation in self.row["fixations"] or ():
            if fixation["image_index"] != self._info["image_index"]:
                continue
            if wanted is not None and fixation["event_index"] not in wanted:
                continue
            x, y = fixation["x_image_px"], fixation["y_image_px"]
            if x is None or y is None or not np.isfinite([x, y]).all():
                continue
            per_deg = fixation["px_per_deg_x"]
            sigma = LIGHT_SIGMA_DEG * per_deg / width if per_deg and np.isfinite(per_deg) else FALLBACK_SIGMA
            found.append((x / width, y / height, sigma, fixation["duration_s"]))
        return np.asarray(found, np.float32).reshape(-1, 4)

    def gaze_of(self, sentence_id: str) -> Points:
        """Return the fixations that belong to a sentence."""
        chosen = [
            f["event_index"] for f in self.row["fixations"] or () if sentence_id in (f["sentence_ids"] or ())
        ]
        return self.points(chosen)

    def box(self, member: Mapping[str, Any], *, point: bool = False) -> Box | None:
        """Return a box of a finding, region or key frame; None where it lies on another picture."""
        if not member["box"] or member["image_index"] != self._info["image_index"]:
            return None
        width, height = float(self._info["matrix_width_px"]), float(self._info["matrix_height_px"])
        x0, y0, x1, y1 = member["box"]
        centre = member["centroid"] if point and member["centroid"] else None
        return Box(
            x0=x0 / width,
            y0=y0 / height,
            x1=x1 / width,
            y1=y1 / height,
            point=(centre[0] / width, centre[1] / height) if centre else None,
        )

    @cached_property
    def region_boxes(self) -> dict[str, tuple[str, Box]]:
        """Letter and box of every region of the radiograph, by name."""
        found = {}
        for region in self.row["regions"] or ():
            box = self.box(region)
            if box is not None:
                found[region["region"]] = (region["letter"], box)
        return found

    def presence(self) -> dict[str, tuple[bool, Box | None, str]]:
        """Return of every label that is known: present, its box, and who says so ("truth" before the reader)."""
        known: dict[str, tuple[bool, Box | None, str]] = {}
        for source in ("findings", "truth"):
            for finding in self.row[source] or ():
                if finding["present"] is not None:
                    known[finding["label"]] = (bool(finding["present"]), self.box(finding), source)
        return known

    def _place(self, keyframe: Mapping[str, Any]) -> int:
        """Return where the key frame lies in its row, which need not be in order."""
        return next(
            place
            for place, k in enumerate(self.row["keyframes"])
            if k["keyframe_index"] == keyframe["keyframe_index"]
        )


def _middle(box: Sequence[float]) -> tuple[float, float]:
    x0, y0, x1, y1 = box
    return (x0 + x1) / 2, (y0 + y1) / 2
