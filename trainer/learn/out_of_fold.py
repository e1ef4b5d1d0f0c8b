"""Cross-validation of networks from scratch: each is fitted to all but one fold, and answers that fold.

All folds together take about as long as the fit to all images. Single layers are fitted together, as one wider layer.
For deeper networks there are fewer folds, with fewer steps each. Figures: docs/decisions/calibration.md.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vouch.bundle.training import Recipe
from vouch.trainer.learn.course import Step
from vouch.trainer.learn.folds import folds_of
from vouch.trainer.learn.judges import Judge
from vouch.trainer.learn.loop import fit_by
from vouch.trainer.learn.losses import answered_right, logits_of
from vouch.trainer.learn.networks import Classifier, Linear
from vouch.trainer.learn.pixels import as_tensors
from vouch.trainer.learn.processes import Processes
from vouch.trainer.learn.steps import Steps, TooFewImages
from vouch.trainer.splits.split import Splits
from vouch.trainer.splits.together import together, units_of_each

LAYERS, NETWORKS = 10, 3
"""Number of folds for single layers, and for deeper networks."""
MOST_WEIGHTS = 1 << 24
"""The most weights of all layers that are fitted together: with larger layers there are fewer folds."""


def fit_folds(
    first: Classifier,
    splits: Splits,
    recipe: Recipe,
    processes: Processes,
    on_step: Callable[[int, int], None] = lambda done, of: None,
) -> tuple[Judge, ...]:
    """Fits a network for each fold.

    Args:
        first: with the initial weights of the fit to all images.
        recipe: of that fit.
        on_step: called with the steps done, and the steps in all.

    Returns:
        A judge for each fold; empty if every held-out image would be of an unknown class, or if the folds are too small
        for the network.
    """
    labels, units = splits.fit.labels, together(splits.fit)
    if units_of_each(labels, units, len(splits.classes)).max() < 2:
        return ()
    at_once = isinstance(first.network, Linear) and recipe.augment is None
    fold = folds_of(labels, units, _layers_at_once(first) if at_once else NETWORKS, recipe.seed)
    job = _Job(first, replace(splits, tune=splits.tune[:0]), recipe, processes, fold)
    try:
        classifiers = _layers(job, on_step) if at_once else _networks(job, on_step)
    except TooFewImages:
        return ()
    held = [np.flatnonzero(fold == number) for number in range(job.folds)]
    return tuple(_judge(one, splits, rows) for one, rows in zip(classifiers, held, strict=True))


def can_be_fitted_beside(model: Classifier, recipe: Recipe, processes: Processes) -> bool:
    """Whether folds can be fitted at the same time as all images, on idle cores, with identical results.

    Not with dropout, because all threads share torch's random generator.
    """
    drops_out = any(isinstance(layer, nn.Dropout) and layer.p for layer in model.modules())
    return processes.device.type == "cpu" and processes.cores() >= 2 * recipe.threads and not drops_out


@dataclass(frozen=True, eq=False)
class _Job:
    """The work; fields as the arguments of `fit_folds`."""

    first: Classifier
    splits: Splits
    recipe: Recipe
    processes: Processes
    fold: np.ndarray
    """int64, shape (N,)."""

    @property
    def folds(self) -> int:
        """Number of folds."""
        return int(self.fold.max()) + 1


def _judge(classifier: Classifier, splits: Splits, rows: np.ndarray) -> Judge:
    images, _ = as_tensors(splits.fit[rows])
    return Judge(classifier, splits.fit, rows, logits_of(classifier, images))


def _networks(job: _Job, on_step: Callable[[int, int], None]) -> list[Classifier]:
    """Fits one fold after the other; together they make about as many steps as the fit to all images, at least one
    epoch each.
    """
    recipe = replace(job.recipe, epochs=max(1, job.recipe.epochs // (job.folds - 1)))
    fitted = []
    for number in range(job.folds):
        classifier, fit_of_others = deepcopy(job.first), job.splits.fit[np.flatnonzero(job.fold != number)]

        def told(step: Step, number: int = number) -> None:
            of = step.of or 1
            on_step(number * of + step.number, job.folds * of)

        fit_by(Steps, classifier, replace(job.splits, fit=fit_of_others), recipe, job.processes, told)
        fitted.append(classifier)
    return fitted


def _layers(job: _Job, on_step: Callable[[int, int], None]) -> list[Classifier]:
    """Fits all folds together: one layer with the outputs of all, each of which learns from the other folds."""
    wide = _Wide(job.first, job.folds)
    fold = torch.from_numpy(job.fold).to(job.processes.device)
    steps = partial(_WideSteps, fold=fold)
    fit_by(steps, wide, job.splits, job.recipe, job.processes, lambda step: on_step(step.number, step.of or 1))
    return [wide.of_fold(number, job.first) for number in range(job.folds)]


def _layers_at_once(first: Classifier) -> int:
    assert isinstance(first.network, Linear)
    return max(2, min(LAYERS, MOST_WEIGHTS // first.network.weight.numel()))


class _Wide(Classifier):
    """The single layers of several classifiers as one."""

    def __init__(self, first: Classifier, folds: int) -> None:
        nn.Module.__init__(self)
        self.task, self.folds = first.task, folds
        outputs, inputs = _layer(first).weight.shape
        self.network = Linear(inputs, folds * outputs)
        with torch.no_grad():
            self.network.weight.copy_(_layer(first).weight.repeat(folds, 1))
            self.network.bias.copy_(_layer(first).bias.repeat(folds))
        self.register_buffer("mean", first.mean.clone())
        self.register_buffer("scale", first.scale.clone())

    def scores(self, x: Tensor) -> Tensor:
        """Logits, shape (N x folds, K): for each image one row per fold."""
        return self.as_scores(self.network(x).reshape(len(x) * self.folds, -1))

    def of_fold(self, number: int, first: Classifier) -> Classifier:
        """The classifier of one fold."""
        one, layer = deepcopy(first), _layer(self)
        with torch.no_grad():
            _layer(one).weight.copy_(layer.weight.chunk(self.folds)[number])
            _layer(one).bias.copy_(layer.bias.chunk(self.folds)[number])
        one.mean, one.scale = self.mean, self.scale
        return one.eval()


class _WideSteps(Steps):
    """Steps in which each fold's layer learns only from the images of the other folds."""

    def __init__(self, *args: Any, fold: Tensor) -> None:
        super().__init__(*args)
        self._fold = fold
        self._folds = self.together = int(fold.max()) + 1

    def _compared(self, logits: Tensor, own: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        labels = self._labels[own].repeat_interleave(self._folds, dim=0)
        losses = self._criterion.each(logits, labels)
        seen = (self._fold[own][:, None] != torch.arange(self._folds, device=own.device)).reshape(-1).float()
        # Each layer learns from about this share of a batch.
        whole = self._criterion.weight(self._labels[rows]) * (1 - 1 / self._folds)
        error = self._criterion.total(losses * (seen[:, None] if losses.ndim == 2 else seen), labels) / whole
        right = answered_right(logits, labels).reshape(len(own), self._folds)
        return error, losses, right.gather(1, self._fold[own][:, None])[:, 0]  # of the layer that has not learned it


def _layer(classifier: Classifier) -> Linear:
    assert isinstance(classifier.network, Linear)
    return classifier.network
