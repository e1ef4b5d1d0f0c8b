"""How a network looks at one image, in numbers: what it multiplies each pixel by, and the scores that come of it.

A network of layers with bends is, around one image, a multiplication too: its score is the sum of pixel times slope,
and a remainder. For a single layer the slopes are the weights themselves and the remainder is the bias.
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
"""Classes that get a picture of their own; ten fit side by side on a phone."""
MAX_TEMPLATES = 16
"""Pictures of the first layer."""
PICTURE_SIDE = 56
"""Recorded templates are averaged down to at most this many pixels a side."""


@dataclass(frozen=True, eq=False)
class Look:
    """What one image comes to with the weights as they are."""

    scores: np.ndarray
    """float32, shape (K,)."""
    probabilities: np.ndarray
    """float32, shape (K,): softmax of the scores; with several labels an image, the sigmoid of each."""
    loss: float
    """Of this image alone, without label smoothing."""
    slopes: np.ndarray
    """float32, shape (S, C, H, W): what each pixel of the normalised image is multiplied by, for S shown classes."""
    remainders: np.ndarray
    """float32, shape (S,): score less the sum of pixel times slope; for a single layer its bias."""


def look(model: Classifier, image: Tensor, label: Tensor, shown: tuple[int, ...], loss: Loss) -> Look:
    """How the model, in evaluation mode, answers one image.

    Args:
        image: uint8, shape (1, H, W) or (1, H, W, C).
        label: int64 of shape (1,), or bool of shape (1, K).
        shown: classes to give slopes for.
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
    """Shape (N, K), as the scores.

    Args:
        several: whether an image may have several labels, each with a probability of its own.
    """
    return scores.sigmoid() if several else scores.softmax(dim=1)


def shown_classes(classes: int, wanted: tuple[int, ...], several: bool) -> tuple[int, ...]:
    """Classes that the story shows pictures of, ascending: all where they are few, else the wanted and the first ones.

    With two classes and one output there is one set of weights: that of the second class.
    """
    if classes == 2 and not several:
        return (1,)
    if classes <= MAX_SHOWN + 2:
        return tuple(range(classes))
    return tuple(sorted(list(dict.fromkeys((*wanted, *range(classes))))[:MAX_SHOWN]))


def templates(model: Classifier, image_shape: tuple[int, ...], shown: tuple[int, ...]) -> np.ndarray:
    """The weights of the first layer as pictures, averaged over the channels.

    A single layer gives one for each shown class, a layer of units one for each of the first units, a layer of
    convolutions its first filters.

    Returns:
        float32, shape (M, h, w), h and w at most 56; M is 0 where the first layer is of another kind, or a backbone's.
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
    """Weights as pictures: the mean over the channels, and over neighbours where there are more than can be seen.

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
    return weights.reshape(len(weights), -1, height, width)  # a flattened image is its channels one after the other
