"""TRL trains one epoch on view ``trl`` with a tiny Qwen2-VL, on the completions alone."""

from importlib.metadata import version
from pathlib import Path

import torchvision_shim  # noqa: F401  # before anything that imports torchvision
from datasets import load_dataset
from our_views import our_views
from resize_check import check_resize
from tiny_qwen2_vl import write_tiny_model
from transformers import AutoProcessor, Qwen2VLForConditionalGeneration
from trl import SFTConfig, SFTTrainer

NORMAL_PX = 448
"""Shorter side of a picture as trainers are given it."""
SMALL = {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}
"""Limits of the processor, px: attention over larger pictures takes minutes without a GPU."""
STEPS = 2


def main(views: Path, scratch: Path) -> None:
    print(check_resize())
    folder = write_tiny_model(scratch / "model")
    processor = AutoProcessor.from_pretrained(folder)
    processor.image_processor.size = SMALL
    rows = load_dataset(
        "parquet",
        data_files=sorted(map(str, (views / "trl" / "data").glob("train-*.parquet"))),
        cache_dir=str(scratch),
        split="train",
    )
    assert {"prompt", "completion", "images"} <= set(rows.column_names)
    pictures = [picture for row in rows for picture in row["images"]]
    assert all(picture.mode == "L" and min(picture.size) >= NORMAL_PX for picture in pictures)
    assert not any("<image>" in turn["content"] for row in rows for turn in row["prompt"])
    trainer = SFTTrainer(
        model=Qwen2VLForConditionalGeneration.from_pretrained(folder),
        args=SFTConfig(
            output_dir=f"{scratch}/out",
            per_device_train_batch_size=2,
            max_steps=STEPS,
            max_length=None,
            report_to=[],
            use_cpu=True,
            logging_steps=1,
            save_strategy="no",
            dataloader_pin_memory=False,
        ),
        train_dataset=rows,
        processing_class=processor,
    )
    batch = next(iter(trainer.get_train_dataloader()))
    trained = batch["labels"] != -100
    assert 0 < int(trained.sum()) < trained.numel() / 2, "only completions are trained on"
    loss = trainer.train().training_loss
    assert 0 < loss < 100
    versions = f"trl {version('trl')}, transformers {version('transformers')}"
    print(f"{versions}: {len(rows)} rows, {STEPS} steps, loss {loss:.2f}")


if __name__ == "__main__":
    with our_views() as (views, scratch):
        main(views, scratch)
