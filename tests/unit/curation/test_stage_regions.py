"""Stage regions: which provider wins, what a reviewer's boxes change, and what makes it run again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper

from curation.config import CurationConfig, config_hash, load_config, remember_config, remembered_config
from curation.decisions import Decisions, read_decisions
from curation.plan import plan_reading
from curation.run import curate
from curation.stages import STAGES
from curation.stages.events import EVENTS_STAGE
from curation.stages.protocol import StageContext, StageOutput
from curation.stages.regions import REGIONS_STAGE
from gazecapture.store import DECISIONS_FILE, Store
from keyframes.errors import ConfigError, GazeToolError, GeometryError, SchemaError
from keyframes.reading import VALIDATIONS, Reading
from keyframes.regions import atlas

NOT_VALIDATED = VALIDATIONS.empty_table()


@pytest.fixture
def store(readings: ModuleType, tmp_path: Path) -> Store:
    store = readings.fill_store(tmp_path / "store", 1)
    assert isinstance(store, Store)
    return store


def decide(store: Store, value: object, target: object = 0, kind: str = "region_boxes") -> None:
    (reading_id,) = store.reading_ids()
    line = {
        "decision_id": "d",
        "time": "t",
        "reviewer": "R09",
        "kind": kind,
        "target": target,
        "value": value,
    }
    with (store.folder(reading_id) / DECISIONS_FILE).open("a") as handle:
        handle.write(json.dumps(line) + "\n")


def boxes_file(store: Store, **boxes: tuple[float, float, float, float]) -> Path:
    """Write an EGD table of the store's one picture, and return its folder."""
    (reading_id,) = store.reading_ids()
    sha256 = store.load(reading_id).table("images").column("sha256")[0].as_py()
    lines = [f"{sha256},{name},{x0},{x1},{y0},{y1}" for name, (x0, y0, x1, y1) in boxes.items()]
    folder = store.root.parent / "boxes"
    folder.mkdir(exist_ok=True)
    text = "dicom_id,bbox_name,x1,x2,y1,y2\n" + "\n".join(lines) + "\n"
    (folder / "bounding_boxes.csv").write_text(text)
    return folder


def settings(**regions: Any) -> CurationConfig:
    return CurationConfig.model_validate({"regions": regions})


def run(store: Store, config: CurationConfig, reading: Reading | None = None) -> StageOutput:
    (reading_id,) = store.reading_ids()
    context = StageContext(
        config=config,
        image_path=lambda index: store.image_path(reading_id, index),
        decisions=read_decisions(store.folder(reading_id)),
    )
    loaded = reading or store.load(reading_id)
    loaded = loaded.with_tables(**EVENTS_STAGE.run(loaded, context).tables)
    return REGIONS_STAGE.run(loaded, context)


def by_region(output: StageOutput) -> Mapping[str, tuple[list[float], str, float]]:
    return {
        row["region"]: (row["box"], row["provider"], row["confidence"])
        for row in output.tables["regions"].to_pylist()
    }


def test_the_surest_provider_wins_region_by_region(store: Store) -> None:
    folder = boxes_file(
        store, **{"left lung": (90, 40, 140, 150), "spine": (70, 0, 90, 190), "tail": (1, 1, 9, 9)}
    )
    decide(store, {"left lung": [95, 45, 135, 145]})
    output = run(store, settings(annotations=[{"format": "egd", "path": folder}]))
    found = by_region(output)
    assert found["left lung"] == ([95, 45, 135, 145], "manual", 1.0)
    assert found["spine"] == ([70, 0, 90, 190], "imported", 0.8)
    assert "tail" not in found
    assert output.notes["regions_not_in_scheme"] == ["tail"]
    given = output.notes["providers"]["0"]
    assert (given["manual"], given["imported"]) == (1, 1)
    assert ("right lung" in found) == ("atlas" in given)


def test_a_guess_of_the_atlas_is_not_put_beside_what_is_known(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atlas, "fit", atlas.plain)
    folder = boxes_file(store, spine=(70, 0, 90, 190))
    assert set(by_region(run(store, settings(annotations=[{"format": "egd", "path": folder}])))) == {"spine"}
    assert "left lung" in by_region(run(store, settings()))


def test_a_reviewer_takes_a_region_away_and_the_last_word_counts(store: Store) -> None:
    decide(store, {"left lung": [0, 0, 9, 9], "spine": None})
    decide(store, {"right lung": [1, 2, 50, 60], "trachea": None})
    decide(store, "ok", target="0", kind="verdict")
    found = by_region(run(store, settings()))
    assert found["right lung"] == ([1, 2, 50, 60], "manual", 1.0)
    assert found["left lung"][1] == "atlas"
    assert "spine" in found
    assert "trachea" not in found


@pytest.mark.parametrize(("measured_deg", "expected_deg"), [(0.4, 0.4), (float("nan"), 2.5)])
def test_the_readings_own_validation_counts_before_the_setting(
    store: Store, measured_deg: float, expected_deg: float
) -> None:
    (reading_id,) = store.reading_ids()
    row = {"t_ns": 0, "phase": "before", "eye": "both", "n_points": 5, "accuracy_deg": measured_deg,
           "accuracy_max_deg": measured_deg, "rms_s2s_deg": 0.1, "sd_deg": 0.1, "loss_share": 0.0}  # fmt: skip
    validated = store.load(reading_id).with_tables(
        validations=pa.Table.from_pylist([row], schema=VALIDATIONS)
    )
    output = run(store, settings(error_deg=2.5), validated)
    assert output.notes["error_deg"] == expected_deg
    as_set = run(store, settings(error_deg=expected_deg), validated.with_tables(validations=NOT_VALIDATED))
    assert output.tables["event_regions"] == as_set.tables["event_regions"]
    wider = run(store, settings(error_deg=4.0), validated.with_tables(validations=NOT_VALIDATED))
    assert output.tables["event_regions"] != wider.tables["event_regions"]


def test_boxes_of_another_image_do_not_count(store: Store) -> None:
    decide(store, {"left lung": [0, 0, 9, 9]}, target=1)
    assert by_region(run(store, settings()))["left lung"][1] == "atlas"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"left lung": [9, 0, 0, 9]}, "no area"),
        ({"left lung": [1000, 0, 2000, 9]}, "no area"),
        ({"left lung": [0, 0, 9]}, "boxes of image 0 are off"),
        ({"left lung": "here"}, "boxes of image 0 are off"),
        ({"": [0, 0, 9, 9]}, "boxes of image 0 are off"),
        ([], "boxes of image 0 are off"),
    ],
)
def test_a_decision_that_is_off_fails_the_reading(store: Store, value: object, message: str) -> None:
    decide(store, value)
    with pytest.raises(SchemaError, match=message) as caught:
        run(store, settings())
    assert caught.value.code == "GT-DECISION"


def test_a_torn_last_line_does_not_count_a_damaged_one_does(store: Store, tmp_path: Path) -> None:
    (reading_id,) = store.reading_ids()
    path = store.folder(reading_id) / DECISIONS_FILE
    decide(store, {"left lung": [0, 0, 9, 9]})
    with path.open("a") as handle:
        handle.write('{"kind": "region_boxes", "target": 0, "val')
    assert read_decisions(path.parent).region_boxes(0, width_px=99, height_px=99).boxes.keys() == {
        "left lung"
    }
    with path.open("a") as handle:
        handle.write("\n")
    with pytest.raises(SchemaError, match="a line is no decision") as caught:
        read_decisions(path.parent)
    assert caught.value.record == 2
    assert read_decisions(tmp_path) == Decisions()


def test_only_decisions_on_regions_concern_the_stage(store: Store) -> None:
    (reading_id,) = store.reading_ids()
    assert curate(store, settings()).kept == [reading_id]

    def todo() -> dict[str, str]:
        plan = plan_reading(store, reading_id, settings(), stages=STAGES)
        return {step.stage: step.reason for step in plan.todo}

    decide(store, "reject", kind="verdict")
    assert todo().keys() == {"quality", "privacy"}
    decide(store, {"left lung": [0, 0, 9, 9]})
    assert todo()["regions"] == "decided otherwise in review"
    assert "events" not in todo()
    assert curate(store, settings()).kept == [reading_id]
    assert todo() == {}
    row = store.load(reading_id).table("regions").to_pylist()
    assert {r["provider"] for r in row if r["region"] == "left lung"} == {"manual"}


def test_decisions_outlive_a_new_ingest(store: Store, readings: ModuleType) -> None:
    decide(store, {"left lung": [0, 0, 9, 9]})
    store.add(readings.make_reading(1, duration_s=5.0), {})
    (reading_id,) = store.reading_ids()
    assert read_decisions(store.folder(reading_id)).values


def test_a_picture_that_is_not_attached_may_still_be_annotated(store: Store, readings: ModuleType) -> None:
    folder = boxes_file(store, spine=(70, 0, 90, 190))
    store.add(store.load(store.reading_ids()[0]), {})
    bare = run(store, settings())
    assert bare.tables["regions"].num_rows == bare.tables["event_regions"].num_rows == 0
    assert bare.notes["images_without_regions"] == bare.notes["images_without_picture"] == [0]
    known = run(store, settings(annotations=[{"format": "egd", "path": folder}]))
    assert list(by_region(known)) == ["spine"]
    assert known.notes["images_without_regions"] == []
    assert known.tables["event_regions"].num_rows > 0


def test_an_annotation_of_another_size_fails_the_reading(store: Store) -> None:
    folder = boxes_file(store, spine=(70, 0, 90, 1900))
    with pytest.raises(GeometryError) as caught:
        run(store, settings(annotations=[{"format": "egd", "path": folder}]))
    assert caught.value.code == "GT-ANNOTATION-FRAME"


def test_the_segmenter_comes_after_annotations_and_before_the_atlas(store: Store, tmp_path: Path) -> None:
    nodes = [helper.make_node("Concat", ["in", "in"], ["out"], axis=1)]
    shapes = ([1, 1, 16, 16], [1, 2, 16, 16])
    values = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
        for n, s in zip(("in", "out"), shapes, strict=True)
    ]
    graph = helper.make_graph(nodes, "double", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    segmenter = {
        "model": tmp_path / "m.onnx", "labels": ["spine", "left lung"], "input_width_px": 16,
        "input_height_px": 16, "threshold": 0.3,
    }  # fmt: skip
    folder = boxes_file(store, spine=(70, 0, 90, 190))
    config = settings(annotations=[{"format": "egd", "path": folder}], segmenter=segmenter)
    found = by_region(run(store, config))
    inputs = config.regions.inputs()
    assert found["spine"][1] == "imported"
    assert found["left lung"][1] == f"onnx:{inputs['segmenter']['model']}"
    model.doc_string = "another model"
    onnx.save(model, tmp_path / "m.onnx")
    assert config.regions.inputs()["segmenter"]["model"] != inputs["segmenter"]["model"]
    assert config_hash(config) == config_hash(config)


def test_the_key_follows_content_not_place(store: Store, tmp_path: Path) -> None:
    folder = boxes_file(store, spine=(70, 0, 90, 190))
    first = settings(annotations=[{"format": "egd", "path": folder}])
    moved = folder.rename(tmp_path / "elsewhere")
    second = settings(annotations=[{"format": "egd", "path": moved}])
    assert str(tmp_path) not in json.dumps(second.regions.inputs())
    before = config_hash(second)
    with pytest.raises(ConfigError, match="does not exist"):
        first.regions.inputs()
    moved.rename(folder)
    assert config_hash(first) == before
    boxes_file(store, spine=(70, 0, 90, 180))
    assert config_hash(first) != before


def test_paths_are_meant_from_the_settings_file_and_are_remembered(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "own.toml").write_text(
        'name = "own-v1"\ntitle = "Own"\noutside = { name = "x", letter = "X" }\n'
        'letters = [{ letter = "X", title = "rest" }]\n'
        '[[groups]]\nname = "g"\nregions = [{ name = "spine", letter = "X" }]\n'
    )
    (folder / "settings.toml").write_text(
        '[regions]\nscheme = "own.toml"\n[[regions.annotations]]\nformat = "coco"\npath = "sub/coco.json"\n'
    )
    config = load_config(folder / "settings.toml")
    assert config.regions.annotations[0].path == folder / "sub" / "coco.json"
    assert config.regions.load_scheme().name == "own-v1"
    remember_config(store.root, config)
    assert remembered_config(store.root) == config
    (folder / "own.toml").unlink()
    assert remembered_config(store.root) == config, (
        "gone files are an error where they are used, not a default"
    )
    with pytest.raises(ConfigError, match="cannot be read"):
        config.regions.load_scheme()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('scheme = "gazex-v2"', "no scheme of that name"),
        ('scheme = "none.toml"', "cannot be read"),
        ("scheme = 3", "no scheme of that name"),
        ('[[regions.annotations]]\nformat = "nifti"\npath = "a"', "annotations.0.format"),
        ('[[regions.annotations]]\nformat = "coco"', "annotations.0.path"),
        ('[[regions.annotations]]\nformat = "coco"\npath = "a"\nconfidence = 2', "confidence"),
        ('[[regions.annotations]]\nformat = "coco"\npath = "a"\nfile = "b"', "unknown setting"),
        (
            '[regions.segmenter]\nmodel = "m"\nlabels = ["a", "a"]\ninput_width_px = 9\ninput_height_px = 9',
            "each once",
        ),
        (
            '[regions.segmenter]\nmodel = "m"\nlabels = [""]\ninput_width_px = 9\ninput_height_px = 9',
            "each once",
        ),
    ],
)
def test_settings_that_are_off(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(f"[regions]\n{text}\n")
    with pytest.raises(GazeToolError, match=expected) as caught:
        load_config(path)
    assert isinstance(caught.value, ConfigError)


@pytest.mark.parametrize(
    ("body_part", "asked"), [("", True), ('body_part = "chest"', True), ('body_part = "hip"', False)]
)
def test_the_atlas_is_asked_for_chests_only(
    store: Store, tmp_path: Path, body_part: str, asked: bool
) -> None:
    (tmp_path / "own.toml").write_text(
        f'name = "own-v1"\ntitle = "Own"\n{body_part}\noutside = {{ name = "x", letter = "X" }}\n'
        'letters = [{ letter = "X", title = "rest" }]\n'
        '[[groups]]\nname = "g"\nregions = [{ name = "spine", letter = "X" }]\n'
    )
    found = by_region(run(store, settings(scheme=str(tmp_path / "own.toml"))))
    assert set(found) == ({"spine"} if asked else set())


def test_the_fixations_left_of_a_border_are_in_the_region_left_of_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atlas, "fit", atlas.plain)  # a guess, which is not put beside what is known
    folder = boxes_file(store, spine=(0, 0, 80, 192))
    output = run(store, settings(annotations=[{"format": "egd", "path": folder}]))
    context = StageContext(config=settings(), image_path=lambda index: None)
    reading = store.load(store.reading_ids()[0])
    events = EVENTS_STAGE.run(reading, context).tables["events"].to_pandas().set_index("event_index")
    table = output.tables["event_regions"].to_pandas()
    primary = table[table["is_primary"]].set_index("event_index")["region"]
    x = events.loc[primary.index, "x_image_px"]
    assert (x < 80).any()
    assert (x > 80).any()
    assert (primary == np.where(x < 80, "spine", "external")).all()
