"""Temperature scaling: one number by which scores are divided, if that improves the probabilities.

Source: C. Guo et al., On Calibration of Modern Neural Networks (2017). Label smoothing and focus on hard images make a
network underconfident, long training makes it overconfident; a temperature does not change which class is the answer.
"""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor
from torch.nn import functional

from vouch.trainer.learn.one_thread import one_thread

SMALLEST, LARGEST = 0.05, 20.0
"""Limits of the search; if every answer is wrong, the best temperature would be infinite."""
_ROUNDS = 60
_TOLERANCE = 1e-6
BLOCK = 1 << 22
"""Scores that are converted to float64 at once: five such arrays take 160 MB."""
ENOUGH = 1 << 21
"""Scores by which a temperature is chosen: 209 images of 10,000 classes; with all it would take minutes per epoch."""
LEAVE_ONE_OUT, FOLDS = 50, 5
"""Leave-one-out up to 50 images, 5 folds with more."""


def chosen_temperature(logits: Tensor, labels: Tensor) -> float:
    """The best temperature if it lowers the cross-validated log loss of these images, otherwise exactly 1.

    A temperature fitted to few images is overfitted: it must be better on images that it was not fitted to. Arguments
    as `best_temperature`.
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
        for number in range(int(fold.max()) + 1):
            others, held = (_Answers(logits, labels, part.nonzero()[:, 0]) for part in (fold != number, fold == number))
            total += held.loss_at(others.best_temperature()) * len(held)
    return total / count


def best_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature with the smallest cross-entropy, between 0.05 and 20.

    The cross-entropy is convex in 1 / temperature, so the zero of its derivative is found by bisection. Labels are
    smoothed by 1 / (n + 2), as in J. Platt, Probabilistic Outputs for Support Vector Machines (1999): if all of a few
    answers are right, that does not show that all others will be.

    Args:
        logits: floats, shape (N, K).
        labels: int64, shape (N,); multi-label: bool, shape (N, K).
    """
    return _Answers(logits, labels).best_temperature()


def calibrated_loss(logits: Tensor, labels: Tensor) -> float:
    """Cross-entropy at the best temperature: the quality of the scores apart from over- or underconfidence."""
    return loss_at(logits, labels, best_temperature(logits, labels))


def loss_at(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> float:
    """Mean cross-entropy at a temperature; multi-label: over every yes and no."""
    return _Answers(logits, labels).loss_at(temperature)


class _Answers:
    """Some images' scores and labels, processed in blocks, because all of them in float64 would need much memory."""

    def __init__(self, logits: Tensor, labels: Tensor, rows: Tensor | None = None) -> None:
        """
        Args:
            logits, labels: as `best_temperature` takes them.
            rows: positions of the images; None: all.
        """
        self._rows = torch.arange(len(labels), device=logits.device) if rows is None else rows.to(logits.device)
        self._parts = torch.split(self._rows, max(1, BLOCK // logits.shape[1]))
        self._logits, self._labels = logits, labels
        self._whole = self._block(self._parts[0]) if len(self._parts) == 1 else None  # few are converted once

    def __len__(self) -> int:
        return len(self._rows)

    def best_temperature(self) -> float:
        """The best temperature; with more than ENOUGH scores, for evenly spaced images."""
        every = -(-len(self) * self._logits.shape[1] // ENOUGH)
        if every > 1:
            return _Answers(self._logits, self._labels, self._rows[::every]).best_temperature()
        low, high = 1 / LARGEST, 1 / SMALLEST
        for _ in range(_ROUNDS):
            middle = (low + high) / 2
            if self._slope(middle) > 0:
                high = middle
            else:
                low = middle
            if high - low < _TOLERANCE * low:
                break
        return 2 / (low + high)

    def loss_at(self, temperature: float) -> float:
        return self._mean(lambda logits, labels: _loss(logits / temperature, labels))

    def _slope(self, factor: float) -> float:
        """The derivative of the cross-entropy by the factor of the scores."""
        doubt = 1 / (len(self) + 2)
        return self._mean(lambda logits, labels: _slope(logits, labels, factor, doubt))

    def _mean(self, of_block: Callable[[Tensor, Tensor], float]) -> float:
        """The mean over all images, from the means over blocks; `of_block` gets scores in float64, and labels."""
        if self._whole:
            return of_block(*self._whole)
        return sum(of_block(*self._block(rows)) * (len(rows) / len(self)) for rows in self._parts)

    def _block(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        return self._logits[rows].double(), self._labels[rows]


def _loss(logits: Tensor, labels: Tensor) -> float:
    if labels.ndim == 2:
        return functional.binary_cross_entropy_with_logits(logits, labels.double()).item()
    return functional.cross_entropy(logits, labels).item()


def _slope(logits: Tensor, labels: Tensor, factor: float, doubt: float) -> float:
    if labels.ndim == 2:
        wanted = labels.double() * (1 - 2 * doubt) + doubt
        return float((((factor * logits).sigmoid() - wanted) * logits).mean())
    expected = ((factor * logits).softmax(dim=1) * logits).sum(dim=1)
    true = (1 - doubt) * logits.gather(1, labels[:, None])[:, 0] + doubt * logits.mean(dim=1)
    return float((expected - true).mean())
