import numpy as np
import pytest
import torch
from torch import Tensor

from vouch.trainer.learn.regression import Axes, Iteration, Layer, Problem, Wanted, fitted_layer

COUNT, WIDTH = 60, 7


def features(count: int = COUNT, width: int = WIDTH) -> Tensor:
    """Of unlike spreads, with mean 0."""
    random = np.random.default_rng(0)
    made = random.normal(size=(count, width)) * np.linspace(0.1, 5, width)
    return torch.from_numpy(made - made.mean(axis=0))


def wanted(labels: Tensor, outputs: int, weights: Tensor | None = None) -> Wanted:
    truth = torch.nn.functional.one_hot(labels, outputs) if outputs > 1 else labels[:, None]
    counts = torch.ones(len(labels), 1) if weights is None else weights[:, None]
    return Wanted(truth.double(), counts.double(), together=outputs > 1)


def nothing(width: int, outputs: int) -> Layer:
    return Layer(torch.zeros(width, outputs).double(), torch.zeros(outputs).double())


@pytest.mark.parametrize(("count", "width"), [(60, 7), (7, 60)])
def test_along_the_axes_nothing_is_lost(count: int, width: int) -> None:
    """Scores are the same before and after, also where there are fewer images than features."""
    x = features(count, width)
    axes = Axes.of(x)
    weights = axes.weights_along(torch.ones(width, 2).double())

    torch.testing.assert_close(axes.along(x) @ weights, x @ axes.back(weights))
    torch.testing.assert_close(axes.along(x).square().mean(dim=0), axes.variances)


def test_features_that_never_vary_have_no_axes() -> None:
    """A constant feature, and a copy of another one, leave nothing to divide by."""
    x = features()
    x[:, 1], x[:, 2] = 0, x[:, 3]

    assert len(Axes.of(x).variances) == WIDTH - 2


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_slope_is_zero_at_the_fitted_layer(outputs: int) -> None:
    """By torch's own derivative of the weighted loss and the penalty."""
    x = features()
    labels = torch.arange(COUNT) % max(2, outputs)
    counts = torch.arange(COUNT).double() % 3 + 0.5
    aim = wanted(labels, outputs, counts)
    layer = fitted_layer(Problem(x, aim, x.square().mean(dim=0)), 0.1, nothing(WIDTH, outputs), 1e-14)
    weights = layer.weights.clone().requires_grad_()

    logits = x @ weights + layer.bias
    each = (
        torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        if outputs > 1
        else torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], labels.double(), reduction="none")
    )
    error = (each * counts).sum() / counts.sum() + 0.05 * weights.square().sum()
    error.backward()

    assert weights.grad is not None
    assert float(weights.grad.abs().max()) < 1e-5
    assert float(layer.weights.abs().max()) > 0.01


def test_every_iteration_lowers_what_is_made_small() -> None:
    """And is told with the layer that it led to, the last of which is the result."""
    x = features()
    aim, told = wanted(torch.arange(COUNT) % 3, 3), list[Iteration]()

    found = fitted_layer(Problem(x, aim, x.square().mean(dim=0)), 0.01, nothing(WIDTH, 3), 1e-9, told.append)

    losses = [aim.mean_loss(one.layer(x)) + 0.005 * float(one.layer.weights.square().sum()) for one in told]
    assert losses == sorted(losses, reverse=True)
    assert told[0].loss == pytest.approx(np.log(3))
    assert torch.equal(told[-1].layer.weights, found.weights)


def test_what_is_the_same_for_all_images_stays_finite() -> None:
    """One class alone, as a fold may have it: no weight, and a bias with a bound."""
    x = features()
    layer = fitted_layer(
        Problem(x, wanted(torch.zeros(COUNT).long(), 1), x.square().mean(dim=0)), 0.1, nothing(WIDTH, 1), 1e-12
    )

    assert -20 < float(layer.bias[0]) < -5


def test_several_labels_are_weighed_entry_by_entry() -> None:
    """A label whose presence counts more is answered more often."""
    x = features()
    truth = torch.zeros(COUNT, 2, dtype=torch.bool)
    truth[::4] = True
    counts = torch.where(truth, torch.tensor([3.0, 1.0]), 1.0).double()
    layer = fitted_layer(
        Problem(x, Wanted(truth.double(), counts, together=False), x.square().mean(dim=0)),
        1.0,
        nothing(WIDTH, 2),
        1e-12,
    )

    assert float(layer.bias[0]) == pytest.approx(0.0, abs=0.3)
    assert float(layer.bias[1]) < -0.8
