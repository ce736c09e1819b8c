"""Steps that cost less with the same results: what the library computes and nobody asks for is left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional

__all__ = ["logits_at", "patches_by_product"]


@contextmanager
def logits_at(model: Any, at: torch.Tensor) -> Iterator[None]:
    """Have the model give logits (k, v) of some tokens alone, in place of (b, n, v).

    at : (k,), tokens counted through all rows. No loss asks for those of questions, and of a small model they are a
    good part of the work, of a large vocabulary the greatest tensor.
    """
    head = model.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda _, given: (given[0].flatten(0, 1)[at], *given[1:]))
    try:
        yield
    finally:
        hook.remove()


def patches_by_product(model: Any) -> None:
    """Have a model embed its patches by one product of matrices.

    It is a convolution whose kernel is the patch: the same sum, for which processors have no fast convolution. The
    weights stay what and where they are.
    """
    embed = next(module.patch_embed for module in model.modules() if hasattr(module, "patch_embed"))
    embed.proj = _Product(embed.proj)


class _Product(nn.Module):
    """A convolution of whole patches: (n, channels, time, height, width) to (n, width of the model)."""

    def __init__(self, of: nn.Conv3d) -> None:
        super().__init__()
        self.weight, self.bias = of.weight, of.bias

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return functional.linear(patches.flatten(1), self.weight.flatten(1), self.bias)
