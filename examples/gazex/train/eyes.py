"""The eyes of a model by themselves: what its pictures' tokens say before the language model has read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

__all__ = ["said_of_pictures", "weights_that_say"]


def said_of_pictures(model: Any, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return (m, v): logits of what the tokens of all pictures say, taken for the language model's own words."""
    whole = _whole(model)
    seen = whole.model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"]).pooler_output
    said: torch.Tensor = whole.lm_head(whole.model.language_model.norm(torch.cat(tuple(seen))))
    return said


def weights_that_say(model: Any) -> list[torch.nn.Parameter]:
    """Return the trained weights that `said_of_pictures` depends on."""
    whole = _whole(model)
    parts = (whole.model.visual, whole.model.language_model.norm, whole.lm_head)
    return [weight for part in parts for weight in part.parameters() if weight.requires_grad]


def _whole(model: Any) -> Any:
    """Return the model under adapters and wrappers."""
    return next(module for module in model.modules() if "lm_head" in dict(module.named_children()))
