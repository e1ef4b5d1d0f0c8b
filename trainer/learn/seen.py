"""What a fit has seen of an epoch: losses and right answers, as they pass.

Whoever asks a GPU for a number waits until it has done all its work. So there, numbers are asked for some steps at a
time; on the processor, where nothing waits, after every step.
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
"""Steps whose numbers are asked for at once, by device."""


@dataclass(frozen=True)
class Made:
    """A step whose loss nobody has asked for yet."""

    number: int
    """From 1."""
    rate: float
    loss: Tensor
    """Over the images of all processes; a number on the device."""
    images: int
    """Of all processes."""


class Seen:
    """Loss and right answers of the images of an epoch."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._made: list[Made] = []
        self._loss, self._count = 0.0, 0
        self._correct = torch.zeros((), dtype=torch.int64, device=processes.device)

    def add(self, step: Made, right: Tensor) -> None:
        """A step, and which of its own images this process answered right, bool, shape (n,)."""
        self._made.append(step)
        self._correct += right.sum()
        self._count += len(right)

    def due(self) -> bool:
        """Whether it is time to ask; after the very first step too, of which the report tells."""
        return len(self._made) >= TOLD_TOGETHER[self._processes.device.type] or self._made[-1].number == 1

    def told(self) -> list[Step]:
        """The steps since the last time.

        Raises:
            TrainError: the loss of one is no longer a number.
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
        """Loss and accuracy an image, over all processes."""
        own = torch.stack([self._correct.cpu(), torch.tensor(self._count)])
        correct, count = self._processes.total(own).tolist()
        return self._loss / count, correct / count

    def state_dict(self) -> dict[str, Any]:
        """All of it, as numbers; after `told`."""
        return {"loss": self._loss, "count": self._count, "correct": int(self._correct)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there."""
        self._loss, self._count = state["loss"], state["count"]
        self._correct.fill_(state["correct"])
