"""ms-swift's own loader and template read every task of view ``swift``; boxes arrive in the model's numbers."""

import os
import re
from importlib.metadata import version
from pathlib import Path

import torchvision_shim  # noqa: F401  # before anything that imports torchvision
from our_views import our_views
from tiny_qwen2_vl import write_tiny_model


def main(views: Path, scratch: Path) -> None:
    view = views / "swift"
    # ROOT_IMAGE_DIR is not joined to frames in a list: they are found from the working folder alone.
    os.chdir(view)
    os.environ["MODELSCOPE_CACHE"] = str(scratch / "cache")
    from swift.dataset import load_dataset
    from swift.model import get_processor
    from swift.template import get_template

    model = write_tiny_model(scratch / "model")
    processor = get_processor(str(model), model_type="qwen2_vl")
    template = get_template(processor, template_type="qwen2_vl")
    template.set_mode("train")
    counts = {}
    for folder in sorted((view / "data").iterdir()):
        files = sorted(map(str, folder.glob("train-*.parquet")))
        rows, _ = load_dataset(files, split_dataset_ratio=0.0)
        n_boxes = 0
        for row in rows:
            encoded = template.encode(dict(row))
            text = processor.tokenizer.decode(encoded["input_ids"])
            assert "<bbox>" not in text
            n_boxes += len((row.get("objects") or {}).get("bbox") or ())
            if n_boxes and folder.name == "vqa":
                numbers = [int(n) for n in re.findall(r"\((\d+),\d+\)", text)]
                assert all(0 <= n <= 1000 for n in numbers)
        counts[folder.name] = (len(rows), n_boxes)
    assert len(counts) == 8, counts
    print(f"ms-swift {version('ms-swift')}, rows and boxes: {counts}")


if __name__ == "__main__":
    with our_views() as (views, scratch):
        main(views, scratch)
