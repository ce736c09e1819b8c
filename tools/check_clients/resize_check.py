"""Our resize gives the sizes of transformers' own processors, for every family that is told boxes in resized px."""

import json
import subprocess
import sys

from PIL import Image
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor, smart_resize

MERGE = 2
PROCESSED_PX = 1_000_000
"""Pictures up to this area also go through the processor itself; larger ones take long and are the same rule."""


def check_resize() -> str:
    """Compare formula and processor; return what was compared."""
    command = [sys.argv[1], "-m", "tools.check_clients.print_sizes"]
    families = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    n_sizes = n_processed = 0
    for family, content in families.items():
        named = str(IMAGE_PROCESSOR_MAPPING_NAMES[family])
        assert "Qwen2VLImageProcessor" in named, f"{family} has another processor now: {named}"
        limits = content["limits"]
        bounds = {name: limits[name] for name in ("min_pixels", "max_pixels")}
        processor = Qwen2VLImageProcessor(patch_size=limits["factor"] // MERGE, merge_size=MERGE, **bounds)
        for number, (width, height, *ours) in enumerate(content["sizes"]):
            n_sizes += 1
            try:
                new_height, new_width = smart_resize(height, width, factor=limits["factor"], **bounds)
            except ValueError:
                assert ours == [None, None], (family, width, height, ours)
                continue
            assert ours == [new_width, new_height], (family, width, height, ours, new_width, new_height)
            if width * height <= PROCESSED_PX and number % 7 == 0:
                picture = Image.new("RGB", (width, height))
                _, rows, columns = processor(picture, return_tensors="pt")["image_grid_thw"][0].tolist()
                shown = [columns * processor.patch_size, rows * processor.patch_size]
                assert ours == shown, (family, width, height, ours, shown)
                n_processed += 1
    return f"{n_sizes} sizes of {len(families)} families as transformers resizes them, {n_processed} by the processor"
