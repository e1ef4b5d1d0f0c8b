from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

from vouch.bundle.training import Recipe
from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.optimizers import (
    FIRST_SHARE,
    WARM_UP,
    Muon,
    optimizers_for,
    orthogonalised,
    schedule,
    set_rate,
)

MUON = Recipe(epochs=1, batch_size=8, learning_rate=0.01, optimizer="muon", muon_rate=0.05, weight_decay=0.1)


@pytest.mark.parametrize("shape", [(16, 9), (16, 25), (32, 144), (144, 32), (8, 8)])
def test_every_direction_gets_about_the_same_length(shape: tuple[int, int]) -> None:
    """With enough steps all singular values are near 1, and the singular vectors stay what they were."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    near = orthogonalised(matrix, steps=8)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    along = u.T @ near @ v.T

    assert near.shape == shape
    assert (torch.linalg.svdvals(near) > 0.6).all()
    assert (torch.linalg.svdvals(near) < 1.3).all()
    np.testing.assert_allclose(along, torch.diag(along.diagonal()), atol=1e-9)


def test_muon_moves_by_a_length_that_does_not_depend_on_the_gradients() -> None:
    """A gradient a thousand times as large makes the same first step."""
    moved = []
    for scale in (1.0, 1000.0):
        weights = nn.Parameter(torch.zeros(4, 3, 2, 2))
        weights.grad = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0)) * scale
        Muon([{"params": [weights], "lr": 0.1, "weight_decay": 0.0}]).step()
        moved.append(weights.detach())

    assert moved[0].abs().max() > 0.01
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-3, atol=1e-5)


def test_muon_goes_downhill() -> None:
    """It finds the matrix that it is to find."""
    wanted = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    weights = nn.Parameter(torch.zeros(6, 4))
    optimizer = Muon([{"params": [weights], "lr": 0.1, "weight_decay": 0.0}])
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 200)
        optimizer.zero_grad()
        ((weights - wanted) ** 2).sum().backward()
        optimizer.step()

    assert (weights - wanted).abs().max() < 0.05


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_step_is_that_of_torchs_own_optimizer(name: Literal["sgd", "adamw"], decay: float) -> None:
    """To the last bit, over several steps, with and without what pulls weights to 0."""
    random = torch.Generator().manual_seed(0)
    wanted = torch.randn(6, 4, generator=random)
    recipe = Recipe(epochs=1, batch_size=8, learning_rate=0.05, optimizer=name, weight_decay=decay)
    ours, theirs = nn.Linear(4, 6, bias=False), nn.Linear(4, 6, bias=False)
    theirs.load_state_dict(ours.state_dict())
    made: torch.optim.Optimizer = torch.optim.SGD(theirs.parameters(), 0.05, momentum=0.9, weight_decay=decay)
    if name == "adamw":
        made = torch.optim.AdamW(theirs.parameters(), 0.05, betas=(0.9, 0.99), weight_decay=decay, fused=True)
    (own,) = optimizers_for(ours, recipe)
    for _ in range(5):
        for model, optimizer in ((ours, own), (theirs, made)):
            optimizer.zero_grad()
            ((model.weight - wanted) ** 2).sum().backward()
            optimizer.step()

    np.testing.assert_array_equal(ours.weight.detach(), theirs.weight.detach())


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_every_weight_has_one_optimizer(kind: ModelKind) -> None:
    """Muon takes the hidden layers, AdamW the last one and the vectors, and none is left out or taken twice."""
    model = Classifier(kind, (8, 8), classes=10)
    taken = [
        weights
        for optimizer in optimizers_for(model, MUON)
        for group in optimizer.param_groups
        for weights in group["params"]
    ]
    by_muon = optimizers_for(model, MUON)[0].param_groups[0]["params"]

    assert sorted(map(id, taken)) == sorted(map(id, model.parameters()))
    assert all(weights.ndim > 1 and weights.shape[0] != 10 for weights in by_muon)


def test_the_rate_rises_once_and_falls_to_nothing() -> None:
    """From a small share to the peak at a quarter, then down; every group keeps its own peak."""
    shares = [schedule(step / 1000) for step in range(1001)]
    top = int(WARM_UP * 1000)
    optimizers = optimizers_for(Classifier("mlp", (4, 4), classes=3), MUON)
    rate = set_rate(optimizers, WARM_UP)

    assert shares[0] == pytest.approx(FIRST_SHARE)
    assert shares[top] == pytest.approx(1)
    assert shares[: top + 1] == sorted(shares[: top + 1])
    assert shares[top:] == sorted(shares[top:], reverse=True)
    assert shares[-1] == pytest.approx(0)
    assert rate == pytest.approx(MUON.learning_rate)
    assert optimizers[0].param_groups[0]["lr"] == pytest.approx(MUON.muon_rate)
