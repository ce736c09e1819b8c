"""A small model's first weights, where it is to learn to see from hundreds of pictures instead of millions.

Four things that large models learn from data are given to a small one: patches are seen as their principal components
over the training's own pictures, the first few with the same strength (a radiograph's brightness else drowns what is in
it), the rest as strong as they are; every head of the eyes begins by looking at a neighbour of a patch; places begin as
sines of the position, where the family learns its positions; matrices begin as large as their width asks for. All of it
is trained on.
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
EVEN_COMPONENTS = 8
"""Principal components of a patch that are brought to one strength. All of them: fine grain, which tells nothing of a
finding, would be as loud as edges are."""
NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, 1), (-1, 1), (1, -1))
"""Patches down and across at which the heads begin to look, one layer after the other."""
LOOK = 3.0
"""Size of the part of queries and keys that is the same for all patches, in every rotated pair that takes part: patches
right at the neighbour then have some five times the attention of those one farther."""
LOOK_SPEEDS = 2
"""Rotation speeds of an axis that take part: the fastest, which tells one patch from the next, and the one that tells
the near from what lies a whole turn away."""
LOOK_CONTENT = 0.5
"""What is left at first of the part of queries and keys that depends on what a patch shows."""
ROTATION_BASE = 10_000.0
"""Of the families' vision towers."""
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
    for depth, block in enumerate(visual.blocks):
        _look_at_neighbours(block.attn, depth)
    width = int(visual.patch_embed.proj.weight.shape[0])
    patches = _patches(pictures, processor.patch, np.random.default_rng(seed))
    n_seen = round(SHARE_OF_PATCHES * width) if hasattr(visual, "pos_embed") else width
    if len(patches):
        _see(visual.patch_embed.proj, patches, min(n_seen, processor.patch**2), processor)
    if hasattr(visual, "pos_embed"):
        visual.pos_embed.weight.zero_()
        places = _places(round(math.sqrt(visual.pos_embed.num_embeddings)), (width - n_seen) // 4)
        visual.pos_embed.weight[:, n_seen : n_seen + places.shape[1]] = places


def _look_at_neighbours(attention: Any, depth: int) -> None:
    """Make each head look at one neighbour of a patch, wherever that is.

    A query and a key that are the same for all patches, the key turned back by the neighbour's angles: under rotary
    positions (rows in the first half of the pairs, columns in the second) their product is greatest where the key's
    patch lies at that distance.
    """
    width, heads = int(attention.qkv.weight.shape[1]), int(attention.num_heads)
    pairs = width // heads // 2
    per_axis = pairs // 2
    speeds = ROTATION_BASE ** (-torch.arange(per_axis) / per_axis)
    used = torch.zeros(pairs)
    used[:LOOK_SPEEDS] = used[per_axis : per_axis + LOOK_SPEEDS] = LOOK
    bias = torch.zeros(3, heads, 2, pairs)
    for head in range(heads):
        down, across = NEIGHBOURS[(depth * heads + head) % len(NEIGHBOURS)]
        angles = torch.cat([down * speeds, across * speeds])
        bias[0, head, 0] = used
        bias[1, head, 0], bias[1, head, 1] = used * angles.cos(), -used * angles.sin()
    attention.qkv.bias.copy_(bias.flatten())
    attention.qkv.weight[: 2 * width] *= LOOK_CONTENT


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
    floor = float(sizes[min(EVEN_COMPONENTS, len(sizes) - 1)])
    rows = (vectors / np.sqrt(sizes + max(floor, 1e-9))).T
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
