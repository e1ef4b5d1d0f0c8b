"""The opposite experiment for a frozen backbone: the weights stay, and places of the image are covered.

A backbone file computes features but no gradients, so the image cannot be changed pixel by pixel. But it shows which
places of the image count for a class. These are covered, the most important first, until the answer changes.
"""

from dataclasses import dataclass

import numpy as np
import torch

from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.report.activation import Places

SHARES = (1 / 8, 1 / 4, 1 / 2)
"""Shares of all places that are covered. Each needs one run of the backbone: 0.02 s with lite0."""


@dataclass(frozen=True, eq=False)
class CoveredImage:
    """An image with some places covered, and the answer to it."""

    places: int
    """Number of covered places."""
    image: np.ndarray
    """uint8, shape (H, W) or (H, W, C)."""
    probability: float
    """Of the answer to the whole image."""
    called: bool
    """Whether the answer is still the same."""


@dataclass(frozen=True, eq=False)
class Covered:
    """How an answer changed while more and more of the image was covered."""

    k: int
    """The answer to the whole image."""
    frames: tuple[CoveredImage, ...]
    """The whole image first; then with the places covered that count most for the class."""
    elsewhere: CoveredImage
    """The same number of places covered as in the last frame, but those that count least."""
    all_places: int


def cover(classifier: FrozenClassifier, image: np.ndarray, answer: np.ndarray, found: Places) -> Covered:
    """Covers places of an image with its mean colour until the answer changes, at most half of them.

    Args:
        classifier: fitted.
        image: uint8, shape (H, W) or (H, W, C).
        answer: its probabilities, shape (K,).
        found: the features at each place of only this image.
    """
    k = int(answer.argmax())
    parts = found.parts(0, k)
    order = np.argsort(-parts, axis=None, kind="stable")
    counts = sorted({max(1, round(share * order.size)) for share in SHARES})
    frames = _answered(classifier, [_covered(image, order[:count], parts.shape) for count in counts], counts, k)
    last = next((number for number, frame in enumerate(frames) if not frame.called), len(frames) - 1)
    most = counts[last]
    (elsewhere,) = _answered(classifier, [_covered(image, order[-most:], parts.shape)], [most], k)
    whole = CoveredImage(0, image, float(answer[k]), called=True)
    return Covered(k, (whole, *frames[: last + 1]), elsewhere, order.size)


def _covered(image: np.ndarray, places: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """The image with the mean of its pixels at these places of a grid over it."""
    mask = np.zeros(grid, dtype=bool)
    mask.flat[places] = True
    rows, columns = (np.arange(side) * cells // side for side, cells in zip(image.shape, grid, strict=False))
    result = image.copy()
    result[mask[np.ix_(rows, columns)]] = np.round(image.mean(axis=(0, 1)))
    return result


@torch.no_grad()
def _answered(classifier: FrozenClassifier, images: list[np.ndarray], counts: list[int], k: int) -> list[CoveredImage]:
    several = classifier.task == "multi_label"
    shares = classifier.probabilities(classifier(torch.from_numpy(np.stack(images)))).numpy()
    return [
        CoveredImage(count, image, float(row[k]), bool(row[k] > 0.5) if several else int(row.argmax()) == k)
        for count, image, row in zip(counts, images, shares, strict=True)
    ]
