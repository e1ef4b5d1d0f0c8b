import pytest

from vouch.trainer.learn.demand import MEASURE_BATCH, MEASURE_BYTES, Demand, demand_of
from vouch.trainer.learn.networks import Classifier


def test_layers_are_counted() -> None:
    """A single layer of weights: as many as pixels times classes, and one number a class comes of it."""
    demand = demand_of(Classifier("linear", (5, 4), 3).eval(), (5, 4))

    assert demand == Demand(weights=5 * 4 * 3 + 3 + 2, input=20, activations=3, largest=3)


def test_counting_leaves_no_trace() -> None:
    """The network has no hooks afterwards, and the same answers."""
    classifier = Classifier("cnn", (8, 8), 3).eval()
    before = {name: value.clone() for name, value in classifier.state_dict().items()}

    demand_of(classifier, (8, 8))

    assert not any(module._forward_hooks for module in classifier.modules())
    assert all((value == before[name]).all() for name, value in classifier.state_dict().items())


@pytest.mark.parametrize(("side", "expected"), [(28, 1024), (64, 431), (224, 35), (4096, 1)])
def test_what_is_measured_at_once_is_bounded_in_bytes(side: int, expected: int) -> None:
    """1,024 small images, few large ones, at least one."""
    demand = Demand(weights=0, input=side * side, activations=0, largest=8 * side * side)
    found = demand.measuring_batch()

    assert found == expected
    assert found == 1 or (found <= MEASURE_BATCH and found * demand.measuring() <= MEASURE_BYTES)
