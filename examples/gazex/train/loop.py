"""The training: batches in, smaller loss out, resumable at any checkpoint with the same curve.

One process on CPU or a GPU, or several under `torchrun` or `accelerate launch`; with FSDP where accelerate is
configured so.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedType

from examples.gazex.config import Config, TrainSettings
from examples.gazex.data.encode import ExampleDataset, collate
from examples.gazex.data.mixing import Mixture
from examples.gazex.data.pictures import Grey, PictureStore
from examples.gazex.data.prepare import SplitExamples, load_split, refuse_shared_patients
from examples.gazex.errors import TrainerError
from examples.gazex.model.processor import WORDS_AROUND
from examples.gazex.model.ready import ReadyModel, new_model, save_trained
from examples.gazex.tasks.example import Example, plain_text
from examples.gazex.train.batches import loaded_batches
from examples.gazex.train.cheaper import logits_at, patches_by_product
from examples.gazex.train.checkpoint import gathered, load_newest, save_checkpoint
from examples.gazex.train.eyes import numbers_of_features, said_of_pictures, weights_that_say
from examples.gazex.train.log import TrainLog, UnheardLog
from examples.gazex.train.loss import (
    MODEL_INPUTS,
    PICTURE_INPUTS,
    answer_loss,
    answers_at,
    gaze_loss,
    place_loss,
)
from examples.gazex.train.memory import estimate
from examples.gazex.train.optimizer import learning_rate, make_optimizer
from examples.gazex.train.side_by_side import side_by_side

__all__ = ["Trained", "train"]

TOKENIZER_TEXTS = 20_000
"""Examples whose texts train a small model's tokenizer: more add no words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a training came to."""

    model: Path
    steps: int
    best_loss: float
    stopped_early: bool


def train(datasets: list[Path], out: Path, config: Config, *, quiet: bool = False) -> Trained:
    """Train, or go on; write ``out/model``, ``out/log.jsonl``, ``out/tensorboard`` and ``out/checkpoints``.

    Raises TrainerError: what `load_split` raises, GX-LEAK for a test patient in a training shard, GX-OTHER-CONFIG where
    ``out`` was begun with other settings, GX-MEMORY where memory ends.
    """
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    refuse_shared_patients(datasets, config)
    training = load_split(datasets, config.data.train_split, config)
    try:
        validation: SplitExamples | None = load_split(datasets, config.data.validation_split, config)
    except TrainerError as error:
        if error.code not in {"GX-NO-SHARDS", "GX-EMPTY"} or config.train.patience:
            raise
        validation = None
    accelerator = Accelerator(
        mixed_precision="bf16" if _bf16(config) else "no",
        gradient_accumulation_steps=config.train.accumulate,
        # Else several processes on CPUs would each train alone, in one folder.
        cpu=int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.cuda.is_available(),
    )
    ready = new_model(config, _texts(training.examples), pictures=partial(_pictures, training, config))
    try:
        return _Run(accelerator, ready, training, validation, out, config, quiet).run()
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TrainerError(
            f"memory ended: {str(error).splitlines()[0] if str(error) else 'no more to be had'}",
            code="GX-MEMORY",
            hint="Lower batch_size (and raise accumulate), image_max_px or max_frames; or set gradient_checkpointing = "
            "'on', lora_rank, quantize = '4bit'. The last checkpoint is kept.",
        ) from None


class _Run:
    """One training with all that it needs."""

    def __init__(
        self,
        accelerator: Accelerator,
        ready: ReadyModel,
        training: SplitExamples,
        validation: SplitExamples | None,
        out: Path,
        config: Config,
        quiet: bool,
    ) -> None:
        self.accelerator, self.ready, self.out, self.config, self.quiet = (
            accelerator,
            ready,
            out,
            config,
            quiet,
        )
        self.training, self.validation = training, validation
        settings = config.train
        model = ready.model
        self.checkpointing = settings.gradient_checkpointing == "on" or (
            settings.gradient_checkpointing == "auto"
            and torch.cuda.is_available()
            and settings.gaze_loss == 0
        )
        if self.checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        patches_by_product(model)
        optimizer = make_optimizer(model, settings)
        self.sharded = accelerator.distributed_type == DistributedType.FSDP
        if self.sharded:
            _refuse_what_needs_whole_weights(settings)
        if not self.sharded:
            self.first_step, self.notes = load_newest(out, config, model=model, optimizer=optimizer)
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        if self.sharded:  # what is shared out gets its own part
            self.first_step, self.notes = load_newest(
                out, config, model=self.model, optimizer=self.optimizer.optimizer, sharded=True
            )
        self.dataset = ExampleDataset(
            training.examples, training.paths, ready.processor, config.data, settings.seed
        )
        self.mixture = Mixture(
            [e.task for e in training.examples],
            self.dataset.lengths(),
            config.tasks.weights,
            batch_size=settings.batch_size,
            seed=settings.seed,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
        )
        self.mixture.first_batch = self.first_step * settings.accumulate

    def run(self) -> Trained:
        settings = self.config.train
        best, waited = float(self.notes.get("best_loss", math.inf)), int(self.notes.get("waited", 0))
        step, stopped = self.first_step, bool(self.notes.get("stopped", False))
        self._say_memory()
        batches = iter(loaded_batches(self.dataset, self.mixture, self.config.data.workers))
        self.model.train()
        with self._log(step) as log:
            while step < settings.steps and not stopped:
                report = self._step(batches, step)
                step += 1
                if step % settings.log_every == 0 or step == settings.steps:
                    log.report(step, **report)
                if self.validation is not None and (
                    step % settings.validate_every == 0 or step == settings.steps
                ):
                    loss = self._validation_loss(self.validation)
                    best, waited = (loss, 0) if loss < best else (best, waited + 1)
                    stopped = bool(settings.patience) and waited >= settings.patience
                    log.report(step, validation_loss=loss, best_validation_loss=best)
                if step % settings.save_every == 0 or step == settings.steps or stopped:
                    self._save(step, {"best_loss": best, "waited": waited, "stopped": stopped})
        self._write_model(step, best)
        return Trained(model=self.out / "model", steps=step, best_loss=best, stopped_early=stopped)

    def _log(self, step: int) -> TrainLog | UnheardLog:
        if not self.accelerator.is_main_process:
            return UnheardLog()
        return TrainLog(self.out, first_step=step, n_steps=self.config.train.steps, quiet=self.quiet)

    def _step(self, batches: Iterator[dict[str, Any]], step: int) -> dict[str, float]:
        """Take one step; return loss, gaze loss, rates."""
        settings = self.config.train
        begun = time.perf_counter()
        waited_s = made_s = 0.0
        losses: dict[str, list[float]] = {}
        eyes_alone = step < settings.eyes_first
        rate = learning_rate(step, self.config.train)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        n_tokens = 0
        for _ in range(settings.accumulate):
            asked = time.perf_counter()
            batch = next(batches)
            waited_s += time.perf_counter() - asked
            made_s += batch["made_s"]
            n_tokens += int(batch["attention_mask"].sum())
            with self.accelerator.accumulate(self.model):
                found = self._eyes_alone(batch) if eyes_alone else self._losses(batch)
                self._backward(found, by_hand=eyes_alone)
                if self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
            for name, loss in found.items():
                losses.setdefault(name, []).append(float(loss.detach()))
        took_s = time.perf_counter() - begun
        means = {name: sum(some) / len(some) for name, some in losses.items()}
        if not math.isfinite(sum(means.values())):
            raise TrainerError(
                f"the losses are {means} at step {step + 1}",
                code="GX-DIVERGED",
                hint="Lower learning_rate, or train from the last checkpoint with another seed.",
            )
        # What the loader could give: its processes work side by side; without any the step waits for each batch.
        work_s = max(took_s - waited_s, 1e-9)
        loader_s = made_s / max(self.config.data.workers, 1)
        n_processes = self.accelerator.num_processes
        return {
            **means,
            "learning_rate": rate,
            "samples_per_s": settings.batch_size * settings.accumulate * n_processes / took_s,
            "tokens_per_s": n_tokens * n_processes / took_s,
            "waited_share": waited_s / took_s,
            "loader_over_step_rate": work_s / max(loader_s, 1e-9),
        }

    def _losses(self, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Return the answers' loss and those that are on and can be had of this batch, by their settings' names."""
        settings = self.config.train
        device = self.accelerator.device
        inputs = {name: batch[name].to(device, non_blocking=True) for name in MODEL_INPUTS if name in batch}
        if "turns" in batch:
            inputs = side_by_side(self.model, inputs, batch["turns"].to(device))
        with_gaze = settings.gaze_loss > 0 and batch["focus"] is not None
        labels, said = batch["labels"].to(device), batch["said"] if settings.place_loss > 0 else None
        at = answers_at(labels)
        asked = [at]
        if said is not None:
            rows, tokens, words = said[:, :3].to(device).long().unbind(1)
            places, which = torch.unique(rows * labels.shape[1] + tokens, return_inverse=True)
            asked.append(places)
        with logits_at(self.accelerator.unwrap_model(self.model), torch.cat(asked)):
            made = self.model(**inputs, use_cache=False, output_attentions=with_gaze)
        weights = batch["weights"].to(device) if settings.weigh == "answers" else None
        found = {"loss": answer_loss(made.logits[: len(at)], labels, weights)}
        if with_gaze:
            spans, shares = (part.to(device) for part in batch["focus"])
            found["gaze_loss"] = gaze_loss(made.attentions, inputs["mm_token_type_ids"], spans, shares)
        if said is not None:
            found["place_loss"] = place_loss(made.logits[len(at) :], which, words, said[:, 3].to(device))
        return found

    def _eyes_alone(self, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Return the loss of what the pictures' tokens say by themselves; nothing where nothing of them is known."""
        device = self.accelerator.device
        if batch["said"] is None:
            return {}
        inputs = {name: batch[name].to(device, non_blocking=True) for name in PICTURE_INPUTS if name in batch}
        rows, tokens, words = batch["said"][:, :3].to(device).long().unbind(1)
        kinds = batch["mm_token_type_ids"].to(device)
        at = numbers_of_features(kinds)[rows * kinds.shape[1] + tokens]
        said = said_of_pictures(self.accelerator.unwrap_model(self.model), inputs)
        return {"place_loss": place_loss(said, at, words, batch["said"][:, 3].to(device))}

    def _backward(self, losses: dict[str, torch.Tensor], *, by_hand: bool) -> None:
        """Give the weights their gradients, the mean over all processes.

        by_hand : of the eyes' weights alone; the wrapper that shares gradients out was not asked, and waits for none.
        """
        if losses:
            self.accelerator.backward(sum(self._weight_of(name) * loss for name, loss in losses.items()))
        if by_hand and self.accelerator.num_processes > 1:
            weights = weights_that_say(self.accelerator.unwrap_model(self.model))
            gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
            # In one piece: a message costs more than what is in it.
            together = torch.cat([gradient.flatten() for gradient in gradients])
            parts = self.accelerator.reduce(together, "mean").split([w.numel() for w in weights])
            for weight, part in zip(weights, parts, strict=True):
                weight.grad = part.view_as(weight)

    def _weight_of(self, loss: str) -> float:
        return 1.0 if loss == "loss" else float(getattr(self.config.train, loss))

    def _validation_loss(self, split: SplitExamples) -> float:
        settings = self.config.train
        dataset = ExampleDataset(split.examples, split.paths, self.ready.processor, self.config.data)
        order = Mixture(
            [e.task for e in split.examples],
            dataset.lengths(),
            self.config.tasks.weights,
            batch_size=settings.batch_size,
            seed=0,
        )
        self.model.eval()
        losses = []
        with torch.no_grad():
            for number in range(settings.validation_batches):
                items = [dataset[index, None] for index, _ in order.batch(number)]
                losses.append(float(self._losses(collate(items, self.ready.processor))["loss"]))
        self.model.train()
        return sum(losses) / len(losses)

    def _save(self, step: int, notes: dict[str, Any]) -> None:
        whole = gathered(self.model, self.optimizer.optimizer) if self.sharded else None
        if self.accelerator.is_main_process:
            save_checkpoint(
                self.out,
                step,
                model=self.accelerator.unwrap_model(self.model),
                optimizer=self.optimizer.optimizer,
                config=self.config,
                notes=notes,
                keep=self.config.train.keep_checkpoints,
                sharded=whole,
            )
        self.accelerator.wait_for_everyone()

    def _write_model(self, step: int, best: float) -> None:
        whole = gathered(self.model, self.optimizer.optimizer)[0] if self.sharded else None
        if self.accelerator.is_main_process:
            about = {
                "steps": step,
                "validation_loss": best if math.isfinite(best) else None,
                "tiers": sorted(self.training.tiers),
                "n_readings": self.training.n_rows,
                "n_examples": len(self.training.examples),
                "labels": sorted(
                    {
                        label
                        for e in self.training.examples
                        if e.task == "presence" and (label := e.about("label"))
                    }
                ),
            }
            model = self.accelerator.unwrap_model(self.model)
            save_trained(
                ReadyModel(model=model, processor=self.ready.processor),
                self.out / "model",
                self.config,
                about,
                weights=whole,
            )
        self.accelerator.wait_for_everyone()

    def _say_memory(self) -> None:
        if self.quiet or not self.accelerator.is_main_process:
            return
        lengths = self.dataset.lengths()
        tokens = max(lengths) * self.config.train.batch_size
        need = estimate(
            self.accelerator.unwrap_model(self.model),
            self.config,
            tokens=tokens,
            bf16=_bf16(self.config),
            checkpointing=self.checkpointing,
            n_shards=self.accelerator.num_processes if self.sharded else 1,
        )
        sys.stderr.write(f"memory: {need} (batches of at most {tokens} tokens)\n")


def _refuse_what_needs_whole_weights(settings: TrainSettings) -> None:
    for name, is_asked, instead in (
        ("eyes_first", settings.eyes_first > 0, "0"),
        ("optimizer", settings.optimizer == "muon", "'adamw'"),
    ):
        if is_asked:
            raise TrainerError(
                f"train.{name} asks for weights that no process holds whole under FSDP",
                code="GX-CONFIG",
                hint=f"Set train.{name} = {instead}, or train without FSDP.",
            )


def _texts(examples: list[Example]) -> Iterator[str]:
    for example in examples[:TOKENIZER_TEXTS]:
        yield WORDS_AROUND
        yield plain_text(tuple(p for p in example.prompt if isinstance(p, str)))
        yield plain_text(tuple(p for p in example.answer if isinstance(p, str)))


def _pictures(training: SplitExamples, config: Config, multiple: int) -> Iterator[Grey]:
    """Give the radiographs of a split, each once, as a model sees them."""
    store = PictureStore(training.paths, cache_mb=0)
    for at in dict.fromkeys(at for example in training.examples for at in example.images):
        yield store.get(at, config.data.image_max_px, multiple)


def _bf16(config: Config) -> bool:
    wanted = config.train.precision
    return wanted == "bf16" or (
        wanted == "auto" and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    )
