"""Shards as torch datasets: any reading at random, any key frame at random, or all readings as a stream.

Needs torch, pyarrow, h5py and numpy; nothing of the toolkit that wrote the shards.
"""

from examples.gazex.data.keyframes import KeyFrameDataset
from examples.gazex.data.stream import ReadingStream, ResumableLoader

__all__ = ["KeyFrameDataset", "ReadingStream", "ResumableLoader"]
