"""What ``evidence.json`` holds. `schema.json` beside this file is made from it; README.md says how to read it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "NOTICE",
    "SCHEMA_VERSION",
    "Answer",
    "Evidence",
    "Faithful",
    "Finding",
    "Masks",
    "ModelNotes",
    "Problem",
    "Region",
    "Report",
    "Sentence",
    "Step",
    "Study",
    "Trajectory",
    "TriedBox",
    "json_schema",
]

SCHEMA_VERSION: Final = "1.0"
"""Major: something was renamed or means something else; minor: something was added."""
NOTICE: Final = "Predicted by a model, not observed. For research only, not for diagnosis."

Letter = Literal["A", "B", "C", "D", "E", "F"]
Share = Annotated[float, Field(ge=0, le=1)]
BoxShare = Annotated[
    tuple[Share, Share, Share, Share],
    Field(description="x0, y0, x1, y1 as shares of the picture's sides, origin at its top left, half-open"),
]
PointShare = Annotated[tuple[Share, Share], Field(description="x, y as shares of the picture's sides")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Region(_Part):
    """A place on the radiograph."""

    role: Literal["clue", "observation", "finding", "step"]
    box_share: BoxShare
    centroid_share: PointShare
    centroid_by: Annotated[
        Literal["model", "box"], Field(description="the model named it, or it is the middle of the box")
    ]


class Sentence(_Part):
    """A sentence of the report and where, by the model, a reader would look for it."""

    number: Annotated[int, Field(ge=1)]
    text: str
    regions: Annotated[
        tuple[Region, ...],
        Field(description="clues, then the observation; empty: see problems, or gaze_taught"),
    ]


class Report(_Part):
    """The report."""

    text: str
    sentences: tuple[Sentence, ...]


class Answer(_Part):
    """An answer to a question that was asked."""

    question: str
    text: str
    probability: Annotated[
        Share, Field(description="of this answer word for word and its end: the product over its tokens")
    ]


class TriedBox(_Part):
    """A box that was painted over, and the probability of the finding then."""

    box_share: BoxShare
    probability: Share


class Faithful(_Part):
    """How much the finding's probability rests on its box. Changes above 0 are falls."""

    probability: Annotated[Share, Field(description="with the whole picture")]
    cited: TriedBox
    controls: Annotated[
        tuple[TriedBox, ...],
        Field(description="boxes of the same area elsewhere on the film; empty where there is no room"),
    ]
    change_cited: Annotated[float, Field(ge=-1, le=1)]
    change_control: Annotated[float | None, Field(ge=-1, le=1, description="mean over the controls")]
    flips_cited: Annotated[
        bool, Field(description="the answer becomes another with the cited box painted over")
    ]
    flip_rate_control: Annotated[
        Share | None, Field(description="share of controls with which the answer becomes another")
    ]
    probability_without_picture: Annotated[Share, Field(description="with a black picture of the same size")]
    probability_other_patient: Annotated[
        Share | None, Field(description="with another study's picture; null where only one was given")
    ]


class Finding(_Part):
    """One label of the CheXpert labeller, asked as a yes-or-no question."""

    label: str
    letter: Annotated[
        Letter, Field(description="of the inspection that the label belongs to, by a fixed table")
    ]
    probability: Annotated[
        Share,
        Field(
            description='of "yes" against "no": softmax over the logits of the first token of either word, '
            "as the first token of the answer"
        ),
    ]
    mass: Annotated[
        Share,
        Field(
            description="what both first tokens have together of the whole vocabulary; "
            "where it is small, the probability means little"
        ),
    ]
    present: Annotated[bool, Field(description="probability of 0.5 or more")]
    region: Annotated[Region | None, Field(description="null where not present or not readable")]
    steps: Annotated[
        tuple[int, ...], Field(description="steps of the trajectory whose box holds the finding's centroid")
    ]
    faithfulness: Faithful | None


class Step(_Part):
    """One step of the inspection."""

    number: Annotated[int, Field(ge=1)]
    letter: Letter
    region_name: str
    region: Region


class Trajectory(_Part):
    """The order in which, by the model, a reader would inspect this radiograph. Nobody's gaze was recorded."""

    kind: Literal["predicted"] = "predicted"
    steps: tuple[Step, ...]


class Problem(_Part):
    """Something in an answer that could not be read as it was written."""

    part: Annotated[str, Field(description="report, sentence N, answer N, trajectory, or finding LABEL")]
    what: str
    answer: Annotated[str, Field(description="the whole answer, as the model gave it")]


class Masks(_Part):
    """How boxes were painted over."""

    fill: Literal["surround", "blur"]
    fill_in_words: str
    n_controls: Annotated[int, Field(ge=1, description="asked for; a finding may have fewer")]
    seed: int


class Study(_Part):
    """The radiograph."""

    name: Annotated[str, Field(description="the file's name without its ending")]
    kind: Literal["dicom", "picture"]
    sha256: Annotated[str, Field(description="of the file's bytes")]
    width_px: Annotated[int, Field(ge=1, description="of the file's matrix; box_share times it gives px")]
    height_px: Annotated[int, Field(ge=1)]
    seen_width_px: Annotated[int, Field(ge=1, description="of the picture as the model saw it")]
    seen_height_px: Annotated[int, Field(ge=1)]


class ModelNotes(_Part):
    """The model that said all this."""

    family: str
    prompts: str
    steps: Annotated[int | None, Field(description="of its training")]
    n_readings: int | None
    tiers: Annotated[
        tuple[str, ...], Field(description="access tiers of the readings that it was trained on")
    ]
    gaze_taught: Annotated[
        bool, Field(description="it was taught where readers looked; if not, sentences have no regions")
    ]


class Evidence(_Part):
    """Everything that a model says of one study."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    notice: Literal["Predicted by a model, not observed. For research only, not for diagnosis."] = NOTICE
    study: Study
    model: ModelNotes
    report: Annotated[Report | None, Field(description="null where the model was not taught to write one")]
    answers: tuple[Answer, ...]
    findings: Annotated[tuple[Finding, ...], Field(description="every label asked, the most probable first")]
    trajectory: Annotated[
        Trajectory | None, Field(description="null where the model was not taught to inspect")
    ]
    masks: Masks
    n_answers_read: Annotated[
        int, Field(ge=0, description="answers that were to be read as text, boxes or steps")
    ]
    problems: tuple[Problem, ...]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``evidence.json``, as `schema.json` holds it."""
    content = Evidence.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:gazex:evidence:{SCHEMA_VERSION}",
        **content,
        "title": f"Evidence of one study, version {SCHEMA_VERSION}",
    }
