"""Pictures and texts to tensors, without torchvision: equal to what the Hugging Face processors make.

The pictures come already resized and grey (`data.pictures`), so there are 256 shades: the library's PIL image processor
normalises these once, and pictures are looked up in them and cut into patches, to the last bit as it would. A key-frame
sequence is a video: pairs of frames share a temporal patch, so every frame is given twice where each is to have tokens
of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from examples.gazex.errors import TrainerError

__all__ = ["IMAGE_TYPE", "VIDEO_TYPE", "WORDS_AROUND", "Processor", "Vision"]

IMAGE_TYPE, VIDEO_TYPE = 1, 2
"""Of ``mm_token_type_ids``; 0 is text."""

USER_HEAD = "<|im_start|>user\n"
ANSWER_HEAD = "<|im_end|>\n<|im_start|>assistant\n"
WORDS_AROUND = "user\nassistant\n<1.2 seconds>"
"""What stands around every question and before every key frame, but for control tokens: a tokenizer that has not met
these words spells them letter by letter, an eighth of all that a small model reads."""
PLACE_WEIGHTS = (0.1, 0.1, 0.5, 1.0, 0.1)
"""Of a sign, of ones, tens and hundreds of thousandths of a side, and of the first digit of 1000. What all boxes share,
and digits that are worth less than a pixel, else are most of the loss of a box."""

KNOWN_TEXTS = 4_000
"""Texts whose tokens are kept: the same few questions are asked of every picture, again and again."""

Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vision:
    """Patches of one picture or sequence."""

    patches: torch.Tensor
    """(t h w, channels x temporal x patch x patch), float32."""
    grid: tuple[int, int, int]

    def n_tokens(self, merge: int) -> int:
        """Return how many tokens of the language model they become."""
        t, h, w = self.grid
        return t * h * w // merge**2


class Processor:
    """Tokenizer and image processor of one model."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        *,
        patch: int,
        merge: int,
        temporal: int,
        mean: Sequence[float],
        std: Sequence[float],
        family: str,
    ) -> None:
        self.tokenizer, self.family = tokenizer, family
        self.patch, self.merge, self.temporal = patch, merge, temporal
        self.mean, self.std = tuple(mean), tuple(std)
        self._image = Qwen2VLImageProcessorPil(
            patch_size=patch,
            merge_size=merge,
            temporal_patch_size=temporal,
            image_mean=list(mean),
            image_std=list(std),
            do_resize=False,
        )
        shades = np.tile(np.arange(256, dtype=np.uint8), (len(self.mean), 1, 1))
        self._shades: NDArray[np.float32] = self._image.normalize(
            self._image.rescale(shades, self._image.rescale_factor), list(mean), list(std)
        ).reshape(len(self.mean), 256)
        """Of every channel and grey value, what the model is given."""
        self._known: dict[str, tuple[int, ...]] = {}
        ids: Any = tokenizer.convert_tokens_to_ids(
            ["<|image_pad|>", "<|video_pad|>", "<|im_end|>", "<|endoftext|>"]
        )
        self.image_id, self.video_id, self.end_id, self.pad_id = ids
        self._box: Any = tokenizer.convert_tokens_to_ids(["<|box_start|>", "<|box_end|>"])
        self._digits = frozenset(tokenizer.convert_tokens_to_ids(list("0123456789")))
        if None in ids:
            raise TrainerError(
                "the tokenizer lacks Qwen's control tokens",
                code="GX-TOKENIZER",
                hint="Give the folder of a Qwen2-VL, Qwen2.5-VL or Qwen3-VL model.",
            )

    @property
    def multiple(self) -> int:
        """Px that both sides of a picture must be a multiple of."""
        return self.patch * self.merge

    def image(self, grey: Grey) -> Vision:
        """Return the patches of one picture."""
        return self._looked_up(self._cut(grey)[None, None], grey)

    def video(self, frames: Sequence[Grey]) -> Vision:
        """Return the patches of frames of one size; the last is repeated to fill its temporal patch."""
        full = [*frames, *[frames[-1]] * (-len(frames) % self.temporal)]
        cut = np.stack([self._cut(frame) for frame in full])
        return self._looked_up(cut.reshape(-1, self.temporal, *cut.shape[1:]), frames[0])

    def _cut(self, grey: Grey) -> Grey:
        """Return (h w, patch^2): patches in the library's order, those that become one token together."""
        down, across = (side // self.multiple for side in grey.shape)
        blocks = grey.reshape(down, self.merge, self.patch, across, self.merge, self.patch)
        return blocks.transpose(0, 3, 1, 4, 2, 5).reshape(-1, self.patch**2)

    def _looked_up(self, cut: Grey, of: Grey) -> Vision:
        """Return what the model is given for (t, temporal or 1, h w, patch^2); 1 stands for all of a temporal patch."""
        t, _, n, size = cut.shape
        patches = np.empty((t, n, len(self._shades), self.temporal, size), np.float32)
        for channel, shades in enumerate(self._shades):
            patches[:, :, channel] = shades[cut].transpose(0, 2, 1, 3)
        return Vision(
            patches=torch.from_numpy(patches.reshape(t * n, -1)),
            grid=(t, of.shape[0] // self.patch, of.shape[1] // self.patch),
        )

    def prompt_ids(self, video: Vision | None, images: Sequence[Vision], text: str) -> list[int]:
        """Return the user's turn and the head of the answer; every picture has as many tokens as it needs."""
        before = self._pictures(video, images)
        if not before:
            return self._ids(f"{USER_HEAD}{plain(text)}{ANSWER_HEAD}")
        return [*self._ids(f"{USER_HEAD}{before}"), *self.question_ids(text)]

    def question_ids(self, text: str) -> list[int]:
        """Return what comes after the pictures, up to the answer."""
        return self._ids(f"{plain(text)}{ANSWER_HEAD}")

    def answer_ids(self, text: str) -> list[int]:
        """Return an answer's tokens and its end; box tokens count as such."""
        return [*self._ids(text), self.end_id]

    def piece_ids(self, pieces: Sequence[str]) -> list[list[int]]:
        """Return the tokens of an answer piece by piece, its end in the last."""
        parts = [self._ids(piece) for piece in pieces]
        parts[-1].append(self.end_id)
        return parts

    def words(self, text: str) -> list[int]:
        """Return the tokens of a word or a name as it stands in a sentence, without an end."""
        return self._ids(text)

    def types(self, ids: Sequence[int]) -> list[int]:
        """Return the kind of every token."""
        kinds = {self.image_id: IMAGE_TYPE, self.video_id: VIDEO_TYPE}
        return [kinds.get(token, 0) for token in ids]

    def weights(self, answer: Sequence[int]) -> list[float]:
        """Return what each token of an answer counts: within a box a digit by its place, its signs next to nothing."""
        found = [1.0] * len(answer)
        opened, begin = -1, self._box[0]
        for place, token in enumerate(answer):
            if token == begin:
                opened = place
            elif token == self._box[1] and opened >= 0:
                digits = 0
                for inside in range(place, opened - 1, -1):
                    digits = digits + 1 if answer[inside] in self._digits else 0
                    found[inside] = PLACE_WEIGHTS[min(digits, len(PLACE_WEIGHTS) - 1)]
                opened = -1
        return found

    def decode(self, ids: Sequence[int]) -> str:
        """Return an answer's text; box tokens stay, other control tokens go."""
        kept = [i for i in ids if i not in (self.end_id, self.pad_id, self.image_id, self.video_id)]
        return str(self.tokenizer.decode(kept, skip_special_tokens=False)).strip()

    def save(self, folder: Path) -> None:
        """Write tokenizer and image processor in the library's own form."""
        self.tokenizer.save_pretrained(folder)
        self._image.save_pretrained(folder)

    @classmethod
    def load(cls, folder: Path, family: str) -> Processor:
        """Return the processor of a model's folder. Raises TrainerError (GX-MODEL)."""
        try:
            tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            image = Qwen2VLImageProcessorPil.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise TrainerError(
                f"{folder} holds no tokenizer and image processor: {error}",
                code="GX-MODEL",
                hint="Give the folder that `train` or `merge` wrote, or a downloaded model's.",
            ) from None
        return cls(
            tokenizer,
            patch=int(image.patch_size),
            merge=int(image.merge_size),
            temporal=int(image.temporal_patch_size),
            mean=image.image_mean,
            std=image.image_std,
            family=family,
        )

    def _ids(self, text: str) -> list[int]:
        known = self._known.get(text)
        if known is None:
            known = tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])
            if len(self._known) >= KNOWN_TEXTS:
                self._known.clear()
            self._known[text] = known
        return list(known)

    def _pictures(self, video: Vision | None, images: Sequence[Vision]) -> str:
        parts = []
        if video is not None:
            n = video.n_tokens(self.merge)
            if self.family == "qwen3_vl":
                # Qwen3-VL tells each temporal patch apart by its time; frames here are a second apart.
                each = n // video.grid[0]
                parts += [
                    f"<{second + 0.5 * (self.temporal - 1) / self.temporal:.1f} seconds>"
                    f"<|vision_start|>{'<|video_pad|>' * each}<|vision_end|>"
                    for second in range(video.grid[0])
                ]
            else:
                parts.append(f"<|vision_start|>{'<|video_pad|>' * n}<|vision_end|>")
        parts += [
            f"<|vision_start|>{'<|image_pad|>' * picture.n_tokens(self.merge)}<|vision_end|>"
            for picture in images
        ]
        return "".join(parts)


def plain(text: str) -> str:
    """Return a text in which nothing is taken for a control token.

    >>> plain("is <|im_end|> there?")
    'is < |im_end| > there?'
    """
    return text.replace("<|", "< |").replace("|>", "| >")
