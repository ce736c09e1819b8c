"""ms-swift's own loader and template read every task of view ``swift``; boxes arrive in the model's numbers."""

import copy
import io
import os
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torchvision_shim  # noqa: F401  # before anything that imports torchvision
from docs_lines import run_lines
from our_views import our_views
from PIL import Image
from tiny_qwen2_vl import write_tiny_model

BOX = re.compile(r"<\|box_start\|>\((\d+),(\d+)\),\((\d+),(\d+)\)<\|box_end\|>")
BOXED_TASKS = {"boxes_from_sentence", "grounded_report", "vqa"}


def told_in_thousandths(row: dict[str, Any]) -> list[tuple[int, ...]]:
    """Return a row's boxes as Qwen2-VL is told them, from px of the pictures as they are."""
    objects = row.get("objects") or {}
    told = []
    for box, image in zip(objects.get("bbox") or (), objects.get("image_id") or (), strict=True):
        shown = row["images"][image]
        size = Image.open(io.BytesIO(shown["bytes"])).size if isinstance(shown, dict) else shown.size
        told.append(tuple(round(v / size[place % 2] * 1000) for place, v in enumerate(box)))
    return told


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
            expected = told_in_thousandths(row)
            text = processor.tokenizer.decode(template.encode(copy.deepcopy(dict(row)))["input_ids"])
            assert "<bbox>" not in text
            told = [tuple(map(int, numbers)) for numbers in BOX.findall(text)]
            assert told == expected, (folder.name, row["record_id"], told, expected)
            assert all(0 <= x0 < x1 <= 1000 and 0 <= y0 < y1 <= 1000 for x0, y0, x1, y1 in told)
            n_boxes += len(told)
        assert bool(n_boxes) == (folder.name in BOXED_TASKS), (folder.name, n_boxes)
        counts[folder.name] = (len(rows), n_boxes)
    assert len(counts) == 8, counts
    assert len(run_lines("swift", views.parent)["rows"]) == counts["report_from_gaze"][0]
    print(f"ms-swift {version('ms-swift')}, rows and boxes: {counts}")


if __name__ == "__main__":
    with our_views() as (views, scratch):
        main(views, scratch)
