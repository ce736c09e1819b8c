"""What is minimised: the answer's cross-entropy, and how far attention is from where the reader looked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from examples.gazex.data.encode import IGNORED, image_token_places

__all__ = ["MODEL_INPUTS", "answer_loss", "gaze_loss", "place_loss"]

MODEL_INPUTS = (
    "input_ids", "attention_mask", "mm_token_type_ids", "pixel_values", "image_grid_thw", "pixel_values_videos",
    "video_grid_thw",
)  # fmt: skip
"""What of a batch goes to the model."""
LEAST_SHARE = 1e-6
"""Attention below this counts as this, so that its logarithm stays finite; weights of no token add up to this."""


def answer_loss(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean cross-entropy over the answers' tokens; logits (b, n, v), labels (b, n) with `IGNORED`.

    weights : (b, n), of every token within its answer; the mean is then over answers, each the weighted mean of its
    tokens. None: over all tokens.
    """
    wanted = labels[:, 1:]
    chosen = wanted != IGNORED
    # Only the answers' logits are made float: a vocabulary of 150,000 makes the rest the greatest tensor of all.
    found, right = logits[:, :-1][chosen].float(), wanted[chosen]
    if weights is None:
        return functional.cross_entropy(found, right)
    shares = weights[:, 1:] * chosen
    shares = shares / shares.sum(1, keepdim=True).clamp_min(LEAST_SHARE) / len(labels)
    return (functional.cross_entropy(found, right, reduction="none") * shares[chosen].to(found)).sum()


def gaze_loss(
    attentions: Sequence[torch.Tensor],
    kinds: torch.Tensor,
    focus: Sequence[tuple[int, int, int, torch.Tensor]],
) -> torch.Tensor:
    """Return the mean cross-entropy of attention on the image against the gaze of the same words.

    attentions : per layer (b, heads, n, n). The upper half is used, where words look for what they mean; heads and
    layers are averaged before the comparison, so that single heads stay free.
    kinds      : (b, n), of every token.
    focus      : row, first and one after the last token of some words, and the share of the gaze on every token of
    the row's first image.
    """
    upper = torch.stack([layer.float().mean(1) for layer in attentions[len(attentions) // 2 :]]).mean(0)
    images = image_token_places(kinds)
    losses = []
    for row, first, last, shares in focus:
        # Token k is predicted at k - 1: that is where the model must look.
        places = images[row].nonzero().squeeze(-1)[: len(shares)]
        looked = upper[row, first - 1 : last - 1][:, places].mean(0)
        looked = looked / looked.sum().clamp_min(LEAST_SHARE)
        target = shares.to(looked)
        losses.append(-(target * looked.clamp_min(LEAST_SHARE).log()).sum())
    return torch.stack(losses).mean()


def place_loss(
    logits: torch.Tensor, at: torch.Tensor, words: torch.Tensor, shares: torch.Tensor
) -> torch.Tensor:
    """Return the mean cross-entropy of what the tokens of pictures say against what lies there.

    logits : (m, v). at, words, shares : (k,), row of ``logits``, word and its share; the shares of a row add up to 1.
    """
    places, which = torch.unique(at, return_inverse=True)
    found = logits[places].float().log_softmax(-1)
    return -(shares.to(found) * found[which, words]).sum() / len(places)
