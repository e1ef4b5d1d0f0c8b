"""How long a fit is, and its progress in the schedule.

Decided by counts that are recorded, never by a clock: a fit must be repeatable.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any

ENOUGH_STEPS = 800
"""With a small data set, epochs are added until there are about this many steps."""
FEWEST_STEPS = 100
"""At least this many steps are made, however much work they are."""
MEASURED = 16
"""With a small data set, about this many epochs are measured."""
FEW = 5_000
"""Number of fit images: with fewer, fitting may end early, and tune is too small to compare all epochs."""
SETTLED = 0.9
"""With so small a tune split, only epochs after this share of the schedule may be chosen."""
ENOUGH = 0.01
"""Fitting is brought to its end when less than this share of what there was to learn is left; both are measured by how
far the loss is above its lowest value."""
ENDING = 0.2
"""Share of all epochs in which the rate then falls to 0."""
HARD_WORK = 16_000_000_000_000
"""Largest work for hard images, in multiply-adds of forward passes: about 24 minutes of a core for the whole fit."""


class Schedule:
    """The progress of the training, step by step: linear, unless the training ends early.

    An early end still needs the falling part of the learning rate's cycle, so the rest is covered in fewer steps.
    """

    def __init__(self, steps: int) -> None:
        """
        Args:
            steps: of the whole training.
        """
        self.steps = steps
        self._since, self._from = 0, 0.0

    def progress(self, done: int) -> float:
        """Progress from 0 to 1, after this number of steps."""
        if not self._since or done == self.steps:
            return done / self.steps
        return self._from + (1 - self._from) * (done - self._since) / (self.steps - self._since)

    def end_after(self, done: int, more: int) -> None:
        """After `done` steps, only `more` further ones are made."""
        self._from, self._since, self.steps = self.progress(done), done, done + more

    @property
    def changed(self) -> bool:
        """Whether the training ends early."""
        return self._since > 0

    def state_dict(self) -> dict[str, Any]:
        """The state of the schedule."""
        return {"steps": self.steps, "since": self._since, "from": self._from}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state."""
        self.steps, self._since, self._from = state["steps"], state["since"], state["from"]


@dataclass(frozen=True)
class Effort:
    """The length of a fit; fields of a recipe."""

    epochs: int
    passes: int
    enough: float
    hard_epochs: int = 0


@dataclass(frozen=True)
class Bounds:
    """Limits for adding epochs with few images."""

    work: int = 90_000_000_000
    """Largest work in multiply-adds of forward passes: 390 steps of 32 x 32 colour images in the usual cnn."""
    rounds: int = 10
    """Passes that are allowed however much work they are, up to ENOUGH_STEPS."""


USUAL = Bounds()


def effort_for(count: int, batch_size: int, epochs: int, multiply_adds: int, most: Bounds = USUAL) -> Effort:
    """As many passes as the recipe has epochs; with few images more, until there are enough steps or too much work.

    Each epoch is measured, so many passes over few images are combined into a few epochs.

    Args:
        count: number of fit images.
        epochs: of the recipe for many images.
        multiply_adds: of the network, for one image.
        most: limits for few images.
    """
    affordable = max(most.work // multiply_adds, most.rounds * count)
    images = max(FEWEST_STEPS * batch_size, min(ENOUGH_STEPS * batch_size, affordable))
    rounds = max(epochs, ceil(images / count))
    passes = max(1, round(rounds / MEASURED))
    return Effort(ceil(rounds / passes), passes, ENOUGH if count < FEW else 0.0)


def settled_for(count: int, best_epoch: bool) -> float:
    """The share of the schedule after which an epoch may be kept; 1: the last epoch is kept.

    Args:
        count: number of fit images.
        best_epoch: whether tune chooses the epoch.
    """
    if not best_epoch:
        return 1.0
    return SETTLED if count < FEW else 0.0


def hard_epochs_for(count: int, epochs: int, hard_epochs: int, multiply_adds: int) -> int:
    """Number of epochs for hard images: the recipe's, as far as the work allows; 0 if that is not more than usual.

    0 with few images: they lack images, and are learned often already.

    Args:
        epochs: the usual number.
        hard_epochs: of the recipe.
        multiply_adds: of the network, for one image.
    """
    affordable = min(hard_epochs, HARD_WORK // (count * multiply_adds))
    return affordable if affordable > epochs and count >= FEW else 0
