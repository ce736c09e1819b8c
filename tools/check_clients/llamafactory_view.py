"""LLaMA-Factory's own loader reads views ``llamafactory`` and ``authors`` and tokenizes them for Qwen2-VL."""

import json
from importlib.metadata import version
from pathlib import Path

import torchvision_shim  # noqa: F401  # before anything that imports torchvision
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer
from our_views import our_views
from tiny_qwen2_vl import write_tiny_model

IGNORED = -100


def load(view: Path, name: str, model: Path, scratch: Path) -> tuple[int, str]:
    """Return how many examples of one entry were loaded, and the first one as tokens say it."""
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
    for row in rows:
        n_trained = sum(label != IGNORED for label in row["labels"])
        assert 0 < n_trained < len(row["labels"]), "the prompt is masked, the answer is not"
    return len(rows), tokens["tokenizer"].decode(rows[0]["input_ids"])


def main(views: Path, scratch: Path) -> None:
    model = write_tiny_model(scratch / "model")
    for view in (views / "llamafactory", views / "authors"):
        info = json.loads((view / "dataset_info.json").read_bytes())
        counts = {}
        for name, entry in info.items():
            counts[name], text = load(view, name, model, scratch)
            assert ("<|video_pad|>" in text) == ("videos" in entry["columns"] and "<video>" not in text) or (
                view.name == "authors"
            )
            assert "<image>" not in text
        tasks = {name.removeprefix("gaze_").rsplit("_", 1)[0] for name in counts}
        assert view.name == "authors" or len(tasks) == 8, tasks
        print(f"llamafactory {version('llamafactory')}: {view.name} {counts}")


if __name__ == "__main__":
    with our_views() as (views, scratch):
        main(views, scratch)
