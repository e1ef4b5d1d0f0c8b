"""How strongly the weights of a head are held back: by how well images are answered that it was not fitted to.

Downhill along a row of penalties, each three times the next (the square root of ten), until it gets worse again; the
folds' heads start where those of the penalty before ended.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vouch.trainer.learn.regression import Layer, Wanted, fitted_layer

FIRST, LEAST, MOST = -3.0, -7.0, 1.0
"""Powers of ten of the penalty, as a share of the variance of all features together: where the search begins and
ends. EfficientNet's features were best answered from between -3.5 and -4.5."""
STEP = 0.5
TOLERANCE = 1e-4
"""Of a fold's fit: losses that are compared differ by more."""
MAX_WORK = 4e8
"""Images times axes times scores; of more images some are drawn to fit the folds' heads on, which all are held against.
About half a minute on two cores."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """A penalty, and what images were answered by heads that were fitted without them."""

    penalty: float
    loss: float
    logits: Tensor
    """float64, shape (N, M)."""


def default_penalty(variances: Tensor) -> float:
    """Where nothing can be tried."""
    return float(10**FIRST * variances.sum())


def chosen_penalty(z: Tensor, wanted: Wanted, variances: Tensor, fold: Tensor, seed: int) -> Chosen:
    """The penalty with the smallest cross-validated loss.

    Args:
        z: features along the axes, float64, shape (V x N, R): V versions of every image, of which the first N rows,
            the images as they are, are answered.
        wanted: for the N images.
        fold: int64, shape (N,): 0 to F - 1, F at least 2.
        seed: which images are drawn where they are too many.
    """
    folds = _Folds(z, wanted, variances, fold, seed)
    power = FIRST
    best = folds.at(power)
    for direction in (-STEP, STEP):
        while LEAST <= power + direction <= MOST:
            found = folds.at(power + direction)
            if found.loss >= best.loss:
                break
            best, power = found, power + direction
        if power != FIRST:
            break
    return best


class _Folds:
    """A head for each fold, fitted to the images of the others."""

    def __init__(self, z: Tensor, wanted: Wanted, variances: Tensor, fold: Tensor, seed: int) -> None:
        count, outputs = wanted.truth.shape
        drawn = torch.ones(count, dtype=torch.bool)
        most = max(1, int(MAX_WORK // (z.shape[1] * outputs)))
        if most < count:
            drawn[torch.randperm(count, generator=torch.Generator().manual_seed(seed))[most:]] = False
        self._z, self._wanted, self._variances = z, wanted, variances
        self._held = [torch.nonzero(fold == number)[:, 0] for number in range(int(fold.max()) + 1)]
        self._others = [torch.nonzero((fold != number) & drawn)[:, 0] for number in range(len(self._held))]
        nothing = Layer(z.new_zeros(z.shape[1], outputs), z.new_zeros(outputs))
        self._layers = [nothing] * len(self._held)

    def at(self, power: float) -> Chosen:
        """Every image answered at this penalty."""
        count = len(self._wanted.truth)
        penalty = float(10**power * self._variances.sum())
        logits = torch.zeros_like(self._wanted.truth)
        for number, (held, others) in enumerate(zip(self._held, self._others, strict=True)):
            rows = torch.cat([others + version * count for version in range(len(self._z) // count)])
            wanted = self._wanted.of(others).times(len(self._z) // count)
            # Of fewer images each counts more in the mean, so the penalty has to as well.
            layer = fitted_layer(
                self._z[rows],
                wanted,
                self._variances,
                penalty * count / len(others),
                self._layers[number],
                TOLERANCE,
            )
            self._layers[number] = layer
            logits[held] = layer(self._z[held])
        return Chosen(penalty, self._wanted.mean_loss(logits), logits)
