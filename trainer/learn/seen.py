"""Losses and right answers of an epoch so far.

Reading a number from a GPU waits until it has finished all its work. So on a GPU, numbers are read once for several
steps; on the CPU, where nothing waits, after every step.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from vouch.trainer.errors import TrainError
from vouch.trainer.learn.course import Step
from vouch.trainer.learn.processes import Processes

TOLD_TOGETHER = {"cpu": 1, "cuda": 32}
"""Number of steps whose numbers are read together, by device."""


@dataclass(frozen=True)
class Made:
    """A step whose loss has not been read yet."""

    number: int
    """From 1."""
    rate: float
    loss: Tensor
    """Mean over the images of all processes; a number on the device."""
    images: int
    """Number of images of all processes."""


class Seen:
    """Loss and right answers of the images of an epoch."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._made: list[Made] = []
        self._loss, self._count = 0.0, 0
        self._correct = torch.zeros((), dtype=torch.int64, device=processes.device)

    def add(self, step: Made, right: Tensor) -> None:
        """Adds a step, and which of its images this process answered right, bool, shape (n,)."""
        self._made.append(step)
        self._correct += right.sum()
        self._count += len(right)

    def due(self) -> bool:
        """Whether it is time to read the numbers; also after the very first step, which the report shows."""
        return len(self._made) >= TOLD_TOGETHER[self._processes.device.type] or self._made[-1].number == 1

    def told(self) -> list[Step]:
        """The steps since the last call.

        Raises:
            TrainError: the loss of one is not finite.
        """
        made, self._made = self._made, []
        losses = torch.stack([step.loss for step in made]).tolist()
        for step, loss in zip(made, losses, strict=True):
            if not isfinite(loss):
                raise TrainError(
                    f"the loss is {loss} at step {step.number}, rate {step.rate:.2g}: try a lower --learning-rate"
                )
            self._loss += loss * step.images
        return [Step(step.number, step.rate, loss) for step, loss in zip(made, losses, strict=True)]

    def means(self) -> tuple[float, float]:
        """Mean loss and accuracy over all processes."""
        own = torch.stack([self._correct.cpu(), torch.tensor(self._count)])
        correct, count = self._processes.total(own).tolist()
        return self._loss / count, correct / count

    def state_dict(self) -> dict[str, Any]:
        """The state as numbers; to be called after `told`."""
        return {"loss": self._loss, "count": self._count, "correct": int(self._correct)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state."""
        self._loss, self._count = state["loss"], state["count"]
        self._correct.fill_(state["correct"])
