"""A learning curve: accuracy after learning from fewer images; computed by kernel regression, which costs little."""

from dataclasses import dataclass

import numpy as np

from vouch.trainer.judge.kernel import right_of_others

SHARES = (0.125, 0.25, 0.5)
"""Shares of the fit images; the last point uses all of them."""
REPEATS = 3
"""Draws of each share, of which the mean is taken."""
FEWEST = 40
"""With fewer images a curve is noise."""


@dataclass(frozen=True)
class Curve:
    """Accuracy on images that were not learned from, by the number of images that were."""

    images: tuple[int, ...]
    """Numbers of images, ascending; the last is all of fit, where each image is answered after learning all others."""
    right: tuple[float, ...]
    """Share of right answers for each, 0 to 1."""

    @property
    def gain(self) -> float:
        """The gain in accuracy of the last doubling."""
        return self.right[-1] - self.right[-2]

    @property
    def rises(self) -> bool:
        """Whether that is more than chance, and more than a tenth of what was left to gain."""
        last, wrong = self.right[-1], 1 - self.right[-2]
        chance = float(np.sqrt(last * (1 - last) / self.images[-1]))
        return self.gain > max(chance, wrong / 10)


def learning_curve(kernel: np.ndarray, labels: np.ndarray, classes: int, right_of_all: float) -> Curve | None:
    """A curve from a few seeded draws of fewer images; None if these would be too few.

    Args:
        kernel: shape (N, N).
        labels: integers, shape (N,), or bool, shape (N, K).
        classes: K.
        right_of_all: the accuracy if each image is answered after learning from all others.
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
