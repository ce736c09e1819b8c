"""Steps: AdamW as the library has it, matrices of blocks as Muon has them."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from examples.gazex.config import TrainSettings
from examples.gazex.train.optimizer import (
    LAST_SHARE,
    LIKE_ADAMW,
    MOMENTUM,
    MuonAndAdamW,
    learning_rate,
    make_optimizer,
    orthogonal,
)

RATE, DECAY = 1e-2, 0.1


class Small(nn.Module):
    """Matrices of blocks, of two shapes, and what else a model has."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(7, 8)
        self.layers = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 24)])
        self.head = nn.Linear(24, 3)
        self.frozen = nn.Linear(3, 3).requires_grad_(requires_grad=False)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        x = self.embed(words)
        for layer in self.layers:
            x = torch.tanh(layer(x))
        found: torch.Tensor = self.head(x)
        return found


def settings_of(optimizer: str) -> TrainSettings:
    return TrainSettings.model_validate(
        {"optimizer": optimizer, "learning_rate": RATE, "weight_decay": DECAY}
    )


def stepped(model: Small, optimizer: torch.optim.Optimizer, steps: int = 3) -> Small:
    for number in range(steps):
        words = torch.randint(0, 7, (16,), generator=torch.Generator().manual_seed(number))
        nn.functional.cross_entropy(model(words), words % 3).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return model


def matrices(model: Small) -> dict[str, torch.Tensor]:
    return {n: w.detach() for n, w in model.named_parameters() if n.startswith("layers") and w.ndim == 2}


def test_matrices_of_blocks_take_the_steps_of_the_librarys_muon() -> None:
    model = Small()
    peer = copy.deepcopy(model)
    stepped(model, make_optimizer(model, settings_of("muon")), 1)
    begun = matrices(Small())
    muon = torch.optim.Muon(
        [w for n, w in peer.named_parameters() if n in begun],
        lr=RATE, weight_decay=DECAY, momentum=MOMENTUM, adjust_lr_fn="match_rms_adamw",
    )  # fmt: skip
    stepped(peer, muon, 1)
    for name, weight in matrices(model).items():
        own, library = weight - begun[name], matrices(peer)[name] - begun[name]
        # The library's iterates in bfloat16, with eight bits.
        assert float(nn.functional.cosine_similarity(own.flatten(), library.flatten(), 0)) > 0.97
        assert float(own.norm()) == pytest.approx(float(library.norm()), rel=0.05)


def test_what_is_no_matrix_of_a_block_takes_adamws_steps() -> None:
    ours, plain = Small(), Small()
    optimizer = make_optimizer(ours, settings_of("muon"))
    assert isinstance(optimizer, MuonAndAdamW)
    stepped(ours, optimizer, 1)
    stepped(plain, make_optimizer(plain, settings_of("adamw")), 1)
    of_blocks = matrices(ours)
    assert set(of_blocks) == {"layers.0.weight", "layers.1.weight", "layers.2.weight"}
    others = dict(plain.named_parameters())
    for name, weight in ours.named_parameters():
        assert torch.equal(weight, others[name]) == (name not in of_blocks)
    assert torch.equal(ours.frozen.weight, Small().frozen.weight)


def test_adamw_alone_is_the_librarys() -> None:
    assert type(make_optimizer(Small(), settings_of("adamw"))) is torch.optim.AdamW


def test_what_was_saved_goes_on_the_same() -> None:
    whole = Small()
    stepped(whole, make_optimizer(whole, settings_of("muon")), 3)
    first = Small()
    optimizer = make_optimizer(first, settings_of("muon"))
    for number in range(3):
        if number == 2:
            kept = copy.deepcopy(optimizer.state_dict())
            optimizer = make_optimizer(first, settings_of("muon"))
            optimizer.load_state_dict(kept)
        words = torch.randint(0, 7, (16,), generator=torch.Generator().manual_seed(number))
        nn.functional.cross_entropy(first(words), words % 3).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    assert all(torch.equal(w, dict(whole.named_parameters())[n]) for n, w in first.named_parameters())


def test_weights_without_a_gradient_stay() -> None:
    model = Small()
    optimizer = make_optimizer(model, settings_of("muon"))
    model.head.weight.grad = torch.ones_like(model.head.weight)
    optimizer.step()
    assert all(torch.equal(w, matrices(Small())[n]) for n, w in matrices(model).items())
    assert not torch.equal(model.head.weight, Small().head.weight)


@given(st.integers(1, 4), st.integers(2, 20), st.integers(2, 20), st.integers(0, 100))
def test_singular_values_end_near_one(k: int, n: int, m: int, seed: int) -> None:
    given_ones = torch.randn(k, n, m, generator=torch.Generator().manual_seed(seed))
    found = orthogonal(given_ones)
    assert found.shape == given_ones.shape
    values, before = torch.linalg.svdvals(found), torch.linalg.svdvals(given_ones)
    # What is next to nothing beside the greatest is not blown up all the way.
    counted = before > 0.02 * before.amax(1, keepdim=True)
    assert float(values[counted].min()) > 0.3
    assert float(values.max()) < 1.3


def test_no_gradient_is_no_step() -> None:
    assert float(orthogonal(torch.zeros(2, 3, 4)).abs().max()) == 0.0


def test_a_step_is_as_large_as_adamws() -> None:
    model = Small()
    before = matrices(Small())
    stepped(model, make_optimizer(model, settings_of("muon")), 1)
    for name, weight in matrices(model).items():
        moved = (weight - before[name] * (1 - RATE * DECAY)).norm() / math.sqrt(weight.numel())
        full = LIKE_ADAMW * RATE
        assert 0.5 * full < float(moved) < 1.3 * full


def test_the_rate_rises_and_falls() -> None:
    settings = TrainSettings(steps=100, warmup_share=0.1, learning_rate=1.0)
    rates = [learning_rate(step, settings) for step in range(100)]
    assert rates.index(max(rates)) in (9, 10)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(LAST_SHARE, abs=1e-3)
