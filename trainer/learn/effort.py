"""How long a fit is, and how far it is in its schedule.

Decided by what was counted and recorded, never by a clock: a fit has to repeat.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any

ENOUGH_STEPS = 800
"""A small data set is gone through more often, until there were about this many."""
FEWEST_STEPS = 100
"""So many are made however much work they are."""
MEASURED = 16
"""Of a small data set about so many epochs are measured."""
FEW = 5_000
"""Images of fit: with fewer, fitting may end early, and tune is too small to tell all epochs apart."""
SETTLED = 0.9
"""The share of the schedule from which on an epoch may be chosen, where tune is that small."""
ENOUGH = 0.01
"""The share of what there was to learn, of the loss above its lowest value, from which on fitting is brought to its
end."""
ENDING = 0.2
"""The share of all epochs in which it then comes to rest."""
HARD_WORK = 16_000_000_000_000
"""Multiply-adds, of answers alone, that hard images may take: about 24 minutes of a core, steps included."""


class Schedule:
    """The share of the training that is done, step by step: evenly, until it is told to end early.

    An early end still needs the falling part of the rate's cycle, so the rest of it is gone through in fewer steps.
    """

    def __init__(self, steps: int) -> None:
        """
        Args:
            steps: of the whole training.
        """
        self.steps = steps
        self._since, self._from = 0, 0.0

    def progress(self, done: int) -> float:
        """From 0 to 1, after so many steps."""
        if not self._since or done == self.steps:
            return done / self.steps
        return self._from + (1 - self._from) * (done - self._since) / (self.steps - self._since)

    def end_after(self, done: int, more: int) -> None:
        """After these steps so many more are made, instead of those that were planned."""
        self._from, self._since, self.steps = self.progress(done), done, done + more

    @property
    def changed(self) -> bool:
        """Whether it was told to end early."""
        return self._since > 0

    def state_dict(self) -> dict[str, Any]:
        """Where it is."""
        return {"steps": self.steps, "since": self._since, "from": self._from}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there."""
        self.steps, self._since, self._from = state["steps"], state["since"], state["from"]


@dataclass(frozen=True)
class Effort:
    """How much work a fit is; fields of a recipe."""

    epochs: int
    passes: int
    enough: float
    hard_epochs: int = 0


@dataclass(frozen=True)
class Bounds:
    """Within which few images are gone through more often."""

    work: int = 90_000_000_000
    """Multiply-adds, of answers alone, after which they are not: 32 x 32 in colour through the usual cnn, 390 steps."""
    rounds: int = 10
    """So often however much work that is, but for no more than ENOUGH_STEPS."""


USUAL = Bounds()


def effort_for(count: int, batch_size: int, epochs: int, multiply_adds: int, most: Bounds = USUAL) -> Effort:
    """As many rounds as the recipe has epochs; of few images more, as far as the work allows.

    Until there were enough steps. Each epoch is measured, so that many rounds over few images are a few epochs.

    Args:
        count: fit images.
        epochs: as the recipe has them for many images.
        multiply_adds: of the network, for an image.
        most: of few images.
    """
    affordable = max(most.work // multiply_adds, most.rounds * count)
    images = max(FEWEST_STEPS * batch_size, min(ENOUGH_STEPS * batch_size, affordable))
    rounds = max(epochs, ceil(images / count))
    passes = max(1, round(rounds / MEASURED))
    return Effort(ceil(rounds / passes), passes, ENOUGH if count < FEW else 0.0)


def settled_for(count: int, best_epoch: bool) -> float:
    """From which share of the schedule on an epoch may be the one that is kept; 1: it is the last one.

    Args:
        count: fit images.
        best_epoch: whether tune chooses it.
    """
    if not best_epoch:
        return 1.0
    return SETTLED if count < FEW else 0.0


def hard_epochs_for(count: int, epochs: int, hard_epochs: int, multiply_adds: int) -> int:
    """How many epochs hard images get: as the recipe has them, as far as the work allows, and 0 where that is no more.

    Few images get none: what they lack is images, and they are gone through often already.

    Args:
        epochs: that the others get.
        hard_epochs: as the recipe has them.
        multiply_adds: of the network, for an image.
    """
    affordable = min(hard_epochs, HARD_WORK // (count * multiply_adds))
    return affordable if affordable > epochs and count >= FEW else 0
