"""Settings of a training, a TOML file checked whole before anything starts."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from examples.gazex.errors import TrainerError
from examples.gazex.tasks.names import TASKS

__all__ = [
    "Config",
    "DataSettings",
    "ModelSettings",
    "TaskSettings",
    "TrainSettings",
    "load_config",
]

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSettings(_Settings):
    """Which rows are read, and how their pictures are made ready."""

    format: Literal["parquet", "hdf5"] = "hdf5"
    train_split: str = "train"
    validation_split: str = "validate"
    test_split: str = "test"
    image_max_px: Annotated[int, Field(ge=56 * 56)] = 768 * 768
    """Pixels of a radiograph after resizing; the published model's limit."""
    frame_max_px: Annotated[int, Field(ge=28 * 28)] = 256 * 256
    """Pixels of a key frame after resizing."""
    frames: Literal["stored", "rendered"] = "stored"
    """Key frames as the shards hold them, or lit anew from the fixations (needed by the controls of gaze)."""
    gaze: Literal["own", "none", "other_image", "shuffled_time"] = "own"
    """Controls: no gaze at all, the gaze of another reading, the own gaze in another order."""
    max_frames: Annotated[int, Field(ge=1, le=128)] = 32
    augment: Share = 0.0
    """Greatest shift and change of size of a picture, as a share of its side; boxes move with it."""
    questions_per_picture: Annotated[int, Field(ge=1, le=64)] = 1
    """In training, how many questions of a radiograph at most are answered side by side in one look at it."""
    picture_cache_mb: Annotated[int, Field(ge=0)] = 512
    workers: Annotated[int, Field(ge=0, le=64)] = 2

    @model_validator(mode="after")
    def _exchanged_gaze_is_lit_anew(self) -> Self:
        if self.gaze in ("other_image", "shuffled_time") and self.frames != "rendered":
            raise ValueError(
                f'gaze = {self.gaze!r} needs frames = "rendered": a stored key frame shows its own gaze, and would '
                "tell an exchanged one by how it was made"
            )
        return self


class TaskSettings(_Settings):
    """What is asked, and how often."""

    weights: dict[str, float] = Field(default_factory=lambda: dict.fromkeys(TASKS, 1.0))
    prompts: str = "v3"
    with_indication: bool = False
    n_shuffles: Annotated[int, Field(ge=1, le=16)] = 2
    max_steps: Annotated[int, Field(ge=1, le=64)] = 12
    """Steps of an inspection trajectory in an answer."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        unknown = sorted(set(self.weights) - set(TASKS))
        if unknown:
            raise ValueError(f"no task is called {unknown[0]!r}; known: {', '.join(TASKS)}")
        if not any(weight > 0 for weight in self.weights.values()) or min(self.weights.values()) < 0:
            raise ValueError("weights are 0 or more, and one at least is above 0")
        return self


class ModelSettings(_Settings):
    """The model: a local folder's, or one built small from these numbers."""

    family: Literal["qwen2_vl", "qwen2_5_vl", "qwen3_vl"] = "qwen2_vl"
    path: Path | None = None
    hidden: Annotated[int, Field(ge=32)] = 128
    layers: Annotated[int, Field(ge=1)] = 2
    heads: Annotated[int, Field(ge=1)] = 4
    kv_heads: Annotated[int, Field(ge=1)] = 2
    vision_hidden: Annotated[int, Field(ge=32)] = 96
    vision_layers: Annotated[int, Field(ge=1)] = 3
    vision_heads: Annotated[int, Field(ge=1)] = 4
    patch_px: Annotated[int, Field(ge=4, le=32)] | None = None
    """Side of a patch of a small model; None: the family's. Four patches are a token."""
    begin: Literal["library", "pictures"] = "library"
    """How a small model begins: as the library does, or with eyes for the training's pictures (`model.begin`)."""
    vocabulary: Annotated[int, Field(ge=320, le=32_000)] = 800
    """Tokens of a tokenizer trained on the shards; of a small model only."""
    lora_rank: Annotated[int, Field(ge=0, le=512)] = 0
    """0: all weights are trained."""
    lora_alpha: Annotated[int, Field(ge=1)] = 16
    freeze_vision: bool = False
    quantize: Literal["none", "4bit"] = "none"


class TrainSettings(_Settings):
    """How long, how fast, and what is kept."""

    seed: int = 0
    steps: Annotated[int, Field(ge=1)] = 1000
    batch_size: Annotated[int, Field(ge=1)] = 16
    accumulate: Annotated[int, Field(ge=1)] = 1
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    optimizer: Literal["adamw", "muon"] = "adamw"
    """muon: orthogonalised momentum for the matrices of the blocks, AdamW for the rest. A small model on processors
    learns the same in about a third of the steps, each an eighth dearer."""
    warmup_share: Share = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    weigh: Literal["tokens", "answers"] = "tokens"
    """Every token of an answer counts alike; or every answer does, however long, and in its boxes a digit by its place:
    a yes is one token beside the twenty of a box, and the last digit of a coordinate is worth a pixel at most."""
    gaze_loss: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the loss that draws the attention of a finding's words to where the reader looked; 0 is off."""
    place_loss: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the loss that has the tokens of pictures say what lies there: of a radiograph the findings and the
    letters of its regions, of a key frame what is lit; 0 is off."""
    eyes_first: Annotated[int, Field(ge=0)] = 0
    """Of ``steps`` the first so many train the eyes alone, by the loss of ``place_loss``: a step without a language
    model costs a third, and words are learnt sooner by one that sees."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 on a GPU."""
    gradient_checkpointing: Literal["auto", "on", "off"] = "auto"
    log_every: Annotated[int, Field(ge=1)] = 10
    save_every: Annotated[int, Field(ge=1)] = 200
    keep_checkpoints: Annotated[int, Field(ge=1)] = 2
    validate_every: Annotated[int, Field(ge=1)] = 200
    validation_batches: Annotated[int, Field(ge=1)] = 8
    patience: Annotated[int, Field(ge=0)] = 0
    """Validations without a better loss before training stops; 0: never."""
    threads: Annotated[int, Field(ge=0, le=256)] = 0
    """Threads of torch; 0: as torch chooses."""

    @model_validator(mode="after")
    def _eyes_have_a_loss(self) -> Self:
        if self.eyes_first and not self.place_loss:
            raise ValueError("eyes_first needs a place_loss above 0: it is what they are trained by")
        return self


class Config(_Settings):
    """All settings."""

    data: DataSettings = DataSettings()
    tasks: TaskSettings = TaskSettings()
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()

    @model_validator(mode="after")
    def _eyes_that_come_first_are_trained(self) -> Self:
        if self.train.eyes_first and (self.model.lora_rank or self.model.freeze_vision):
            raise ValueError(
                "eyes_first trains the eyes, which lora_rank above 0 and freeze_vision leave as they are"
            )
        return self

    def with_changes(self, **sections: dict[str, Any]) -> Config:
        """Return a copy with some settings changed, checked again."""
        content = self.model_dump()
        for section, changes in sections.items():
            content[section].update(changes)
        return Config.model_validate(content)


def load_config(path: Path | None) -> Config:
    """Read a TOML file; None gives the defaults. Raises TrainerError (GX-CONFIG)."""
    if path is None:
        return Config()
    try:
        return Config.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TrainerError(
            f"{path} cannot be read as TOML: {error}", code="GX-CONFIG", hint="Correct the file."
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "settings that do not go together"
        raise TrainerError(
            f"{path}: {place}: {first['msg']}", code="GX-CONFIG", hint="Correct this setting."
        ) from None
