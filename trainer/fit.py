"""Mini-batch gradient descent: the weights change, step by step, epoch by epoch; the images never do."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, nan

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sources.examples import Examples
from trainer.augment import warp
from trainer.errors import TrainError
from trainer.models import Classifier
from trainer.recipes import Recipe
from trainer.settings import Loss
from trainer.splits import Splits

MEASURE_BATCH = 1024
SMALL_STEP_PIXELS = 150_000
"""A step over fewer pixels than this runs in one thread: two are no faster on it, and on a busy machine the time they
wait for each other made fitting 8 x 8 digits 20 times slower (measured)."""
MIN_SCHEDULE = 5  # steps; of 4, the first quarter would have no length, and torch would divide by it


@dataclass(frozen=True)
class Epoch:
    """How it stood after an epoch; epoch 0 is before training."""

    number: int
    fit_loss: float
    """Mean over the epoch's images, as trained: with augmentation and label smoothing. NaN for epoch 0."""
    fit_accuracy: float
    """0 to 1, likewise: each image answered just before the step that learns from it. NaN for epoch 0."""
    tune_loss: float
    tune_accuracy: float
    """0 to 1."""
    seconds: float
    """Its steps alone, without measuring."""


@dataclass(frozen=True)
class Step:
    """What a finished step tells."""

    number: int
    """From 1; 0 is before the first step."""
    rate: float
    """The step size, of the first group of weights."""
    loss: float
    """Before the step, as trained. NaN for step 0."""
    epoch: Epoch | None = None
    """Where one has ended with this step; epoch 0 for step 0."""


@dataclass(frozen=True)
class Fitted:
    """A finished fit; the classifier, on the CPU again, holds the weights of the best epoch."""

    epochs: tuple[Epoch, ...]
    best: Epoch
    """The one with the lowest loss on tune."""
    seconds: float


def fit(
    model: Classifier,
    splits: Splits,
    recipe: Recipe,
    device: torch.device,
    on_step: Callable[[Step], None] = lambda step: None,
) -> Fitted:
    """Changes the model's weights until its answers come near the labels.

    Args:
        splits: fit changes the weights; tune is looked at after each epoch, to choose between them.
        on_step: told of the start, as step 0, and of each finished step; the model then holds the weights after it.

    Raises:
        TrainError: the loss is no longer a number, or a step has too few images for the network.
    """
    started = time.perf_counter()
    _use_threads(recipe.batch_size * int(np.prod(splits.fit.images.shape[1:])))
    images, labels = _on(device, splits.fit)
    tune_images, tune_labels = _on(device, splits.tune)
    generator = torch.Generator().manual_seed(recipe.seed)
    _lay_out(model.to(device), torch.channels_last)  # the faster layout for convolutions
    model.see_statistics(images)
    optimizer = _optimizer(model, recipe)
    steps_an_epoch = -(-len(images) // recipe.batch_size)
    _check_steps(model, len(images) // steps_an_epoch)
    schedule = _schedule(optimizer, recipe, recipe.epochs * steps_an_epoch)
    epochs = [Epoch(0, nan, nan, *measure(model, tune_images, tune_labels), seconds=0.0)]
    best, best_weights = epochs[0], _weights(model)
    number = 0
    on_step(Step(0, _rate(optimizer), nan, epochs[0]))
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        began = time.perf_counter()
        seen = _Seen()
        order = torch.randperm(len(images), generator=generator).to(device)
        batches = torch.tensor_split(order, steps_an_epoch)  # evenly, so that no image is left over for a last step
        for rows in batches:
            x = model.normalised(images[rows])
            if recipe.augment:
                x = warp(x, generator)
            logits = model.scores(x)
            number, rate = number + 1, _rate(optimizer)
            loss = _step(logits, labels[rows], optimizer, recipe)
            if not isfinite(loss):
                raise TrainError(f"the loss is {loss} at step {number}, rate {rate:.2g}: try a lower --learning-rate")
            seen.add(loss, logits, labels[rows])
            schedule.step()
            if rows is not batches[-1]:
                on_step(Step(number, rate, loss))
        seconds = time.perf_counter() - began
        measured = measure(model, tune_images, tune_labels)
        epochs.append(Epoch(epoch, seen.loss / seen.count, seen.correct / seen.count, *measured, seconds=seconds))
        if epochs[-1].tune_loss <= best.tune_loss:
            best, best_weights = epochs[-1], _weights(model)
        on_step(Step(number, rate, loss, epochs[-1]))
    model.load_state_dict(best_weights)
    _lay_out(model.to("cpu"), torch.contiguous_format)
    model.eval()
    return Fitted(tuple(epochs), best, time.perf_counter() - started)


class _Seen:
    """Loss and right answers of the images of an epoch, as they pass."""

    def __init__(self) -> None:
        self.count, self.loss, self.correct = 0, 0.0, 0

    def add(self, loss: float, logits: Tensor, labels: Tensor) -> None:
        self.count += len(labels)
        self.loss += loss * len(labels)
        self.correct += int((logits.argmax(dim=1) == labels).sum())


def _step(logits: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer, recipe: Recipe) -> float:
    """Moves the weights a little against the gradient, unless there is none; returns the loss before it."""
    error = loss_of(logits, labels, recipe.loss, recipe.label_smoothing)
    loss = error.item()
    if isfinite(loss):
        optimizer.zero_grad()
        error.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return loss


def loss_of(logits: Tensor, labels: Tensor, loss: Loss, label_smoothing: float = 0.0) -> Tensor:
    """How far the scores are from the labels, averaged over a batch.

    Args:
        logits: shape (N, K).
        labels: int64, shape (N,).
        loss: `cross-entropy`, minus the logarithm of the true class's probability (for two classes and one output this
            is binary cross-entropy); `mse`, the mean squared difference between probabilities and 1 for the true
            class, 0 for the others.
    """
    if loss == "cross-entropy":
        return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    wanted = functional.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return functional.mse_loss(logits.softmax(dim=1), wanted)


@torch.no_grad()
def measure(model: Classifier, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean cross-entropy and accuracy (0 to 1), with the weights as they are."""
    model.eval()
    total_loss, correct = 0.0, 0
    for start in range(0, len(images), MEASURE_BATCH):
        logits = model(images[start : start + MEASURE_BATCH])
        wanted = labels[start : start + MEASURE_BATCH]
        total_loss += functional.cross_entropy(logits, wanted, reduction="sum").item()
        correct += int((logits.argmax(dim=1) == wanted).sum())
    return total_loss / len(images), correct / len(images)


def _use_threads(pixels_a_step: int) -> None:
    torch.set_num_threads(1 if pixels_a_step < SMALL_STEP_PIXELS else len(os.sched_getaffinity(0)))


def _on(device: torch.device, examples: Examples) -> tuple[Tensor, Tensor]:
    """Images and labels as tensors; on the CPU they share the arrays' memory."""
    images = np.require(examples.images, requirements=["C", "W"])
    return torch.from_numpy(images).to(device), torch.from_numpy(examples.labels).to(device)


def _check_steps(model: nn.Module, smallest: int) -> None:
    normalised = any(isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) for module in model.modules())
    if normalised and smallest < 2:
        raise TrainError("this network needs at least 2 images in every step: try --batch-size 3 or more")


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), recipe.learning_rate, momentum=0.9, weight_decay=recipe.weight_decay)
    decayed = [weights for weights in model.parameters() if weights.ndim > 1]
    others = [weights for weights in model.parameters() if weights.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, recipe.learning_rate)


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """The rate rises to its peak in the first quarter of the steps, then falls to almost nothing."""
    total = max(steps + 1, MIN_SCHEDULE)
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=total, pct_start=0.25)


def _rate(optimizer: torch.optim.Optimizer) -> float:
    rate: float = optimizer.param_groups[0]["lr"]
    return rate


def _lay_out(model: nn.Module, memory_format: torch.memory_format) -> None:
    model.to(memory_format=memory_format)  # type: ignore[call-overload]  # torch's stub lacks this form


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
