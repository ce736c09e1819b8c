"""A segmentation network from a configured ONNX file; nothing is fetched, nothing runs but what the file says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gazecapture.radiograph.film import Film
from keyframes.errors import ConfigError, ImageError
from keyframes.regions.bitmap import Bitmap
from keyframes.regions.region_map import Region, RegionMap

__all__ = ["OnnxSegmenter", "SegmenterSettings"]

Activation = Literal["none", "sigmoid", "softmax"]
FLOAT = "tensor(float)"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterSettings:
    """What must be known of a model besides its file."""

    model: Path
    labels: tuple[str, ...]
    """Region of each output channel; an empty name leaves the channel out (background)."""
    input_width_px: int
    input_height_px: int
    grey_divisor: float = 255.0
    """Grey levels 0 to 255 are divided by it,"""
    mean: float = 0.0
    """then the mean is taken off,"""
    sd: float = 1.0
    """and the rest divided by the standard deviation."""
    activation: Activation = "none"
    """Turns outputs into probabilities. none: they are; softmax: the likeliest channel alone holds a pixel."""
    threshold: float = 0.5
    """Probability from which on a pixel belongs to a region."""
    confidence: float = 0.7
    """Of its regions."""


class OnnxSegmenter:
    """Runs a model of one float input (1, 1 or 3, h, w) and one output (1, channels, h', w').

    The picture is stretched to the input's size and the masks back, on their own grid. ``model_hash`` becomes part of
    the provider's name in every output. Raises ConfigError where
    onnxruntime is not installed, the file is no model, or its shapes contradict the settings.
    """

    def __init__(self, settings: SegmenterSettings, *, model_hash: str) -> None:
        self._settings = settings
        self._provider = f"onnx:{model_hash}"
        runtime = _onnxruntime(settings.model)
        if not settings.model.is_file():
            raise ConfigError(
                f"{settings.model} does not exist",
                path=settings.model,
                hint="Correct [regions.segmenter] model.",
            )
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1  # one reading per process is the unit of parallel work
        options.log_severity_level = 4
        try:
            self._session = runtime.InferenceSession(
                str(settings.model), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's exceptions have no common root
            raise ConfigError(
                f"it is no ONNX model that can be run ({type(error).__name__})", path=settings.model
            ) from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self._require(len(inputs) == 1 and len(outputs) == 1, "one input and one output")
        self._require(inputs[0].type == outputs[0].type == FLOAT, "float input and output")
        shape = inputs[0].shape
        size = (settings.input_height_px, settings.input_width_px)
        self._require(len(shape) == 4, "an input of four dimensions")
        self._require(_agrees(shape[2], size[0]) and _agrees(shape[3], size[1]), "the configured input size")
        self._require(shape[1] in {1, 3} or not isinstance(shape[1], int), "1 or 3 input channels")
        self._channels = 3 if shape[1] == 3 else 1
        self._input = inputs[0].name

    def __call__(self, film: Film) -> RegionMap | None:
        """See `gazecapture.radiograph.regions.RegionProvider`."""
        if film.grey8 is None:
            return None
        settings = self._settings
        scores = self._run(film.grey8)
        held = _held(scores, settings.activation, settings.threshold)
        height, width = scores.shape[1:]
        regions: dict[str, Region] = {}
        for name, mask in zip(settings.labels, held, strict=True):
            grid = Bitmap.from_mask(
                mask, scale_x_px=film.width_px / width, scale_y_px=film.height_px / height
            )
            if name and grid is not None:
                regions[name] = Region.from_bitmap(name, grid)
        if not regions:
            return None
        return RegionMap.build(
            width_px=film.width_px,
            height_px=film.height_px,
            regions=regions,
            provider=self._provider,
            confidence=settings.confidence,
        )

    def _run(self, grey8: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the model's scores, (channels, h, w)."""
        settings = self._settings
        size = (settings.input_width_px, settings.input_height_px)
        small = np.asarray(Image.fromarray(grey8).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
        grey = (small.astype(np.float32) / settings.grey_divisor - settings.mean) / settings.sd
        batch = np.repeat(grey[np.newaxis, np.newaxis], self._channels, axis=1).astype(np.float32)
        try:
            output: Any = self._session.run(None, {self._input: batch})[0]
        except Exception as error:  # the runtime's exceptions have no common root
            raise ImageError(
                f"the segmenter failed on a picture ({type(error).__name__})", path=settings.model
            ) from error
        scores = np.asarray(output, np.float32)
        shape = scores.shape
        self._require(
            len(shape) == 4 and shape[0] == 1 and shape[1] == len(settings.labels) and min(shape) > 0,
            f"an output of {len(settings.labels)} channels, one per label",
        )
        if not np.isfinite(scores).all():
            raise ImageError("the segmenter gave values that are no numbers", path=settings.model)
        whole: NDArray[np.float32] = scores[0]
        return whole

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            raise ConfigError(
                f"the model does not have {what}",
                path=self._settings.model,
                hint="Correct [regions.segmenter], or export the model with one picture per run.",
            )


def _held(scores: NDArray[np.float32], activation: Activation, threshold: float) -> NDArray[np.bool_]:
    """Return which pixels each channel holds."""
    if activation == "sigmoid":
        from scipy.special import expit  # only here: every command would wait for it

        scores = expit(scores)
    if activation != "softmax":
        held: NDArray[np.bool_] = scores >= threshold
        return held
    shares = np.exp(scores - scores.max(axis=0))
    shares /= shares.sum(axis=0)
    likeliest = np.arange(len(scores))[:, np.newaxis, np.newaxis] == shares.argmax(axis=0)
    alone: NDArray[np.bool_] = likeliest & (shares >= threshold)
    return alone


def _agrees(stated: object, configured: int) -> bool:
    """Say whether a dimension is as configured; one that the model leaves open is."""
    return not isinstance(stated, int) or stated == configured


def _onnxruntime(path: Path) -> ModuleType:
    """Return onnxruntime, which is an extra. Raises ConfigError where it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError(
            "a segmenter needs onnxruntime, which is not installed",
            path=path,
            hint="Install the extra `segment`: pip install 'gazecapture[segment]'.",
        ) from None
    runtime: ModuleType = onnxruntime
    return runtime
