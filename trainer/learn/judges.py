"""Answers to images that whoever answers has not learned: from them temperature, thresholds and label sets are chosen.

Of a tune split they are those of the fitted classifier; of folds, those of classifiers that were fitted to the others.
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
    """The positions of the images in it."""
    logits: Tensor
    """Its answers, floats, shape (n, K), before any temperature."""

    @property
    def examples(self) -> Examples:
        """The images themselves; of those in memory a copy."""
        return self.whole[self.rows]

    @property
    def labels(self) -> np.ndarray:
        """As in `Examples`."""
        return np.asarray(self.whole.labels[self.rows])


@dataclass(frozen=True, eq=False)
class Judges:
    """All of them: each image is answered once."""

    parts: tuple[Judge, ...]
    """At least one; its images are none where nothing could be judged: every class is one image, or one group."""
    method: Method

    @property
    def images(self) -> int:
        """How many are judged."""
        return sum(len(part.rows) for part in self.parts)

    @property
    def labels(self) -> np.ndarray:
        """In the order of the parts."""
        return np.concatenate([part.labels for part in self.parts])

    @property
    def logits(self) -> Tensor:
        """Likewise, shape (N, K)."""
        return torch.cat([part.logits for part in self.parts])

    def temperature(self) -> float:
        """What suits the scores, by `chosen_temperature`.

        Of folds, those images are asked all of whose labels the judge has learned: what it says of a class that is in
        its own fold alone shows nothing of the published model, which has learned every class.
        """
        if self.method == "split":
            return chosen_temperature(self.logits, torch.from_numpy(self.labels))
        known = torch.from_numpy(np.concatenate([_knows(part) for part in self.parts]))
        return chosen_temperature(self.logits[known], torch.from_numpy(self.labels)[known])

    def probabilities(self, temperature: float) -> np.ndarray:
        """What these scores say at a temperature: float32, shape (N, K), in the order of the parts."""
        return np.concatenate([_probabilities(part, temperature) for part in self.parts])


def in_order_of_fit(folds: Sequence[Judge], temperature: float) -> np.ndarray | None:
    """The probabilities of the fit images, float32, shape (N, K); None where there are no folds."""
    if not folds:
        return None
    found = np.concatenate([_probabilities(part, temperature) for part in folds])
    return found[np.argsort(np.concatenate([part.rows for part in folds]))]


def _knows(fold: Judge) -> np.ndarray:
    """Of which of its images it has learned every label, from those of the other folds: bool, shape (n,)."""
    learned = np.delete(fold.whole.labels, fold.rows, axis=0)
    if learned.ndim == 2:
        return np.asarray(~(fold.labels & ~learned.any(axis=0)).any(axis=1))
    return np.isin(fold.labels, learned)


def _probabilities(part: Judge, temperature: float) -> np.ndarray:
    return np.asarray(part.classifier.probabilities(part.logits / temperature).numpy(), dtype=np.float32)
