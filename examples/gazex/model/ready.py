"""A model ready to be trained or asked, with its processor."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from examples.gazex.config import Config
from examples.gazex.data.pictures import Grey
from examples.gazex.errors import TrainerError
from examples.gazex.model.begin import begin_with_pictures
from examples.gazex.model.build import (
    family_of,
    load_model,
    old_names_allowed,
    small_model,
    small_processor_numbers,
    with_lora,
)
from examples.gazex.model.processor import Processor
from examples.gazex.model.tokenizer import train_tokenizer

__all__ = ["ReadyModel", "load_trained", "new_model", "save_trained"]

logging.disable_progress_bar()  # tiny folders load at once, and their bars fill a log

CONFIG_FILE = "gazex.json"
ADAPTER = "adapter"
BASE = "base"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyModel:
    """A model and what prepares its input."""

    model: Any
    processor: Processor


def new_model(
    config: Config,
    texts: Iterable[str],
    *,
    pictures: Callable[[int], Iterable[Grey]] = lambda multiple: (),
    dtype: torch.dtype = torch.float32,
) -> ReadyModel:
    """Return the model that a training begins with; ``texts`` train the tokenizer of a small one.

    pictures : gives pictures whose sides are whole multiples of a number of px; a small model's eyes are made of them
    where the settings say so.
    """
    settings = config.model
    if settings.path is not None:
        processor = Processor.load(settings.path, family_of(settings.path))
        model = load_model(settings.path, dtype=dtype, quantize=settings.quantize)
    else:
        processor = Processor(
            train_tokenizer(texts, settings.vocabulary),
            **small_processor_numbers(settings.family, settings.patch_px),
        )
        model = small_model(settings, processor, config.train.seed)
        if settings.begin == "pictures":
            begin_with_pictures(model, processor, pictures(processor.multiple), config.train.seed)
        model = model.to(dtype)
    if config.train.gaze_loss > 0:
        model.set_attn_implementation("eager")  # the only one that tells its attention
    if settings.freeze_vision:
        for name, weight in model.named_parameters():
            if ".visual." in f".{name}":
                weight.requires_grad_(False)
    if settings.lora_rank > 0:
        torch.manual_seed(config.train.seed)
        model = with_lora(model, settings)
    return ReadyModel(model=model, processor=processor)


def save_trained(
    ready: ReadyModel,
    folder: Path,
    config: Config,
    about: dict[str, Any],
    *,
    weights: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write a model for `load_trained`: an adapter and its base, or all weights; and what it was trained on.

    weights : in place of the model's own, where this process holds only a part of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if config.model.lora_rank > 0:
        ready.model.save_pretrained(folder / ADAPTER, state_dict=weights)
        if config.model.path is None:
            _base_of(ready.model, folder / BASE)
    else:
        ready.model.save_pretrained(folder, state_dict=weights)
    ready.processor.save(folder)
    content = {"config": config.model_dump(mode="json"), "family": ready.processor.family, **about}
    (folder / CONFIG_FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")


def load_trained(folder: Path) -> tuple[ReadyModel, Config, dict[str, Any]]:
    """Return model, settings and notes of what `save_trained` wrote. Raises TrainerError (GX-MODEL)."""
    try:
        about = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        config = Config.model_validate(about.pop("config"))
    except (OSError, ValueError, KeyError) as error:
        raise TrainerError(
            f"{folder} was not written by `train`: {error}",
            code="GX-MODEL",
            hint="Give the folder given to --out.",
        ) from None
    processor = Processor.load(folder, about["family"])
    if config.model.lora_rank > 0:
        from peft import PeftModel

        base = load_model(config.model.path or folder / BASE)
        with old_names_allowed():
            model: Any = PeftModel.from_pretrained(base, folder / ADAPTER)
    else:
        model = load_model(folder)
    model.eval()
    return ReadyModel(model=model, processor=processor), config, about


def _base_of(model: Any, folder: Path) -> None:
    """Write the base under an adapter, without the adapter's names."""
    folder.mkdir(parents=True, exist_ok=True)
    base = model.get_base_model()
    weights = {
        name.replace(".base_layer.", "."): value
        for name, value in base.state_dict().items()
        if "lora_" not in name
    }
    base.config.save_pretrained(folder)
    base.generation_config.save_pretrained(folder)
    from safetensors.torch import save_file

    tied = set(getattr(base, "_tied_weights_keys", None) or ())
    kept = {name: value.contiguous().clone() for name, value in weights.items() if name not in tied}
    save_file(kept, str(folder / "model.safetensors"), metadata={"format": "pt"})
