"""How a network answers one image, in numbers: by what it multiplies each pixel, and the resulting scores.

Near one image, a network with several layers is a multiplication too: its score is the sum of pixel times slope, plus a
remainder. For a single layer the slopes are the weights themselves, and the remainder is the bias.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vouch.bundle.training import Loss
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.losses import Criterion
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.networks import Linear as SingleLayer

MAX_SHOWN = 10
"""The most classes with a picture of their own; ten fit side by side on a phone."""
MAX_TEMPLATES = 16
"""The most pictures of the first layer."""
PICTURE_SIDE = 56
"""Recorded templates are averaged down to at most this many pixels per side."""


@dataclass(frozen=True, eq=False)
class Look:
    """The answer to one image with the current weights."""

    scores: np.ndarray
    """float32, shape (K,)."""
    probabilities: np.ndarray
    """float32, shape (K,): softmax of the scores; multi-label: the sigmoid of each."""
    loss: float
    """Of only this image, without label smoothing."""
    slopes: np.ndarray
    """float32, shape (S, C, H, W): what each pixel of the normalised image is multiplied by, for S shown classes."""
    remainders: np.ndarray
    """float32, shape (S,): score minus the sum of pixel times slope; for a single layer its bias."""


def look(model: Classifier, image: Tensor, label: Tensor, shown: tuple[int, ...], loss: Loss) -> Look:
    """How the model, in evaluation mode, answers one image.

    Args:
        image: uint8, shape (1, H, W) or (1, H, W, C).
        label: int64 of shape (1,), or bool of shape (1, K).
        shown: classes whose slopes are computed.
    """
    model.eval()
    x = model.normalised(image).requires_grad_()
    scores = model.scores(x)
    slopes = torch.stack([torch.autograd.grad(scores[0, k], x, retain_graph=True)[0][0] for k in shown])
    scores = scores.detach()
    with torch.no_grad():
        remainders = scores[0, list(shown)] - (slopes * x).flatten(1).sum(dim=1)
        return Look(
            scores=scores[0].numpy(),
            probabilities=probabilities_of(scores, several=label.ndim == 2)[0].numpy(),
            loss=Criterion(loss)(scores, label).item(),
            slopes=slopes.numpy(),
            remainders=remainders.numpy(),
        )


def probabilities_of(scores: Tensor, several: bool) -> Tensor:
    """Probabilities of scores, shape (N, K).

    Args:
        several: whether an image may have several labels, each with its own probability.
    """
    return scores.sigmoid() if several else scores.softmax(dim=1)


def shown_classes(classes: int, wanted: tuple[int, ...], several: bool) -> tuple[int, ...]:
    """The classes with pictures in the story, ascending: all if they are few, otherwise the wanted and the first ones.

    With two classes and one output there is one set of weights: that of the second class.
    """
    if classes == 2 and not several:
        return (1,)
    if classes <= MAX_SHOWN + 2:
        return tuple(range(classes))
    return tuple(sorted(list(dict.fromkeys((*wanted, *range(classes))))[:MAX_SHOWN]))


def templates(model: Classifier, image_shape: tuple[int, ...], shown: tuple[int, ...]) -> np.ndarray:
    """The weights of the first layer as pictures, averaged over the channels.

    A single layer gives one picture per shown class, a hidden layer one for each of the first units, a convolution one
    for each of the first filters.

    Returns:
        float32, shape (M, h, w), h and w at most 56; M is 0 for other first layers, and for a backbone.
    """
    for layer in [] if isinstance(model, FrozenClassifier) else model.network.modules():
        if isinstance(layer, SingleLayer):
            rows = [0] if len(layer.weight) == 1 else list(shown)
            return averaged(_as_images(layer.weight.detach()[rows], image_shape))
        if isinstance(layer, nn.Conv2d):
            return averaged(layer.weight.detach()[:MAX_TEMPLATES])
        if isinstance(layer, nn.Linear):
            return averaged(_as_images(layer.weight.detach()[:MAX_TEMPLATES], image_shape))
    return np.zeros((0, 1, 1), dtype=np.float32)


def averaged(weights: Tensor) -> np.ndarray:
    """Weights as pictures: the mean over the channels, and over neighbours if the picture would be too large.

    Args:
        weights: floats, shape (M, C, H, W).

    Returns:
        float32, shape (M, h, w), h and w at most 56.
    """
    pictures = weights.float().mean(dim=1, keepdim=True)
    height, width = pictures.shape[2:]
    if max(height, width) > PICTURE_SIDE:
        scale = PICTURE_SIDE / max(height, width)
        size = max(1, round(height * scale)), max(1, round(width * scale))
        pictures = functional.adaptive_avg_pool2d(pictures, size)
    return pictures[:, 0].clone().numpy()


def _as_images(weights: Tensor, image_shape: tuple[int, ...]) -> Tensor:
    height, width = image_shape[:2]
    return weights.reshape(len(weights), -1, height, width)  # a flattened image has one channel after the other
