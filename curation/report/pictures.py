"""Pictures as data URIs: decoded, made small, encoded anew, so that no metadata of a file gets into the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from curation.export.pictures import decode_png, open_picture
from curation.report.gathered import ImageGaze
from gazecapture.files import as_tool_error
from keyframes.errors import ImageError
from keyframes.heatmap import dwell_map

__all__ = [
    "Picture",
    "decoded",
    "figure_picture",
    "figure_svg",
    "grey_picture",
    "heat_thumbnail",
    "load_picture",
]

QUALITY = 84
"""JPEG: WebP would be half of it but takes ten times as long, which is most of a report's time."""
FIGURE_DPI = 150
"""A figure of 6 inches is 900 px then: sharp at the 540 CSS px that it gets on a wide screen."""
SCREENSHOT_PX = 1600


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture of the page."""

    uri: str
    width: int
    height: int
    caption: str = ""


def grey_picture(grey8: NDArray[np.uint8], longest_px: int) -> Picture:
    """Return a grey picture, its longer side at most ``longest_px``."""
    return _encoded(_fitted(Image.fromarray(grey8), longest_px))


def heat_thumbnail(grey8: NDArray[np.uint8], gaze: ImageGaze | None, longest_px: int) -> Picture:
    """Return a small picture with where gaze dwelt on it, in the colours of the large heat maps."""
    small = np.asarray(_fitted(Image.fromarray(grey8), longest_px).convert("RGB"), np.float64) / 255
    if gaze is not None:
        height, width = small.shape[:2]
        sigma = [
            np.full(gaze.dwell_s.size, s * side)
            for s, side in zip(gaze.sigma_share, (width, height), strict=True)
        ]
        drawn = dwell_map(
            gaze.x_share * width,
            gaze.y_share * height,
            gaze.dwell_s,
            *sigma,
            width_px=width,
            height_px=height,
        )
        share = drawn.heat / max(float(drawn.heat.max()), 1e-9)
        rows = np.minimum((np.arange(height) / drawn.cell_px).astype(int), share.shape[0] - 1)
        columns = np.minimum((np.arange(width) / drawn.cell_px).astype(int), share.shape[1] - 1)
        at = share[np.ix_(rows, columns)]
        opaque = np.clip(at * 1.6, 0.0, 0.72)[..., None]
        small = small * (1 - opaque) + colormaps["inferno"](at)[..., :3] * opaque
    return _encoded(Image.fromarray((small * 255).round().astype(np.uint8)))


def decoded(content: bytes) -> NDArray[np.uint8] | None:
    """Return a shard's picture as (h, w) grey values, or None where it cannot be decoded."""
    try:
        return decode_png(content)
    except ImageError:
        return None


def load_picture(path: Path) -> Picture:
    """Return a picture file, such as a screenshot. Raises ImageError where it is none."""
    try:
        with open_picture(path.read_bytes()) as image:
            picture = _encoded(_fitted(image.convert("RGB"), SCREENSHOT_PX))
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist", hint="Check --picture.", path=path) from None
    except OSError as error:
        raise as_tool_error(error, path, "reading it") from error
    except ImageError as error:
        raise ImageError(f"{path}: {error.message}", hint="Give a PNG or JPEG file.", path=path) from None
    caption = " ".join(path.stem.replace("_", " ").replace("-", " ").split())
    return Picture(uri=picture.uri, width=picture.width, height=picture.height, caption=caption)


def figure_picture(figure: Figure) -> Picture:
    """Return a figure as pixels."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba", dpi=FIGURE_DPI)
    width, height = (int(inches * FIGURE_DPI) for inches in figure.get_size_inches())
    return _encoded(Image.frombytes("RGBA", (width, height), buffer.getvalue()).convert("RGB"))


def figure_svg(figure: Figure) -> Picture:
    """Return a figure as vectors, the same bytes for the same figure."""
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "gazecurate report"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    width, height = figure.get_size_inches()
    return Picture(
        uri=_uri("image/svg+xml", buffer.getvalue()), width=round(width * 96), height=round(height * 96)
    )


def _fitted(image: Image.Image, longest_px: int) -> Image.Image:
    factor = longest_px / max(image.size)
    if factor >= 1.0:
        return image
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _encoded(image: Image.Image) -> Picture:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=QUALITY, optimize=True)
    return Picture(uri=_uri("image/jpeg", buffer.getvalue()), width=image.width, height=image.height)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
