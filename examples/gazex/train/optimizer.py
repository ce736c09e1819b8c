"""From gradients to steps: AdamW, Muon for the matrices of a small model's blocks, and the rate of every step."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist

from examples.gazex.config import TrainSettings

__all__ = ["MuonAndAdamW", "learning_rate", "make_optimizer", "orthogonal"]

BETAS = (0.9, 0.98)
"""Of AdamW: the second forgets sooner than by default, for trainings of a few thousand steps."""
MOMENTUM = 0.95
"""Of Muon, as published."""
LIKE_ADAMW = 0.2
"""Times the root of a matrix's longer side: steps of the size that AdamW's have, so that one learning rate and one
weight decay suit both (Liu et al. 2025, arXiv 2502.16982)."""
N_ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the published iteration: singular values end between 0.7 and 1.2, and no exact ones are needed."""
LEAST_NORM = 1e-7
BLOCKS = (".blocks.", ".layers.")
"""In the names of what Muon is for. Embeddings, positions, the head, and what joins the eyes to the words are AdamW's:
the last for their price, more than that of all other matrices of a small model."""
LAST_SHARE = 0.1
"""Of the learning rate, at the last step."""


class MuonAndAdamW(torch.optim.AdamW):
    """AdamW, and for groups with ``muon`` the orthogonalised momentum of Muon.

    After Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/. `torch.optim.Muon` takes one matrix after the
    other, in bfloat16: on processors without that, 625 ms for the 29 of the demo's model, whose whole step is 200. Here
    those of one shape go together, as exact as they are: 37 ms.
    """

    @torch.no_grad()
    def step(  # type: ignore[override]  # as the library has it, less its overloads
        self, closure: Callable[[], float] | None = None
    ) -> float | None:
        """Take one step; weights without a gradient stay."""
        whole = self.param_groups
        self.param_groups = [group for group in whole if not group.get("muon")]
        try:
            loss: float | None = super().step(closure)
        finally:
            self.param_groups = whole
        for group in whole:
            if group.get("muon"):
                self._orthogonal_step(group)
        return loss

    def _orthogonal_step(self, group: dict[str, Any]) -> None:
        like: dict[torch.Size, list[tuple[torch.nn.Parameter, torch.Tensor]]] = defaultdict(list)
        for weight in group["params"]:
            if weight.grad is None:
                continue
            state = self.state[weight]
            if "momentum" not in state:
                # The library looks for a count of steps in the state of every weight that it loads.
                state["step"], state["momentum"] = torch.zeros(()), torch.zeros_like(weight)
            state["step"] += 1
            state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
            # Nesterov's: the gradient where the momentum will have led.
            like[weight.shape].append((weight, torch.lerp(weight.grad, state["momentum"], MOMENTUM)))
        found = _shared_out([torch.stack([update for _, update in some]) for some in like.values()])
        for (shape, some), updates in zip(like.items(), found, strict=True):
            rate = group["lr"] * LIKE_ADAMW * math.sqrt(max(shape))
            for (weight, _), update in zip(some, updates, strict=True):
                weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-rate)


def _shared_out(stacks: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return `orthogonal` of every stack; of several processes, which all have the same, each computes its part."""
    if not (dist.is_available() and dist.is_initialized()) or not stacks:
        return [orthogonal(stack) for stack in stacks]
    found = [torch.zeros_like(stack) for stack in stacks]
    for stack, result in zip(stacks, found, strict=True):
        own = slice(dist.get_rank(), None, dist.get_world_size())
        if len(stack[own]):
            result[own] = orthogonal(stack[own])
    # In one piece: a message costs more than what is in it. All others hold zeros, so the sum is exact.
    together = torch.cat([result.flatten() for result in found])
    dist.all_reduce(together)
    parts = torch.split(together, [result.numel() for result in found])
    return [part.view_as(result) for part, result in zip(parts, found, strict=True)]


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Return (k, n, m) with the same singular vectors and singular values near 1; zeros stay zeros."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(LEAST_NORM)
    a, b, c = COEFFICIENTS
    for _ in range(N_ITERATIONS):
        squares = x @ x.mT
        x = a * x + (b * squares + c * squares @ squares) @ x
    found: torch.Tensor = x.mT if tall else x
    return found


def make_optimizer(model: torch.nn.Module, settings: TrainSettings) -> torch.optim.AdamW:
    """Return what trains a model's weights, but for those that are frozen."""
    of_blocks: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            muons = settings.optimizer == "muon" and weight.ndim == 2 and any(b in f".{name}" for b in BLOCKS)
            (of_blocks if muons else others).append(weight)
    groups: list[dict[str, Any]] = [
        {"params": others},
        *([{"params": of_blocks, "muon": True}] if of_blocks else []),
    ]
    kind = MuonAndAdamW if of_blocks else torch.optim.AdamW
    return kind(
        groups, lr=settings.learning_rate, weight_decay=settings.weight_decay, betas=BETAS, fused=True
    )


def learning_rate(step: int, settings: TrainSettings) -> float:
    """Return the rate of a step: up in a line, then down along a cosine to `LAST_SHARE`."""
    warm = max(1, round(settings.warmup_share * settings.steps))
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, settings.steps - warm)
    return settings.learning_rate * (LAST_SHARE + (1 - LAST_SHARE) / 2 * (1 + math.cos(math.pi * done)))
