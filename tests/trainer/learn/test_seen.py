from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from vouch.bundle.training import Augmentation, Recipe
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.processes import ALONE
from vouch.trainer.learn.seen import Made, Seen
from vouch.trainer.learn.steps import Steps
from vouch.trainer.splits.split import Splits

WAITING = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal", "aten::is_nonzero"}
"""Operations whose result the processor waits for, where the tensor is on a GPU."""


class Waits(TorchDispatchMode):
    """Counts what a GPU would be waited for, in all that is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        self.found[func._schema.name] += 1
        return func(*args, **(kwargs or {}))

    def total(self) -> int:
        return sum(count for name, count in self.found.items() if name in WAITING)


def test_no_step_waits_for_its_numbers(splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    """With variants, focus and Muon a step asks for nothing that it has computed; and what asks is found here."""
    waits = []
    make = Steps.make

    def counted(*given: Any) -> None:
        with Waits() as mode:
            make(*given)
        waits.append(mode.total())

    monkeypatch.setattr(Steps, "make", counted)
    augment = Augmentation(crop=0.9, bend=0.1)
    recipe = Recipe(1, 400, 0.01, "muon", muon_rate=0.02, augment=augment, focus=0.5, label_smoothing=0.1)
    fit(Classifier("cnn", (8, 8), classes=10), splits, recipe)
    with Waits() as mode:
        torch.ones(1).item()

    assert len(waits) > 1
    assert set(waits) == {0}
    assert mode.total() == 1


def test_a_loss_that_is_no_number_is_told_with_its_own_step() -> None:
    """Though it is asked for together with others."""
    seen = Seen(ALONE)
    for number, loss in enumerate((1.0, float("nan"), 2.0), start=5):
        seen.add(Made(number, 0.1, torch.tensor(loss), 4), torch.ones(4, dtype=torch.bool))

    with pytest.raises(TrainError, match="the loss is nan at step 6, rate 0.1: "):
        seen.told()


def test_numbers_that_are_asked_for_together_are_told_one_by_one() -> None:
    """Each with its step; loss and accuracy are those of all."""
    seen = Seen(ALONE)
    right = [Tensor([1, 0]).bool(), Tensor([1, 1]).bool()]
    for number, each in enumerate(right, start=1):
        seen.add(Made(number, 0.1, torch.tensor(float(number)), 2), each)

    assert [(step.number, step.loss) for step in seen.told()] == [(1, 1.0), (2, 2.0)]
    assert seen.means() == (1.5, 0.75)
