"""What the tokens of pictures are to say: the findings that lie there, "no" where none does, the region's letter.

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
from examples.gazex.data.lighting import lights
from examples.gazex.data.pictures import PictureAt
from examples.gazex.model.processor import Processor, Vision
from examples.gazex.tasks.example import Box, Example, Frame, Level, written

__all__ = ["Said", "SaidPlaces", "covered"]

FINDING_SHARE, LEVEL_SHARE = 0.4, 0.3
"""Of what a lit token says: the name of a finding that lies there, and how far down it is; the rest is the letter of
what was looked at."""
REGION_SHARE = 0.3
"""Of what a token of a radiograph without a finding says, the letter of the region."""
DARK_SHARE = 0.1
"""What a dark token of a key frame counts: there are some eight of them for a lit one, and all say the same."""
NOTHING = "no"
"""What a token says where no finding lies: the word that answers "Is there ...?" of one that is absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Words of a picture's tokens, each with its share of what the token says."""

    tokens: torch.Tensor
    """(k,), counted from the picture's first; of key frames, from the first of the first."""
    words: torch.Tensor
    shares: torch.Tensor
    """Of a radiograph's token they add up to 1; what a key frame's token counts is between `DARK_SHARE` and 1."""

    def at(self, place: int, row: Sequence[int], kind_id: int) -> torch.Tensor:
        """Return (k, 4): the row's place in a batch, token of the row, word, share.

        kind_id : the token that stands for a piece of a picture, or of a key frame.
        """
        shown = torch.tensor([at for at, token in enumerate(row) if token == kind_id])
        of_row = torch.full_like(self.shares, place)
        return torch.stack(
            [of_row, shown[self.tokens].to(self.shares), self.words.to(self.shares), self.shares], 1
        )


class SaidPlaces:
    """What is known of every radiograph, from the questions asked of it: its findings and its regions."""

    def __init__(self, examples: Sequence[Example], processor: Processor) -> None:
        self._processor = processor
        self._known: set[PictureAt] = set()
        self._boxes: dict[PictureAt, dict[str, Box]] = defaultdict(dict)
        self._anatomy: dict[PictureAt, tuple[tuple[str, Box], ...]] = {}
        for example in examples:
            self._anatomy |= dict.fromkeys(example.images[:1], example.anatomy)
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
        names, shares = self._findings(at, image, motion)
        well = 1 - shares.sum(0)
        letters = {
            letter: REGION_SHARE * well * cells for letter, cells in self._letters(at, image, motion).items()
        }
        nothing = well - sum(letters.values(), np.zeros_like(well))
        return self._said([*zip(names, shares, strict=True), *letters.items(), (NOTHING, nothing)])

    def on_frames(self, at: PictureAt, frames: Sequence[Frame], video: Vision, motion: Motion) -> Said | None:
        """Return what the tokens of moved key frames of a radiograph say; None where nothing was asked of it.

        Where one is lit, the findings that lie there, how far down that is and the letter of what was looked at; where
        it is dark, nothing. Of one that is not known to be lit anywhere nothing is taught.
        """
        if at not in self._known or not any(len(frame.points) for frame in frames):
            return None
        names, shares = self._findings(at, video, motion)
        height, width = self._cells(video)
        levels = [written(Level(share=(row + 0.5) / height)) for row in range(height) for _ in range(width)]
        says: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros((len(frames), len(levels))))
        for place, frame in enumerate(frames):
            if not len(frame.points):
                continue
            light = lights(motion.points(frame.points), height, width).ravel()
            for name, share in zip(names, shares, strict=True):
                says[name][place] = FINDING_SHARE * light * share
            says[NOTHING][place] = DARK_SHARE * (1 - light)
            says[frame.letter or NOTHING][place] += light * (1 - LEVEL_SHARE - FINDING_SHARE * shares.sum(0))
            for cell, level in enumerate(levels):
                says[level][place, cell] += LEVEL_SHARE * light[cell]
        return self._said([(name, of_frames.ravel()) for name, of_frames in says.items()])

    def _findings(
        self, at: PictureAt, vision: Vision, motion: Motion
    ) -> tuple[list[str], NDArray[np.float64]]:
        """Return the findings of a radiograph, and (findings, cells): what share of a cell each takes."""
        height, width = self._cells(vision)
        boxes = self._boxes[at]
        shares = np.array([covered(motion.box(box), height, width).ravel() for box in boxes.values()])
        shares = shares.reshape(len(boxes), height * width)
        return list(boxes), shares / np.maximum(shares.sum(0), 1.0)

    def _letters(self, at: PictureAt, vision: Vision, motion: Motion) -> dict[str, NDArray[np.bool_]]:
        """Return by letter the cells whose middle lies in a region of it: in the smallest of those that hold it."""
        height, width = self._cells(vision)
        down, across = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
        found = np.full((height, width), "", "U1")
        for letter, box in self._anatomy.get(at, ()):
            moved = motion.box(box)
            rows = (down >= moved.y0) & (down < moved.y1)
            found[np.ix_(rows, (across >= moved.x0) & (across < moved.x1))] = letter
        return {str(letter): (found == letter).ravel() for letter in np.unique(found) if letter}

    def _cells(self, vision: Vision) -> tuple[int, int]:
        """Return how many tokens a picture has down and across."""
        return vision.grid[1] // self._processor.merge, vision.grid[2] // self._processor.merge

    def _said(self, says: Sequence[tuple[str, NDArray[np.float64]]]) -> Said:
        tokens, words, parts = [], [], []
        for name, share in says:
            inside = np.flatnonzero(share > 0)
            name_words = self._processor.words(name)
            for word in name_words:
                tokens.append(inside)
                words.append(np.full(len(inside), word))
                parts.append(share[inside] / len(name_words))
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
