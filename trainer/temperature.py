"""One number that makes probabilities honest: scores are divided by it before they become probabilities.

Source: C. Guo et al., On Calibration of Modern Neural Networks (2017). Label smoothing and focus on hard images make a
network say less than it knows, long training makes it say more; neither changes which class comes first.
"""

from torch import Tensor
from torch.nn import functional

SMALLEST, LARGEST = 0.05, 20.0
"""Temperatures that are looked at; where every answer is wrong the best one would have no bound."""
_ROUNDS = 60
_TOLERANCE = 1e-6


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
    scaled = logits.double() / best_temperature(logits, labels)
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
