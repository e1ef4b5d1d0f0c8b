"""The thresholds of a multi-label model: the probability from which each label is answered. Chosen on the judged
images, never on validation.
"""

import numpy as np

NEUTRAL = 0.5
AS_MANY = 2
"""0.5 has the weight of this many images with the label: a label on two images gets half the log odds of its best
threshold."""
WITHIN = 1e-6, 1 - 1e-6
"""Best thresholds are clipped to this range: at 0 and 1 log odds are infinite."""
LEAVE_ONE_OUT, FOLDS = 50, 5
"""As for the temperature: leave-one-out up to 50 images, 5 folds with more."""


def chosen_thresholds(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """For each label its best threshold, shrunk towards 0.5 if few images have the label; or 0.5, if the threshold has
    no higher cross-validated F1.

    The best threshold for a few images is overfitted. Arguments and result as `best_thresholds`.
    """
    if not len(labels):
        return (NEUTRAL,) * int(labels.shape[1])
    columns = [(probabilities[:, k], labels[:, k]) for k in range(labels.shape[1])]
    return tuple(_shrunk(*one) if _is_better_unseen(*one) else NEUTRAL for one in columns)


def _shrunk(probabilities: np.ndarray, present: np.ndarray) -> float:
    """For one label, the candidate between 0.5 and the best threshold whose log odds are nearest to images / (images +
    AS_MANY) of those of the best, with `images` the number of images that have the label.
    """
    best, images = _best(probabilities, present), int(present.sum())
    wanted = 1 / (1 + (1 / np.clip(best, *WITHIN) - 1) ** (images / (images + AS_MANY)))
    tried = _candidates(probabilities)
    between = tried[(tried >= np.float32(min(best, NEUTRAL))) & (tried <= np.float32(max(best, NEUTRAL)))]
    return float(between[np.abs(between - wanted).argmin()])


def _is_better_unseen(probabilities: np.ndarray, present: np.ndarray) -> bool:
    """Whether thresholds fitted to the other folds' images answer better than 0.5 does; for one label, shape (N,)."""
    count = len(present)
    fold = np.arange(count) % (count if count <= LEAVE_ONE_OUT else FOLDS)
    answered = np.empty(count, np.bool_)
    for held in (fold == number for number in range(fold.max() + 1)):
        answered[held] = probabilities[held] >= np.float32(_shrunk(probabilities[~held], present[~held]))
    return _f1(answered, present) > _f1(probabilities >= np.float32(NEUTRAL), present)


def _f1(answered: np.ndarray, present: np.ndarray) -> float:
    both = answered.sum() + present.sum()
    return float(2 * (answered & present).sum() / both) if both else 0.0


def best_thresholds(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """For each label the threshold with the highest F1 on these images; of equally good ones the nearest to 0.5.

    Candidates are 0.5 and the middles between neighbouring probabilities, so that rounding on other hardware changes no
    answer. A label that no image has gets 0.5.

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
    """At i: number of images with the label, among those from the i-th lowest probability upwards."""
    first = np.searchsorted(probabilities[order], candidates, side="left")
    true_positives, answered = present_from[first], len(probabilities) - first
    scores = 2 * true_positives / (answered + present.sum())  # F1: 2 TP / (2 TP + FP + FN)
    best = candidates[scores >= scores.max() - 1e-12]
    return float(best[np.abs(best - np.float32(NEUTRAL)).argmin()])


def _candidates(probabilities: np.ndarray) -> np.ndarray:
    """Thresholds that divide the images differently, ascending, float32; the lowest answers the label for all."""
    values = np.unique(probabilities.astype(np.float32))
    below = np.concatenate([np.zeros(1, np.float32), values[:-1]])
    halfway = ((below.astype(np.float64) + values) / 2).astype(np.float32)
    halfway = np.where(halfway > below, halfway, values)  # neighbours among the float32 have nothing between them
    return np.union1d(halfway, np.float32(NEUTRAL)).astype(np.float32)
