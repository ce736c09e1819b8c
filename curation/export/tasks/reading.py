"""A row of a shard as the tasks use it: pictures to show, frames with pictures, clips, words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from curation.export.box_frames import QUARTER, ShownSize
from curation.export.pictures import encode_png, open_picture
from curation.export.tasks.record import Place, Shown
from curation.view_settings import TaskOptions
from keyframes.derived import clips, shuffled_sequences

__all__ = ["TaskReading", "sentence_text"]

_IDS = pa.list_(pa.string())
_FRAME_ROWS = pa.schema(
    [
        ("keyframe_index", pa.int32()), ("kind", pa.string()), ("sentence_id", pa.string()),
        ("image_index", pa.int16()), ("t_start_ns", pa.int64()), ("t_end_ns", pa.int64()), ("order", pa.int32()),
        ("box", pa.list_(pa.float64())),
    ]
)  # fmt: skip
_SENTENCES = pa.schema([("sentence_id", pa.string()), ("finding_ids", _IDS)])
_FINDINGS = pa.schema([("finding_id", pa.string()), ("label", pa.string())])
_SPACE_BEFORE_STOP = re.compile(r"\s+([.,;:?!])")
_REPORT_SECTIONS = ("findings", "impression")


class TaskReading:
    """One row. Images are those that the options choose; frames are those with a picture on the first of them."""

    def __init__(self, row: Mapping[str, Any], options: TaskOptions) -> None:
        self.row = row
        self.options = options
        self.reading_id: str = row["reading_id"]

    @cached_property
    def images(self) -> tuple[Shown, ...]:
        """The pictures to show; the first is the first current one."""
        infos = [info for info in self.row["image_info"] or () if info["picture_width_px"] is not None]
        infos.sort(key=lambda info: int(info["image_index"]))
        pairs = list(zip(infos, self.row["images"] or (), strict=True))
        pairs.sort(key=lambda pair: pair[0]["role"] != "current")  # stable: the others stay in order
        if self.options.images == "first_current":
            pairs = pairs[:1]
        return tuple(self._shown(picture["bytes"], info) for info, picture in pairs)

    @cached_property
    def frames(self) -> dict[int, Shown]:
        """Pictures of key frames on the first image, by ``keyframe_index``, in order, all of one size."""
        if not self.images:
            return {}
        first = self.images[0].image_index
        infos = {info["image_index"]: info for info in self.row["image_info"]}
        drawn = [
            frame
            for frame in self._ordered
            if frame["picture"] and frame["box"] and frame["image_index"] == first
        ]
        return {f["keyframe_index"]: self._shown(f["picture"]["bytes"], infos[first]) for f in drawn}

    @cached_property
    def sentences(self) -> dict[str, dict[str, Any]]:
        """Sentences by id, in order."""
        return {sentence["sentence_id"]: sentence for sentence in self.row["sentences"] or ()}

    @property
    def report(self) -> str:
        """What was dictated; of a reading that was not, the findings and impression of its written report."""
        if self.sentences:
            return " ".join(sentence["text"] for sentence in self.sentences.values())
        sections = {part["section"]: part["text"] for part in self.row.get("report_sections") or ()}
        return "\n".join(sections[name] for name in _REPORT_SECTIONS if sections.get(name)) or (
            self.row["text"] or ""
        )

    @property
    def indication(self) -> str | None:
        """Why the study was made, where the options want it in the prompts."""
        return (self.row["indication"] or None) if self.options.with_indication else None

    def clips(self, kind: str) -> list[tuple[str, list[int]]]:
        """Return clip id and key frames of the clips of one kind (`keyframes.derived.CLIPS`)."""
        return [
            (clip["clip_id"], clip["keyframe_indexes"])
            for clip in self._clips.to_pylist()
            if clip["kind"] == kind
        ]

    def shuffles(self, clip_id: str) -> list[dict[str, Any]]:
        """Return the shuffled sequences of one clip (`keyframes.derived.SHUFFLES`)."""
        place = self._clips.column("clip_id").to_pylist().index(clip_id)
        rows: list[dict[str, Any]] = shuffled_sequences(
            self._clips.slice(place, 1),
            reading_id=self.reading_id,
            seed=self.options.seed,
            n_shuffles=self.options.n_shuffles,
        ).to_pylist()
        return rows

    def places(self, sentence_id: str) -> tuple[list[Place], Place | None]:
        """Return the boxes of a sentence's clusters, in order, and that of its holistic frame."""
        clues, whole = [], None
        for frame in self._ordered:
            if frame["sentence_id"] != sentence_id:
                continue
            if frame["kind"] == "cluster" and (place := self._gaze_place(frame, "clue")):
                clues.append(place)
            elif frame["kind"] == "holistic":
                whole = self._gaze_place(frame, "observation") or whole
        return clues, whole

    def place(self, member: Mapping[str, Any], role: str, name: str) -> Place | None:
        """Return the box of a finding or region; None where it has none on a shown image."""
        image = self._image_of(member["image_index"])
        if image is None or not member["box"]:
            return None
        return Place(image=image, box=tuple(member["box"]), role=role, name=name)  # type: ignore[arg-type]

    @cached_property
    def _ordered(self) -> list[dict[str, Any]]:
        return sorted(self.row["keyframes"] or (), key=lambda frame: int(frame["order"]))

    @cached_property
    def _clips(self) -> pa.Table:
        shown = [frame for frame in self._ordered if frame["keyframe_index"] in self.frames]
        return clips(
            _table(shown, _FRAME_ROWS),
            _table(list(self.sentences.values()), _SENTENCES),
            _table(self.row["findings"] or (), _FINDINGS),
        )

    def _gaze_place(self, frame: Mapping[str, Any], role: str) -> Place | None:
        place = self.place(frame, role, self.sentences.get(frame["sentence_id"], {}).get("text", ""))
        if place is None:
            return None
        quarter, centroid_q = frame["box_q"], frame["centroid_q"]
        return Place(
            image=place.image,
            box=place.box,
            centroid=tuple(frame["centroid"]) if frame["centroid"] else None,
            box_q=tuple(map(int, quarter)) if quarter else None,  # type: ignore[arg-type]
            centroid_q=tuple(centroid_q) if centroid_q else None,
            role=place.role,
            name=place.name,
        )

    def _image_of(self, image_index: int | None) -> int | None:
        """Return the place of a picture among the images shown."""
        shown = [image.image_index for image in self.images]
        return shown.index(image_index) if image_index in shown else None

    def _shown(self, content: bytes, info: Mapping[str, Any]) -> Shown:
        matrix = (int(info["matrix_width_px"]), int(info["matrix_height_px"]))
        with open_picture(content) as picture:
            width, height = picture.size
            if self.options.box_frame == "quarter":
                width, height = (max(1, side // int(QUARTER)) for side in matrix)
                if picture.size != (width, height):
                    small = picture.convert("L").resize((width, height), Image.Resampling.BOX)
                    content = encode_png(np.asarray(small, np.uint8))
        size = ShownSize(
            matrix_width_px=matrix[0], matrix_height_px=matrix[1], width_px=width, height_px=height
        )
        return Shown(content=content, size=size, image_index=int(info["image_index"]))


def sentence_text(text: str) -> str:
    """Return a dictated text without the space that stands before a dictated stop.

    >>> sentence_text("the heart is enlarged .")
    'the heart is enlarged.'
    """
    return _SPACE_BEFORE_STOP.sub(r"\1", text).strip()


def _table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema=schema)
