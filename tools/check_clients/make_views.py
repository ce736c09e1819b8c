"""Write all views of a small generated dataset: python -m tools.check_clients.make_views FOLDER."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from curation.export.dataset_views import ViewRequest, write_views
from curation.export.pictures import encode_png
from curation.export.views import VIEWS
from curation.view_settings import ViewsConfig
from tests.shard_rows import varied_rows, write_shards

TIMES = 5
"""Pictures of 500 x 600 px, as large as models take them, of a matrix of 2000 x 2400."""
POSITIONS = frozenset({"box", "centroid", "box_q", "centroid_q"})
LENGTHS = frozenset(
    {
        "matrix_width_px",
        "matrix_height_px",
        "picture_width_px",
        "picture_height_px",
        "x_image_px",
        "y_image_px",
    }
)


def enlarged(value: Any, name: str = "") -> Any:
    """Return a row, or a part of one, with pictures and positions so many times as large."""
    if isinstance(value, dict):
        return {key: enlarged(member, key) for key, member in value.items()}
    if isinstance(value, list) and value and name in POSITIONS:
        return [TIMES * number for number in value]
    if isinstance(value, list):
        return [enlarged(member, name) for member in value]
    if isinstance(value, bytes):
        grey = np.asarray(Image.open(io.BytesIO(value)), np.uint8)
        return encode_png(grey.repeat(TIMES, axis=0).repeat(TIMES, axis=1))
    return TIMES * value if name in LENGTHS and value is not None else value


def main(folder: Path) -> None:
    """Write shards and views into an empty folder."""
    requests = [ViewRequest(view=view, options=ViewsConfig().options_of(view.name)) for view in VIEWS]
    write_views(write_shards(folder, enlarged(varied_rows())), folder, requests, "check-clients")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
