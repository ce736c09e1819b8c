"""Where a training stands, written whole or not at all, so that a killed one goes on as if nothing had been."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from examples.gazex.config import Config
from examples.gazex.errors import TrainerError

__all__ = ["Whole", "gathered", "load_newest", "save_checkpoint"]

FOLDER = "checkpoints"
STATE = "state.pt"
ABOUT = "about.json"

Whole = tuple[dict[str, Any], dict[str, Any]]
"""Weights and optimizer state by name, complete."""


def save_checkpoint(
    out: Path,
    step: int,
    *,
    model: Any,
    optimizer: Any,
    config: Config,
    notes: dict[str, Any],
    keep: int,
    sharded: Whole | None = None,
) -> None:
    """Write ``out/checkpoints/{step}`` and remove all but the newest ``keep``.

    Only trained weights are kept: the others are the model's that the training began with. A fixed name with a dot is
    written first and renamed when all of it is on disk. sharded : of a model that FSDP has shared out, what
    `gathered` returned.
    """
    folder = out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / ".writing"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    weights, moments = sharded or ({n: w.detach().cpu() for n, w in model.named_parameters()}, None)
    state = {
        "weights": {name: weight for name, weight in weights.items() if name in trained},
        "optimizer": optimizer.state_dict() if moments is None else moments,
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    with (scratch / STATE).open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    about = {"step": step, "config": config.model_dump(mode="json"), "notes": notes}
    with (scratch / ABOUT).open("w", encoding="utf-8") as text:
        json.dump(about, text)
        text.flush()
        os.fsync(text.fileno())
    target = folder / f"{step:08d}"
    shutil.rmtree(target, ignore_errors=True)
    scratch.rename(target)
    for old in _finished(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)


def gathered(model: Any, optimizer: Any) -> Whole:
    """Return weights and optimizer state of a model that FSDP has shared out; all processes must call it."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

    whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights, moments = get_state_dict(model, optimizer, options=whole)
    return dict(weights), dict(moments)


def scatter(whole: Whole, model: Any, optimizer: Any) -> None:
    """Give a model that FSDP has shared out what `gathered` returned; all processes must call it."""
    from torch.distributed.checkpoint.state_dict import (
        StateDictOptions,
        set_model_state_dict,
        set_optimizer_state_dict,
    )

    weights, moments = whole
    set_model_state_dict(model, weights, options=StateDictOptions(full_state_dict=True, strict=False))
    set_optimizer_state_dict(model, optimizer, moments, options=StateDictOptions(full_state_dict=True))


def load_newest(
    out: Path, config: Config, *, model: Any, optimizer: Any, sharded: bool = False
) -> tuple[int, dict[str, Any]]:
    """Bring model, optimizer and random numbers to the newest checkpoint; return its step and notes, (0, {}) without.

    Raises TrainerError: GX-OTHER-CONFIG where it was made with other settings than how long to train and what to log,
    GX-CHECKPOINT where it cannot be read.
    """
    found = _finished(out / FOLDER)
    if not found:
        return 0, {}
    newest = found[-1]
    try:
        about = json.loads((newest / ABOUT).read_text(encoding="utf-8"))
        state = torch.load(newest / STATE, map_location="cpu", weights_only=True)
        then = Config.model_validate(about["config"])
    except (OSError, ValueError, KeyError, RuntimeError, EOFError) as error:
        raise TrainerError(
            f"{newest} cannot be read: {error}",
            code="GX-CHECKPOINT",
            hint="Remove this folder; the one before is used.",
        ) from None
    if _what_counts(then) != _what_counts(config):
        raise TrainerError(
            f"{out} was begun with other settings",
            code="GX-OTHER-CONFIG",
            hint="Give the same settings to go on, or another folder to --out.",
        )
    if sharded:
        scatter((state["weights"], state["optimizer"]), model, optimizer)
    else:
        own = dict(model.named_parameters())
        with torch.no_grad():
            for name, value in state["weights"].items():
                own[name].copy_(value)
        optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["rng"])
    if torch.cuda.is_available() and state["cuda_rng"]:
        torch.cuda.set_rng_state_all(state["cuda_rng"])
    return int(about["step"]), dict(about["notes"])


def _finished(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("[0-9]*") if (p / ABOUT).is_file()) if folder.is_dir() else []


def _what_counts(config: Config) -> dict[str, Any]:
    """Return the settings that decide the loss curve; ``steps`` shapes the learning rate, so it counts too."""
    content = config.model_dump(mode="json")
    for name in ("log_every", "save_every", "keep_checkpoints", "threads"):
        content["train"].pop(name)
    for name in ("workers", "picture_cache_mb"):
        content["data"].pop(name)
    return content
