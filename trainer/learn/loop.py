"""Mini-batch gradient descent: the weights change, step by step, epoch by epoch; the images never do."""

import time
from collections.abc import Callable
from dataclasses import asdict, astuple
from math import ceil, isfinite, nan
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vouch.bundle.training import Recipe
from vouch.sources.examples import Examples
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.augment import warp
from vouch.trainer.learn.checkpoint import Checkpoint
from vouch.trainer.learn.course import Epoch, Fitted, Step
from vouch.trainer.learn.losses import Criterion, measure, right_answers
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.optimizers import optimizers_for, set_rate
from vouch.trainer.learn.order import Order
from vouch.trainer.learn.pixels import Pixels
from vouch.trainer.learn.processes import ALONE, CPU, Processes
from vouch.trainer.splits.balance import class_weights
from vouch.trainer.splits.split import Splits


def fit(
    model: Classifier,
    splits: Splits,
    recipe: Recipe,
    processes: Processes = ALONE,
    on_step: Callable[[Step], None] = lambda step: None,
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """Changes the model's weights until its answers come near the labels.

    Args:
        splits: fit changes the weights; tune is looked at after each epoch, to choose between them.
        processes: where it runs, and with which others.
        on_step: told of the start, as step 0, and of each finished step; the model then holds the weights after it.
            In the leading process alone.
        checkpoint: where each epoch's state is kept, and gone on from.

    Raises:
        TrainError: the loss is no longer a number, a step has too few images for the network, or the checkpoint
            cannot be read or written.
    """
    work = _Fit(model, splits, recipe, processes)
    resumed = checkpoint is not None and checkpoint.resume_into(work)
    if processes.from_leader([float(resumed)]) != [float(resumed)]:
        raise TrainError("this process does not see the checkpoint of the leading one: all need the same models folder")
    if processes.leads and not resumed:
        on_step(Step(0, work.rate(), nan, work.epochs[0]))
    while len(work.epochs) <= recipe.epochs:
        work.epoch(on_step if processes.leads else lambda step: None)
        if checkpoint and processes.leads:
            checkpoint.save(work.state_dict())
    return work.finish()


class _Fit:
    """A fit under way.

    The randomness of an epoch comes from the seed and the epoch's number alone, so a resumed fit goes the same way.
    """

    def __init__(self, model: Classifier, splits: Splits, recipe: Recipe, processes: Processes) -> None:
        self.model, self.recipe, self.processes = model, recipe, processes
        self.images, self.labels = as_tensors(splits.fit, processes.device)
        self.tune = as_tensors(splits.tune, processes.device)
        self.criterion = _criterion(splits, recipe).to(processes.device)
        self.order = Order(len(self.images), recipe.focus)
        self.steps_an_epoch = ceil(len(self.images) / recipe.batch_size)
        self.started = time.perf_counter()
        torch.set_num_threads(recipe.threads)
        _check_batches(model, len(self.images) // self.steps_an_epoch // processes.count)
        _lay_out(model.to(processes.device), torch.channels_last)  # the faster layout for convolutions
        model.see_statistics(self.images.batches())
        self.optimizers = optimizers_for(model, recipe)
        self.scores: nn.Module = _Scores(model)
        if processes.count > 1:
            self.scores = DistributedDataParallel(self.scores)
        self.epochs = [self._measured(0, nan, nan, images=0, seconds=0.0)]
        self.best, self.best_weights = self.epochs[0], _weights(model)

    def rate(self) -> float:
        """The step size of the next step."""
        done = (len(self.epochs) - 1) * self.steps_an_epoch
        return set_rate(self.optimizers, done / max(1, self.recipe.epochs * self.steps_an_epoch))

    def epoch(self, on_step: Callable[[Step], None]) -> None:
        """Goes through all images once."""
        number = len(self.epochs)
        first = (number - 1) * self.steps_an_epoch
        began = time.perf_counter()
        order, variants = self._randomness(number)
        # Evenly, so that no image is left over for a last step.
        rows_of_steps = torch.tensor_split(self.order.rows(order), self.steps_an_epoch)
        self.model.train()
        seen = _Seen(self.processes)
        images = self.images.of_each(self.processes.share(rows) for rows in rows_of_steps)
        for step, (rows, pixels) in enumerate(zip(rows_of_steps, images, strict=True), start=first + 1):
            rate = set_rate(self.optimizers, (step - 1) / (self.recipe.epochs * self.steps_an_epoch))
            loss = self._step(rows, pixels, variants, seen)
            if not isfinite(loss):
                raise TrainError(f"the loss is {loss} at step {step}, rate {rate:.2g}: try a lower --learning-rate")
            if step < first + self.steps_an_epoch:
                on_step(Step(step, rate, loss))
        self.order.end_epoch(self.processes)
        seconds = time.perf_counter() - began
        self.epochs.append(self._measured(number, *seen.means(), len(self.images), seconds))
        if self.epochs[-1].tune_loss_calibrated <= self.best.tune_loss_calibrated:
            self.best, self.best_weights = self.epochs[-1], _weights(self.model)
        on_step(Step(step, rate, loss, self.epochs[-1]))

    def _measured(self, number: int, fit_loss: float, fit_accuracy: float, images: int, seconds: float) -> Epoch:
        # By the leading process for all of them: each has its own running means of what it saw, and two opinions about
        # the best epoch would be two ways to go on.
        found = astuple(measure(self.model, *self.tune)) if self.processes.leads else (nan, nan, nan)
        loss, calibrated, accuracy = self.processes.from_leader(list(found))
        return Epoch(number, fit_loss, fit_accuracy, loss, calibrated, accuracy, images, seconds)

    def finish(self) -> Fitted:
        """Gives the model its best weights."""
        self.model.load_state_dict(self.best_weights)
        _lay_out(self.model.to("cpu"), torch.contiguous_format)
        self.model.eval()
        return Fitted(tuple(self.epochs), self.best, time.perf_counter() - self.started)

    def state_dict(self) -> dict[str, Any]:
        """All that the next epoch builds on."""
        return {
            "weights": _weights(self.model),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "losses": self.order.losses,
            "best": self.best.number,
            "best_weights": self.best_weights,
            "seconds": time.perf_counter() - self.started,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there."""
        self.model.load_state_dict(state["weights"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.epochs = [Epoch(**epoch) for epoch in state["epochs"]]
        self.order.losses = state["losses"]
        self.best, self.best_weights = self.epochs[state["best"]], state["best_weights"]
        self.started -= state["seconds"]

    def _step(self, rows: Tensor, pixels: Tensor, variants: torch.Generator, seen: "_Seen") -> float:
        """Moves the weights a little against the gradient, unless there is none; returns the loss before it.

        Args:
            rows: of all processes.
            pixels: of this process's share of them.
        """
        own = self.processes.share(rows)
        labels = self.labels[own.to(self.processes.device)]
        x = self.model.normalised(pixels)
        if self.recipe.augment:
            x = warp(x, self.recipe.augment, variants)
        logits = self.scores(x)
        losses = self.criterion.each(logits, labels)
        # By the weight of the whole batch, of which every process knows the labels; gradients are averaged over them.
        whole = self.criterion.weight(self.labels[rows.to(self.processes.device)])
        error = self.criterion.total(losses, labels) * self.processes.count / whole
        loss = self.processes.mean(error)
        if isfinite(loss):
            for optimizer in self.optimizers:
                optimizer.zero_grad()
            error.backward()  # type: ignore[no-untyped-call]
            for optimizer in self.optimizers:
                optimizer.step()
            self.order.saw(own, losses.reshape(len(own), -1).mean(dim=1))
            seen.add(loss * len(rows), right_answers(logits, labels), len(own))
        return loss

    def _randomness(self, epoch: int) -> tuple[torch.Generator, torch.Generator]:
        """For the order of the images, the same in all processes, and for their variants; dropout's is seeded too."""
        seed, rank = self.recipe.seed, self.processes.rank
        torch.manual_seed(_mixed(seed, epoch, 2, rank))
        order = torch.Generator().manual_seed(_mixed(seed, epoch, 0))
        return order, torch.Generator().manual_seed(_mixed(seed, epoch, 1, rank))


class _Scores(nn.Module):
    """The part of a classifier that learns, as a module of its own."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model.scores(x)


class _Seen:
    """Loss and right answers of the images of an epoch, as they pass."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._loss, self._correct, self._count = 0.0, 0, 0

    def add(self, loss: float, correct: int, count: int) -> None:
        """A step: the loss of all processes' images together, and this one's right answers."""
        self._loss += loss
        self._correct += correct
        self._count += count

    def means(self) -> tuple[float, float]:
        """Loss and accuracy an image, over all processes."""
        correct, count = self._processes.total(torch.tensor([self._correct, self._count])).tolist()
        return self._loss / count, correct / count


def _criterion(splits: Splits, recipe: Recipe) -> Criterion:
    weights = class_weights(splits.fit.labels, len(splits.classes)) if recipe.balance else None
    return Criterion(recipe.loss, recipe.label_smoothing, None if weights is None else torch.from_numpy(weights))


def _mixed(*numbers: int) -> int:
    """A seed that differs wherever one of these does."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def as_tensors(examples: Examples, device: torch.device = CPU) -> tuple[Pixels, Tensor]:
    """Images and labels; on the CPU they share the arrays' memory."""
    return Pixels(examples.images, device), torch.from_numpy(examples.labels).to(device)


def _check_batches(model: nn.Module, smallest: int) -> None:
    normalised = any(isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) for module in model.modules())
    if smallest < 1 or (normalised and smallest < 2):
        raise TrainError("this network needs at least 2 images in every step: try --batch-size 3 or more")


def _lay_out(model: nn.Module, memory_format: torch.memory_format) -> None:
    model.to(memory_format=memory_format)  # type: ignore[call-overload]  # torch's stub lacks this form


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
