"""A trained model as a complete Hugging Face folder that plain transformers load, without this trainer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from examples.gazex.config import Config
from examples.gazex.errors import TrainerError
from examples.gazex.model.ready import ADAPTER, load_trained
from examples.gazex.model.tokenizer import chat_template
from examples.gazex.tasks.make import load_prompts

__all__ = ["merge"]

_VIDEO_PROCESSORS = {
    "qwen2_vl": "Qwen2VLVideoProcessor",
    "qwen2_5_vl": "Qwen2VLVideoProcessor",
    "qwen3_vl": "Qwen3VLVideoProcessor",
}
_IMAGE_PROCESSORS = dict.fromkeys(_VIDEO_PROCESSORS, "Qwen2VLImageProcessorFast")
_PROCESSORS = {
    "qwen2_vl": "Qwen2VLProcessor",
    "qwen2_5_vl": "Qwen2_5_VLProcessor",
    "qwen3_vl": "Qwen3VLProcessor",
}


def merge(trained: Path, out: Path, *, scores: Path | None = None) -> None:
    """Write weights (adapters merged in), tokenizer, image and video processor, chat template, generation config, card.

    scores : ``scores.json`` of an evaluation of this model, for the card.

    The chat template is the one that the trainer asks with, whatever a model's folder had. Raises TrainerError:
    GX-MODEL where ``trained`` was not written by `train`, GX-SCORES where the scores cannot be read.
    """
    measured = None if scores is None else _scores(scores)
    ready, config, about = load_trained(trained)
    family, multiple = ready.processor.family, ready.processor.multiple
    model: Any = ready.model
    if (trained / ADAPTER).is_dir():
        model = model.merge_and_unload()
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    ready.processor.tokenizer.chat_template = chat_template(family)
    ready.processor.save(out)
    image = json.loads((out / "preprocessor_config.json").read_text(encoding="utf-8"))
    common = {
        name: image[name]
        for name in ("image_mean", "image_std", "patch_size", "temporal_patch_size", "merge_size")
        if name in image
    }
    common |= {
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "do_convert_rgb": True,
        "processor_class": _PROCESSORS[family],
    }
    picture = {"shortest_edge": multiple**2, "longest_edge": config.data.image_max_px}
    _write(
        out / "preprocessor_config.json",
        common | {"size": picture, "image_processor_type": _IMAGE_PROCESSORS[family]},
    )
    # Qwen3-VL's limit is of all frames together, the others' of each.
    n_together = ready.processor.temporal * config.data.max_frames if family == "qwen3_vl" else 1
    frames = {"shortest_edge": multiple**2, "longest_edge": config.data.frame_max_px * n_together}
    _write(
        out / "video_preprocessor_config.json",
        common
        | {
            "size": frames,
            "video_processor_type": _VIDEO_PROCESSORS[family],
            "do_sample_frames": False,  # key frames are chosen already
            "cap_pixels_per_frame": False,
        },
    )
    (out / "README.md").write_text(_card(family, config, about, measured), encoding="utf-8")


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _scores(path: Path) -> dict[str, dict[str, Any]]:
    """Return measures by control as `evaluate` wrote them."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(control): {str(name): float(one["value"]) for name, one in found.items() if "value" in one}
            for control, found in content.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainerError(
            f"{path} holds no scores ({type(error).__name__})",
            code="GX-SCORES",
            hint="Give the scores.json that `evaluate` wrote.",
        ) from None


def _card(
    family: str, config: Config, about: Mapping[str, Any], measured: Mapping[str, Mapping[str, float]] | None
) -> str:
    loss = about.get("validation_loss")
    tasks = [task for task, weight in config.tasks.weights.items() if weight > 0]
    prompts = load_prompts(config.tasks.prompts)
    shown = prompts["report_from_image" if "report_from_image" in tasks else tasks[0]].replace(
        "{indication}", ""
    )
    asked = "\n".join(f"| {task} | {prompts[task].replace('{indication}', '')} |" for task in tasks)
    return f"""---
library_name: transformers
pipeline_tag: image-text-to-text
tags: [chest-x-ray, eye-tracking, research-only]
---
# A {family} model trained on gaze-annotated chest radiographs

**For research only. Not a medical device; not for diagnosis.** What it says is predicted: reports, findings, and also
where and in which order a reader would look. Nobody's gaze is observed when it is used.

| | |
|---|---|
| Readings it was trained on | {about.get("n_readings")} ({about.get("n_examples")} examples) |
| Access tiers of that data | {", ".join(about.get("tiers") or ["unknown"])} (the weights may go only there) |
| Gaze in training | {config.data.gaze} |
| Steps | {about.get("steps")} |
| Validation loss | {"not measured" if loss is None else f"{loss:.4f}"} |

## Metrics

{_metrics(measured)}

## What it was asked in training

It knows these questions (version {config.tasks.prompts}) and no others. Boxes are in thousandths of the picture's
sides: ``<|box_start|>(x0,y0),(x1,y1)<|box_end|>``. Key frames come as one video before the radiograph, every frame
twice, two frames a second.

| task | question |
|---|---|
{asked}

## Use

```python
from transformers import AutoModelForImageTextToText, AutoProcessor

model = AutoModelForImageTextToText.from_pretrained("FOLDER")
processor = AutoProcessor.from_pretrained("FOLDER")
content = [{{"type": "image"}}, {{"type": "text", "text": "{shown}"}}]
turn = [{{"role": "user", "content": content}}]
text = processor.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
inputs = processor(text=[text], images=[radiograph], return_tensors="pt")
answer = model.generate(**inputs, max_new_tokens=512)[0, inputs["input_ids"].shape[1] :]
```
"""


def _metrics(measured: Mapping[str, Mapping[str, float]] | None) -> str:
    if not measured:
        return "Not measured. `evaluate` measures on held-out patients; give its scores to `merge --scores`."
    names = list(dict.fromkeys(name for found in measured.values() for name in found))
    lines = [
        "On held-out patients, beside controls that need no picture, no training or no gaze.\n",
        f"| measure | {' | '.join(measured)} |",
        f"|---|{'---|' * len(measured)}",
        *(
            f"| {name} | {' | '.join(_cell(found.get(name)) for found in measured.values())} |"
            for name in names
        ),
    ]
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.3f}"
