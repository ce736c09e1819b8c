"""What is minimised: the answer's cross-entropy, and how far attention is from where the reader looked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from examples.gazex.data.encode import IGNORED

__all__ = [
    "MODEL_INPUTS",
    "PICTURE_INPUTS",
    "answer_loss",
    "answers_at",
    "gaze_loss",
    "place_loss",
]

PICTURE_INPUTS = ("pixel_values", "image_grid_thw", "pixel_values_videos", "video_grid_thw")
"""What of a batch is pictures."""
MODEL_INPUTS = ("input_ids", "attention_mask", "mm_token_type_ids", *PICTURE_INPUTS)
"""What of a batch goes to the model."""
LEAST_SHARE = 1e-6
"""Attention below this counts as this, so that its logarithm stays finite; weights of no token add up to this."""


def answer_loss(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean cross-entropy over the answers' tokens.

    logits  : (k, v), at `answers_at` of the labels (b, n), which have `IGNORED` where nothing is answered.
    weights : (b, n), of every token within its answer; the mean is then over answers, each the weighted mean of its
    tokens. None: over all tokens.
    """
    wanted = labels[:, 1:]
    chosen = wanted != IGNORED
    if weights is None:
        return functional.cross_entropy(logits.float(), wanted[chosen])
    shares = weights[:, 1:] * chosen
    shares = shares / shares.sum(1, keepdim=True).clamp_min(LEAST_SHARE) / len(labels)
    found = functional.cross_entropy(logits.float(), wanted[chosen], reduction="none")
    return (found * shares[chosen].to(found)).sum()


def answers_at(labels: torch.Tensor) -> torch.Tensor:
    """Return (k,), counted through all rows: the tokens at which the next one is an answer's."""
    before = functional.pad(labels[:, 1:] != IGNORED, (0, 1))
    return before.flatten().nonzero().squeeze(1)


def gaze_loss(
    attentions: Sequence[torch.Tensor],
    kinds: torch.Tensor,
    spans: torch.Tensor,
    shares: torch.Tensor,
) -> torch.Tensor:
    """Return the mean cross-entropy of attention on the image, or the key frames, against the gaze of the same words.

    attentions : per layer (b, heads, n, n). The upper half is used, where words look for what they mean; heads and
    layers are averaged before the comparison, so that single heads stay free.
    kinds      : (b, n), of every token.
    spans      : (k, 5), of some words row, first and one after the last token, the kind of tokens that are looked at,
    and how many of them: of the row's first image, or of its key frames. shares : (k, m), of the gaze on every one of
    these, zeros after them.
    """
    rows, first, last, kind, n_seen = spans.unbind(1)
    # Token k is predicted at k - 1: that is where the model must look.
    n_words = last - first
    owner = torch.repeat_interleave(n_words)
    begin = n_words.cumsum(0) - n_words
    at = torch.arange(len(owner), device=owner.device) - begin[owner] + first[owner] - 1
    upper = attentions[len(attentions) // 2 :]
    by_token = torch.stack([layer[rows[owner], :, at].float().mean(1) for layer in upper]).mean(0)
    looked = by_token.new_zeros(len(spans), kinds.shape[1]).index_add(0, owner, by_token) / n_words[:, None]
    shown = kinds[rows] == kind[:, None]
    place = shown.cumsum(1) - 1
    seen = shown & (place < n_seen[:, None])
    target = shares.to(looked).gather(1, place.clamp(0, shares.shape[1] - 1)) * seen
    looked = looked * seen
    looked = looked / looked.sum(1, keepdim=True).clamp_min(LEAST_SHARE)
    return -(target * looked.clamp_min(LEAST_SHARE).log()).sum(1).mean()


def place_loss(
    logits: torch.Tensor, at: torch.Tensor, words: torch.Tensor, shares: torch.Tensor
) -> torch.Tensor:
    """Return the mean cross-entropy of what the tokens of pictures say against what lies there.

    logits : (m, v). at, words, shares : (k,), row of ``logits``, word and its share; a row counts what its shares add
    up to.
    """
    places, which = torch.unique(at, return_inverse=True)
    found = logits[places].float().log_softmax(-1)
    return -(shares.to(found) * found[which, words]).sum() / shares.sum().clamp_min(LEAST_SHARE)
