"""Key frames as mp4: every pixel comes back, the same bytes every time."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from curation.export.clips import write_clip
from curation.export.pictures import encode_png
from keyframes.errors import DataError


def frames(height: int, width: int) -> list[bytes]:
    rng = np.random.default_rng(0)
    return [encode_png(rng.integers(0, 256, (height, width), dtype=np.uint8)) for _ in range(4)]


def grey(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)), np.uint8)


@pytest.mark.parametrize("codec", ["ffv1", "h264"])
@pytest.mark.parametrize("size", [(120, 100), (121, 99)])
def test_lossless_clips_give_every_pixel_back(tmp_path: Path, codec: str, size: tuple[int, int]) -> None:
    pictures = frames(*size)
    write_clip(tmp_path / "a.mp4", pictures, codec)  # type: ignore[arg-type]
    with av.open(str(tmp_path / "a.mp4")) as clip:
        assert clip.streams.video[0].average_rate == 1
        decoded = [np.asarray(frame.to_image()) for frame in clip.decode(video=0)]
    assert len(decoded) == len(pictures)
    for picture, seen in zip(pictures, decoded, strict=True):
        for channel in range(3):
            np.testing.assert_array_equal(seen[..., channel], grey(picture))
    write_clip(tmp_path / "b.mp4", pictures, codec)  # type: ignore[arg-type]
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert b"Lavf" not in (tmp_path / "a.mp4").read_bytes()


def test_the_published_codec_loses_detail_only(tmp_path: Path) -> None:
    y, x = np.mgrid[0:120, 0:100]
    smooth = encode_png((128 + 60 * np.sin(x / 20) + 60 * np.cos(y / 25)).astype(np.uint8))
    write_clip(tmp_path / "a.mp4", [smooth] * 3, "mpeg4")
    with av.open(str(tmp_path / "a.mp4")) as clip:
        seen = np.asarray(next(clip.decode(video=0)).to_image())[..., 0].astype(int)
    assert 0 < np.abs(seen - grey(smooth)).mean() < 4


def test_frames_of_two_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one size"):
        write_clip(tmp_path / "a.mp4", [*frames(20, 20), *frames(24, 20)], "ffv1")
