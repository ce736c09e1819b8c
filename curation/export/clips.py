"""Key frames as mp4, one a second as in the published GazeX data, by PyAV (extra ``video``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

import numpy as np

from curation.export.pictures import decode_png
from gazecapture.files import as_tool_error
from keyframes.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from av.video.stream import VideoStream

__all__ = ["Codec", "write_clip"]

Codec = Literal["ffv1", "h264", "mpeg4"]
RATE_HZ = 1


class _Encoder(NamedTuple):
    name: str
    pixel_format: str
    options: dict[str, str]


_ENCODERS: Mapping[str, _Encoder] = MappingProxyType(
    {
        # One thread: the bytes would depend on the number of processors.
        "ffv1": _Encoder("ffv1", "gray", {"level": "3", "threads": "1"}),
        # x264 squeezes grey into the range of television, 16 to 235, and loses a seventh of the levels; RGB it keeps.
        "h264": _Encoder("libx264rgb", "rgb24", {"qp": "0", "preset": "veryfast", "threads": "1"}),
        "mpeg4": _Encoder("mpeg4", "yuv420p", {"qscale": "2", "threads": "1"}),
    }
)


def write_clip(path: Path, frames: Sequence[bytes], codec: Codec) -> None:
    """Write PNG frames of one size as an mp4 that is the same bytes for the same frames.

    ffv1 and h264 give every pixel back. Raises UsageError where PyAV is not installed, DataError for frames of
    different sizes.
    """
    try:
        import av
    except ImportError:
        raise UsageError(
            "mp4 needs PyAV", hint="Install the extra: pip install 'gazecapture[video]'.", code="GT-NO-VIDEO"
        ) from None
    pictures = [decode_png(frame) for frame in frames]
    if len({picture.shape for picture in pictures}) != 1:
        raise DataError(f"a clip's frames must be of one size, {len(pictures)} frames are not")
    encoder = _ENCODERS[codec]
    try:
        # bitexact: the muxer's version would change the bytes with every release.
        with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
            stream = cast(
                "VideoStream", container.add_stream(encoder.name, rate=RATE_HZ, options=encoder.options)
            )
            stream.height, stream.width = pictures[0].shape
            stream.pix_fmt = encoder.pixel_format
            for picture in pictures:
                rgb = np.repeat(picture[..., np.newaxis], 3, axis=2)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
            container.mux(stream.encode(None))
    except av.FFmpegError as error:
        raise as_tool_error(OSError(error.errno, error.strerror), path, "writing a clip") from error
