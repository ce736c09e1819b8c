"""What a reviewer sees and does, without Qt: one reading at one moment, layers, a selection, decisions and their undo.

The window draws this and hands keys and drags to it; nothing here waits for a file, except for the one line that a
decision is, where its writer is not a thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gazecapture.viewer.review.book import THE_READING, Box, DecisionBook
from gazecapture.viewer.review.source import Material
from gazecapture.viewer.review.timeline import Moment, Sentence, Timeline
from keyframes.errors import UsageError
from keyframes.looks import image_sizes

__all__ = ["LAYERS", "Layer", "Mode", "RegionBox", "ReviewModel"]

Layer = Literal["gaze", "fixations", "scanpath", "heat", "keyframes", "regions"]
LAYERS: tuple[Layer, ...] = ("gaze", "fixations", "scanpath", "heat", "keyframes", "regions")
Mode = Literal["look", "regions", "text"]
"""look: along the time. regions: boxes of regions are moved. text: text in the pixels is confirmed or masked."""
STEP_NS = 100_000_000
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)
SHORTEST_SENTENCE_NS = 50_000_000
"""A spoken word lasts longer."""
NEW_BOX_SHARE = 0.15
"""Of the image's shorter side: a box that comes by key, to be moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionBox:
    """A region of the template on one image."""

    name: str
    letter: str
    box: Box
    provider: str
    is_decided: bool = False
    is_absent: bool = False
    """A person said that it is not on the image."""


class ReviewModel:
    """One reading under review.

    Parameters
    ----------
    material : with the tables of `gazecapture.viewer.review.derived.completed`.
    book     : its decisions.
    found_text : text in the pixels by image index, where somebody looked for it.
    """

    def __init__(
        self,
        material: Material,
        book: DecisionBook,
        *,
        found_text: Mapping[int, Sequence[Sequence[float]]] | None = None,
    ) -> None:
        self.material = material
        self.book = book
        self.timeline = Timeline(material.reading)
        self.sizes = image_sizes(material.reading.table("images"))
        self.found_text = {i: [_as_box(b) for b in boxes] for i, boxes in (found_text or {}).items()}
        self.t_ns = self.timeline.clamped(0)
        self.is_playing = False
        self.speed = 1.0
        self.layers: set[Layer] = {"gaze", "fixations", "regions"}
        self.as_it_was = True
        """Show the display as the reader had it; else the whole image."""
        self.mode: Mode = "look"
        self.image_index = min(self.sizes, default=0)
        self.selected_sentence = ""
        """Id; empty where none is."""
        self.selected_box = 0
        """Place among the boxes of the mode."""
        self.boxes: list[Box] = []
        """Those to be masked, in mode ``text``, until they are decided."""
        self.edited: dict[str, Box | None] = {}
        """By region, in mode ``regions``, until they are decided."""
        self.refresh()

    # Time

    @property
    def moment(self) -> Moment:
        """What was now."""
        return self.timeline.at(self.t_ns)

    def seek(self, t_ns: int) -> None:
        """Go to a moment; beyond the reading's ends to the nearer one."""
        self.t_ns = self.timeline.clamped(t_ns)
        shown = self.timeline.display_at(self.t_ns)
        if self.mode == "look" and shown:
            indexes = [row["image_index"] for row in shown]
            if self.image_index not in indexes:
                self.image_index = indexes[0]

    def advance(self, elapsed_s: float) -> None:
        """Let the time go on while it plays; it stops at the end."""
        if not self.is_playing:
            return
        self.seek(self.t_ns + round(elapsed_s * self.speed * 1e9))
        self.is_playing = self.t_ns < self.timeline.end_ns

    def play(self, *, on: bool) -> None:
        """Play or pause; from the end it begins anew."""
        if on and self.t_ns >= self.timeline.end_ns:
            self.seek(self.timeline.start_ns)
        self.is_playing = on

    def change_speed(self, steps: int) -> None:
        """Play faster or slower."""
        place = SPEEDS.index(self.speed) + steps
        self.speed = SPEEDS[min(max(place, 0), len(SPEEDS) - 1)]

    def step_fixation(self, direction: int) -> None:
        """Go to the start of the next or the previous fixation."""
        find = self.timeline.next_fixation if direction > 0 else self.timeline.previous_fixation
        self.seek(find(self.t_ns))

    # Sentences

    @property
    def sentence(self) -> Sentence | None:
        """The one that is selected."""
        return next((s for s in self.timeline.sentences if s.sentence_id == self.selected_sentence), None)

    def step_sentence(self, direction: int) -> None:
        """Select the next or the previous sentence and go to its start."""
        sentences = self.timeline.sentences
        if not sentences:
            return
        place = next((k for k, s in enumerate(sentences) if s.sentence_id == self.selected_sentence), None)
        if place is None:
            later = (k for k, s in enumerate(sentences) if s.t_start_ns >= self.t_ns)
            place = next(later, len(sentences) - 1) - (1 if direction > 0 else 0)
        self.select_sentence(sentences[min(max(place + direction, 0), len(sentences) - 1)].sentence_id)

    def select_sentence(self, sentence_id: str) -> None:
        """Select a sentence and go to its start."""
        self.selected_sentence = sentence_id
        if self.sentence is not None:
            self.seek(self.sentence.t_start_ns)

    def move_bound(self, edge: Literal["start", "end"], t_ns: int) -> bool:
        """Move a bound of the selected sentence to ``t_ns``, at least `SHORTEST_SENTENCE_NS` from the other one.

        Says False where nothing changed. Raises UsageError where no sentence is selected.
        """
        one = self._the_sentence()
        start, end = one.t_start_ns, one.t_end_ns
        if edge == "start":
            start = min(t_ns, end - SHORTEST_SENTENCE_NS)
        else:
            end = max(t_ns, start + SHORTEST_SENTENCE_NS)
        return self._decide("sentence_bounds", one.sentence_id, [start, end])

    def correct_text(self, text: str) -> bool:
        """Give the selected sentence another text. Raises UsageError for an empty one, or where none is selected."""
        one = self._the_sentence()
        if " ".join(text.split()) == one.text:
            return False
        return self._decide("sentence_text", one.sentence_id, text)

    def _the_sentence(self) -> Sentence:
        if self.sentence is None:
            raise UsageError("no sentence is selected", hint="Up and down select one.")
        return self.sentence

    # The reading

    @property
    def verdict(self) -> str:
        """What a person said of the reading: accept, reject, or nothing."""
        return self.book.standing("verdict", THE_READING) or ""

    def accept(self, reason: str = "") -> bool:
        """Accept the reading, whatever the gates of the quality stage say."""
        return self._decide("verdict", THE_READING, "accept", reason)

    def reject(self, reason: str) -> bool:
        """Reject the reading. Raises UsageError without a reason."""
        return self._decide("verdict", THE_READING, "reject", reason)

    def undo(self) -> bool:
        """Discard what is not decided yet, else take back the last decision; say whether there was anything."""
        if self.edited or self.boxes != self._masks():
            self._begin_editing()
            return True
        back = self.book.undo()
        self.refresh()
        return back is not None

    # Regions and text in the pixels

    def enter(self, mode: Mode) -> None:
        """Change what drags and arrows mean; what was not decided is discarded."""
        self.mode = mode
        self.is_playing = False
        if mode == "regions":
            self.layers.add("regions")
        self._begin_editing()

    def show_image(self, step: int) -> None:
        """Go to the next or the previous image of the study; what was not decided is discarded."""
        indexes = sorted(self.sizes)
        if indexes:
            self.image_index = indexes[(indexes.index(self.image_index) + step) % len(indexes)]
        self._begin_editing()

    @property
    def regions(self) -> list[RegionBox]:
        """The image's regions with the boxes that count, largest first."""
        decided = self.book.standing("region_boxes", str(self.image_index)) or {}
        rows = [
            row
            for row in self.material.reading.table("regions").to_pylist()
            if row["image_index"] == self.image_index
        ]
        letters = {row["region"]: row["letter"] for row in rows}
        boxes: dict[str, Box] = {row["region"]: _as_box(row["box"]) for row in rows}
        found = []
        for name in [*boxes, *(n for n in decided if n not in boxes)]:
            changed = {**decided, **self.edited}
            box = changed.get(name, boxes.get(name))
            found.append(
                RegionBox(
                    name=name,
                    letter=letters.get(name, ""),
                    box=_as_box(box if box is not None else boxes.get(name, (0.0, 0.0, 1.0, 1.0))),
                    provider=next((row["provider"] for row in rows if row["region"] == name), "manual"),
                    is_decided=name in changed,
                    is_absent=box is None,
                )
            )
        return sorted(found, key=lambda one: (-_area(one.box), one.name))

    @property
    def selected_region(self) -> RegionBox | None:
        """The region that is moved by arrows and drags."""
        regions = self.regions
        return regions[self.selected_box % len(regions)] if regions else None

    def select_region(self, name: str) -> None:
        """Select a region by name."""
        self.selected_box = next((k for k, one in enumerate(self.regions) if one.name == name), 0)

    def step_box(self, direction: int) -> None:
        """Select the next or the previous box."""
        n = len(self.regions) if self.mode == "regions" else len(self.boxes)
        self.selected_box = (self.selected_box + direction) % n if n else 0

    def set_box(self, box: Box) -> None:
        """Give the selected region or mask another box, cut at the image's edges."""
        box = self._within(box)
        if self.mode == "regions" and (region := self.selected_region) is not None:
            self.edited[region.name] = box
            self.select_region(region.name)
        elif self.mode == "text" and self.boxes:
            self.boxes[self.selected_box % len(self.boxes)] = box

    def move_box(self, dx: float, dy: float, *, size: bool = False) -> None:
        """Move the selected box, or its lower right corner, by shares of the image's shorter side."""
        box = self.current_box
        if box is None:
            return
        x, y = (share * min(self.sizes[self.image_index]) for share in (dx, dy))
        x0, y0, x1, y1 = box
        self.set_box((x0, y0, x1 + x, y1 + y) if size else (x0 + x, y0 + y, x1 + x, y1 + y))

    @property
    def current_box(self) -> Box | None:
        """The box that arrows move."""
        if self.mode == "regions":
            region = self.selected_region
            return None if region is None else region.box
        return self.boxes[self.selected_box % len(self.boxes)] if self.mode == "text" and self.boxes else None

    def add_box(self, box: Box | None = None) -> None:
        """Add a box to be masked, at the image's middle where none is given."""
        width, height = self.sizes[self.image_index]
        if box is None:
            half = NEW_BOX_SHARE * min(width, height) / 2
            box = (width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half)
        self.boxes.append(self._within(box))
        self.selected_box = len(self.boxes) - 1

    def remove_box(self) -> None:
        """Say that the selected region is not on the image (once more: that it is), or remove the selected mask."""
        if self.mode == "regions" and (region := self.selected_region) is not None:
            self.edited[region.name] = region.box if region.is_absent else None
            self.select_region(region.name)
        elif self.mode == "text" and self.boxes:
            del self.boxes[self.selected_box % len(self.boxes)]
            self.selected_box = max(0, self.selected_box - 1)

    def save_boxes(self) -> bool:
        """Decide what was changed in mode ``regions`` or ``text``; say False where nothing was."""
        target = str(self.image_index)
        if self.mode == "regions" and self.edited:
            before = self.book.standing("region_boxes", target) or {}
            wanted = {**before, **{n: None if b is None else list(b) for n, b in self.edited.items()}}
            self.edited = {}
            return self._decide("region_boxes", target, wanted)
        if self.mode == "text" and self.boxes:
            return self._decide("burned_in", target, [list(box) for box in self.boxes])
        return False

    def nothing_names_anybody(self) -> bool:
        """Decide that the image's pixels carry nothing that names anybody."""
        return self._decide("burned_in", str(self.image_index), "ok")

    @property
    def text_state(self) -> str:
        """What is known of text in the image's pixels, in words."""
        decided = self.book.standing("burned_in", str(self.image_index))
        if decided is not None:
            return "nothing names anybody" if decided == "ok" else f"{len(decided)} boxes are masked"
        found = self.found_text.get(self.image_index)
        return "not looked for" if found is None else f"{len(found)} lines found, nobody has decided"

    def refresh(self) -> None:
        """Take over what is decided."""
        bounds = {
            s.sentence_id: value
            for s in self.timeline.sentences
            if (value := self.book.standing("sentence_bounds", s.sentence_id)) is not None
        }
        texts = {
            s.sentence_id: value
            for s in self.timeline.sentences
            if (value := self.book.standing("sentence_text", s.sentence_id)) is not None
        }
        self.timeline.decide_sentences({k: (v[0], v[1]) for k, v in bounds.items()}, texts)
        self._begin_editing()

    def _begin_editing(self) -> None:
        self.edited = {}
        self.boxes = self._masks()
        self.selected_box = 0 if self.mode != "regions" else self.selected_box

    def _masks(self) -> list[Box]:
        decided = self.book.standing("burned_in", str(self.image_index))
        if decided is None:
            return list(self.found_text.get(self.image_index, ()))
        return [] if decided == "ok" else [_as_box(box) for box in decided]

    def _within(self, box: Box) -> Box:
        width, height = self.sizes[self.image_index]
        x0, x1 = sorted((box[0], box[2]))
        y0, y1 = sorted((box[1], box[3]))
        x0, y0 = min(max(x0, 0.0), width - 1.0), min(max(y0, 0.0), height - 1.0)
        return x0, y0, max(min(x1, float(width)), x0 + 1), max(min(y1, float(height)), y0 + 1)

    def _decide(self, kind: str, target: str, value: Any, reason: str = "") -> bool:
        made = self.book.decide(kind, target, value, reason=reason)
        self.refresh()
        return made


def _as_box(box: Sequence[float]) -> Box:
    x0, y0, x1, y1 = map(float, box)
    return x0, y0, x1, y1


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
