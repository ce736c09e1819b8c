"""Lets torchvision import beside a torch that was built without its compiled operators.

torchvision registers Python meta kernels for operators that its binary defines; where the binary does not load, the
import fails with "operator torchvision::nms does not exist". With the two schemas defined the transforms work,
which are all that the trainers use. Import this before anything that may import torchvision.
"""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import torch

_LIBRARY = torch.library.Library("torchvision", "DEF")
_LIBRARY.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
_LIBRARY.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

# LLaMA-Factory imports torchaudio for sound, which no view has; its newest wheel does not load beside this torch.
_SOUND = ModuleType("torchaudio")
_SOUND.__spec__ = ModuleSpec("torchaudio", None)
sys.modules.setdefault("torchaudio", _SOUND)
