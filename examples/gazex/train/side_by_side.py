"""Several questions on one picture in one row: each sees the picture and itself, as if it had been asked alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

__all__ = ["side_by_side"]


def side_by_side(
    model: Any, inputs: Mapping[str, torch.Tensor], turns: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return a model's inputs with the attention and the positions that hold the questions of a row apart.

    turns : (b, n), to which question a token belongs, from 1; 0 is what all of them see.
    """
    base = next(module for module in model.modules() if hasattr(module, "get_rope_index"))
    grids = {name: inputs[name] for name in ("image_grid_thw", "video_grid_thw") if name in inputs}
    there = inputs["attention_mask"].bool()
    positions, _ = base.get_rope_index(
        inputs["input_ids"],
        mm_token_type_ids=inputs["mm_token_type_ids"],
        attention_mask=inputs["attention_mask"],
        **grids,
    )
    order = torch.arange(turns.shape[1], device=turns.device)
    begins = torch.nn.functional.pad(turns[:, 1:] != turns[:, :-1], (1, 0), value=True)
    begin = torch.where(begins, order, 0).cummax(1).values
    first = torch.where(turns > 0, order, turns.shape[1]).amin(1, keepdim=True)
    # Text after a picture counts on one by one: a later question goes back to where the first one stood.
    positions = positions - torch.where((turns > 0) & there, begin - first, 0)
    seen = (turns[:, None, :] == 0) | (turns[:, None, :] == turns[:, :, None])
    seen = seen & there[:, None, :] & (order[:, None] >= order)
    # Padding sees itself: nothing at all would be no number.
    seen = (seen | (order[:, None] == order))[:, None]
    if base.config._attn_implementation == "eager":
        weights = next(model.parameters())
        mask = torch.zeros(seen.shape, dtype=weights.dtype, device=weights.device)
        seen = mask.masked_fill(~seen, torch.finfo(weights.dtype).min)
    return {**inputs, "attention_mask": seen, "position_ids": positions}
