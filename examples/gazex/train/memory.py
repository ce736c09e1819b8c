"""How much memory a training needs, said before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from examples.gazex.config import Config

__all__ = ["MemoryEstimate", "estimate"]

ADAM_BYTES = 8
"""Per trained weight: two float32 moments."""
MASTER_BYTES = 4
"""Per trained weight: its float32 copy; with bf16 the working copy of 2 bytes comes beside it."""
GRADIENT_BYTES = 4
BYTES_4BIT = 0.55
"""Per weight of a 4-bit base, with its scales."""
ACTIVATIONS_PER_LAYER = 34
"""Bytes per token and hidden number and layer, without attention matrices (Korthikanti et al. 2022, section 4.1)."""
CHECKPOINTED_PER_LAYER = 4
"""The same with gradient checkpointing: a layer's input alone, in bf16 and once more while it is recomputed."""
GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """GiB on every device."""

    weights_gib: float
    optimizer_gib: float
    activations_gib: float
    logits_gib: float

    @property
    def total_gib(self) -> float:
        """All of it."""
        return self.weights_gib + self.optimizer_gib + self.activations_gib + self.logits_gib

    def __str__(self) -> str:
        return (
            f"about {self.total_gib:.2f} GiB per device: weights {self.weights_gib:.2f}, optimizer and gradients "
            f"{self.optimizer_gib:.2f}, activations {self.activations_gib:.2f}, logits {self.logits_gib:.2f}"
        )


def estimate(
    model: Any, config: Config, *, tokens: int, bf16: bool, checkpointing: bool, n_shards: int = 1
) -> MemoryEstimate:
    """Return what a step takes with ``tokens`` in its batch; FSDP divides weights and optimizer by ``n_shards``."""
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    per_frozen = BYTES_4BIT if config.model.quantize == "4bit" else 2 if bf16 else 4
    text = model.config.get_text_config()
    per_layer = CHECKPOINTED_PER_LAYER if checkpointing else ACTIVATIONS_PER_LAYER
    return MemoryEstimate(
        weights_gib=(trained * (MASTER_BYTES + (2 if bf16 else 0)) + frozen * per_frozen) / GIB / n_shards,
        optimizer_gib=trained * (ADAM_BYTES + GRADIENT_BYTES) / GIB / n_shards,
        activations_gib=tokens * text.hidden_size * text.num_hidden_layers * per_layer / GIB,
        logits_gib=tokens * text.vocab_size * 4 / GIB,
    )
