"""The model: from a local folder, or a small one of the same classes, built from numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    PreTrainedModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from examples.gazex.config import ModelSettings
from examples.gazex.errors import TrainerError
from examples.gazex.model.processor import Processor

__all__ = ["LORA_TARGETS", "load_model", "old_names_allowed", "small_model", "with_lora"]

LORA_TARGETS = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"
"""Language model alone: bare names would also hit the vision tower's MLP in Qwen2.5-VL."""

ROPE_THETA = 10_000.0
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
QWEN3_MEAN = QWEN3_STD = (0.5, 0.5, 0.5)
PATCH_PX = {"qwen2_vl": 14, "qwen2_5_vl": 14, "qwen3_vl": 16}
POSITION_GRID = 16
"""Rows of Qwen3-VL's learned positions in a small model."""

_CLASSES: dict[str, tuple[Any, Any]] = {
    "qwen2_vl": (Qwen2VLConfig, Qwen2VLForConditionalGeneration),
    "qwen2_5_vl": (Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration),
    "qwen3_vl": (Qwen3VLConfig, Qwen3VLForConditionalGeneration),
}


def small_processor_numbers(family: str, patch_px: int | None = None) -> dict[str, Any]:
    """Return what a small model's `Processor` needs beside its tokenizer; patches of the family's size without any."""
    new = family == "qwen3_vl"
    return {
        "patch": patch_px or PATCH_PX[family],
        "merge": 2,
        "temporal": 2,
        "mean": QWEN3_MEAN if new else CLIP_MEAN,
        "std": QWEN3_STD if new else CLIP_STD,
        "family": family,
    }


def small_model(settings: ModelSettings, processor: Processor, seed: int) -> PreTrainedModel:
    """Return an untrained model of the family's real classes; the same seed gives the same weights."""
    head = settings.hidden // settings.heads
    half = head // 2
    spatial = 3 * half // 8
    text: dict[str, Any] = {
        "vocab_size": len(processor.tokenizer),
        "hidden_size": settings.hidden,
        "intermediate_size": 2 * settings.hidden,
        "num_hidden_layers": settings.layers,
        "num_attention_heads": settings.heads,
        "num_key_value_heads": settings.kv_heads,
        "max_position_embeddings": 8192,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": ROPE_THETA,
            "mrope_section": [half - 2 * spatial, spatial, spatial],
        },
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": processor.end_id,
        "pad_token_id": processor.pad_id,
    }
    vision: dict[str, Any] = {
        "depth": settings.vision_layers,
        "num_heads": settings.vision_heads,
        "patch_size": processor.patch,
        "spatial_merge_size": processor.merge,
        "temporal_patch_size": processor.temporal,
    }
    match settings.family:
        case "qwen2_vl":
            vision |= {"embed_dim": settings.vision_hidden, "hidden_size": settings.hidden, "mlp_ratio": 2}
        case "qwen2_5_vl":
            vision |= {
                "hidden_size": settings.vision_hidden,
                "out_hidden_size": settings.hidden,
                "intermediate_size": 2 * settings.vision_hidden,
                "fullatt_block_indexes": list(range(settings.vision_layers)),
            }
        case "qwen3_vl":
            text["head_dim"] = head
            text["rope_parameters"]["mrope_interleaved"] = True
            vision |= {
                "hidden_size": settings.vision_hidden,
                "out_hidden_size": settings.hidden,
                "intermediate_size": 2 * settings.vision_hidden,
                "num_position_embeddings": POSITION_GRID**2,
                "deepstack_visual_indexes": [settings.vision_layers - 1],
            }
    ids = processor.tokenizer.convert_tokens_to_ids(["<|vision_start|>", "<|vision_end|>"])
    config_class, model_class = _CLASSES[settings.family]
    config = config_class(
        text_config=text,
        vision_config=vision,
        image_token_id=processor.image_id,
        video_token_id=processor.video_id,
        vision_start_token_id=ids[0],
        vision_end_token_id=ids[1],
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    model: PreTrainedModel = model_class(config)
    model.generation_config.eos_token_id = processor.end_id
    model.generation_config.pad_token_id = processor.pad_id
    return model


def family_of(folder: Path) -> str:
    """Return the family of a model's folder. Raises TrainerError (GX-MODEL)."""
    try:
        family = str(AutoConfig.from_pretrained(folder, local_files_only=True).model_type)
    except (OSError, ValueError) as error:
        raise TrainerError(
            f"{folder} holds no model: {error}",
            code="GX-MODEL",
            hint="Give a local folder with config.json and weights.",
        ) from None
    if family not in _CLASSES:
        raise TrainerError(
            f"{folder} holds a {family} model",
            code="GX-MODEL",
            hint=f"Known families: {', '.join(_CLASSES)}.",
        )
    return family


def load_model(
    folder: Path, *, dtype: torch.dtype = torch.float32, quantize: str = "none"
) -> PreTrainedModel:
    """Return the model of a local folder; nothing is fetched. Raises TrainerError (GX-MODEL)."""
    family_of(folder)
    more: dict[str, Any] = {}
    if quantize == "4bit":
        from transformers import BitsAndBytesConfig

        more["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
        )
    try:
        model: PreTrainedModel = AutoModelForImageTextToText.from_pretrained(
            folder, local_files_only=True, dtype=dtype, **more
        )
    except (OSError, ValueError, ImportError) as error:
        raise TrainerError(f"{folder}: {error}", code="GX-MODEL", hint="Check the folder's files.") from None
    return model


@contextmanager
def old_names_allowed() -> Iterator[None]:
    """Silence peft's asking a model by a name that transformers has since renamed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def with_lora(model: PreTrainedModel, settings: ModelSettings) -> Any:
    """Return the model with low-rank adapters on the language model's projections, all else frozen."""
    from peft import LoraConfig, get_peft_model

    with old_names_allowed():
        return get_peft_model(
            model,
            LoraConfig(
                r=settings.lora_rank,
                lora_alpha=settings.lora_alpha,
                target_modules=LORA_TARGETS,
                lora_dropout=0.0,
                bias="none",
                task_type="CAUSAL_LM",
            ),
        )
