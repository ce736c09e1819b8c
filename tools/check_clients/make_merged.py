"""Train and merge a small model of every family; write what the trainer itself makes of some pictures.

python -m tools.check_clients.make_merged FOLDER

::

    FOLDER/FAMILY/merged/       what `merge` wrote
    FOLDER/FAMILY/NAME.npz      a question: tokens, patches and grids as the trainer's processor makes them, and the
                                greedy answer of the trainer's own model
    FOLDER/FAMILY/questions.json
    FOLDER/*.png                the pictures, of the model's size (fits) and of another (larger); frame-K.png
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from examples.gazex.config import Config
from examples.gazex.data.encode import Encoded, collate
from examples.gazex.data.pictures import fitted
from examples.gazex.merge import merge
from examples.gazex.model.ready import ReadyModel, load_trained
from examples.gazex.train.loop import train
from examples.gazex.train.loss import MODEL_INPUTS
from tests.unit.gazex.conftest import reading, write_both

FAMILIES = {"qwen2_vl": 4, "qwen2_5_vl": 0, "qwen3_vl": 0}
"""Rank of the adapter that is trained and merged; 0 trains all weights."""
FITTING_PX = {"qwen2_vl": (112, 84), "qwen2_5_vl": (112, 84), "qwen3_vl": (128, 96)}
LARGER_PX = (210, 150)
FRAME_PX = {"qwen2_vl": (56, 56), "qwen2_5_vl": (56, 56), "qwen3_vl": (64, 64)}
N_FRAMES = 3
MAX_PX = 12_800
NEW_TOKENS = 24
QUESTION = "Is there Cardiomegaly?"


def main(folder: Path) -> None:
    """Write everything into a folder."""
    torch.set_num_threads(1)
    dataset = write_both(folder / "dataset", [reading(1), reading(2), reading(3, "validate")])
    for family, rank in FAMILIES.items():
        config = Config().with_changes(
            data={"image_max_px": MAX_PX, "frame_max_px": 64 * 64, "workers": 0},
            model={"family": family, "hidden": 64, "layers": 2, "heads": 4, "kv_heads": 2, "vision_hidden": 32,
                   "vision_layers": 1, "vision_heads": 2, "vocabulary": 400, "lora_rank": rank},
            train={"steps": 8, "batch_size": 4, "learning_rate": 3e-3, "threads": 1, "save_every": 8},
        )  # fmt: skip
        run = train([dataset], folder / family / "run", config, quiet=True)
        merge(run.model, folder / family / "merged")
        ready, config, _ = load_trained(run.model)
        _ask(ready, config, folder / family, family)


def _ask(ready: ReadyModel, config: Config, folder: Path, family: str) -> None:
    rng = np.random.default_rng(0)
    processor = ready.processor
    frames = [_picture(rng, FRAME_PX[family]) for _ in range(N_FRAMES)]
    questions: dict[str, dict[str, Any]] = {}
    for name, size, with_frames in (
        ("fits", FITTING_PX[family], False),
        ("larger", LARGER_PX, False),
        ("frames", FITTING_PX[family], True),
    ):
        picture = _picture(rng, size)
        picture.save(folder / f"{name}.png")
        image = processor.image(fitted(picture, config.data.image_max_px, processor.multiple))
        doubled = [np.asarray(frame) for frame in frames for _ in range(processor.temporal)]
        video = processor.video(doubled) if with_frames else None
        item = Encoded(
            prompt=processor.prompt_ids(video, [image], QUESTION),
            answer=[],
            images=[image],
            video=video,
            focus=(),
        )
        batch = collate([item], processor, for_generation=True)
        inputs = {key: batch[key] for key in MODEL_INPUTS if key in batch}
        with torch.inference_mode():
            made = ready.model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)
        arrays = {key: value.numpy() for key, value in inputs.items()}
        np.savez(folder / f"{name}.npz", answer=made[0, inputs["input_ids"].shape[1] :].numpy(), **arrays)
        questions[name] = {
            "text": QUESTION,
            "n_frames": N_FRAMES if with_frames else 0,
            "new_tokens": NEW_TOKENS,
        }
    for place, frame in enumerate(frames):
        frame.save(folder / f"frame-{place}.png")
    (folder / "questions.json").write_text(json.dumps(questions), encoding="utf-8")


def _picture(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Return a smooth picture: resizing noise would compare the filters at their worst."""
    coarse = rng.integers(0, 255, (8, 8)).astype(np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
