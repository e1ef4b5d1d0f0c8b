"""One number that scores are divided by before they become probabilities, where that brings these nearer the truth.

Source: C. Guo et al., On Calibration of Modern Neural Networks (2017). Label smoothing and focus on hard images make a
network say less than it knows, long training makes it say more; neither changes which class comes first.
"""

from contextlib import nullcontext

import torch
from torch import Tensor
from torch.nn import functional

from vouch.trainer.learn.one_thread import one_thread

SMALLEST, LARGEST = 0.05, 20.0
"""Temperatures that are looked at; where every answer is wrong the best one would have no bound."""
_ROUNDS = 60
_TOLERANCE = 1e-6
LEAVE_ONE_OUT, FOLDS = 50, 5
"""Up to so many images each is held out by itself; more are cut into so many folds."""


def chosen_temperature(logits: Tensor, labels: Tensor) -> float:
    """The best temperature where it lowers the cross-validated log loss of these images, else exactly 1.

    A temperature fitted to a few images fits their accidents too: it must do better on images that it was not fitted
    to. Arguments as `best_temperature`.
    """
    if len(labels) > 1 and cross_validated_loss(logits, labels) < loss_at(logits, labels):
        return best_temperature(logits, labels)
    return 1.0


def cross_validated_loss(logits: Tensor, labels: Tensor) -> float:
    """Mean log loss of the images, each at the temperature that is best for the other folds' images."""
    count = len(labels)
    few = count <= LEAVE_ONE_OUT
    fold = torch.arange(count) % (count if few else FOLDS)
    total = 0.0
    with one_thread() if few else nullcontext():
        for held in (fold == number for number in range(int(fold.max()) + 1)):
            temperature = best_temperature(logits[~held], labels[~held])
            total += loss_at(logits[held], labels[held], temperature) * int(held.sum())
    return total / count


def best_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature with the smallest cross-entropy, between 0.05 and 20.

    The cross-entropy is convex in 1 / temperature, so its slope is halved in on. One image's worth of the truth is
    doubted (1 / (n + 2), as in J. Platt, Probabilistic Outputs for Support Vector Machines, 1999): where all of a few
    answers are right, that does not show that all others will be.

    Args:
        logits: floats, shape (N, K).
        labels: int64, shape (N,), or bool, shape (N, K), where an image may have several labels.
    """
    logits = logits.double()
    low, high = 1 / LARGEST, 1 / SMALLEST
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        if _slope(logits, labels, middle) > 0:
            high = middle
        else:
            low = middle
        if high - low < _TOLERANCE * low:
            break
    return 2 / (low + high)


def calibrated_loss(logits: Tensor, labels: Tensor) -> float:
    """Cross-entropy at the best temperature: what the scores are worth, however boldly they are said."""
    return loss_at(logits, labels, best_temperature(logits, labels))


def loss_at(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> float:
    """Mean cross-entropy at a temperature; of several labels, over every yes and no."""
    scaled = logits.double() / temperature
    if labels.ndim == 2:
        return functional.binary_cross_entropy_with_logits(scaled, labels.double()).item()
    return functional.cross_entropy(scaled, labels).item()


def _slope(logits: Tensor, labels: Tensor, factor: float) -> float:
    """Of the cross-entropy, as the factor that the scores are multiplied by grows."""
    doubt = 1 / (len(labels) + 2)
    if labels.ndim == 2:
        wanted = labels.double() * (1 - 2 * doubt) + doubt
        return float((((factor * logits).sigmoid() - wanted) * logits).mean())
    expected = ((factor * logits).softmax(dim=1) * logits).sum(dim=1)
    true = (1 - doubt) * logits.gather(1, labels[:, None])[:, 0] + doubt * logits.mean(dim=1)
    return float((expected - true).mean())
