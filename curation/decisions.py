"""What people decided about a reading when they reviewed it: read from its append-only file, obeyed by the stages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, NoReturn, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from curation.config import settings_hash
from gazecapture.files import as_tool_error
from gazecapture.store import DECISIONS_FILE
from keyframes.errors import SchemaError
from keyframes.regions.region_map import Region, RegionMap

__all__ = ["OBEYED_BY", "BoxAdjustment", "Decisions", "read_decisions"]

OBEYED_BY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "quality": ("verdict", "sentence_bounds"),
        "dictation": ("sentence_bounds", "sentence_text"),
        "regions": ("region_boxes",),
        "privacy": ("burned_in",),
    }
)
"""Stage -> the kinds of decision that are an input of it."""
MAX_FILE_BYTES = 1 << 26
"""Of one reading's decisions; a reviewer makes some hundred of 200 bytes."""
CODE = "GT-DECISION"
THE_READING = "reading"
"""Target of a verdict."""
MAX_SENTENCE_LETTERS = 10_000
_MAX_TIME_NS = 10**15
"""Eleven days: no time of a reading."""

_T = TypeVar("_T")
Verdict = Literal["accept", "reject"]
_Name = Annotated[str, Field(min_length=1, max_length=64)]
_Box = tuple[float, float, float, float]
_BOXES = TypeAdapter(dict[_Name, _Box | None], config=ConfigDict(allow_inf_nan=False))
_Time = Annotated[int, Field(strict=True, ge=-_MAX_TIME_NS, le=_MAX_TIME_NS)]
_BOUNDS = TypeAdapter(tuple[_Time, _Time])
_TEXT = TypeAdapter(Annotated[str, Field(max_length=MAX_SENTENCE_LETTERS, pattern=r"\S")])
_MASKS = TypeAdapter(Annotated[list[_Box], Field(min_length=1)], config=ConfigDict(allow_inf_nan=False))


class _Line(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: _Name
    target: str | int
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxAdjustment:
    """What a person said of one image's regions."""

    boxes: Mapping[str, Region]
    """Regions as the person drew them."""
    absent: frozenset[str] = frozenset()
    """Regions that are not on the image."""

    def as_map(self, *, width_px: int, height_px: int) -> RegionMap | None:
        """Return the drawn regions as a map that nothing else outdoes; None where there are none."""
        if not self.boxes:
            return None
        return RegionMap.build(
            width_px=width_px, height_px=height_px, regions=self.boxes, provider="manual", confidence=1.0
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """The last decision per kind and target."""

    values: Mapping[tuple[str, str], Any] = field(default_factory=lambda: MappingProxyType({}))
    path: Path | None = None
    """For messages."""

    def hash_for(self, stage: str) -> str:
        """Return 16 hex digits over the decisions that a stage obeys; empty where there are none."""
        kinds = OBEYED_BY.get(stage, ())
        concerned = [
            [kind, target, value]
            for (kind, target), value in sorted(self.values.items(), key=lambda item: item[0])
            if kind in kinds
        ]
        return settings_hash({"decisions": concerned}) if concerned else ""

    def region_boxes(self, image_index: int, *, width_px: int, height_px: int) -> BoxAdjustment:
        """Return the boxes that a person set on an image, cut at its edges.

        Kind ``region_boxes``, target the image index, value ``{region: [x0, y0, x1, y1]}`` in image px, null for a
        region that is not on the image. Raises SchemaError where a value is none of that or a box has no area inside.
        """
        value = self.values.get(("region_boxes", str(image_index)), {})
        try:
            wanted = _BOXES.validate_python(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            self._refuse(f"the boxes of image {image_index} are off: {first['msg']}")
        boxes = {}
        for name, box in wanted.items():
            if box is None:
                continue
            x0, x1 = (min(max(x, 0.0), float(width_px)) for x in (box[0], box[2]))
            y0, y1 = (min(max(y, 0.0), float(height_px)) for y in (box[1], box[3]))
            if not (x0 < x1 and y0 < y1):
                self._refuse(f"the box of {name!r} has no area on image {image_index}")
            boxes[name] = Region.from_box(name, (x0, y0, x1, y1))
        return BoxAdjustment(boxes=boxes, absent=frozenset(n for n, box in wanted.items() if box is None))

    def burned_in(self, image_index: int) -> tuple[tuple[int, int, int, int], ...] | None:
        """Return the boxes to mask on an image, none where a person found nothing to mask; None where nobody looked.

        Kind ``burned_in``, target the image index, value ``"ok"`` or ``[[x0, y0, x1, y1], ...]`` in image px; a box is
        widened to whole pixels. Raises SchemaError where the value is neither.
        """
        value = self.values.get(("burned_in", str(image_index)))
        if value is None or value == "ok":
            return None if value is None else ()
        try:
            boxes = _MASKS.validate_python(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            self._refuse(f"the boxes to mask on image {image_index} are off: {first['msg']}")
        if any(x0 >= x1 or y0 >= y1 for x0, y0, x1, y1 in boxes):
            self._refuse(f"a box to mask on image {image_index} has no area")
        return tuple(
            (math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1)) for x0, y0, x1, y1 in boxes
        )

    def verdict(self) -> Verdict | None:
        """Return what a person said of the whole reading; None where nobody did. Raises SchemaError for another word.

        Kind ``verdict``, target ``reading``, value ``"accept"`` or ``"reject"``.
        """
        value = self.values.get(("verdict", THE_READING))
        if value is not None and value not in get_args(Verdict):
            self._refuse("a verdict is neither accept nor reject")
        return value

    def sentence_bounds(self) -> dict[str, tuple[int, int]]:
        """Return start and end, ns, of the sentences that a person moved, by id.

        Kind ``sentence_bounds``, target the sentence's id, value ``[t_start_ns, t_end_ns]``. Raises SchemaError where a
        value is none of that, or ends before it starts.
        """
        bounds = self._of_kind("sentence_bounds", _BOUNDS)
        if any(start > end for start, end in bounds.values()):
            self._refuse("a sentence's bounds end before they start")
        return bounds

    def sentence_texts(self) -> dict[str, str]:
        """Return the text of the sentences that a person corrected, by id.

        Kind ``sentence_text``, target the sentence's id, value its whole text. Raises SchemaError where it is none.
        """
        return self._of_kind("sentence_text", _TEXT)

    def _of_kind(self, kind: str, adapter: TypeAdapter[_T]) -> dict[str, _T]:
        found = {}
        for (name, target), value in self.values.items():
            if name == kind:
                try:
                    found[target] = adapter.validate_python(value)
                except ValidationError as error:
                    first = error.errors(include_url=False, include_input=False)[0]
                    self._refuse(f"a decision of kind {kind} is off: {first['msg']}")
        return found

    def _refuse(self, message: str) -> NoReturn:
        raise SchemaError(message, path=self.path, code=CODE, hint="Decide it again in `gazecapture review`.")


def read_decisions(folder: Path) -> Decisions:
    """Return the decisions in a reading's folder; none where there is no file.

    A value of null takes back what was decided on that thing before: an undo is a later line, never an edit. A last
    line without its end was being written when its writer died: it does not count. Raises SchemaError where
    any other line is no decision, or the file is larger than any reviewer makes it.
    """
    path = folder / DECISIONS_FILE
    try:
        n_bytes = path.stat().st_size
        content = path.read_bytes() if n_bytes <= MAX_FILE_BYTES else b""
    except FileNotFoundError:
        return Decisions()
    except OSError as error:
        raise as_tool_error(error, path, "reading decisions") from error
    if n_bytes > MAX_FILE_BYTES:
        raise SchemaError(f"it has {n_bytes} bytes, at most {MAX_FILE_BYTES} are read", path=path, code=CODE)
    values: dict[tuple[str, str], Any] = {}
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            decision = _Line.model_validate_json(line)
        except ValidationError as error:
            raise SchemaError("a line is no decision", path=path, record=number, code=CODE) from error
        values[decision.kind, str(decision.target)] = decision.value
    values = {key: value for key, value in values.items() if value is not None}
    return Decisions(values=MappingProxyType(values), path=path)
