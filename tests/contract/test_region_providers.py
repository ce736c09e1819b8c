"""What every provider of regions must keep, whichever it is: each is given the same left lung in its own format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image

from curation.decisions import read_decisions
from gazecapture.radiograph.annotations.catalogue import FORMATS, ImportedAnnotations
from gazecapture.radiograph.annotations.dicom_seg import write_dicom_seg
from gazecapture.radiograph.annotations.source import AnnotationSource
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.film import Film
from gazecapture.radiograph.phantom import make_phantom
from gazecapture.radiograph.phantom_dicom import write_dicom
from gazecapture.radiograph.regions import RegionProvider, from_atlas
from gazecapture.radiograph.segmenter import OnnxSegmenter, SegmenterSettings
from keyframes.errors import GazeToolError
from keyframes.regions.region_map import Region, RegionMap

BoolArray = NDArray[np.bool_]
PHANTOM = make_phantom(4, size_px=(288, 352))
WIDTH, HEIGHT = 288, 352
GREY = (PHANTOM.pixels >> 4).astype(np.uint8)
LUNG = PHANTOM.region_map.regions["left lung"].on_grid(width_px=WIDTH, height_px=HEIGHT)
BOX = PHANTOM.region_map.regions["left lung"].box
LUNG_BOX = tuple(round(side) for side in BOX)
DICOM_ID = "synthetic-0001"


@dataclass(frozen=True)
class Case:
    """A provider, and how near its left lung must come to the drawn one."""

    provider: RegionProvider
    film: Film
    expected: BoolArray
    least_overlap: float = 0.999
    """Intersection over union."""
    knows_pictures: bool = True
    """It holds annotations of certain pictures; others look at any picture."""


def the_film(**changes: object) -> Film:
    film = Film(
        width_px=WIDTH,
        height_px=HEIGHT,
        grey8=GREY,
        sha256="5f" * 32,
        ids=frozenset({DICOM_ID}),
        view_position="PA",
    )
    return replace(film, **changes)  # type: ignore[arg-type]


def in_box() -> BoolArray:
    x0, y0, x1, y1 = LUNG_BOX
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def imported(kind: str, path: Path, names: dict[str, str] | None = None) -> ImportedAnnotations:
    return ImportedAnnotations([AnnotationSource(format=kind, path=path, names=names or {})])


def manual(folder: Path) -> Case:
    line = {
        "decision_id": "1", "time": "2020-01-01T00:00:00Z", "reviewer": "R01", "kind": "region_boxes",
        "target": 0, "value": {"left lung": LUNG_BOX}, "reason": "",
    }  # fmt: skip
    (folder / "decisions.jsonl").write_text(json.dumps(line) + "\n")
    decisions = read_decisions(folder)

    def provider(film: Film) -> RegionMap | None:
        adjusted = decisions.region_boxes(0, width_px=film.width_px, height_px=film.height_px)
        return adjusted.as_map(width_px=film.width_px, height_px=film.height_px)

    return Case(provider, the_film(), in_box(), knows_pictures=False)


def scene_graph(folder: Path) -> Case:
    x0, y0, x1, y1 = LUNG_BOX
    shrink = 224 / max(WIDTH, HEIGHT)
    item = {
        "bbox_name": "left lung", "synsets": [], "original_x1": x0, "original_y1": y0, "original_x2": x1,
        "original_y2": y1, "x1": round(x0 * shrink), "x2": round(x1 * shrink),
    }  # fmt: skip
    content = {"image_id": DICOM_ID, "viewpoint": "PA", "objects": [item]}
    (folder / f"{DICOM_ID}_SceneGraph.json").write_text(json.dumps(content))
    return Case(imported("chest-imagenome", folder), the_film(), in_box())


def chexmask(folder: Path, runs: str, landmarks: str) -> Case:
    header = "dicom_id,Dice RCA (Max),Dice RCA (Mean),Landmarks,Left Lung,Right Lung,Heart,Height,Width"
    row = f'{DICOM_ID},0.97,0.95,"{landmarks}",{runs},,,{HEIGHT},{WIDTH}'
    other = f'another,0.97,0.95,"",1 5,,,{HEIGHT},{WIDTH}'
    (folder / "MIMIC-CXR-JPG.csv").write_text("\n".join([header, other, row]) + "\n")
    return Case(imported("chexmask", folder / "MIMIC-CXR-JPG.csv"), the_film(), LUNG)


def chexmask_runs(folder: Path) -> Case:
    edges = np.flatnonzero(np.diff(LUNG.ravel().astype(int), prepend=0, append=0))
    starts, ends = edges[::2], edges[1::2]
    runs = " ".join(f"{start + 1} {end - start}" for start, end in zip(starts, ends, strict=True))
    return chexmask(folder, runs, "")


def chexmask_landmarks(folder: Path) -> Case:
    x0, y0, x1, y1 = LUNG_BOX
    corner: list[float] = [x0, y1]
    around: list[list[float]] = [[x0, y0], [x1, y0], [x1, y1], *([corner] * 47)]
    points: list[list[float]] = [
        [1.0, 1.0],
        [9.0, 1.0],
        [9.0, 9.0],
        *([[1.0, 9.0]] * 41),
        *around,
        *([[20.0, 20.0]] * 26),
    ]
    case = chexmask(folder, "", json.dumps([value for point in points for value in point]))
    return replace(case, expected=in_box())


def coco(folder: Path, segmentation: object) -> Case:
    content = {
        "images": [{"id": 7, "file_name": f"films/{DICOM_ID}.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 1, "name": "Left Lung"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "iscrowd": 0, "segmentation": segmentation}
        ],
    }
    (folder / "coco.json").write_text(json.dumps(content))
    return Case(imported("coco", folder / "coco.json"), the_film(), LUNG)


def counts_of(mask: BoolArray) -> list[int]:
    flat = mask.T.ravel().astype(int)
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges.tolist(), flat.size]).tolist()
    return [0, *runs] if flat[0] else runs


def compressed(counts: list[int]) -> str:
    """COCO's string of run lengths, written from its description."""
    text = ""
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        while True:
            low, value = value & 31, value >> 5
            is_last = value == (-1 if low & 16 else 0)
            text += chr(48 + (low if is_last else low | 32))
            if is_last:
                break
    return text


def coco_polygons(folder: Path) -> Case:
    polygon = PHANTOM.region_map.regions["left lung"].polygon
    flat = [value for point in polygon for value in point]
    return replace(coco(folder, [flat]), least_overlap=0.995)


def coco_counts(folder: Path) -> Case:
    return coco(folder, {"size": [HEIGHT, WIDTH], "counts": counts_of(LUNG)})


def coco_compressed(folder: Path) -> Case:
    return coco(folder, {"size": [HEIGHT, WIDTH], "counts": compressed(counts_of(LUNG))})


def label_map(folder: Path) -> Case:
    Image.fromarray(np.where(LUNG, 3, 0).astype(np.uint8)).save(folder / f"{'5f' * 32}.png")
    return Case(imported("label-map", folder, {"3": "left lung", "4": "right lung"}), the_film(), LUNG)


def colour_map(folder: Path) -> Case:
    colours = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    colours[LUNG] = (255, 128, 0)
    Image.fromarray(colours).save(folder / f"{DICOM_ID}.png")
    return Case(imported("label-map", folder, {"#ff8000": "left lung"}), the_film(), LUNG)


def dicom_seg(folder: Path) -> Case:
    picture = write_dicom(PHANTOM, folder / "film.dcm", patient_id="SYN1", study_uid_seed=4)
    (folder / "seg").mkdir()
    write_dicom_seg(PHANTOM.region_map, picture, folder / "seg" / "any name.dcm")
    radiograph = load_radiograph(picture)
    film = the_film(grey8=radiograph.grey8(), ids=frozenset({radiograph.sop_uid}))
    return Case(imported("dicom-seg", folder / "seg"), film, LUNG)


def reflacx(folder: Path) -> Case:
    boxes = [PHANTOM.region_map.regions[f"{side} lung"].box for side in ("right", "left")]
    chest = (
        min(b[0] for b in boxes),
        min(b[1] for b in boxes),
        max(b[2] for b in boxes),
        max(b[3] for b in boxes),
    )
    header = "id,split,eye_tracking_data_discarded,dicom_id,image_size_x,image_size_y"
    row = f"P300R000001,train,False,{DICOM_ID},{WIDTH},{HEIGHT}"
    (folder / "metadata_phase_3.csv").write_text(f"{header}\r\n{row}\r\n")
    (folder / "P300R000001").mkdir()
    text = "xmin,ymin,xmax,ymax\r\n" + ",".join(str(round(side)) for side in chest) + "\r\n"
    (folder / "P300R000001" / "chest_bounding_box.csv").write_text(text)
    ellipses = "xmin,ymin,xmax,ymax,certainty,Support devices,Consolidation\r\n10,10,50,30,5,True,False\r\n"
    (folder / "P300R000001" / "anomaly_location_ellipses.csv").write_text(ellipses)
    return Case(imported("reflacx", folder), the_film(), LUNG, least_overlap=0.6)


def egd(folder: Path) -> Case:
    x0, y0, x1, y1 = LUNG_BOX
    text = f"dicom_id,bbox_name,x1,x2,y1,y2\n{DICOM_ID},left lung,{x0},{x1},{y0},{y1}\n"
    (folder / "bounding_boxes.csv").write_text(text)
    return Case(imported("egd", folder), the_film(), in_box())


def identity_model(path: Path, *, size: tuple[int, int], channels: int) -> Path:
    """A model whose every channel is its input."""
    height, width = size
    nodes = [helper.make_node("Concat", ["picture"] * channels, ["scores"], axis=1)]
    graph = helper.make_graph(
        nodes,
        "identity",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 1, height, width])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, channels, height, width])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def segmenter(folder: Path) -> Case:
    model = identity_model(folder / "tiny.onnx", size=(HEIGHT // 2, WIDTH // 2), channels=2)
    settings = SegmenterSettings(
        model=model, labels=("", "left lung"), input_width_px=WIDTH // 2, input_height_px=HEIGHT // 2
    )
    # The model says what it sees: here a film that is the lung's mask.
    film = the_film(grey8=np.where(LUNG, 255, 0).astype(np.uint8))
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    provider = OnnxSegmenter(settings, model_hash=digest[:12])
    return Case(provider, film, LUNG, least_overlap=0.95, knows_pictures=False)


def atlas(folder: Path) -> Case:
    return Case(from_atlas, the_film(), LUNG, least_overlap=0.6, knows_pictures=False)


MAKERS: list[Callable[[Path], Case]] = [
    manual, scene_graph, chexmask_runs, chexmask_landmarks, coco_polygons, coco_counts, coco_compressed,
    label_map, colour_map, dicom_seg, reflacx, egd, segmenter, atlas,
]  # fmt: skip


@pytest.fixture(scope="module", params=MAKERS, ids=lambda make: make.__name__)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    made = request.param(tmp_path_factory.mktemp("provider"))
    assert isinstance(made, Case)
    return made


def overlap(region: Region, expected: BoolArray) -> float:
    found = region.on_grid(width_px=WIDTH, height_px=HEIGHT)
    return float((found & expected).sum() / (found | expected).sum())


def test_every_format_is_tested_here() -> None:
    tested = {"chest-imagenome", "chexmask", "coco", "label-map", "dicom-seg", "reflacx", "egd"}
    assert set(FORMATS) == tested


class TestEveryProvider:
    def test_gives_a_map_of_the_film(self, case: Case) -> None:
        found = case.provider(case.film)
        assert found is not None
        assert (found.width_px, found.height_px) == (WIDTH, HEIGHT)
        assert 0 < found.confidence <= 1
        kind = found.provider.split(":")[0]
        assert kind in {"manual", "imported", "onnx", "atlas"}
        for name, region in found.regions.items():
            x0, y0, x1, y1 = region.box
            assert region.name == name
            assert region.area_px2 > 0
            assert 0 <= x0 < x1 <= WIDTH
            assert 0 <= y0 < y1 <= HEIGHT

    def test_finds_the_left_lung_where_it_was_drawn(self, case: Case) -> None:
        found = case.provider(case.film)
        assert found is not None
        region = found.regions["left lung"]
        assert overlap(region, case.expected) >= case.least_overlap
        y, x = np.nonzero(region.on_grid(width_px=WIDTH, height_px=HEIGHT))
        assert region.contains(x + 0.5, y + 0.5).all()

    def test_says_the_same_twice(self, case: Case) -> None:
        assert case.provider(case.film) == case.provider(case.film)

    def test_knows_nothing_of_another_picture(self, case: Case) -> None:
        other = replace(case.film, sha256="00" * 32, ids=frozenset({"somebody-else"}))
        if case.knows_pictures:
            assert case.provider(other) is None
        else:
            assert case.provider(other) == case.provider(case.film)

    def test_needs_the_picture_only_where_it_looks_at_it(self, case: Case) -> None:
        unseen = replace(case.film, grey8=None)
        if isinstance(case.provider, OnnxSegmenter) or case.provider is from_atlas:
            assert case.provider(unseen) is None
        else:
            assert case.provider(unseen) == case.provider(case.film)

    def test_an_annotation_of_another_matrix_is_refused(self, case: Case) -> None:
        if not case.knows_pictures:
            return
        turned = replace(case.film, width_px=HEIGHT // 2, height_px=WIDTH // 2, grey8=None)
        with pytest.raises(GazeToolError) as caught:
            case.provider(turned)
        assert caught.value.code == "GT-ANNOTATION-FRAME"
        assert DICOM_ID not in caught.value.one_line().replace(str(caught.value.path), "")
