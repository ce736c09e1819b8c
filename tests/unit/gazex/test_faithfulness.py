"""Masks and their controls, and faithfulness of models of which it is known what they look at."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.gazex.config import ModelSettings
from examples.gazex.evaluation.faithfulness import Cited, Masking, faithfulness
from examples.gazex.evaluation.masking import FILLS, PixelBox, control_boxes, masked, to_pixels
from examples.gazex.model.build import small_processor_numbers
from examples.gazex.model.processor import Processor
from examples.gazex.model.ready import ReadyModel
from examples.gazex.model.tokenizer import train_tokenizer
from examples.gazex.tasks.example import Box

SIDE = 112
"""Px of a test picture: 4 by 4 tokens of 28 px, 8 by 8 patches of 14."""


def noise(seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(60, 90, (SIDE, SIDE)).astype(np.uint8)


@given(st.lists(st.floats(-0.2, 1.2), min_size=4, max_size=4))
@settings(max_examples=60, deadline=None)
def test_every_box_covers_whole_px_of_the_picture(sides: list[float]) -> None:
    (x0, x1), (y0, y1) = sorted(sides[:2]), sorted(sides[2:])
    box = to_pixels(Box(x0=x0, y0=y0, x1=x1, y1=y1), (SIDE, SIDE + 10))
    assert 0 <= box.x0 < box.x1 <= SIDE + 10
    assert 0 <= box.y0 < box.y1 <= SIDE


@pytest.mark.parametrize("fill", FILLS)
def test_a_mask_takes_the_finding_out_and_leaves_the_rest(fill: Any) -> None:
    picture = noise()
    picture[40:60, 30:70] = 250
    box = PixelBox(28, 38, 72, 62)
    painted = masked(picture, box, fill)
    outside = np.ones_like(picture, bool)
    outside[38:62, 28:72] = False
    assert (painted[outside] == picture[outside]).all()
    inside = painted[38:62, 28:72].astype(float)
    if fill == "surround":
        assert inside.std() == 0
        assert 60 <= inside.mean() <= 90  # the tone around it, not the finding's
    else:
        assert inside.std() < picture[38:62, 28:72].std() / 1.5
    assert picture.max() == 250  # the original is untouched


@given(st.integers(0, 90), st.integers(0, 90), st.integers(1, 80), st.integers(1, 80), st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_controls_are_of_the_same_area_elsewhere_on_the_film(
    x0: int, y0: int, width: int, height: int, margin: int
) -> None:
    picture = noise()
    picture[:, :margin] = 0  # a shutter
    box = PixelBox(x0, y0, min(SIDE, x0 + width), min(SIDE, y0 + height))
    controls = control_boxes(picture, box, 6, np.random.default_rng(1))
    assert controls == control_boxes(picture, box, 6, np.random.default_rng(1))
    assert len(set(controls)) == len(controls)
    for control in controls:
        across = min(control.x1, box.x1) - max(control.x0, box.x0)
        down = min(control.y1, box.y1) - max(control.y0, box.y0)
        assert across <= 0 or down <= 0
        assert margin <= control.x0 < control.x1 <= SIDE
        assert 0 <= control.y0 < control.y1 <= SIDE
        assert abs(control.area - box.area) <= max(control.x1 - control.x0, control.y1 - control.y0)


def test_a_box_over_everything_has_no_control() -> None:
    assert control_boxes(noise(), PixelBox(0, 0, SIDE, SIDE), 4, np.random.default_rng(0)) == []


TOKENIZER = train_tokenizer(["is there edema", "yes", "no"] * 3, 340)


class Looker(torch.nn.Module):
    """Says yes where a given patch (row, column of 8 by 8) is bright, and knows nothing else."""

    def __init__(self, processor: Processor, row: int, column: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.yes, self.no = (processor.piece_ids([word])[0][0] for word in ("yes", "no"))
        merged, at = (row // 2) * 4 + column // 2, (row % 2) * 2 + column % 2
        self.patch = merged * 4 + at  # Qwen's order: 2 by 2 patches of a token after one another

    def forward(self, input_ids: torch.Tensor, pixel_values: torch.Tensor, **_: Any) -> Any:
        of_picture = pixel_values.reshape(len(input_ids), 64, -1)
        logits = torch.zeros(*input_ids.shape, len(TOKENIZER))
        logits[:, -1, self.yes] = 10 + 3 * of_picture[:, self.patch].mean(-1)
        logits[:, -1, self.no] = 10
        return SimpleNamespace(logits=logits)


@pytest.fixture
def looks_at() -> Callable[[int, int], ReadyModel]:
    processor = Processor(TOKENIZER, **small_processor_numbers(ModelSettings().family))
    return lambda row, column: ReadyModel(model=Looker(processor, row, column), processor=processor)


def test_it_tells_a_model_that_looks_at_the_box_from_one_that_looks_elsewhere(looks_at: Any) -> None:
    picture = noise()
    picture[56:84, 28:56] = 250  # patches of rows 4, 5 and columns 2, 3
    picture[0:14, 98:112] = 250  # where the other model looks
    cited = Cited(
        question="Is there Edema?",
        picture=picture,
        box=Box(x0=0.25, y0=0.5, x1=0.5, y1=0.75),
        name="a",
        other=noise(1),
    )
    (honest,) = faithfulness(looks_at(4, 2), [cited])
    (elsewhere,) = faithfulness(looks_at(0, 7), [cited])
    assert honest.whole.answer == elsewhere.whole.answer == "yes"
    assert honest.change_cited > 0.5
    assert honest.flips_cited
    assert honest.change_control == pytest.approx(0)
    assert honest.flip_rate_control == 0
    assert honest.cited.box == cited.box
    assert elsewhere.change_cited == pytest.approx(0)
    assert not elsewhere.flips_cited
    assert elsewhere.change_control is not None
    assert elsewhere.change_control >= 0
    assert honest.other_patient is not None
    for found in (honest, elsewhere):
        assert found.without_picture.answer == "no"
        assert len(found.controls) == Masking().n_controls
    assert honest.other_patient.answer == "no"
    (again,) = faithfulness(looks_at(4, 2), [cited])
    assert again == honest
    assert 0.9 < honest.whole.mass <= 1


def test_without_room_or_another_patient_it_says_so(looks_at: Any) -> None:
    whole = Cited(question="?", picture=noise(), box=Box(x0=0, y0=0, x1=1, y1=1), name="a")
    (found,) = faithfulness(looks_at(0, 0), [whole])
    assert found.controls == ()
    assert found.change_control is None
    assert found.flip_rate_control is None
    assert found.other_patient is None
