"""Print what our resize makes of a grid of picture sizes, as JSON, for the comparison with transformers."""

import itertools
import json
import sys
from dataclasses import asdict

from curation.export.box_frames import ResizeLimits, smart_resize

LIMITS = {
    "qwen2_vl": ResizeLimits(),
    "qwen2_5_vl": ResizeLimits(max_pixels=768 * 768),
    "qwen3_vl": ResizeLimits(factor=32, min_pixels=256 * 256, max_pixels=1280 * 32 * 32),
}
SIDES_PX = (1, 13, 14, 28, 42, 55, 70, 112, 223, 448, 640, 767, 768, 853, 1024, 1330, 2022, 2544, 3056, 4280)


def main() -> None:
    """Write one list of [width, height, new width, new height] per family; a refused picture has null, null."""
    families = {}
    for family, limits in LIMITS.items():
        sizes = []
        for width, height in itertools.product(SIDES_PX, repeat=2):
            try:
                sizes.append((width, height, *smart_resize(width, height, limits)))
            except ValueError:
                sizes.append((width, height, None, None))
        families[family] = {"limits": asdict(limits), "sizes": sizes}
    json.dump(families, sys.stdout)


if __name__ == "__main__":
    main()
