"""Labels that are likely wrong: those that the answers of models that have not learned them contradict.

By confident learning (Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels, JAIR
70, 2021, https://arxiv.org/abs/1911.00068): a contradiction is confident (`sure`) if the other class is at least as
probable as it is on average for the images that have its label. Works on arrays only.
"""

from dataclasses import dataclass

import numpy as np

from vouch.sources.split_names import Part

MOST_LISTED = 1_000


@dataclass(frozen=True)
class Doubt:
    """A label that an answer contradicts."""

    part: Part
    """The split of the image."""
    row: int
    """The position of the image in the split."""
    label: int
    """The class of its label; multi-label: the label in question."""
    answer: int
    """The class that was answered; multi-label: the same as `label`."""
    present: bool
    """Whether the image has that label: always true for single-label."""
    given: float
    """Probability of the label."""
    probability: float
    """Probability of the answer."""
    sure: bool
    """Whether the contradiction is confident, as defined by confident learning."""


def doubtful(part: Part, labels: np.ndarray, probabilities: np.ndarray) -> list[Doubt]:
    """All contradicted labels, the most confident contradiction first.

    Args:
        labels: integers, shape (N,), or bool, shape (N, K).
        probabilities: floats, shape (N, K), of models that have not learned these images.
    """
    found = _of_several(part, labels, probabilities) if labels.ndim == 2 else _of_one(part, labels, probabilities)
    return surest_first(found)


def surest_first(doubts: list[Doubt]) -> list[Doubt]:
    """Sorted by how much more probable the answer is than the label; confident contradictions first."""
    return sorted(doubts, key=lambda doubt: (not doubt.sure, doubt.given - doubt.probability))


def _of_one(part: Part, labels: np.ndarray, probabilities: np.ndarray) -> list[Doubt]:
    rows, answers = np.arange(len(labels)), probabilities.argmax(axis=1)
    given, said = probabilities[rows, labels], probabilities[rows, answers]
    usual = np.full(probabilities.shape[1], np.inf)
    for k in np.unique(labels):
        usual[k] = given[labels == k].mean()
    sure = said >= usual[answers]
    return [
        Doubt(part, int(i), int(labels[i]), int(answers[i]), True, float(given[i]), float(said[i]), bool(sure[i]))
        for i in np.flatnonzero((answers != labels) & (said > given))
    ]


def _of_several(part: Part, labels: np.ndarray, probabilities: np.ndarray) -> list[Doubt]:
    """For each image, the one label that its answers contradict most."""
    given = np.where(labels, probabilities, 1 - probabilities)
    worst = given.argmin(axis=1)
    found = []
    for i in np.flatnonzero(given.min(axis=1) < 0.5):
        k = int(worst[i])
        present, said = bool(labels[i, k]), 1 - float(given[i, k])
        like_it = labels[:, k] != present  # images whose label agrees with the answer
        sure = bool(like_it.any()) and said >= float(given[like_it, k].mean())
        found.append(Doubt(part, int(i), k, k, present, float(given[i, k]), said, sure))
    return found
