"""The opposite of training on a frozen backbone: the weights stay, and places of the image are covered.

A backbone is a file that computes features, and no gradients; so no image is changed pixel by pixel. But it says which
places of the image count for a class. They are covered, those that count most first, until the answer is another one.
"""

from dataclasses import dataclass

import numpy as np
import torch

from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.report.activation import Places

SHARES = (1 / 8, 1 / 4, 1 / 2)
"""Of all places, that are covered. Each takes an image through the backbone: of lite0, 0.02 s."""


@dataclass(frozen=True, eq=False)
class CoveredImage:
    """An image of which some places are covered, and the answer to it."""

    places: int
    """That are covered."""
    image: np.ndarray
    """uint8, shape (H, W) or (H, W, C)."""
    probability: float
    """Of the class that the whole image was called."""
    called: bool
    """Whether it is still called so."""


@dataclass(frozen=True, eq=False)
class Covered:
    """What became of an answer while more and more of the image was covered."""

    k: int
    """The class that the whole image is called."""
    frames: tuple[CoveredImage, ...]
    """The whole image first; then the places that count most for the class are covered."""
    elsewhere: CoveredImage
    """As many places covered as in the last frame, those that count least."""
    all_places: int


def cover(classifier: FrozenClassifier, image: np.ndarray, answer: np.ndarray, found: Places) -> Covered:
    """Covers places of an image with its mean colour until it is called something else, at most half of them.

    Args:
        classifier: fitted.
        image: uint8, shape (H, W) or (H, W, C).
        answer: its probabilities, shape (K,).
        found: what the backbone finds in this image, and nowhere else.
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
    """The image with the mean of all its pixels at these places of a grid that lies over it."""
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
