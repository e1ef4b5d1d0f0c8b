"""Chooses the penalty on the weights of a head, by cross-validation.

The search goes along a row of penalties that differ by a factor of about three (the square root of ten), until the loss
gets worse again. The folds' heads start from those of the previous penalty.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vouch.trainer.learn.regression import Layer, Problem, fitted_layer

FIRST, LEAST, MOST = -3.0, -6.0, 1.0
"""Powers of ten of the penalty, relative to the total variance of all features: start and limits of the search. With
EfficientNet's features the best values were between -3.5 and -4.5."""
STEP = 0.5
WORTH = 1e-3
"""Least gain in loss per image for a weaker penalty: if all answers are right, weights would grow without limit."""
TOLERANCE = 1e-4
"""Of a fold's fit: compared losses differ by more."""
MAX_WORK = 4e8
"""Images times axes times scores. With more, the folds' heads are fitted on a random part of the images and answer
all. About half a minute on two cores."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """A penalty, and the answers to images by heads that were fitted without them."""

    penalty: float
    loss: float
    logits: Tensor
    """float64, shape (N, M)."""
    layers: tuple[Layer, ...]
    """The heads, one per fold."""


def clearly_less(first: Tensor, second: Tensor) -> bool:
    """Whether the first losses are smaller in the mean, by more than two standard errors of the paired difference.

    Args:
        first, second: shape (N,), N at least 2.
    """
    gain = second.double() - first.double()
    return bool(gain.mean() > 2 * gain.std() / len(gain) ** 0.5)


def default_penalty(variances: Tensor) -> float:
    """The penalty if cross-validation is impossible."""
    return float(10**FIRST * variances.sum())


def chosen_penalty(problem: Problem, fold: Tensor, seed: int, fixed: float | None = None) -> Chosen:
    """The penalty with the smallest cross-validated loss.

    Args:
        problem: of N images and V versions of each, in V x N rows; the first N, the original images, are answered.
        fold: int64, shape (N,): 0 to F - 1, F at least 2.
        seed: for drawing images if there are too many.
        fixed: the penalty, if it is given.
    """
    folds, scale = _Folds(problem, fold, seed), float(problem.variances.sum())
    if fixed is not None:
        return folds.at(fixed)
    best, power = folds.at(10**FIRST * scale), FIRST
    for direction in (-STEP, STEP):
        while LEAST <= power + direction <= MOST:
            found = folds.at(10 ** (power + direction) * scale)
            if found.loss >= best.loss - (WORTH if direction < 0 else 0):
                break
            best, power = found, power + direction
        if power != FIRST:
            break
    return best


class _Folds:
    """A head for each fold, fitted to the images of the others."""

    def __init__(self, problem: Problem, fold: Tensor, seed: int) -> None:
        self._all, self._count = problem, len(fold)
        width, outputs = problem.z.shape[1], problem.wanted.truth.shape[1]
        drawn = torch.ones(self._count, dtype=torch.bool)
        most = max(1, int(MAX_WORK // (width * outputs)))
        drawn[torch.randperm(self._count, generator=torch.Generator().manual_seed(seed))[most:]] = False
        self._held = [torch.nonzero(fold == number)[:, 0] for number in range(int(fold.max()) + 1)]
        self._others = [torch.nonzero((fold != number) & drawn)[:, 0] for number in range(len(self._held))]
        nothing = Layer(problem.z.new_zeros(width, outputs), problem.z.new_zeros(outputs))
        self._layers = [nothing] * len(self._held)

    def at(self, penalty: float) -> Chosen:
        """The answers to all images at this penalty."""
        whole = self._all
        logits = torch.zeros_like(whole.wanted.truth[: self._count])
        for number, (held, others) in enumerate(zip(self._held, self._others, strict=True)):
            rows = torch.cat([others + first for first in range(0, len(whole.z), self._count)])
            part = Problem(whole.z[rows], whole.wanted.of(rows), whole.variances)
            # With fewer images each has more weight in the mean, so the penalty must grow too.
            more = self._count / len(others)
            self._layers[number] = fitted_layer(part, penalty * more, self._layers[number], TOLERANCE)
            logits[held] = self._layers[number](whole.z[held])
        loss = whole.wanted.of(torch.arange(self._count)).mean_loss(logits)
        return Chosen(penalty, loss, logits, tuple(self._layers))
