"""What several processes do together, tried in one: the others are made up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, distributed

import vouch.trainer.learn.epochs
import vouch.trainer.learn.steps
from vouch.bundle.training import Recipe
from vouch.sources.examples import Examples
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.course import Fitted
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.losses import Measured
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.processes import ALONE, Processes, joined
from vouch.trainer.splits.split import Splits

RECIPE = Recipe(epochs=1, batch_size=60, learning_rate=0.1, optimizer="sgd", balance=True)


@dataclass(frozen=True)
class MadeUp(Processes):
    """One of two; what the other would add is nothing, and the leading one has measured these numbers."""

    told: tuple[float, ...] = ()

    def total(self, value: Tensor) -> Tensor:
        return value

    def from_leader(self, values: list[float]) -> list[float]:
        return list(self.told) if self.told and len(self.told) == len(values) else values


@pytest.fixture
def uneven() -> Splits:
    """Few images of one class and many of the other."""
    random = np.random.default_rng(0)

    def part(count: int) -> Examples:
        labels = (np.arange(count) % 5 == 0).astype(np.int64)
        return Examples(random.integers(0, 256, (count, 4, 4), dtype=np.uint8), labels)

    return Splits(("many", "few"), part(60), part(20), part(20), warnings=())


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is there to average gradients with."""
    monkeypatch.setattr(vouch.trainer.learn.steps, "DistributedDataParallel", lambda module: module)


def fitted(splits: Splits, processes: Processes) -> tuple[Fitted, list[Tensor]]:
    """A fit of a single step, and the gradients that it came from."""
    torch.manual_seed(0)
    model = Classifier("linear", (4, 4), classes=2)
    result = fit(model, splits, RECIPE, processes)
    return result, [weights.grad for weights in model.parameters() if weights.grad is not None]


def test_balanced_gradients_of_the_shares_average_to_those_of_the_whole(uneven: Splits) -> None:
    """No process divides by the weights of its own images: the rare class may be in one share more often."""
    _, whole = fitted(uneven, ALONE)
    shares = [fitted(uneven, MadeUp(rank, 2, told=(1.0, 1.0, 0.5)))[1] for rank in (0, 1)]

    assert len(whole) == 2
    for expected, *parts in zip(whole, *shares, strict=True):
        torch.testing.assert_close(sum(parts) / 2, expected, rtol=1e-4, atol=1e-6)
        assert not torch.allclose(parts[0], parts[1], rtol=1e-2)


def test_the_leading_process_measures_for_all(uneven: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its own means over the images that it saw; two opinions about an epoch would end one of them alone."""

    def measured(*_: object) -> Measured:
        raise AssertionError("measured by a process that does not lead")

    monkeypatch.setattr(vouch.trainer.learn.epochs, "measure", measured)

    result, _ = fitted(uneven, MadeUp(1, 2, told=(0.25, 0.125, 0.75)))

    assert [epoch.tune_accuracy for epoch in result.epochs] == [0.75, 0.75]
    assert result.best.tune_loss_calibrated == 0.125


def test_a_checkpoint_that_one_process_does_not_see_is_an_error(uneven: Splits) -> None:
    """It would begin from the start while the others go on."""
    others_resumed = MadeUp(1, 2, told=(1.0,))
    torch.manual_seed(0)

    with pytest.raises(TrainError, match="all need the same models folder"):
        fit(Classifier("linear", (4, 4), classes=2), uneven, RECIPE, others_resumed)


@contextmanager
def pretended(patch: pytest.MonkeyPatch, began: Callable[..., None]) -> Iterator[None]:
    """As if torchrun had started two processes, of which this is the second."""
    for name, value in (("WORLD_SIZE", "2"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")):
        patch.setenv(name, value)
    patch.setattr(distributed, "init_process_group", began)
    patch.setattr(distributed, "destroy_process_group", lambda: None)
    patch.setattr(distributed, "get_rank", lambda: 1)
    patch.setattr(distributed, "get_world_size", lambda: 2)
    patch.setattr(torch.cuda, "set_device", lambda device: None)
    yield


@pytest.mark.parametrize(("device", "backend"), [("cpu", "gloo"), ("cuda", "cpu:gloo,cuda:nccl")])
def test_tensors_of_the_processor_are_exchanged_beside_those_of_a_gpu(
    device: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses and counts stay on the processor, and NCCL has no way for them."""
    asked: list[tuple[Any, timedelta]] = []

    with (
        pretended(monkeypatch, lambda name, timeout: asked.append((name, timeout))),
        joined(torch.device(device)) as processes,
    ):
        assert (processes.rank, processes.count, processes.device.type) == (1, 2, device)
    assert [name for name, _ in asked] == [backend]
    assert asked[0][1] <= timedelta(minutes=10)


@pytest.mark.parametrize(
    "error", [RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer\nmore"), distributed.DistError()]
)
def test_a_process_that_is_left_alone_says_so_in_a_sentence(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that failed has said why; the others need no traceback."""
    with (
        pretended(monkeypatch, lambda name, timeout: None),
        pytest.raises(TrainError, match="another process of this training ended"),
        joined(torch.device("cpu")),
    ):
        raise error


def test_an_error_of_ones_own_is_not_blamed_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug stays a bug."""
    with (
        pretended(monkeypatch, lambda name, timeout: None),
        pytest.raises(RuntimeError, match="shapes differ"),
        joined(torch.device("cpu")),
    ):
        raise RuntimeError("shapes differ")


def test_what_the_leading_process_says_reaches_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a broadcast of 64 bits a number, as they are."""

    def broadcast(values: Tensor, src: int) -> None:
        assert src == 0
        values.copy_(torch.tensor([0.1, float("nan")], dtype=torch.float64))

    monkeypatch.setattr(distributed, "broadcast", broadcast)

    told = Processes(1, 2).from_leader([7.0, 7.0])
    assert told[0] == 0.1
    assert np.isnan(told[1])
    assert ALONE.from_leader([7.0]) == [7.0]


def test_what_one_process_has_least_of_counts_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a reduction to the minimum."""

    def all_reduce(value: Tensor, by: object) -> None:
        assert by is distributed.ReduceOp.MIN
        value.clamp_(max=5.0)

    monkeypatch.setattr(distributed, "all_reduce", all_reduce)

    assert (Processes(1, 2).least(7.0), Processes(1, 2).least(3.0), ALONE.least(7.0)) == (5.0, 3.0, 7.0)
