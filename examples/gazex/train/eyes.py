"""The eyes of a model by themselves: what its pictures' tokens say before the language model has read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from examples.gazex.model.processor import IMAGE_TYPE, VIDEO_TYPE

__all__ = ["numbers_of_features", "said_of_pictures", "weights_that_say"]


def said_of_pictures(model: Any, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return (m, v): logits of what the tokens of all pictures say, taken for the language model's own words.

    Those of the radiographs first, then those of the key frames.
    """
    whole = _whole(model)
    seen: list[torch.Tensor] = []
    if "pixel_values" in inputs:
        seen += whole.model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"]).pooler_output
    if "pixel_values_videos" in inputs:
        seen += whole.model.get_video_features(
            inputs["pixel_values_videos"], inputs["video_grid_thw"]
        ).pooler_output
    said: torch.Tensor = whole.lm_head(whole.model.language_model.norm(torch.cat(seen)))
    return said


def numbers_of_features(kinds: torch.Tensor) -> torch.Tensor:
    """Return (b n,): of every token of a picture which row of `said_of_pictures` is its own; 0 of all others.

    kinds : (b, n), of every token. Features come picture by picture, as their tokens stand in the rows; those of key
    frames after all others.
    """
    flat = kinds.flatten()
    order = torch.cat([(flat == kind).nonzero().squeeze(-1) for kind in (IMAGE_TYPE, VIDEO_TYPE)])
    numbers = torch.zeros_like(flat, dtype=torch.long)
    numbers[order] = torch.arange(len(order), device=flat.device)
    return numbers


def weights_that_say(model: Any) -> list[torch.nn.Parameter]:
    """Return the trained weights that `said_of_pictures` depends on."""
    whole = _whole(model)
    parts = (whole.model.visual, whole.model.language_model.norm, whole.lm_head)
    return [weight for part in parts for weight in part.parameters() if weight.requires_grad]


def _whole(model: Any) -> Any:
    """Return the model under adapters and wrappers."""
    return next(module for module in model.modules() if "lm_head" in dict(module.named_children()))
