import pytest
import torch

from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn.demand import MEASURE_BATCH, MEASURE_BYTES, Demand, demand_of
from vouch.trainer.learn.networks import Classifier


def test_layers_are_counted() -> None:
    """A single layer of weights: as many as pixels times classes, and one number a class comes of it."""
    demand = demand_of(Classifier("linear", (5, 4), 3).eval(), (5, 4))

    assert demand == Demand(weights=5 * 4 * 3 + 3 + 2, input=20, activations=3, largest=3, multiply_adds=60)


@pytest.mark.parametrize("kind", ["linear", "mlp", "cnn"])
@pytest.mark.parametrize("shape", [(9, 7), (28, 28, 3)])
def test_what_is_counted_is_what_the_layers_give(kind: ModelKind, shape: tuple[int, ...]) -> None:
    """Of every layer, as many numbers as it gives where an image is answered."""
    classifier, found = Classifier(kind, shape, 3).eval(), []
    for layer in classifier.network.modules():
        if not any(layer.children()):
            layer.register_forward_hook(lambda _, __, output: found.append(output.numel()))

    classifier(torch.zeros((1, *shape), dtype=torch.uint8))

    demand = demand_of(classifier, shape)
    assert (demand.activations, demand.largest) == (sum(found), max(found))


@pytest.mark.parametrize(("side", "expected"), [(28, 1024), (64, 431), (224, 35), (4096, 1)])
def test_what_is_measured_at_once_is_bounded_in_bytes(side: int, expected: int) -> None:
    """1,024 small images, few large ones, at least one."""
    demand = Demand(weights=0, input=side * side, activations=0, largest=8 * side * side)
    found = demand.measuring_batch()

    assert found == expected
    assert found == 1 or (found <= MEASURE_BATCH and found * demand.measuring() <= MEASURE_BYTES)
