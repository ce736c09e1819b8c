"""What the key-frame stage makes of settings and of a reading's own tables."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from curation.config import CurationConfig, PublishedConfig
from curation.stages import STAGES
from curation.stages.keyframes import KEYFRAMES_STAGE
from curation.stages.protocol import StageContext, StageOutput
from keyframes.frames import PARAMETERS, render_keyframe
from keyframes.published import PublishedSwitches
from keyframes.reading import VALIDATIONS, Reading
from keyframes.validation import validation_error_deg


def context(**keyframes: Any) -> StageContext:
    config = CurationConfig.model_validate({"keyframes": keyframes})
    return StageContext(config=config, image_path=lambda _index: None)


@pytest.fixture(scope="module")
def before(readings: ModuleType) -> Reading:
    """A reading with the tables of all earlier stages, without a picture."""
    reading: Reading = readings.make_reading()
    for stage in STAGES[: STAGES.index(KEYFRAMES_STAGE)]:
        reading = reading.with_tables(**stage.run(reading, context()).tables)
    return reading


def validated(reading: Reading, *accuracies: tuple[str, str, float]) -> Reading:
    rows = [
        {"t_ns": place, "phase": phase, "eye": eye, "n_points": 5, "accuracy_deg": deg, "accuracy_max_deg": deg,
         "rms_s2s_deg": 0.1, "sd_deg": 0.1, "loss_share": 0.0}
        for place, (phase, eye, deg) in enumerate(accuracies)
    ]  # fmt: skip
    return reading.with_tables(validations=pa.Table.from_pylist(rows, schema=VALIDATIONS))


def made(output: StageOutput) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = output.tables["keyframes"].to_pylist()
    assert rows
    return rows


@pytest.mark.parametrize(
    ("accuracies", "error_deg", "tolerance_deg"),
    [
        ([], 1.0, 1.0),
        ([("before", "both", 0.4)], 0.4, 0.4),
        ([("before", "left", 0.4), ("before", "right", 0.6), ("after", "both", 0.45)], 0.5, 0.5),
        ([("before", "both", 0.4), ("after", "both", 1.7)], 1.7, 1.0),
        ([("before", "both", 0.9), ("before", "both", 0.3)], 0.3, 0.3),
        ([("before", "both", float("nan"))], 1.0, 1.0),
    ],
)
def test_the_edge_tolerance_is_the_readings_validation_error(
    before: Reading, accuracies: list[tuple[str, str, float]], error_deg: float, tolerance_deg: float
) -> None:
    output = KEYFRAMES_STAGE.run(validated(before, *accuracies), context())
    assert output.notes["error_deg"] == pytest.approx(error_deg)
    assert output.notes["edge_tolerance_deg"] == pytest.approx(tolerance_deg)
    assert output.notes["error_is_measured"] == (
        validation_error_deg(validated(before, *accuracies).table("validations")) is not None
    )
    assert {row["error_deg"] for row in made(output)} == {output.notes["error_deg"]}


def test_every_parameter_is_in_settings_and_notes(before: Reading) -> None:
    output = KEYFRAMES_STAGE.run(before, context(edge_tolerance_deg=0.25, sigma_deg=0.5, lead_s=1.5))
    settings = KEYFRAMES_STAGE.config_part(CurationConfig())
    assert set(settings) == {"profile", *PARAMETERS} - {"error_deg"}
    assert {name: output.notes[name] for name in ("edge_tolerance_deg", "sigma_deg", "lead_s")} == {
        "edge_tolerance_deg": 0.25,
        "sigma_deg": 0.5,
        "lead_s": 1.5,
    }
    assert set(PARAMETERS) < set(output.notes)
    assert 0.0 <= output.notes["discarded_share"] < 0.5


def test_the_published_profile(before: Reading) -> None:
    output = KEYFRAMES_STAGE.run(before, context(profile="published"))
    rows = made(output)
    assert {row["profile"] for row in rows} == {"published"}
    assert all(row["box_q"] for row in rows if row["status"] == "ok")
    grey8 = np.full((192, 160), 200, np.uint8)
    lit = render_keyframe(grey8, rows[-1], before.table("events"), before.table("gaze"))
    assert lit.shape == (48, 40), "the published frame is a quarter in size"
    small = np.full((96, 80), 200, np.uint8)
    same = render_keyframe(
        small, rows[-1], before.table("events"), before.table("gaze"), image_size_px=(160, 192)
    )
    np.testing.assert_array_equal(same, lit)
    assert output.notes == {"profile": "published", **PublishedConfig().model_dump()}


def test_settings_of_the_other_profile_change_no_key() -> None:
    def part(**keyframes: Any) -> dict[str, Any]:
        return dict(KEYFRAMES_STAGE.config_part(context(**keyframes).config))

    assert part(profile="published", lead_s=1.0) == part(profile="published")
    assert part(published={"mark_blank_holistic": False}) == part(fit_lead=False) == part()
    assert part(profile="published", published={"mark_blank_holistic": False}) != part(profile="published")


def test_the_switches_are_those_of_the_library() -> None:
    switches = PublishedSwitches()
    assert PublishedConfig().model_dump() == {
        name: getattr(switches, name) for name in PublishedSwitches.__dataclass_fields__
    }
