"""A step: changes the weights a little against the gradient of the loss of some images."""

from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vouch.bundle.training import Recipe
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.device import moved
from vouch.trainer.learn.effort import ENDING, Schedule
from vouch.trainer.learn.losses import Criterion, answered_right
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.optimizers import optimizers_for, set_rate
from vouch.trainer.learn.order import Order
from vouch.trainer.learn.precision import computing_in
from vouch.trainer.learn.processes import Processes
from vouch.trainer.learn.seen import Made, Seen
from vouch.trainer.learn.variants import Variants
from vouch.trainer.splits.balance import class_weights
from vouch.trainer.splits.split import Splits


class TooFewImages(TrainError):
    """A step has fewer images than the network needs."""


class Steps:
    """Makes the steps of a fit, with all state that changes."""

    together = 1
    """Number of models that are fitted together: their losses are summed, and reported as a mean."""

    def __init__(self, model: Classifier, splits: Splits, labels: Tensor, recipe: Recipe, processes: Processes) -> None:
        """
        Args:
            model: on the device.
            labels: labels of fit, on the device.

        Raises:
            TooFewImages: a step has too few images for the network.
        """
        self._model, self._labels, self._processes, self._recipe = model, labels, processes, recipe
        self._classes = len(splits.classes)
        self._criterion = _criterion(splits, recipe).to(processes.device)
        self.order = Order(len(labels), recipe.focus, recipe.passes, processes.device)
        self.variants = Variants(recipe.augment, self.order.images)
        self.an_epoch = ceil(self.order.images / recipe.batch_size)
        _check_batches(model, self.order.images // self.an_epoch // processes.count)
        self.schedule = Schedule(recipe.epochs * self.an_epoch)
        self._optimizers = optimizers_for(model, recipe, model.rate_share)
        self._scores: nn.Module = _Scores(model, computing_in(recipe.precision, processes.device.type))
        if processes.count > 1:
            self._scores = DistributedDataParallel(self._scores)

    def rate(self, done: int) -> float:
        """The learning rate after this number of steps."""
        return set_rate(self._optimizers, self.schedule.progress(done))

    def make(self, rows: Tensor, pixels: Tensor, done: int, generator: torch.Generator, seen: Seen) -> None:
        """Makes a step after `done` earlier ones.

        Args:
            rows: positions of the images of all processes.
            pixels: this process's share of the images.
            generator: for the variants.
            seen: records the loss before the step.
        """
        rate = self.rate(done)
        rows = moved(rows, self._processes.device)
        own = self._processes.share(rows)
        logits = self._scores(self.variants.of(self._model.normalised(pixels), generator))
        error, losses, right = self._compared(logits, own, rows)
        loss = self._processes.mean(error) / self.together
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        error.backward()  # type: ignore[no-untyped-call]
        for optimizer in self._optimizers:
            optimizer.step()
        self.order.saw(own, losses.reshape(len(own), -1).mean(dim=1))
        seen.add(Made(done + 1, rate, loss, len(rows)), right)

    def _compared(self, logits: Tensor, own: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The value that the step minimises, the loss of each image, and whether its answer is right.

        Args:
            logits: of this process's images, `own`.
            rows: positions of the images of all processes.
        """
        labels = self._labels[own]
        losses = self._criterion.each(logits, labels)
        # Divided by the weight of the whole batch, which every process knows; gradients are averaged over processes.
        whole = self._criterion.weight(self._labels[rows])
        error = self._criterion.total(losses, labels) * self._processes.count / whole
        return error, losses, answered_right(logits, labels)

    def end_early(self, loss: float, epochs: int) -> bool:
        """Shortens the schedule, once, if an epoch's loss leaves little to learn; returns whether it did.

        Args:
            loss: mean loss of the epoch.
            epochs: number of finished epochs.
        """
        left = self._criterion.left(loss, self._classes, self._labels.ndim == 2)
        if self.schedule.changed or not left < self._recipe.enough:
            return False
        more = min(ceil(ENDING * self._recipe.epochs), self._recipe.epochs - epochs)
        self.schedule.end_after(epochs * self.an_epoch, more * self.an_epoch)
        return epochs + more < self._recipe.epochs

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on, except the weights."""
        return {
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "order": self.order.state_dict(),
            "variants": self.variants.numbers(),
            "schedule": self.schedule.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state."""
        for optimizer, kept in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.order.load_state_dict(state["order"])
        self.variants.take(state["variants"])
        self.schedule.load_state_dict(state["schedule"])


class _Scores(nn.Module):
    """The trained part of a classifier as a module."""

    def __init__(self, model: Classifier, numbers: torch.autocast) -> None:
        super().__init__()
        self.model, self._numbers = model, numbers

    def forward(self, x: Tensor) -> Tensor:
        with self._numbers:
            scores = self.model.scores(x)
        return scores.float()


def _criterion(splits: Splits, recipe: Recipe) -> Criterion:
    weights = class_weights(splits.fit.labels, len(splits.classes)) if recipe.balance else None
    return Criterion(recipe.loss, recipe.label_smoothing, None if weights is None else torch.from_numpy(weights))


def _check_batches(model: nn.Module, smallest: int) -> None:
    normalised = any(isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) for module in model.modules())
    if smallest < 1 or (normalised and smallest < 2):
        raise TooFewImages("this network needs at least 2 images in every step: pass --batch-size 3 or more")
