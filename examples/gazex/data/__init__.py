"""Shards as torch datasets: any key frame at random, or all readings as a stream; seeded, shared out, resumable.

Needs torch, pyarrow, h5py and numpy; nothing of the toolkit that wrote the shards.
"""

from examples.gazex.data.keyframes import KeyFrameDataset, KeyFrameOrder
from examples.gazex.data.loader import ResumableLoader
from examples.gazex.data.stream import ReadingStream

__all__ = ["KeyFrameDataset", "KeyFrameOrder", "ReadingStream", "ResumableLoader"]
