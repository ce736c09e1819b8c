"""LLaMA-Factory's own loader reads views ``llamafactory`` and ``authors`` and tokenizes them for Qwen2-VL."""

import io
import json
import math
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import torchvision_shim  # noqa: F401  # before anything that imports torchvision
from docs_lines import run_lines
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer
from our_views import our_views
from PIL import Image
from tiny_qwen2_vl import write_tiny_model
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

IGNORED = -100
CELL_PX = 28
FRAMES_PER_TOKEN = 2
VIDEO_MAX_PIXELS = 256 * 256
"""LLaMA-Factory's ``video_max_pixels``, unless set."""
SMALL_PIXELS = 112 * 112
"""Of pictures in the one step that is trained: attention over larger ones takes minutes without a GPU."""


class MediaTokens:
    """Counts the tokens that pictures and frames must take: 14 px patches, two by two, and frames in pairs."""

    def __init__(self, processor: Any) -> None:
        sizes = processor.image_processor.size, processor.video_processor.size
        (self._image, self._video) = (
            {"min_pixels": size["shortest_edge"], "max_pixels": size["longest_edge"]} for size in sizes
        )

    def of_images(self, pictures: Iterable[Any]) -> int:
        """Return the tokens of pictures, which lie within the picture limit of the training."""
        return sum(self._cells(picture_size(picture), self._image) for picture in pictures)

    def of_video(self, video: Any) -> int:
        """Return the tokens of a clip: of every second frame, after the training's limit for frames."""
        if isinstance(video, str):
            with av.open(video) as container:
                frames = list(container.decode(video=0))
            size = frames[0].width, frames[0].height
        else:
            frames, size = video, picture_size(video[0])
        shrink = min(1.0, math.sqrt(VIDEO_MAX_PIXELS / (size[0] * size[1])))
        small = int(size[0] * shrink), int(size[1] * shrink)
        return math.ceil(len(frames) / FRAMES_PER_TOKEN) * self._cells(small, self._video)

    def _cells(self, size: tuple[int, int], limits: dict[str, int]) -> int:
        height, width = smart_resize(size[1], size[0], factor=CELL_PX, **limits)
        return (height // CELL_PX) * (width // CELL_PX)


def picture_size(picture: Any) -> tuple[int, int]:
    """Return width and height of a path or of ``{bytes, path}``."""
    source = io.BytesIO(picture["bytes"]) if isinstance(picture, dict) else picture
    with Image.open(source) as opened:
        return opened.size


def load(view: Path, name: str, model: Path, scratch: Path) -> tuple[int, str, Counter[str]]:
    """Return how many examples of one entry were loaded, the first one as tokens say it, and how many media tokens."""
    arguments = {
        "stage": "sft", "do_train": True, "model_name_or_path": str(model), "template": "qwen2_vl", "dataset": name,
        "dataset_dir": str(view), "media_dir": str(view), "output_dir": str(scratch / "out"), "cutoff_len": 8192,
        "image_max_pixels": 768 * 768, "video_fps": 1.0, "video_maxlen": 128, "cache_dir": str(scratch / "cache"),
        "overwrite_cache": True, "report_to": "none", "finetuning_type": "full",
    }  # fmt: skip
    model_args, data_args, training_args, _, _ = get_train_args(arguments)
    tokens = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(tokens["tokenizer"], data_args)
    module = get_dataset(template, model_args, data_args, training_args, stage="sft", **tokens)
    rows = module["train_dataset"]
    expected, seen = MediaTokens(tokens["processor"]), Counter[str]()
    for row in rows:
        found = {
            kind: row["input_ids"].count(tokens["tokenizer"].convert_tokens_to_ids(f"<|{kind}_pad|>"))
            for kind in ("image", "video")
        }
        videos = row["videos"] or ()
        due = {
            "image": expected.of_images(row["images"] or ()),
            "video": sum(expected.of_video(video) for video in videos),
        }
        assert found == due, (view.name, name, found, due)
        seen.update(found)
        n_trained = sum(label != IGNORED for label in row["labels"])
        assert 0 < n_trained < len(row["labels"]), "the prompt is masked, the answer is not"
    return len(rows), tokens["tokenizer"].decode(rows[0]["input_ids"]), seen


def train_as_documented(dataset: Path, model: Path, scratch: Path) -> int:
    """Train one step by the lines of the documentation; return how many steps LLaMA-Factory says that it did."""
    training = {
        "stage": "sft", "do_train": True, "model_name_or_path": str(model), "template": "qwen2_vl",
        "output_dir": str(scratch / "trained"), "cache_dir": str(scratch / "cache"), "cutoff_len": 8192,
        "image_max_pixels": SMALL_PIXELS, "video_max_pixels": SMALL_PIXELS, "video_fps": 1.0, "video_maxlen": 4,
        "finetuning_type": "full", "max_steps": 1, "per_device_train_batch_size": 1, "save_strategy": "no",
        "report_to": "none", "use_cpu": True, "overwrite_cache": True, "logging_steps": 1,
    }  # fmt: skip
    run_lines("llamafactory", dataset, training=training)
    return int(json.loads((scratch / "trained" / "trainer_state.json").read_bytes())["global_step"])


def main(views: Path, scratch: Path) -> None:
    model = write_tiny_model(scratch / "model")
    assert train_as_documented(views.parent, model, scratch) == 1
    for view in (views / "llamafactory", views / "authors"):
        info = json.loads((view / "dataset_info.json").read_bytes())
        counts, n_media = {}, Counter[str]()
        for name, entry in info.items():
            counts[name], text, seen = load(view, name, model, scratch)
            assert "<image>" not in text
            assert "<video>" not in text
            for kind in ("image", "video"):
                assert bool(seen[kind]) == (f"{kind}s" in entry["columns"]), (name, seen)
            n_media.update(seen)
        tasks = {name.removeprefix("gaze_").rsplit("_", 1)[0] for name in counts}
        assert view.name == "authors" or len(tasks) == 8, tasks
        print(f"llamafactory {version('llamafactory')}: {view.name} {counts}, media tokens {dict(n_media)}")


if __name__ == "__main__":
    with our_views() as (views, scratch):
        main(views, scratch)
