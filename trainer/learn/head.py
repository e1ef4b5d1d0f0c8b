"""A linear head on the features of a frozen backbone: fitted in seconds, because its loss has only one minimum.

Features are computed once, also of mirrored images if the recipe has them. The only hyperparameter, the penalty on the
weights, is chosen by cross-validation on fit. Tune is not used here, and the folds' heads can replace it for
calibration.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from math import nan

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vouch.bundle.backbone import HeadFacts
from vouch.bundle.training import Recipe
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.course import Epoch, Fitted, Step
from vouch.trainer.learn.folds import folds_of
from vouch.trainer.learn.frozen import Asked, FrozenClassifier
from vouch.trainer.learn.judges import Judge
from vouch.trainer.learn.losses import Criterion, Measured, measured, right_answers
from vouch.trainer.learn.one_thread import one_thread
from vouch.trainer.learn.penalty import Chosen, chosen_penalty, clearly_less, default_penalty
from vouch.trainer.learn.regression import MAX_AXES, Axes, Iteration, Layer, Problem, Wanted, fitted_layer
from vouch.trainer.splits.balance import class_weights
from vouch.trainer.splits.split import Splits
from vouch.trainer.splits.together import together, units_of_each

TOLERANCE = 1e-6
"""The fit ends when an iteration lowers the loss by a smaller share than this."""
SHARED = 4_000_000
"""Multiplications of a pass: with fewer, threads wait for each other longer than they work."""
RIGHT_ENOUGH = 0.95
"""If the accuracy with mirror images is at least this, fitting without them is not tried."""
EARLIER_WORK = 5e7
"""Images times features times scores up to which earlier layers' features are tried, if there are also few enough
for axes: some seconds of a core."""
FOLDS, FEWER, FEW_IMAGES = 10, 5, 500
"""FOLDS folds for up to FEW_IMAGES images, FEWER folds for more."""


def fit_head(
    model: FrozenClassifier,
    splits: Splits,
    recipe: Recipe,
    on_step: Callable[[Step], None] = lambda step: None,
) -> Fitted:
    """Fits the classifier's head; arguments as `loop.fit`.

    Missing features are computed first. Every iteration uses all images once, so it is reported as a step that ends an
    epoch.

    Raises:
        TrainError: a feature is not finite, or the recipe has another loss than cross-entropy.
    """
    check_can_fit(recipe)
    work = _HeadFit(model, splits, recipe)
    with one_thread() if work.small else nullcontext():
        return work.run(on_step)


def check_can_fit(recipe: Recipe) -> None:
    """Raises TrainError: the recipe has another loss than cross-entropy."""
    if recipe.loss != "cross-entropy":
        raise TrainError(f"a head on a backbone uses the loss cross-entropy, not {recipe.loss}: leave --loss out")


def wanted_features(splits: Splits, recipe: Recipe) -> tuple[Asked, ...]:
    """The features that a head needs: of fit, of fit mirrored if the recipe mirrors, and of tune if there is one."""
    mirrored = [Asked("fit, mirrored", splits.fit, True)] if recipe.augment and recipe.augment.flip else []
    return (Asked("fit", splits.fit), *mirrored, *([Asked("tune", splits.tune)] if len(splits.tune) else []))


@dataclass(frozen=True)
class _Source:
    """Which features a head is fitted on."""

    mirrored: bool
    """Also those of mirror images."""
    earlier: bool = False
    """Also those of layers before the last."""


class _HeadFit:
    """A running fit of a head."""

    def __init__(self, model: FrozenClassifier, splits: Splits, recipe: Recipe) -> None:
        self.model, self.recipe, self.fit, self.tune = model, recipe, splits.fit, splits.tune
        self.started = time.perf_counter()
        torch.set_num_threads(recipe.threads)
        self.labels, self.tune_labels = torch.from_numpy(self.fit.labels), torch.from_numpy(self.tune.labels)
        self.classes = len(splits.classes)
        self.wanted = wanted_of(self.labels, self.classes, recipe)
        self._learn_from(_Source(mirrored=bool(recipe.augment and recipe.augment.flip)))

    def _learn_from(self, source: _Source) -> None:
        """Selects the features that the head is fitted on."""
        model, versions = self.model, (False, True) if source.mirrored else (False,)
        made = torch.from_numpy(np.concatenate([model.features_of(self.fit, flipped) for flipped in versions]))
        model.see_features(made, source.earlier)
        self.x = model.scaled(made)
        if len(self.tune):
            self.tune_x = model.scaled(torch.from_numpy(model.features_of(self.tune)))
        self.used = self.x.shape[1] if source.earlier else model.deepest
        used = self.x[:, : self.used].double()
        self.axes = Axes.of(used)
        self.problem = Problem(self.axes.along(used), self.wanted.times(len(versions)), self.axes.variances)
        self.source = source

    @property
    def small(self) -> bool:
        """Whether a pass over all features is too little work for several threads."""
        return self.problem.z.numel() * self.problem.wanted.truth.shape[1] < SHARED

    def run(self, on_step: Callable[[Step], None]) -> Fitted:
        chosen, fold, note = self._chosen()
        with torch.no_grad():
            self.model.head.weight[:, self.used :] = 0
        epochs = [replace(self._measured(0, nan, nan, 0, 0.0), note=note)]
        on_step(Step(0, 1.0, nan, epochs[0]))
        seen, began = self._right(), time.perf_counter()

        def told(iteration: Iteration) -> None:
            nonlocal seen, began
            self._take(iteration.layer)
            taken = time.perf_counter() - began
            epochs.append(self._measured(len(epochs), iteration.loss, seen, len(self.x), taken))
            on_step(Step(len(epochs) - 1, iteration.length, iteration.loss, epochs[-1]))
            seen, began = self._right(), time.perf_counter()

        head, penalty = self.model.head, self._penalty(chosen)
        weights, bias = head.weight.detach()[:, : self.used].double(), head.bias.detach().double()
        start = Layer(self.axes.weights_along(weights.T), bias)
        fitted_layer(self.problem, penalty, start, TOLERANCE, told)
        self.model.eval()
        found = self._found(chosen.logits) if chosen else {}
        folds = self._judges(chosen, fold) if chosen else ()
        facts = HeadFacts(penalty=penalty, folds=len(folds), **found)
        return Fitted(
            epochs=tuple(epochs),
            best=epochs[-1],
            seconds=time.perf_counter() - self.started,
            backbone=self.model.backbone.facts,
            head=facts,
            folds=folds,
        )

    def _chosen(self) -> tuple[Chosen | None, np.ndarray, str]:
        """The penalty by cross-validation, unless the recipe states one (None if no class has two groups of images);
        the fold of each image; and notes about unusual choices.

        Also decides whether mirror images are learned, if that is open and accuracy is not high enough already, and
        whether features of earlier layers are used.
        """
        most = FOLDS if len(self.labels) <= FEW_IMAGES else FEWER
        unit = together(self.fit)
        if units_of_each(self.fit.labels, unit, self.classes).max() < 2:  # held-out images are of unknown classes
            return None, np.zeros(len(unit), dtype=np.int64), ""
        fold = folds_of(self.fit.labels, unit, most, self.recipe.seed)
        best, notes = self._tried(fold), []
        if self._may_be_turned(best) and (
            plain := self._clearly_better(best, fold, replace(self.source, mirrored=False))
        ):
            notes.append(f"mirrored images are not learned: {self._figures('them', best, plain)}")
            best = plain
        if self._may_look_earlier and (more := self._clearly_better(best, fold, replace(self.source, earlier=True))):
            notes.append(f"earlier layers count as much as the last: {self._figures('only the last', best, more)}")
            best = more
        return best, fold, "; ".join(notes)

    def _tried(self, fold: np.ndarray) -> Chosen:
        return chosen_penalty(self.problem, torch.from_numpy(fold), self.recipe.seed, self.recipe.weight_decay or None)

    def _may_be_turned(self, usual: Chosen) -> bool:
        augment = self.recipe.augment
        if not (augment and augment.find_flip and self.source.mirrored):
            return False
        return self._found(usual.logits)["accuracy"] < RIGHT_ENOUGH

    @property
    def _may_look_earlier(self) -> bool:
        work = self.x[: len(self.labels)].numel() * self.wanted.truth.shape[1]
        return self.model.backbone.earlier > 0 and len(self.x) <= MAX_AXES and work <= EARLIER_WORK

    def _clearly_better(self, usual: Chosen, fold: np.ndarray, source: _Source) -> Chosen | None:
        """The result with other features, which are kept only if they are clearly better; otherwise None."""
        before = self.source
        self._learn_from(source)
        found = self._tried(fold)
        if clearly_less(self._losses(found.logits), self._losses(usual.logits)):
            return found
        self._learn_from(before)
        return None

    def _figures(self, usually: str, usual: Chosen, found: Chosen) -> str:
        """The cross-validated accuracies of both, as part of a sentence."""
        before, after = (self._found(chosen.logits)["accuracy"] for chosen in (usual, found))
        return f"cross-validated accuracy with {usually} {before:.1%}, now {after:.1%}"

    def _penalty(self, chosen: Chosen | None) -> float:
        if chosen:
            return chosen.penalty
        return self.recipe.weight_decay or default_penalty(self.axes.variances)

    def _take(self, layer: Layer, model: FrozenClassifier | None = None) -> None:
        head = (model or self.model).head
        with torch.no_grad():
            head.weight[:, : self.used] = self.axes.back(layer.weights).T.float()
            head.bias.copy_(layer.bias)

    def _judges(self, chosen: Chosen, fold: np.ndarray) -> tuple[Judge, ...]:
        """The folds' heads, each with the images that it has not learned."""
        found = []
        for number, layer in enumerate(chosen.layers):
            rows = np.flatnonzero(fold == number)
            model = deepcopy(self.model)
            self._take(layer, model)
            found.append(Judge(model, self.fit, rows, model.as_scores(chosen.logits[torch.from_numpy(rows)])))
        return tuple(found)

    @torch.no_grad()
    def _measured(self, number: int, fit_loss: float, fit_accuracy: float, images: int, seconds: float) -> Epoch:
        found = Measured(nan, nan, nan)
        if len(self.tune):
            found = measured(self.model.scores(self.tune_x), self.tune_labels)
        loss, calibrated, accuracy = found.loss, found.calibrated_loss, found.accuracy
        return Epoch(number, fit_loss, fit_accuracy, loss, calibrated, accuracy, images, seconds)

    @torch.no_grad()
    def _right(self) -> float:
        """Accuracy on the fit images, without mirror images."""
        return right_answers(self.model.scores(self.x[: len(self.labels)]), self.labels) / len(self.labels)

    def _losses(self, logits: Tensor) -> Tensor:
        """Losses of the fit images, shape (N,)."""
        each = Criterion().each(self.model.as_scores(logits), self.labels)
        return each.reshape(len(self.labels), -1).mean(dim=1)

    def _found(self, logits: Tensor) -> dict[str, float]:
        """Loss and accuracy of cross-validation, as fields of `HeadFacts`."""
        scores = self.model.as_scores(logits)
        return {
            "loss": Criterion()(scores, self.labels).item(),
            "accuracy": right_answers(scores, self.labels) / len(self.labels),
        }


def bytes_of_head(images: int, features: int, classes: int) -> int:
    """Approximate memory of a fit: features twice in float32, three times in float64; scores six times; and the axes.

    Args:
        images: number of fit images; their mirror images are added here.
    """
    rows, axes = 2 * images, min(2 * images, features, MAX_AXES)
    return rows * features * (2 * 4 + 3 * 8) + rows * classes * 6 * 8 + 4 * 8 * axes**2


def wanted_of(labels: Tensor, classes: int, recipe: Recipe) -> Wanted:
    """The targets of the layer, with the recipe's label smoothing and balance.

    Args:
        labels: int64, shape (N,), or bool, shape (N, K).
        classes: K.
    """
    several, smoothing = labels.ndim == 2, recipe.label_smoothing
    weights = torch.from_numpy(class_weights(labels.numpy(), classes)).double() if recipe.balance else None
    if several or classes == 2:
        truth = labels.double() if several else labels.double()[:, None]
        smooth = truth * (1 - smoothing) + smoothing / 2
    else:
        truth = functional.one_hot(labels, classes).double()
        smooth = truth * (1 - smoothing) + smoothing / classes
    if weights is None:
        counts = torch.ones(len(labels), 1, dtype=torch.float64)
    else:
        counts = torch.where(labels, weights, 1.0) if several else weights[labels][:, None]
    return Wanted(smooth, counts, together=not several and classes > 2)
