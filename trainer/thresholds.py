"""From which probability on each label of a multi-label model is answered: settled on tune, never on validation."""

import numpy as np

NEUTRAL = 0.5


def best_thresholds(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """For each label the threshold with the highest F1 on these images; of equally good ones the nearest to 0.5.

    Thresholds that are tried lie halfway between neighbouring probabilities, where rounding on other hardware moves
    no answer across, and at 0.5. A label that no image has cannot be settled and gets 0.5.

    Args:
        probabilities: float32, shape (N, K).
        labels: bool, shape (N, K).

    Returns:
        K values of float32 precision, each from 0 to 1.
    """
    return tuple(_best(probabilities[:, k], labels[:, k]) for k in range(labels.shape[1]))


def _best(probabilities: np.ndarray, present: np.ndarray) -> float:
    """For one label; arrays of shape (N,)."""
    if not present.any():
        return NEUTRAL
    candidates = _candidates(probabilities)
    order = np.argsort(probabilities, kind="stable")
    present_from = np.append(np.cumsum(present[order][::-1])[::-1], 0)
    """At i: how many of the images from the i-th lowest probability on have the label."""
    first = np.searchsorted(probabilities[order], candidates, side="left")
    true_positives, answered = present_from[first], len(probabilities) - first
    scores = 2 * true_positives / (answered + present.sum())  # F1: 2 TP / (2 TP + FP + FN)
    best = candidates[scores >= scores.max() - 1e-12]
    return float(best[np.abs(best - np.float32(NEUTRAL)).argmin()])


def _candidates(probabilities: np.ndarray) -> np.ndarray:
    """Thresholds that part the images differently, ascending, float32; the lowest answers the label for all."""
    values = np.unique(probabilities.astype(np.float32))
    below = np.concatenate([np.zeros(1, np.float32), values[:-1]])
    halfway = ((below.astype(np.float64) + values) / 2).astype(np.float32)
    halfway = np.where(halfway > below, halfway, values)  # neighbours among the float32 have nothing between them
    return np.union1d(halfway, np.float32(NEUTRAL)).astype(np.float32)
