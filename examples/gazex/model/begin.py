"""A small model's first weights, where it is to learn to see from hundreds of pictures instead of millions.

Three things that large models learn from data are given to a small one: patches are seen as their principal
components over the training's own pictures, each with about the same strength (a radiograph's brightness else drowns
what is in it); places begin as sines of the position, where the family learns its positions; matrices begin as large as
their width asks for. All of it is trained on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from examples.gazex.data.pictures import Grey
from examples.gazex.model.processor import Processor

__all__ = ["begin_with_pictures"]

PATCHES_PER_PICTURE = 40
"""Places at random; some hundred pictures give more than enough for their covariance."""
SHARE_OF_PATCHES = 2 / 3
"""Of the vision tower's width that holds what a patch shows; the rest holds where it is."""
EMBEDDING = 0.05
"""Standard deviation of a word's numbers; tied to the output, where greater ones make a loud beginning."""
LANGUAGE_GAIN, VISION_GAIN, PICTURE_GAIN = 0.15, 0.5, 0.1
"""Of what a layer adds to its stream, and of what pictures bring to that of the words: in proportion to what is there.
A word's numbers begin small, and a layer or a picture must not drown them; a patch's begin at 1."""
_HALF_PERIODS = (0.5, 4.0)
"""Of the slowest and the fastest sine, over a side."""


@torch.no_grad()
def begin_with_pictures(model: Any, processor: Processor, pictures: Iterable[Grey], seed: int) -> None:
    """Set a small model's weights; the same seed and pictures give the same ones.

    Without pictures patches stay random.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if weight.dim() < 2 or "pos_embed" in name or "patch_embed" in name:
            continue
        fan_in = weight[0].numel()
        size = EMBEDDING if "embed_tokens" in name else _gain(name) / math.sqrt(fan_in)
        weight.normal_(0, size, generator=generator)
    visual = model.model.visual
    width = int(visual.patch_embed.proj.weight.shape[0])
    patches = _patches(pictures, processor.patch, np.random.default_rng(seed))
    n_seen = round(SHARE_OF_PATCHES * width) if hasattr(visual, "pos_embed") else width
    if len(patches):
        _see(visual.patch_embed.proj, patches, min(n_seen, processor.patch**2), processor)
    if hasattr(visual, "pos_embed"):
        visual.pos_embed.weight.zero_()
        places = _places(round(math.sqrt(visual.pos_embed.num_embeddings)), (width - n_seen) // 4)
        visual.pos_embed.weight[:, n_seen : n_seen + places.shape[1]] = places


def _gain(name: str) -> float:
    """Return what a matrix makes of an input of variance 1: the standard deviation of its output."""
    if "language_model" in name:
        return LANGUAGE_GAIN if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
    if "merger" in name:
        return PICTURE_GAIN if name.endswith(("linear_fc2.weight", "mlp.2.weight")) else 1.0
    adding = ("proj.weight", "fc2.weight")  # of attention, and of the layers' last matrix in every family
    return (
        VISION_GAIN
        if name.endswith(adding) and not name.endswith(("up_proj.weight", "gate_proj.weight"))
        else 1.0
    )


def _patches(pictures: Iterable[Grey], side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (n, side^2) shares of full brightness."""
    found = []
    for picture in pictures:
        height, width = picture.shape
        rows = rng.integers(height - side + 1, size=PATCHES_PER_PICTURE)
        columns = rng.integers(width - side + 1, size=PATCHES_PER_PICTURE)
        found += [
            picture[y : y + side, x : x + side].ravel() / 255 for y, x in zip(rows, columns, strict=True)
        ]
    return np.asarray(found, float).reshape(len(found), side**2)


def _see(projection: Any, patches: NDArray[np.float64], n: int, processor: Processor) -> None:
    """Make the first ``n`` outputs the patches' principal components, each of about unit variance."""
    mean = patches.mean(0)
    sizes, vectors = np.linalg.eigh(np.cov(patches.T))
    sizes, vectors = sizes[::-1][:n], vectors[:, ::-1][:, :n]
    # The last component's size tells where noise begins.
    rows = (vectors / np.sqrt(sizes + max(float(sizes[-1]), 1e-9))).T
    channels, temporal = projection.weight.shape[1:3]
    means, stds = (np.asarray(values, float) for values in (processor.mean, processor.std))
    # Every channel and frame holds the same grey: each gives its share of it.
    per_channel = rows[:, None, :] * stds[None, :, None] / (channels * temporal)
    weight = np.repeat(per_channel[:, :, None, :], temporal, axis=2).reshape(n, *projection.weight.shape[1:])
    projection.weight.zero_()
    projection.weight[:n] = torch.from_numpy(weight).to(projection.weight)
    if projection.bias is not None:
        projection.bias.zero_()
        projection.bias[:n] = torch.from_numpy(rows @ (means.mean() - mean)).to(projection.bias)


def _places(side: int, n: int) -> torch.Tensor:
    """Return (side^2, 4 n) sines and cosines of the place down and across, ``n`` periods each."""
    periods = 2 ** torch.linspace(math.log2(_HALF_PERIODS[0]), math.log2(_HALF_PERIODS[1]), n) * math.pi
    share = torch.linspace(0, 1, side)
    down, across = (grid.reshape(-1, 1) * periods for grid in torch.meshgrid(share, share, indexing="ij"))
    return torch.cat([down.sin(), across.sin(), down.cos(), across.cos()], 1)
