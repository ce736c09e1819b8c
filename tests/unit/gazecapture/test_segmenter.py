"""The ONNX segmenter, on models of one or two nodes that are made here."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gazecapture.radiograph.film import Film
from gazecapture.radiograph.segmenter import OnnxSegmenter, SegmenterSettings
from keyframes.errors import ConfigError

WIDTH, HEIGHT = 60, 40


def model(
    path: Path,
    *,
    channels: int = 3,
    size: tuple[Any, Any] = (20, 30),
    scores: np.ndarray[Any, Any] | None = None,
    element: int = TensorProto.FLOAT,
) -> Path:
    """Write a model whose output is its input, or its input times zero plus ``scores``."""
    shape = [1, channels, *size]
    if scores is None:
        nodes = [helper.make_node("Identity", ["picture"], ["scores"])]
        constants, out = [], shape
    else:
        constants = [
            helper.make_tensor("fixed", TensorProto.FLOAT, scores.shape, scores.ravel().tolist()),
            helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
        ]
        nodes = [
            helper.make_node("ReduceMean", ["picture"], ["mean"], keepdims=1),
            helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "fixed"], ["scores"]),
        ]
        out = list(scores.shape)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("picture", element, shape)],
        [helper.make_tensor_value_info("scores", element, out)],
        initializer=constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def segmenter(path: Path, **changes: Any) -> OnnxSegmenter:
    settings = SegmenterSettings(model=path, labels=("a", "b", "c"), input_width_px=30, input_height_px=20)
    return OnnxSegmenter(replace(settings, **changes), model_hash="abcdef")


def film() -> Film:
    grey = np.zeros((HEIGHT, WIDTH), np.uint8)
    grey[:, WIDTH // 2 :] = 255
    return Film(width_px=WIDTH, height_px=HEIGHT, grey8=grey)


def scores_of(*values: float) -> np.ndarray[Any, Any]:
    """Three channels on a grid of two rows and three columns; each holds one column's value."""
    fixed = np.full((1, 3, 2, 3), -9.0, np.float32)
    for channel, value in enumerate(values):
        fixed[0, channel, :, channel] = value
    return fixed


def test_regions_are_on_the_output_s_grid_and_carry_the_model_s_hash(tmp_path: Path) -> None:
    found = segmenter(model(tmp_path / "m.onnx", scores=scores_of(0.9, 0.4, 0.5)))(film())
    assert found is not None
    assert found.provider == "onnx:abcdef"
    assert found.confidence == 0.7
    assert {name: region.box for name, region in found.regions.items()} == {
        "a": (0.0, 0.0, 20.0, 40.0),
        "c": (40.0, 0.0, 60.0, 40.0),
    }


def test_activations(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx", scores=scores_of(0.1, -0.1, 3.0))
    sigmoid = segmenter(path, activation="sigmoid")(film())
    assert sigmoid is not None
    assert set(sigmoid.regions) == {"a", "c"}
    rivals = np.zeros((1, 3, 2, 3), np.float32)
    rivals[0, 1] = 2.0
    rivals[0, 2, 0, 0] = 2.1
    path = model(tmp_path / "r.onnx", scores=rivals)
    softmax = segmenter(path, activation="softmax", threshold=0.0)(film())
    assert softmax is not None
    assert {name: region.area_px2 for name, region in softmax.regions.items()} == {
        "b": 5 * 400.0,
        "c": 400.0,
    }


def test_an_unnamed_channel_is_background(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx", scores=scores_of(0.9, 0.9, 0.9))
    found = segmenter(path, labels=("", "b", ""))(film())
    assert found is not None
    assert set(found.regions) == {"b"}
    assert segmenter(path, threshold=0.95)(film()) is None


def test_the_picture_is_normalised_as_configured(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx")
    found = segmenter(path, mean=0.5, sd=0.5, threshold=0.6)(film())  # white becomes 1, black -1
    assert found is not None
    assert found.regions["a"].box == (30.0, 0.0, 60.0, 40.0)
    assert segmenter(path, mean=0.5, sd=0.5, threshold=0.99)(film()) is not None
    assert segmenter(path, mean=0.6, sd=0.5, threshold=0.99)(film()) is None


@pytest.mark.parametrize(
    ("made", "changes", "message"),
    [
        ({"channels": 2}, {}, "1 or 3 input channels"),
        ({"size": (20, 31)}, {}, "the configured input size"),
        ({"element": TensorProto.DOUBLE}, {}, "float input and output"),
        ({}, {"labels": ("a", "b")}, "an output of 2 channels"),
        ({"scores": np.full((1, 3, 2, 2), np.nan, np.float32)}, {}, "no numbers"),
    ],
)
def test_a_model_that_does_not_fit(
    tmp_path: Path, made: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    path = model(tmp_path / "m.onnx", **made)
    with pytest.raises(Exception, match=message) as caught:
        segmenter(path, **changes)(film())
    assert getattr(caught.value, "path", None) == path


def test_a_model_of_open_size_takes_the_configured_one(tmp_path: Path) -> None:
    assert segmenter(model(tmp_path / "m.onnx", size=("h", "w")))(film()) is not None


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(ConfigError, match="no ONNX model"):
        segmenter(tmp_path / "m.onnx")
    with pytest.raises(ConfigError, match="does not exist"):
        segmenter(tmp_path / "none.onnx")


def test_the_runtimes_are_loaded_only_when_asked_for_and_named_when_absent(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "import gazecapture.radiograph.annotations.catalogue, gazecapture.radiograph.segmenter\n"
        "assert not {'onnxruntime', 'highdicom'} & set(sys.modules)\n"
        "sys.modules['onnxruntime'] = sys.modules['highdicom'] = None\n"
        "from pathlib import Path\n"
        "from gazecapture.radiograph.annotations.dicom_seg import DicomSegmentations\n"
        "from gazecapture.radiograph.annotations.source import AnnotationSource\n"
        "from gazecapture.radiograph.segmenter import OnnxSegmenter, SegmenterSettings\n"
        "settings = SegmenterSettings(model=Path('m'), labels=('a',), input_width_px=8, input_height_px=8)\n"
        "for make in (lambda: OnnxSegmenter(settings, model_hash=''),\n"
        "             lambda: DicomSegmentations(AnnotationSource(format='dicom-seg', path=Path('s')))):\n"
        "    try:\n"
        "        make()\n"
        "    except Exception as error:\n"
        "        print(error.one_line())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    runtime, highdicom = done.stdout.splitlines()
    assert "onnxruntime, which is not installed" in runtime
    assert "highdicom, which is not installed" in highdicom
    assert "gazecapture[segment]" in runtime
