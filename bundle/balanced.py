"""Balanced accuracy: every class counts the same, however many images it has; its interval holds for few images too.

The interval holds every value from which the counted one, less half an image of the smallest class, is no farther than
chance takes it, at those rates of the classes with this mean that leave most to chance. Where all classes have equally
many images, it is Wilson's score interval with continuity correction: R. G. Newcombe, Statistics in Medicine 17 (1998),
method 4. Adding up the classes' own intervals (MOVER: G. Y. Zou and A. Donner, Statistics in Medicine 27 (2008)) breaks
its promise where classes are many and their images few; docs/decisions/claims.md has figures.
"""

from dataclasses import dataclass

import numpy as np

from vouch.bundle.accuracy import Z_95

HALVINGS = 32
"""Of the part in which an end of the interval lies: to 1e-9."""


@dataclass(frozen=True)
class Balanced:
    """The mean over the classes of how many of each one's images are answered rightly."""

    accuracy: float
    """0 to 1."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    classes: int
    """Over how many the mean is: those that have images. Of a multi-label model, the labels that some images have and
    others have not; of each the mean of both."""

    def __str__(self) -> str:
        interval = f"95 % interval {self.low:.2%} to {self.high:.2%}"
        return f"{self.accuracy:.2%} ({interval}), the mean of {self.classes:,} class{'es' * (self.classes != 1)}"


def balanced(right: np.ndarray, images: np.ndarray) -> Balanced:
    """Of the classes of a single-label model.

    Args:
        right: integers, shape (K,): how many of each class's images are answered rightly.
        images: likewise how many there are; at least one has some.
    """
    some = images > 0
    shares, lows, highs = class_means(right[None, some], images[None, some])
    return Balanced(float(shares[0]), float(lows[0]), float(highs[0]), int(np.count_nonzero(some)))


def balanced_over_labels(per_label: np.ndarray) -> Balanced | None:
    """Of a multi-label model: of each label the mean of the images that have it and are answered it, and of those that
    have not and are not. None where no label is on some images and not on others.

    Answers to the labels of one image depend on each other in ways that the counts do not tell. The mean of the labels'
    own intervals, which this is, keeps its promise however they do.

    Args:
        per_label: integers, shape (K, 2, 2), as `MultiLabelTally` has them.
    """
    images = per_label.sum(axis=2)
    both = (images > 0).all(axis=1)
    if not both.any():
        return None
    ends = class_means(per_label[both][:, [0, 1], [0, 1]], images[both])
    share, low, high = (float(end.mean()) for end in ends)
    return Balanced(share, low, high, int(np.count_nonzero(both)))


def class_means(right: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each row the mean share of right answers, and the ends of its interval: shape (R,) each.

    Args:
        right, images: integers, shape (R, K); no image count is 0.
    """
    share = (right / images).mean(axis=1)
    half_an_image = 1 / (2 * images.shape[1] * images.min(axis=1))
    chance = _Chance(images)
    low, high = (_end(share, outermost, half_an_image, chance) for outermost in (0.0, 1.0))
    return share, low, high


def _end(share: np.ndarray, outermost: float, half_an_image: np.ndarray, chance: "_Chance") -> np.ndarray:
    """The value farthest towards the outermost that the share does not refute; what it does not refute is an interval,
    because the most variance is a concave function of the value.
    """
    inside, outside = share.copy(), np.full_like(share, outermost)
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        near = np.abs(share - middle) - half_an_image <= Z_95 * np.sqrt(chance.most_variance(middle))
        inside, outside = np.where(near, middle, inside), np.where(near, outside, middle)
    return inside


class _Chance:
    """How far chance takes the mean share of right answers from its expected value."""

    def __init__(self, images: np.ndarray) -> None:
        """
        Args:
            images: integers, shape (R, K): of each class.
        """
        self._images = np.sort(images, axis=1).astype(np.float64)
        self._up_to = self._images.cumsum(axis=1)
        before = np.arange(images.shape[1])
        self._begins = (before - (self._up_to - self._images) / self._images) / 2
        """Shape (R, K): from which sum of the classes' rates on the class takes part in it."""

    def most_variance(self, mean: np.ndarray) -> np.ndarray:
        """Of all rates of the classes with this mean, the variance of those that have the most. Shape (R,).

        The sum of rate * (1 - rate) / images is largest where its slope is the same for all classes that take part in
        the mean: rate = (1 - slope * images) / 2. Those with few images do first. Rates and their complements are the
        same here.

        Args:
            mean: 0 to 1, shape (R,).
        """
        classes = self._images.shape[1]
        rates = np.minimum(mean, 1 - mean) * classes  # their sum
        part = (self._begins <= rates[:, None]).sum(axis=1)
        up_to = np.take_along_axis(self._up_to, part[:, None] - 1, axis=1)
        slope = (part - 2 * rates)[:, None] / up_to
        rate = np.clip((1 - slope * self._images) / 2, 0, 0.5)
        variance: np.ndarray = (rate * (1 - rate) / self._images).sum(axis=1) / classes**2
        return variance
