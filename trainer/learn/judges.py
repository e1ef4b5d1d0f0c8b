"""Answers to calibration images, by classifiers that have not learned them, to choose temperature and thresholds.

With a tune split, the fitted classifier answers it. With folds, each is answered by a classifier fitted to the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vouch.bundle.reliability import Method
from vouch.sources.examples import Examples
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.temperature import chosen_temperature


@dataclass(frozen=True, eq=False)
class Judge:
    """A classifier, and images that it has not learned."""

    classifier: Classifier
    """On the CPU, in evaluation mode."""
    whole: Examples
    """Fit, or tune."""
    rows: np.ndarray
    """The positions of the images in `whole`."""
    logits: Tensor
    """Its answers, floats, shape (n, K), before any temperature."""

    @property
    def examples(self) -> Examples:
        """The images; images in memory are copied."""
        return self.whole[self.rows]

    @property
    def labels(self) -> np.ndarray:
        """As in `Examples`."""
        return np.asarray(self.whole.labels[self.rows])


@dataclass(frozen=True, eq=False)
class Judges:
    """All judges: each image is answered once."""

    parts: tuple[Judge, ...]
    """At least one; without images if nothing could be judged, because every class is one image or one group."""
    method: Method

    @property
    def images(self) -> int:
        """Number of calibration images."""
        return sum(len(part.rows) for part in self.parts)

    @property
    def labels(self) -> np.ndarray:
        """Labels in the order of the parts."""
        return np.concatenate([part.labels for part in self.parts])

    @property
    def logits(self) -> Tensor:
        """Logits in the order of the parts, shape (N, K)."""
        return torch.cat([part.logits for part in self.parts])

    def temperature(self) -> float:
        """The temperature for the scores, by `chosen_temperature`.

        With folds, only images are used all of whose labels the judge has learned: its answers about a class that is
        only in its own fold show nothing about the published model, which has learned every class.
        """
        if self.method == "split":
            return chosen_temperature(self.logits, torch.from_numpy(self.labels))
        known = torch.from_numpy(np.concatenate([_knows(part) for part in self.parts]))
        return chosen_temperature(self.logits[known], torch.from_numpy(self.labels)[known])

    def probabilities(self, temperature: float) -> np.ndarray:
        """Probabilities at a temperature: float32, shape (N, K), in the order of the parts."""
        return np.concatenate([_probabilities(part, temperature) for part in self.parts])


def in_order_of_fit(folds: Sequence[Judge], temperature: float) -> np.ndarray | None:
    """The probabilities of the fit images, float32, shape (N, K); None if there are no folds."""
    if not folds:
        return None
    found = np.concatenate([_probabilities(part, temperature) for part in folds])
    return found[np.argsort(np.concatenate([part.rows for part in folds]))]


def _knows(fold: Judge) -> np.ndarray:
    """For which of its images the judge has learned every label, from the other folds: bool, shape (n,)."""
    learned = np.delete(fold.whole.labels, fold.rows, axis=0)
    if learned.ndim == 2:
        return np.asarray(~(fold.labels & ~learned.any(axis=0)).any(axis=1))
    return np.isin(fold.labels, learned)


def _probabilities(part: Judge, temperature: float) -> np.ndarray:
    return np.asarray(part.classifier.probabilities(part.logits / temperature).numpy(), dtype=np.float32)
