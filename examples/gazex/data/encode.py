"""Examples to tensors, and tensors to batches."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from examples.gazex.config import DataSettings
from examples.gazex.data.augment import Motion
from examples.gazex.data.lighting import gaze_map, lit
from examples.gazex.data.pictures import Grey, PictureAt, PictureStore
from examples.gazex.data.said import Said, SaidPlaces
from examples.gazex.model.processor import IMAGE_TYPE, VIDEO_TYPE, Processor, Vision, plain
from examples.gazex.tasks.example import Example, Frame, Points, Text, at_most
from examples.gazex.tasks.example import written as written_piece
from examples.gazex.tasks.names import AT_MOST, SHORT

__all__ = ["IGNORED", "Encoded", "ExampleDataset", "collate"]

IGNORED = -100
"""Label of what is not trained: the question, the pictures, padding."""
GIVEN_WEIGHT = 0.1
"""Of a token that the grammar or the question gives away, beside one that says something."""
ANY_SHORT = "findings"
"""Asked beside a question that is not short itself."""
CHARACTERS_PER_TOKEN = 4
"""For sorting by length only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusMap:
    """Tokens of an answer, and the share of the gaze on every token of the first image, or of the key frames."""

    tokens: tuple[int, int]
    """First, and one after the last, counted from the answer's first token."""
    shares: torch.Tensor
    kind: int = IMAGE_TYPE
    """Of the tokens that the shares are of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Another question on the same picture: its tokens after the picture's, and its answer's."""

    question: list[int]
    answer: list[int]
    counts: list[float]
    focus: tuple[FocusMap, ...]
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """One example as tensors.

    beside : further questions on its picture; none of them sees another, each stands right after the picture.
    share  : what this question counts beside those: every task alike, and every question of a task.
    """

    prompt: list[int]
    answer: list[int]
    counts: list[float]
    """What each token of the answer counts beside the others."""
    images: list[Vision]
    video: Vision | None
    focus: tuple[FocusMap, ...]
    n_question: int = 0
    """Last tokens of ``prompt`` that are the question."""
    beside: tuple[Beside, ...] = ()
    share: float = 1.0
    said: Said | None = None
    """What the tokens of the first image are to say; None where nothing is known of it, and outside of training."""
    said_of_frames: Said | None = None
    """The same of the key frames' tokens."""


class ExampleDataset(Dataset[Encoded]):
    """Gives example i, moved at random by draw number d: ``dataset[i, d]``; ``d`` = None leaves it as it is."""

    def __init__(
        self,
        examples: Sequence[Example],
        paths: list[Path],
        processor: Processor,
        settings: DataSettings,
        seed: int = 0,
    ) -> None:
        self.examples, self.processor, self.settings, self.seed = examples, processor, settings, seed
        self.paths = paths
        self.store = PictureStore(paths, settings.picture_cache_mb)
        self._said = SaidPlaces(examples, processor)
        self._short: dict[tuple[PictureAt, str], list[int]] = defaultdict(list)
        for index, example in enumerate(examples):
            if example.task in SHORT and len(example.images) == 1:
                self._short[example.images[0], SHORT[example.task]].append(index)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, place: tuple[int, int | None]) -> Encoded:
        index, draw = place
        example = self.examples[index]
        motion = (
            Motion()
            if draw is None
            else Motion.drawn(np.random.default_rng([self.seed, 4, draw]), self.settings.augment)
        )
        pictures = [
            motion.picture(self.store.get(at, self.settings.image_max_px, self.processor.multiple))
            for at in (() if example.frames_alone else example.images)
        ]
        images = [self.processor.image(picture) for picture in pictures]
        frames = at_most(example.frames, self.settings.max_frames)
        video = self.processor.video(self._lit(example, frames, motion)) if frames else None
        answer, counts, focus = self._answer(example, motion, images, video)
        others = [] if draw is None else self._asked_beside(index, draw)
        n_of_task = Counter(self.examples[k].task for k in (index, *others))
        share = {task: 1 / (len(n_of_task) * n) for task, n in n_of_task.items()}
        question = "".join(written(motion.text(example.prompt)))
        return Encoded(
            prompt=self.processor.prompt_ids(video, images, question),
            answer=answer,
            counts=counts,
            images=images,
            video=video,
            focus=focus,
            n_question=len(self.processor.question_ids(question)) if others else 0,
            beside=tuple(self._beside(self.examples[k], motion, images, share) for k in others),
            share=share[example.task],
            said=self._said.on(example.images[0], images[0], motion) if images and draw is not None else None,
            said_of_frames=(
                self._said.on_frames(example.images[0], frames, video, motion)
                if video is not None and example.images and draw is not None
                else None
            ),
        )

    def _beside(
        self, example: Example, motion: Motion, images: Sequence[Vision], share: Mapping[str, float]
    ) -> Beside:
        question = "".join(written(motion.text(example.prompt)))
        answer, counts, focus = self._answer(example, motion, images)
        return Beside(
            question=self.processor.question_ids(question),
            answer=answer,
            counts=counts,
            focus=focus,
            share=share[example.task],
        )

    def _answer(
        self, example: Example, motion: Motion, images: Sequence[Vision], video: Vision | None = None
    ) -> tuple[list[int], list[float], tuple[FocusMap, ...]]:
        """Return an answer's tokens, what each counts, and where a reader looked for them."""
        pieces = self.processor.piece_ids(written(motion.text(example.answer)))
        starts = np.cumsum([0, *map(len, pieces)])
        focus = []
        for f in example.focus:
            vision = images[0] if f.frame is None and images else video
            if vision is None:
                continue
            focus.append(
                FocusMap(
                    tokens=(int(starts[f.start]), int(starts[f.start + 1])),
                    shares=self._shares(motion.points(f.points), vision, f.frame),
                    kind=IMAGE_TYPE if f.frame is None else VIDEO_TYPE,
                )
            )
        answer = [token for piece in pieces for token in piece]
        counts = self.processor.weights(answer)
        for k in example.given:
            counts[starts[k] : starts[k + 1]] = [GIVEN_WEIGHT] * len(pieces[k])
        return answer, counts, tuple(focus)

    def lengths(self) -> list[int]:
        """Return about how many tokens every example has, without opening a picture."""
        tokens_px = self.processor.multiple**2
        per_image, per_frame = (
            self.settings.image_max_px // tokens_px,
            self.settings.frame_max_px // tokens_px,
        )
        return [
            per_image * len(() if e.frames_alone else e.images)
            + per_frame * min(len(e.frames), self.settings.max_frames)
            + sum(len(written([p])[0]) for p in (*e.prompt, *e.answer)) // CHARACTERS_PER_TOKEN
            for e in self.examples
        ]

    def _asked_beside(self, index: int, draw: int) -> list[int]:
        """Return other short questions on an example's picture, in a random order."""
        example = self.examples[index]
        if self.settings.questions_per_picture == 1 or example.frames or len(example.images) != 1:
            return []
        kind = SHORT.get(example.task, ANY_SHORT)
        others = [k for k in self._short[example.images[0], kind] if k != index]
        order = np.random.default_rng([self.seed, 5, draw]).permutation(len(others))
        limit = min(
            self.settings.questions_per_picture, AT_MOST.get(kind, self.settings.questions_per_picture)
        )
        return [others[k] for k in order[: limit - 1]]

    def _lit(self, example: Example, frames: Sequence[Frame], motion: Motion) -> list[Grey]:
        """Return key frames as the model sees them."""
        multiple, limit = self.processor.multiple, self.settings.frame_max_px
        made: list[Grey] = []
        for frame in frames:
            if self.settings.frames == "stored" and frame.stored is not None:
                grey = self.store.get(frame.stored, limit, multiple)
            else:
                grey = lit(self.store.get(example.images[0], limit, multiple), frame.points)
            # Twice, so that no two frames share a temporal patch: their order could not be told.
            made += [motion.picture(grey)] * self.processor.temporal
        return made

    def _shares(self, points: Points, vision: Vision, frame: int | None) -> torch.Tensor:
        """Return the share of the gaze on every token of a radiograph, or of key frames where one is lit by it."""
        _, height, width = (side // self.processor.merge for side in vision.grid)
        heat = gaze_map(points, height, width).ravel()
        total = heat.sum()
        if frame is not None:
            of_frame = heat
            heat = np.zeros((vision.grid[0], height * width), np.float32)
            heat[frame] = of_frame
            heat = heat.ravel()
        return torch.from_numpy(heat / total if total > 0 else heat)


def written(text: Text | Sequence[Any]) -> list[str]:
    """Return the pieces of a text as strings; control tokens only where a box is."""
    return [plain(piece) if isinstance(piece, str) else written_piece(piece) for piece in text]


def collate(
    items: Sequence[Encoded], processor: Processor, *, for_generation: bool = False
) -> dict[str, Any]:
    """Return a batch: padded on the right with answers, on the left without where it is to be continued.

    ``made_s`` tells how long the batch took to make, ``focus`` is what the gaze's loss is given, None without any,
    ``weights`` what each token of an answer counts in its row. Where questions stand side by side ``turns`` tells
    of every token to which it belongs, from 1; 0 is what all of them see.
    """
    begun = time.perf_counter()
    rows = [item.prompt if for_generation else _row(item) for item in items]
    length = max(map(len, rows))
    ids = torch.full((len(rows), length), processor.pad_id, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    labels = torch.full((len(rows), length), IGNORED, dtype=torch.long)
    kinds = torch.zeros((len(rows), length), dtype=torch.int32)
    weights = torch.zeros((len(rows), length))
    turns = torch.zeros((len(rows), length), dtype=torch.int32)
    focus: list[tuple[int, int, int, int, torch.Tensor]] = []
    said = []
    for place, (row, item) in enumerate(zip(rows, items, strict=True)):
        at = slice(length - len(row), length) if for_generation else slice(0, len(row))
        ids[place, at] = torch.tensor(row)
        mask[place, at] = 1
        kinds[place, at] = torch.tensor(processor.types(row), dtype=torch.int32)
        if not for_generation:
            first = len(item.prompt)
            begin = first - item.n_question
            asked = [(item.n_question, item.answer, item.counts, item.focus, item.share)]
            asked += [(len(o.question), o.answer, o.counts, o.focus, o.share) for o in item.beside]
            for turn, (n_question, answer, counted, looked, share) in enumerate(asked, start=1):
                answered = begin + n_question
                end = answered + len(answer)
                turns[place, begin:end] = turn
                labels[place, answered:end] = ids[place, answered:end]
                counts = torch.tensor(counted)
                weights[place, answered:end] = share * counts / counts.sum()
                focus += [
                    (place, answered + f.tokens[0], answered + f.tokens[1], f.kind, f.shares) for f in looked
                ]
                begin = end
            if item.said is not None:
                said.append(item.said.at(place, row, processor.image_id))
            if item.said_of_frames is not None:
                said.append(item.said_of_frames.at(place, row, processor.video_id))
    batch: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "mm_token_type_ids": kinds}
    if not for_generation:
        batch["labels"], batch["weights"] = labels, weights
        if any(item.beside for item in items):
            batch["turns"] = turns
    images = [image for item in items for image in item.images]
    videos = [item.video for item in items if item.video is not None]
    for name, grids, visions in (
        ("pixel_values", "image_grid_thw", images),
        ("pixel_values_videos", "video_grid_thw", videos),
    ):
        if visions:
            batch[name] = torch.cat([v.patches for v in visions])
            batch[grids] = torch.tensor([v.grid for v in visions])
    batch["focus"] = _together(focus)
    batch["said"] = torch.cat(said) if said else None
    batch["collate_s"] = time.perf_counter() - begun
    return batch


def _together(
    focus: Sequence[tuple[int, int, int, int, torch.Tensor]],
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return (k, 5), row, first and last token, kind and number of shares of every focus, and (k, m), the shares.

    Two tensors pass from process to process sooner than many small ones.
    """
    if not focus:
        return None
    spans = torch.tensor([(*span, len(shares)) for *span, shares in focus])
    return spans, pad_sequence([shares for *_, shares in focus], batch_first=True)


def _row(item: Encoded) -> list[int]:
    beside = (token for other in item.beside for token in (*other.question, *other.answer))
    return [*item.prompt, *item.answer, *beside]
