"""Balanced accuracy: every class counts the same, whatever its number of images; the interval is valid for few images.

The interval contains each true value from which the measured one, corrected by half an image of the smallest class,
differs by no more than chance explains, for the classes' rates with this mean and the largest variance. With equal
numbers of images it is Wilson's score interval with continuity correction: R. G. Newcombe, Statistics in Medicine 17
(1998), method 4. Adding the classes' own intervals (MOVER: G. Y. Zou and A. Donner, Statistics in Medicine 27 (2008))
covers too rarely for many classes with few images; docs/decisions/claims.md has figures.
"""

from dataclasses import dataclass

import numpy as np

from vouch.bundle.accuracy import Z_95

HALVINGS = 32
"""Bisection steps for an end of the interval: to 1e-9."""


@dataclass(frozen=True)
class Balanced:
    """The mean over the classes of the share of right answers."""

    accuracy: float
    """0 to 1."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    classes: int
    """The number of classes with images. Multi-label: the number of labels that some images have and others do not;
    each counts with the mean of both."""

    def __str__(self) -> str:
        interval = f"95 % interval {self.low:.2%} to {self.high:.2%}"
        return f"{self.accuracy:.2%} ({interval}), the mean of {self.classes:,} class{'es' * (self.classes != 1)}"


def balanced(right: np.ndarray, images: np.ndarray) -> Balanced:
    """Balanced accuracy of a single-label model.

    Args:
        right: integers, shape (K,): right answers of each class.
        images: integers, shape (K,): images of each class; at least one class has some.
    """
    some = images > 0
    shares, lows, highs = class_means(right[None, some], images[None, some])
    return Balanced(float(shares[0]), float(lows[0]), float(highs[0]), int(np.count_nonzero(some)))


def balanced_over_labels(per_label: np.ndarray) -> Balanced | None:
    """Balanced accuracy of a multi-label model: for each label the mean of its true positive and true negative rates.
    None if no label is on some images but not on others.

    Answers to the labels of one image are dependent, and the counts do not show how. The interval is the mean of the
    labels' own intervals, which is valid for any dependence.

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
    """For each row the mean share of right answers, and the ends of its interval: shape (R,) each.

    Args:
        right, images: integers, shape (R, K); no image count is 0.
    """
    share = (right / images).mean(axis=1)
    half_an_image = 1 / (2 * images.shape[1] * images.min(axis=1))
    chance = _Chance(images)
    low, high = (_end(share, outermost, half_an_image, chance) for outermost in (0.0, 1.0))
    return share, low, high


def _end(share: np.ndarray, outermost: float, half_an_image: np.ndarray, chance: "_Chance") -> np.ndarray:
    """The value closest to the outermost that the share does not refute. The values that are not refuted form an
    interval, because the largest variance is a concave function of the value.
    """
    inside, outside = share.copy(), np.full_like(share, outermost)
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        near = np.abs(share - middle) - half_an_image <= Z_95 * np.sqrt(chance.most_variance(middle))
        inside, outside = np.where(near, middle, inside), np.where(near, outside, middle)
    return inside


class _Chance:
    """The deviation of the mean share of right answers by chance."""

    def __init__(self, images: np.ndarray) -> None:
        """
        Args:
            images: integers, shape (R, K): images of each class.
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
