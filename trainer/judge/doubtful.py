"""Labels that are likely wrong: those that answers contradict most surely, of models that have not learned them.

The idea is confident learning's (Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset
Labels, JAIR 70, 2021, https://arxiv.org/abs/1911.00068): a contradiction is sure where the other class is at least as
probable as it is, on average, for the images that are labelled so. Arrays alone.
"""

from dataclasses import dataclass

import numpy as np

from vouch.sources.split_names import Part

MOST_LISTED = 1_000


@dataclass(frozen=True)
class Doubt:
    """A label that an answer contradicts."""

    part: Part
    """The split that the image is of."""
    row: int
    """Its place there."""
    label: int
    """The class that it is labelled as; with several labels, the one in question."""
    answer: int
    """The class that it was called; with several labels, the same as `label`."""
    present: bool
    """Whether the image has that label: with one label an image always so."""
    given: float
    """Probability of what the label says."""
    probability: float
    """Probability of what the answer says."""
    sure: bool
    """Whether the contradiction is sure, as confident learning has it."""


def doubtful(part: Part, labels: np.ndarray, probabilities: np.ndarray) -> list[Doubt]:
    """All contradicted labels, the surest contradiction first.

    Args:
        labels: integers, shape (N,), or bool, shape (N, K).
        probabilities: floats, shape (N, K), of models that have not learned these images.
    """
    found = _of_several(part, labels, probabilities) if labels.ndim == 2 else _of_one(part, labels, probabilities)
    return surest_first(found)


def surest_first(doubts: list[Doubt]) -> list[Doubt]:
    """Those first whose answer is most probable against their label; sure ones before all others."""
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
    """The one label of each image that its answers contradict most."""
    given = np.where(labels, probabilities, 1 - probabilities)
    worst = given.argmin(axis=1)
    found = []
    for i in np.flatnonzero(given.min(axis=1) < 0.5):
        k = int(worst[i])
        present, said = bool(labels[i, k]), 1 - float(given[i, k])
        like_it = labels[:, k] != present  # those that are labelled as the answer says
        sure = bool(like_it.any()) and said >= float(given[like_it, k].mean())
        found.append(Doubt(part, int(i), k, k, present, float(given[i, k]), said, sure))
    return found
