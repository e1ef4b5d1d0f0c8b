"""Folds batch norms and normalisation into adjacent layers: the same function of real numbers, with fewer operations.

Computed in float64, so that nothing is rounded before the weights are written. Knows nothing of ONNX.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vouch.trainer.learn.networks import Classifier, Linear

FAR = 32.0
"""In scales. A mean further from 0 than this is subtracted separately: folded into sums of raw pixels, it would cost
precision in float32 (at a mean of 250 and a scale of 1, logits were off by 2e-4)."""

Weights = tuple[Tensor, Tensor]
"""Weight and bias of a layer, outputs on the first axis; float64."""


def weights_of(layer: nn.Conv2d | nn.Linear | Linear, following: nn.Module | None = None) -> Weights:
    """Weight and bias of a layer, with the following batch norm folded in, if there is one."""
    weight = layer.weight.detach().double()
    bias = torch.zeros(len(weight), dtype=torch.float64) if layer.bias is None else layer.bias.detach().double()
    if not isinstance(following, nn.BatchNorm1d | nn.BatchNorm2d):
        return weight, bias
    mean, variance = following.running_mean, following.running_var
    assert mean is not None
    assert variance is not None
    factor = following.weight.detach().double() / (variance.double() + following.eps).sqrt()
    bias = following.bias.detach().double() + (bias - mean.double()) * factor
    return weight * factor.view(-1, *[1] * (weight.ndim - 1)), bias


@dataclass(frozen=True)
class Normalisation:
    """(pixel - mean) / scale, both per channel, to be folded into the first layer."""

    mean: Tensor
    """float64, shape (1, C, 1, 1); so is the scale."""
    scale: Tensor
    image_shape: tuple[int, ...]
    """(H, W) or (H, W, C)."""

    @classmethod
    def of(cls, classifier: Classifier, image_shape: tuple[int, ...]) -> "Normalisation":
        """The normalisation of a classifier on the CPU."""
        return cls(classifier.mean.double(), classifier.scale.double(), image_shape)

    @property
    def far(self) -> bool:
        """Whether the mean cannot be folded into a dense layer."""
        return float((self.mean / self.scale).max()) > FAR

    def before(self, convolution: bool) -> Tensor | None:
        """What must still be subtracted from pixels before the first layer; None: nothing.

        Before a convolution it is the mean, shape (1, C, 1, 1): the zero padding around an image stands for pixels of
        this value. Before a dense layer it has the shape (1, H * W * C).
        """
        if convolution:
            return self.mean
        if not self.far:
            return None
        return self.mean.expand(1, -1, *self.image_shape[:2]).permute(0, 2, 3, 1).flatten(1)

    def in_dense(self, weights: Weights) -> Weights:
        """Weights of a dense layer for raw pixels, (H, W, C) flattened; the layer was trained on (C, H, W)."""
        weight = weights[0].view(-1, self.mean.shape[1], *self.image_shape[:2]) / self.scale
        bias = weights[1] if self.far else weights[1] - (weight * self.mean).sum(dim=(1, 2, 3))
        return weight.permute(0, 2, 3, 1).flatten(1), bias

    def in_convolution(self, weights: Weights) -> Weights:
        """Weights of a convolution for pixels minus their mean."""
        return weights[0] / self.scale, weights[1]
