"""A learning curve: how many answers are right after learning from fewer images; by the kernel judge, nearly free."""

from dataclasses import dataclass

import numpy as np

from vouch.trainer.judge.kernel import right_of_others

SHARES = (0.125, 0.25, 0.5)
"""Of the images that are learned from; all of them are learned from too."""
REPEATS = 3
"""Draws of each share: the mean is taken."""
FEWEST = 40
"""Images below which a curve is noise."""


@dataclass(frozen=True)
class Curve:
    """Right answers to images that were not learned from."""

    images: tuple[int, ...]
    """Learned from, rising; the last is all of fit, each image answered by what has learned from all others."""
    right: tuple[float, ...]
    """Shares, 0 to 1."""

    @property
    def gain(self) -> float:
        """What the last doubling brought."""
        return self.right[-1] - self.right[-2]

    @property
    def rises(self) -> bool:
        """Whether that is more than chance explains, and a tenth of what was left to gain."""
        last, wrong = self.right[-1], 1 - self.right[-2]
        chance = float(np.sqrt(last * (1 - last) / self.images[-1]))
        return self.gain > max(chance, wrong / 10)


def learning_curve(kernel: np.ndarray, labels: np.ndarray, classes: int, right_of_all: float) -> Curve | None:
    """From a few seeded draws of fewer images; None where these would be too few.

    Args:
        kernel: shape (N, N).
        labels: integers, shape (N,), or bool, shape (N, K).
        classes: K.
        right_of_all: the share that is right where each is answered after learning from all others.
    """
    random, count = np.random.default_rng(0), len(labels)
    sizes = [round(count * share) for share in SHARES]
    sizes = [size for size in sizes if size >= 2 * classes]
    if count < FEWEST or not sizes:
        return None
    found = [
        np.mean([right_of_others(kernel, labels, classes, random.permutation(count)[:size]) for _ in range(REPEATS)])
        for size in sizes
    ]
    return Curve((*sizes, count), (*map(float, found), right_of_all))
