"""What the tokens of a radiograph are to say: the names of the findings that lie there, "no" where none does.

A box that is asked for tells a model twenty digits about one place. The same box tells every token of the picture
whether it lies inside: hundreds of answers of one look, which teach it to see long before the digits do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from examples.gazex.data.augment import Motion
from examples.gazex.data.pictures import PictureAt
from examples.gazex.model.processor import Processor, Vision
from examples.gazex.tasks.example import Box, Example

__all__ = ["Said", "SaidPlaces", "covered"]

NOTHING = "no"
"""What a token says where no finding lies: the word that answers "Is there ...?" of one that is absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Words of a picture's tokens, each with its share of what the token says."""

    tokens: torch.Tensor
    """(k,), counted from the picture's first."""
    words: torch.Tensor
    shares: torch.Tensor

    def at(self, place: int, row: Sequence[int], image_id: int) -> torch.Tensor:
        """Return (k, 4): the row's place in a batch, token of the row, word, share."""
        first = row.index(image_id)
        of_row = torch.full_like(self.shares, place)
        return torch.stack([of_row, self.tokens + first, self.words.to(self.shares), self.shares], 1)


class SaidPlaces:
    """What is known of the findings of every radiograph, from the questions asked of it."""

    def __init__(self, examples: Sequence[Example], processor: Processor) -> None:
        self._processor = processor
        self._known: set[PictureAt] = set()
        self._boxes: dict[PictureAt, dict[str, Box]] = defaultdict(dict)
        for example in examples:
            label = example.about("label")
            if label is None or len(example.images) != 1:
                continue
            if example.task == "presence":
                self._known.add(example.images[0])
            elif example.task == "grounding" and isinstance(example.answer[0], Box):
                self._known.add(example.images[0])
                self._boxes[example.images[0]][label] = example.answer[0]

    def on(self, at: PictureAt, image: Vision, motion: Motion) -> Said | None:
        """Return what the tokens of a moved radiograph say; None where nothing was asked of it."""
        if at not in self._known:
            return None
        _, height, width = (side // self._processor.merge for side in image.grid)
        boxes = self._boxes[at]
        shares = np.array([covered(motion.box(box), height, width).ravel() for box in boxes.values()])
        shares = shares.reshape(len(boxes), height * width)
        shares /= np.maximum(shares.sum(0), 1.0)
        names = [self._processor.words(label) for label in boxes]
        tokens, words, parts = [], [], []
        for name, share in zip(
            [*names, self._processor.words(NOTHING)], [*shares, 1 - shares.sum(0)], strict=True
        ):
            inside = np.flatnonzero(share > 0)
            for word in name:
                tokens.append(inside)
                words.append(np.full(len(inside), word))
                parts.append(share[inside] / len(name))
        return Said(
            tokens=torch.from_numpy(np.concatenate(tokens)),
            words=torch.from_numpy(np.concatenate(words)),
            shares=torch.from_numpy(np.concatenate(parts).astype(np.float32)),
        )


def covered(box: Box, height: int, width: int) -> NDArray[np.float64]:
    """Return (height, width): how much of every cell of a picture lies in a box, 0 to 1."""
    across = _overlaps(box.x0, box.x1, width)
    down = _overlaps(box.y0, box.y1, height)
    return np.outer(down, across)


def _overlaps(begin: float, end: float, n: int) -> NDArray[np.float64]:
    cells = np.arange(n)
    found: NDArray[np.float64] = np.clip(
        np.minimum(end * n, cells + 1) - np.maximum(begin * n, cells), 0.0, 1.0
    )
    return found
