"""Annotation files that are damaged, malicious or of another picture: one coded error each, never a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gazecapture.radiograph.annotations import source as source_module
from gazecapture.radiograph.annotations.catalogue import FORMATS, ImportedAnnotations, open_annotations
from gazecapture.radiograph.annotations.run_lengths import (
    coco_counts,
    mask_of_coco_counts,
    mask_of_start_lengths,
)
from gazecapture.radiograph.annotations.source import AnnotationSource, source_hash
from gazecapture.radiograph.film import Film
from keyframes.errors import GazeToolError

FILM = Film(width_px=40, height_px=50, ids=frozenset({"film"}))
NOWHERE = Path("x")


def ask(kind: str, path: Path, names: dict[str, str] | None = None) -> object:
    return ImportedAnnotations([AnnotationSource(format=kind, path=path, names=names or {})])(FILM)


def refused(kind: str, path: Path, names: dict[str, str] | None = None) -> str:
    with pytest.raises(GazeToolError) as caught:
        ask(kind, path, names)
    line = caught.value.one_line()
    assert "film" not in caught.value.message, "an id leads back to the patient"
    assert "\n" not in line
    return f"{caught.value.code} {caught.value.message}"


def code_of(call: Callable[[], object]) -> str:
    """Return the code of the toolkit's error that a call raises, empty where it raises none."""
    try:
        call()
    except GazeToolError as error:
        return error.code
    return ""


def coco(tmp_path: Path, **changes: Any) -> Path:
    shape = {"image_id": 1, "category_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]} | changes.pop("shape", {})
    content = {
        "images": [{"id": 1, "file_name": "film.png", "width": 40, "height": 50}],
        "categories": [{"id": 1, "name": "lung"}],
        "annotations": [shape],
    } | changes
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"segmentation": [[1, 1, 9, 1, 9]]}, "GT-ANNOTATION a polygon of 'lung' has an odd number"),
        ({"segmentation": [[1, 1, 9, 1]]}, "fewer than 3 corners"),
        ({"segmentation": [[1, 1, 9, 1, 9, 900]]}, "GT-ANNOTATION-FRAME region 'lung' lies 1700 %"),
        ({"segmentation": [[1, 1, 9, 1, 9, 1e400]]}, "coordinate that is no number"),
        ({"segmentation": [[0.5, 0.5] * 100_001]}, "field"),
        ({"segmentation": [[0.5, 0.5] * 60_000] * 2}, "120000 corners"),
        ({"segmentation": {"size": [50, 41], "counts": [2050]}}, "run-length code is of 41 x 50"),
        ({"segmentation": {"size": [50, 40], "counts": [1999]}}, "runs do not fill"),
        ({"segmentation": {"size": [50, 40], "counts": [3000, -1000]}}, "runs do not fill"),
        ({"segmentation": {"size": [50, 40], "counts": "p"}}, "malformed"),
        ({"segmentation": {"size": [50, 40], "counts": "o" * 20}}, "malformed"),
        ({"segmentation": {"size": [50, 40], "counts": "o"}}, "breaks off"),
        ({"segmentation": "M 0 0 L 9 9"}, "field"),
        ({"category_id": 9}, "category 9, which is not declared"),
        ({"segmentation": None, "bbox": [1, 2, 3]}, "field"),
    ],
)
def test_a_coco_shape_that_is_off(tmp_path: Path, shape: dict[str, Any], expected: str) -> None:
    assert expected in refused("coco", coco(tmp_path, shape=shape))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((80, 100), None),
        ((81, 100), "GT-ANNOTATION-FRAME it was drawn on 81 x 100 px, the picture has 40 x 50"[:39]),
        ((0, 0), "states a frame"),
        ((-40, -50), "states a frame"),
        ((10**9, 10**9), "states a frame"),
    ],
)
def test_a_coco_picture_is_scaled_only_where_its_shape_fits(
    tmp_path: Path, size: tuple[int, int], expected: str | None
) -> None:
    picture = {"id": 1, "file_name": "film.png", "width": size[0], "height": size[1]}
    path = coco(tmp_path, images=[picture], shape={"segmentation": None, "bbox": [8, 10, 16, 20]})
    if expected is not None:
        assert expected in refused("coco", path)
        return
    found = ask("coco", path)
    assert found is not None
    assert found.regions["lung"].box == (4.0, 5.0, 12.0, 15.0)  # type: ignore[attr-defined]


def test_two_coco_pictures_of_one_name(tmp_path: Path) -> None:
    both = [{"id": n, "file_name": f"{n}/film.png", "width": 40, "height": 50} for n in (1, 2)]
    assert "one file name" in refused("coco", coco(tmp_path, images=both))


def test_a_name_in_a_file_is_never_a_path(tmp_path: Path) -> None:
    for name in ("../film.png", "/etc/film.png", r"C:\pictures\film.png", "film.dcm"):
        picture = {"id": 1, "file_name": name, "width": 40, "height": 50}
        assert ask("coco", coco(tmp_path, images=[picture])) is not None, (
            "folders do not count, nothing is opened"
        )


def test_several_coco_shapes_of_one_category_are_one_region(tmp_path: Path) -> None:
    shapes = [
        {"image_id": 1, "category_id": 1, "segmentation": [[0, 0, 4, 0, 4, 4, 0, 4]]},
        {"image_id": 1, "category_id": 1, "segmentation": [[10, 10, 14, 10, 14, 14, 10, 14]]},
        {"image_id": 1, "category_id": 1, "segmentation": {"size": [50, 40], "counts": [1990, 10]}},
    ]
    found = ask("coco", coco(tmp_path, annotations=shapes))
    assert found is not None
    assert found.regions["lung"].area_px2 == 16 + 16 + 10  # type: ignore[attr-defined]


@given(st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=40))
@settings(max_examples=60)
def test_any_compressed_code_is_a_mask_or_a_coded_error(text: str) -> None:
    code = code_of(lambda: mask_of_coco_counts(coco_counts(text, NOWHERE), width=6, height=7, path=NOWHERE))
    assert code in {"", "GT-ANNOTATION"}


def test_compressed_codes_worked_by_hand() -> None:
    # 1024 = 0 + 0 * 32 + 1 * 1024: two groups that go on, then 1. 3 = 6 - 3, and -3 is 11101 in five bits.
    assert coco_counts("0PP1", NOWHERE) == [0, 1024]
    assert coco_counts("561M", NOWHERE) == [5, 6, 1, 3]


@given(st.text(st.sampled_from("0123456789 -x"), max_size=30))
@settings(max_examples=60)
def test_any_start_length_code_is_a_mask_or_a_coded_error(text: str) -> None:
    code = code_of(lambda: mask_of_start_lengths(text, width=6, height=7, path=NOWHERE))
    assert code in {"", "GT-ANNOTATION"}


def test_start_lengths_count_from_one_along_the_rows() -> None:
    mask = mask_of_start_lengths("1 2 9 1", width=4, height=3, path=NOWHERE)
    assert np.argwhere(mask).tolist() == [[0, 0], [0, 1], [2, 0]]


HEADER = "dicom_id,Dice RCA (Max),Dice RCA (Mean),Landmarks,Left Lung,Right Lung,Heart,Height,Width"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("film,1,0.9,,1 5,,,50", "8 cells, expected 9"),
        ("film,1,0.9,,1 5,,,50,forty", "'Width' holds no number"),
        ("film,1,0.9,,1 5,,,1024,1024", "GT-ANNOTATION-FRAME"),
        ("film,1,0.9,,1,,,50,40", "malformed"),
        ("film,1,0.9,,0 5,,,50,40", "leaves the 40 x 50"),
        ("film,1,0.9,,1999 5,,,50,40", "leaves the 40 x 50"),
        ("film,1,0.9,,1 99999999999999999999,,,50,40", "leaves the 40 x 50"),
        ('film,1,0.9,"[1, 2, 3]",,,,50,40', "3 landmark coordinates, expected 240"),
        ('film,1,0.9,"__import__(0)",,,,50,40', "no list of numbers"),
        ("film,1,0.9,,1 5,,,50000000,40000000", "states a frame"),
    ],
)
def test_a_chexmask_row_that_is_off(tmp_path: Path, row: str, expected: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"{HEADER}\n{row}\n")
    assert expected in refused("chexmask", path)


def test_a_chexmask_row_below_the_authors_limit_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"{HEADER}\nfilm,0.9,0.69,,1 5,,,50,40\n")
    assert ask("chexmask", path) is None


def test_a_chexmask_table_without_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"\x1f\x8b\x08\x00" + bytes(200))
    assert refused("chexmask", path).startswith("GT-ANNOTATION")


def scene(**changes: Any) -> dict[str, Any]:
    box = {"bbox_name": "lung", "original_x1": 1, "original_y1": 2, "original_x2": 9, "original_y2": 30}
    return box | changes


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"image_id": "other", "objects": [scene()]}, "names another picture"),
        ({"objects": [scene(original_x2=1000)]}, "GT-ANNOTATION-FRAME"),
        ({"objects": [scene(original_x2="wide")]}, "original_x2"),
        ({"objects": [scene(x1=0, x2=90)]}, "GT-ANNOTATION-FRAME its boxes are of a picture of 20 px"),
        ({"objects": {}}, "'objects' is off"),
        ([], "is off"),
    ],
)
def test_a_scene_graph_that_is_off(tmp_path: Path, content: object, expected: str) -> None:
    (tmp_path / "film_SceneGraph.json").write_text(json.dumps(content))
    assert expected in refused("chest-imagenome", tmp_path)


def test_a_location_without_a_box_is_left_out(tmp_path: Path) -> None:
    content = {"objects": [scene(), scene(bbox_name="svc", original_x2=1)]}
    (tmp_path / "film_SceneGraph.json").write_text(json.dumps(content))
    assert list(ask("chest-imagenome", tmp_path).regions) == ["lung"]  # type: ignore[attr-defined]


def save_png(path: Path, values: np.ndarray[Any, Any]) -> None:
    Image.fromarray(values).save(path)


def test_a_label_map_of_another_size_or_kind(tmp_path: Path) -> None:
    names = {"1": "lung"}
    save_png(tmp_path / "film.png", np.ones((25, 20), np.uint8))
    assert "GT-ANNOTATION-FRAME it has 20 x 25 px" in refused("label-map", tmp_path, names)
    save_png(tmp_path / "film.png", np.ones((50, 40, 3), np.uint8))
    assert "it holds colours" in refused("label-map", tmp_path, names)
    save_png(tmp_path / "film.png", np.ones((50, 40), np.uint8))
    assert "it holds values" in refused("label-map", tmp_path, {"#010101": "lung"})
    save_png(tmp_path / "film.png", np.random.default_rng(1).integers(0, 2, (50, 40), np.uint8))
    whole = (tmp_path / "film.png").read_bytes()
    for cut in (8, 30, len(whole) // 2):
        (tmp_path / "film.png").write_bytes(whole[:cut])
        assert "no readable PNG" in refused("label-map", tmp_path, names)


@pytest.mark.parametrize("value", ["one", "-1", "70000", "#12345", "#gggggg", "1.0"])
def test_a_label_map_s_values_are_numbers_or_colours(tmp_path: Path, value: str) -> None:
    save_png(tmp_path / "film.png", np.ones((50, 40), np.uint8))
    assert "GT-CONFIG names has the value" in refused("label-map", tmp_path, {value: "lung"})


def test_a_label_map_needs_names(tmp_path: Path) -> None:
    save_png(tmp_path / "film.png", np.ones((50, 40), np.uint8))
    assert "needs names" in refused("label-map", tmp_path)


def test_a_16_bit_label_map(tmp_path: Path) -> None:
    values = np.zeros((50, 40), np.uint16)
    values[10:20, 5:15] = 4000
    save_png(tmp_path / "film.png", values)
    found = ask("label-map", tmp_path, {"4000": "lung"})
    assert found.regions["lung"].area_px2 == 100  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dicom_id,bbox_name,x1,x2,y1\nfilm,lung,1,2,3\n", "lacks column y2"),
        ("dicom_id,bbox_name,x1,x2,y1,y2\nfilm,lung,1,two,3,4\n", "no number"),
        ("dicom_id,bbox_name,x1,x2,y1,y2\nfilm,lung,1\n", "no number"),
        ("dicom_id,bbox_name,x1,x2,y1,y2\nfilm,lung,9,2,3,4\n", "no area"),
        ("dicom_id,bbox_name,x1,x2,y1,y2\nfilm,lung,1,nan,3,4\n", "no number"),
        ("dicom_id,bbox_name,x1,x2,y1,y2\nfilm,lung,1,400,3,4\n", "GT-ANNOTATION-FRAME"),
    ],
)
def test_an_egd_table_that_is_off(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "bounding_boxes.csv").write_text(text)
    assert expected in refused("egd", tmp_path)


def reflacx(tmp_path: Path, *, size: str = "40,50", box: str = "2,3,30,40") -> Path:
    header = "id,dicom_id,image_size_x,image_size_y"
    (tmp_path / "metadata_phase_1.csv").write_text(
        f"{header}\nP101R000001,film,{size}\nP101R000002,film,{size}\n../up,film,{size}\n"
    )
    for reading in ("P101R000001", "P101R000002"):
        (tmp_path / reading).mkdir(exist_ok=True)
        (tmp_path / reading / "chest_bounding_box.csv").write_text(f"xmin,ymin,xmax,ymax\n{box}\n")
    return tmp_path


def test_reflacx_boxes_that_are_off(tmp_path: Path) -> None:
    assert ask("reflacx", reflacx(tmp_path)) is not None
    assert "GT-ANNOTATION-FRAME it has 41 x 50 px" in refused("reflacx", reflacx(tmp_path, size="41,50"))
    assert "lacks id" in refused("reflacx", reflacx(tmp_path, size="forty,50"))
    assert "lacks a number" in refused("reflacx", reflacx(tmp_path, box="2,3,,40"))
    assert "no area" in refused("reflacx", reflacx(tmp_path, box="30,3,2,40"))


def test_reflacx_support_devices_are_region_device(tmp_path: Path) -> None:
    folder = reflacx(tmp_path)
    (folder / "P101R000002" / "anomaly_location_ellipses.csv").write_text(
        "xmin,ymin,xmax,ymax,certainty,Support devices,Consolidation\n4,4,24,14,5,True,False\n4,4,24,14,5,False,True\n"
    )
    found = ask("reflacx", folder)
    assert found.regions["device"].box == pytest.approx((4, 4, 24, 14))  # type: ignore[attr-defined]
    assert found.regions["device"].area_px2 == pytest.approx(np.pi * 10 * 5, rel=0.003)  # type: ignore[attr-defined]
    assert "consolidation" in found.regions  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", sorted(FORMATS))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=300))
def test_any_bytes_are_refused_or_know_nothing(tmp_path: Path, kind: str, content: bytes) -> None:
    for name in ("film.json", "film.png", "film.dcm", "bounding_boxes.csv", "metadata_phase_1.csv"):
        (tmp_path / name).write_bytes(content)
    path = tmp_path / "film.json" if kind in {"coco", "chexmask"} else tmp_path
    code = code_of(lambda: ask(kind, path, {"1": "lung"}))
    assert code in {"", "GT-ANNOTATION", "GT-ANNOTATION-FRAME"}


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_a_source_that_is_not_there_is_a_matter_of_the_settings(tmp_path: Path, kind: str) -> None:
    with pytest.raises(GazeToolError) as caught:
        ask(kind, tmp_path / "none", {"1": "lung"})
    assert caught.value.code in {"GT-CONFIG", "GT-ANNOTATION"}


def test_a_file_larger_than_any_real_one_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "MAX_FILES", 2)
    for name in ("a.json", "b.json", "c.json"):
        (tmp_path / name).write_text("{}")
    assert "more than 2 files" in refused("chest-imagenome", tmp_path)
    with (tmp_path / "a.json").open("wb") as handle:
        handle.truncate((1 << 29) + 1)
    assert "at most 536870912 are read" in refused("coco", tmp_path / "a.json")


def change_content(path: Path) -> None:
    path.write_text(path.read_text().replace("9", "8"))


def add_file(path: Path) -> None:
    (path.parent / "more.json").write_text("{}")


@pytest.mark.parametrize("change", [change_content, add_file])
def test_the_hash_follows_the_files(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = coco(tmp_path)
    (tmp_path / ".hidden").write_text("not looked at")
    source = AnnotationSource(format="coco", path=tmp_path)
    before = source_hash(source)
    assert source_hash(AnnotationSource(format="coco", path=tmp_path)) == before
    change(path)
    assert source_hash(source) != before


def test_an_opened_source_is_opened_again_only_when_it_changed(tmp_path: Path) -> None:
    path = coco(tmp_path)
    source = AnnotationSource(format="coco", path=path)
    first = open_annotations([source])
    assert open_annotations([source]) is first
    change_content(path)
    second = open_annotations([source])
    assert second is not first
    assert second(FILM) != first(FILM)


def test_pictures_are_known_by_their_file_names_through_their_content(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    picture = tmp_path / "pictures" / "patient 7.png"
    save_png(picture, np.arange(2000, dtype=np.uint8).reshape(50, 40))
    content = source_module.file_hash(picture)
    film = Film(width_px=40, height_px=50, sha256=content)
    listed = [{"id": 1, "file_name": "patient 7.png", "width": 40, "height": 50}]
    path = coco(tmp_path, images=listed)
    named = AnnotationSource(format="coco", path=path, pictures=tmp_path / "pictures")
    assert ImportedAnnotations([named])(film) is not None
    assert ImportedAnnotations([AnnotationSource(format="coco", path=path)])(film) is None
    lost = AnnotationSource(format="coco", path=path, pictures=tmp_path / "none")
    with pytest.raises(GazeToolError, match="does not exist"):
        ImportedAnnotations([lost])


def test_the_first_source_wins_and_the_next_fills_up(tmp_path: Path) -> None:
    path = coco(tmp_path)
    (tmp_path / "bounding_boxes.csv").write_text(
        "dicom_id,bbox_name,x1,x2,y1,y2\nfilm,lung,0,40,0,50\nfilm,heart,10,20,10,20\n"
    )
    found = ImportedAnnotations(
        [
            AnnotationSource(format="coco", path=path, confidence=1.0),
            AnnotationSource(format="egd", path=tmp_path),
        ]
    )(FILM)
    assert found is not None
    assert found.regions["lung"].box == (1, 1, 9, 9)
    assert (found.confidence_of("lung"), found.confidence_of("heart")) == (1.0, 0.8)
