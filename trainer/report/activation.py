"""Maps of where in an image a score came from; exact if the last layer is linear on means over all places.

The score is the sum over all places of weight times feature, divided by the number of places, plus a bias: class
activation mapping (Zhou and others, Learning Deep Features for Discriminative Localization, CVPR 2016,
https://arxiv.org/abs/1512.04150). For other networks there is no exact map, and none is shown.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from vouch.trainer.learn.backbone.features import places
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.networks import Classifier, Linear


@dataclass(frozen=True, eq=False)
class Places:
    """The features at each place of some images, and the last layer's weights."""

    found: np.ndarray
    """float32, shape (N, D, h, w): scaled like the layer's input."""
    weights: np.ndarray
    """float32, shape (O, D); one output for two classes."""
    biases: np.ndarray
    """float32, shape (O,)."""
    two: bool
    """Whether the one output is the second class's score; with the opposite sign it is used for the first."""

    def parts(self, row: int, k: int) -> np.ndarray:
        """How much each place of an image contributes to class k: float32, shape (h, w). With the bias they sum to its
        score; for the first of two classes, to the negative score of the second.
        """
        output, sign = (0, 2 * k - 1) if self.two else (k, 1)
        found = self.found[row]
        spoken: np.ndarray = sign * np.einsum("d,dhw->hw", self.weights[output], found) / found[0].size
        return spoken

    def bias(self, k: int) -> float:
        """The bias that is added to the parts."""
        return float((2 * k - 1) * self.biases[0] if self.two else self.biases[k])


@torch.no_grad()
def places_of(classifier: Classifier, images: np.ndarray) -> Places | None:
    """The features of a classifier at each place; None if its score is not a sum over places.

    Args:
        classifier: fitted, on the CPU, in evaluation mode.
        images: uint8, shape (N, H, W) or (N, H, W, C): only a few, because the result is large.
    """
    if isinstance(classifier, FrozenClassifier):
        if not classifier.backbone.has_places:
            return None
        raw = places(classifier.backbone, images)
        mean, scale = (values.numpy()[None, :, None, None] for values in (classifier.mean, classifier.scale))
        return _places((raw - mean) / scale, classifier.head, classifier)
    before = _before_the_mean(classifier.network)
    if before is None:
        return None
    layers, last = before
    found: torch.Tensor = layers(classifier.normalised(torch.from_numpy(images)))
    return _places(found.numpy(), last, classifier)


def _places(found: np.ndarray, last: nn.Linear | Linear, classifier: Classifier) -> Places:
    weights, biases = (values.detach().numpy() for values in (last.weight, last.bias))
    return Places(found, weights, biases, len(weights) == 1 and classifier.task == "single_label")


def _before_the_mean(network: nn.Module) -> tuple[nn.Sequential, nn.Linear] | None:
    """The layers before the mean over all places, and the last layer; None if the network has no such mean."""
    layers = [layer for layer in network.children() if not isinstance(layer, nn.Flatten | nn.Dropout)]
    if not isinstance(network, nn.Sequential) or len(layers) < 3:
        return None
    *before, pool, last = layers
    if (
        not isinstance(last, nn.Linear)
        or not isinstance(pool, nn.AdaptiveAvgPool2d)
        or pool.output_size not in (1, (1, 1))
    ):
        return None
    return nn.Sequential(*before), last
