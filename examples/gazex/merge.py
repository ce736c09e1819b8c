"""A trained model as a complete Hugging Face folder that plain transformers load, without this trainer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from examples.gazex.model.ready import ADAPTER, load_trained

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


def merge(trained: Path, out: Path) -> None:
    """Write weights (adapters merged in), tokenizer, image and video processor, chat template, generation config, card.

    Raises TrainerError (GX-MODEL) where ``trained`` was not written by `train`.
    """
    ready, config, about = load_trained(trained)
    model: Any = ready.model
    if (trained / ADAPTER).is_dir():
        model = model.merge_and_unload()
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    ready.processor.save(out)
    family = ready.processor.family
    image = json.loads((out / "preprocessor_config.json").read_text(encoding="utf-8"))
    limits = {
        "shortest_edge": ready.processor.multiple**2,
        "longest_edge": config.data.image_max_px,
    }
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
        "size": limits,
    }
    _write(
        out / "preprocessor_config.json",
        common
        | {
            "image_processor_type": _IMAGE_PROCESSORS[family],
            "processor_class": _PROCESSORS[family],
        },
    )
    _write(
        out / "video_preprocessor_config.json",
        common
        | {
            "video_processor_type": _VIDEO_PROCESSORS[family],
            "processor_class": _PROCESSORS[family],
        },
    )
    (out / "README.md").write_text(_card(family, about), encoding="utf-8")


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _card(family: str, about: dict[str, Any]) -> str:
    loss = about.get("validation_loss")
    return f"""---
library_name: transformers
pipeline_tag: image-text-to-text
tags: [chest-x-ray, eye-tracking, research-only]
---
# A {family} model trained on gaze-annotated chest radiographs

**For research only. Not a medical device; not for diagnosis.**

| | |
|---|---|
| Readings it was trained on | {about.get("n_readings")} ({about.get("n_examples")} examples) |
| Access tiers of that data | {", ".join(about.get("tiers") or ["unknown"])} (the weights may go only there) |
| Steps | {about.get("steps")} |
| Validation loss | {"not measured" if loss is None else f"{loss:.4f}"} |

Boxes are in thousandths of the picture's sides: ``<|box_start|>(x0,y0),(x1,y1)<|box_end|>``. An inspection that it
writes is predicted, not observed.

```python
from transformers import AutoModelForImageTextToText, AutoProcessor
model = AutoModelForImageTextToText.from_pretrained("FOLDER")
processor = AutoProcessor.from_pretrained("FOLDER")
```
"""
