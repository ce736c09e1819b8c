"""Prompt templates: TOML files beside this package, rendered by Jinja into texts with places in them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import jinja2
from pydantic import BaseModel, ConfigDict

from curation.export.box_frames import BoxFrame, ResizeLimits, ShownSize, to_frame
from curation.export.tasks.record import Place, Text
from keyframes.errors import ConfigError

__all__ = ["TEMPLATES", "PlaceWriter", "PromptSet", "load_prompts", "neutral"]

TEMPLATES = ("v1", "published")
_MARK = re.compile("\ue000(\\d+)\ue001")
"""A place while Jinja works on the text around it: characters of Unicode's private use area, which no text has."""
_CONTROL = re.compile(r"<(\|?/?[A-Za-z_-]+\|?)>")


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Syntax(_Frozen):
    """How places are written; ``{x0} {y0} {x1} {y1}`` is the box, ``{x} {y}`` the point in it."""

    box: str
    box_and_point: str
    round_to: Literal["nearest", "zero"] = "nearest"
    """zero: cut the fraction off, as the published scripts do."""
    narrowed_percent: Mapping[str, float] = {}
    """By role: each box gets so much narrower in all, as in the published scripts. With ``quarter`` only."""


class Wording(_Frozen):
    """One task."""

    prompt: str
    answer: str


class PromptSet(_Frozen):
    """One file of templates."""

    name: str
    version: str
    syntax: Syntax
    shuffle_numbers_from: int
    """The first of the shown frames has this number in answers of the order tasks."""
    shuffle_answer: Literal["inverse", "shown"]
    """inverse: the numbers of the shown frames in their true order. shown: the true place of each frame as shown."""
    shuffle_separator: str
    tasks: Mapping[str, Wording]

    def render(self, task: str, fields: Mapping[str, Any]) -> tuple[Text, Text]:
        """Return prompt and answer of a task. Raises ConfigError where the template is off."""
        wording = self.tasks[task]
        return self._rendered(wording.prompt, fields), self._rendered(wording.answer, fields)

    def order_answer(self, shown_order: list[int], inverse_order: list[int]) -> str:
        """Return an order, 0-based, as this set writes it."""
        order = inverse_order if self.shuffle_answer == "inverse" else shown_order
        return self.shuffle_separator.join(str(place + self.shuffle_numbers_from) for place in order)

    def _rendered(self, template: str, fields: Mapping[str, Any]) -> Text:
        places: list[Place] = []
        try:
            text = (
                _compiled(template).render({name: _marked(v, places) for name, v in fields.items()}).strip()
            )
        except jinja2.TemplateError as error:
            raise ConfigError(f"prompt template {self.name!r}: {error}") from error
        pieces = _MARK.split(text)
        return tuple(
            places[int(piece)] if number % 2 else piece
            for number, piece in enumerate(pieces)
            if piece or number % 2
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceWriter:
    """Writes a place as text."""

    syntax: Syntax
    frame: BoxFrame
    limits: ResizeLimits

    def __call__(self, place: Place, size: ShownSize) -> str:
        """Return the place on a picture of this size."""
        box, point = self.numbers(place, size)
        names = {"x0": box[0], "y0": box[1], "x1": box[2], "y1": box[3]}
        if point is None:
            return self.syntax.box.format(**names)
        return self.syntax.box_and_point.format(**names, x=point[0], y=point[1])

    def numbers(self, place: Place, size: ShownSize) -> tuple[list[int], list[int] | None]:
        """Return box and point as whole numbers of the frame."""
        if self.frame == "quarter":
            box: tuple[float, ...] = self._narrowed(place)
            point: tuple[float, ...] | None = place.centroid_q or (
                place.centroid and to_frame(place.centroid, self.frame, size, self.limits)
            )
        else:
            box = to_frame(place.box, self.frame, size, self.limits)
            point = place.centroid and to_frame(place.centroid, self.frame, size, self.limits)
        whole = round if self.syntax.round_to == "nearest" else int
        return [whole(v) for v in box], None if point is None else [whole(v) for v in point]

    def _narrowed(self, place: Place) -> tuple[float, ...]:
        x0, y0, x1, y1 = place.box_q or _quartered(place.box)
        share = self.syntax.narrowed_percent.get(place.role, 0.0) / 100 / 2
        dx, dy = (x1 - x0) * share, (y1 - y0) * share
        return x0 + dx, y0 + dy, x1 - dx, y1 - dy


@cache
def load_prompts(name: str) -> PromptSet:
    """Return a packaged set of templates."""
    text = files("curation.export").joinpath("prompts", f"{name}.toml").read_text(encoding="utf-8")
    return PromptSet.model_validate(tomllib.loads(text))


def neutral(text: str) -> str:
    """Return a text in which nothing is taken for a control token by a trainer, such as ``<image>``.

    >>> neutral("see <image> and <|im_end|>")
    'see (image) and (|im_end|)'
    """
    return _CONTROL.sub(r"(\1)", text)


def _quartered(box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    """Return the pixels of the quarter-size picture that a box covers, both ends included."""
    x0, y0, x1, y1 = box
    last_x, last_y = -int(-x1 // 4) - 1, -int(-y1 // 4) - 1
    return int(x0 // 4), int(y0 // 4), max(last_x, int(x0 // 4)), max(last_y, int(y0 // 4))


@cache
def _compiled(template: str) -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=False,  # noqa: S701  # plain text for a model, never a page
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.from_string(template)


def _marked(value: Any, places: list[Place]) -> Any:
    """Return the value with every place replaced by a mark, and every text without control tokens."""
    if isinstance(value, Place):
        places.append(value)
        return f"\ue000{len(places) - 1}\ue001"
    if isinstance(value, str):
        return neutral(value)
    if isinstance(value, Mapping):
        return {name: _marked(member, places) for name, member in value.items()}
    return [_marked(member, places) for member in value] if isinstance(value, list | tuple) else value
