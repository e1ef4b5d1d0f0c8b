"""The memory and work that a network needs for an image, counted layer by layer; and the batch size for measuring."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import prod

import torch
from torch import nn

from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn.backbone.lite0 import FEATURES, Lite0, Same
from vouch.trainer.learn.networks import Classifier, Layers, Linear

FLOAT = 4
"""Bytes."""
COPIES_OF_INPUT = 3
"""Copies of a batch as floats: converted, normalised, augmented. Measured: 3.3 for a linear model on 512 x 512."""
MEASURE_BATCH = 1024
"""Largest batch for answers that nothing is learned from."""
MEASURE_BYTES = 128 << 20
"""Memory for the layers' outputs in such a batch. A constant: the last bits of answers depend on the batch size, and a
model must not depend on the available memory."""


@dataclass(frozen=True)
class Demand:
    """What a network needs, in numbers, not bytes."""

    weights: int
    """Weights of the graph."""
    input: int
    """Values of an image."""
    activations: int
    """Outputs of all layers for an image, which a step keeps until its end."""
    largest: int
    """Outputs of the largest layer."""
    multiply_adds: int = 0
    """Of one answer; learning takes about three times as many."""

    def measuring(self) -> int:
        """Bytes for an image without learning: a layer's input and output, and the image."""
        return FLOAT * (COPIES_OF_INPUT * self.input + 2 * self.largest)

    def measuring_batch(self) -> int:
        """Batch size for measuring."""
        return max(1, min(MEASURE_BATCH, MEASURE_BYTES // self.measuring()))


def demand_of(model: Classifier, image_shape: tuple[int, ...]) -> Demand:
    """Counts layer by layer, from their shapes; nothing is run, and the weights may be on the meta device.

    Args:
        image_shape: (H, W) or (H, W, C).
    """
    passed = list(_through(model.network, (model.mean.shape[1], *image_shape[:2])))
    sizes = [prod(layer.output) for layer in passed]
    weights = sum(value.numel() for value in model.state_dict().values())
    return Demand(weights, prod(image_shape), sum(sizes), max(sizes), sum(layer.multiply_adds for layer in passed))


@cache
def multiply_adds(kind: ModelKind, image_shape: tuple[int, ...], layers: Layers) -> int:
    """Multiply-adds of a network of this kind, for one image."""
    with torch.device("meta"):
        return demand_of(Classifier(kind, image_shape, 2, layers), image_shape).multiply_adds


@dataclass(frozen=True)
class _Passed:
    """A layer that an image has passed."""

    output: tuple[int, ...]
    """(C, H, W) or (features,)."""
    multiply_adds: int = 0


def _through(layer: nn.Module, shape: tuple[int, ...]) -> Iterator[_Passed]:
    """The layers in it, in order, for values of this shape."""
    if isinstance(layer, nn.Sequential):
        for inner in layer:
            for passed in _through(inner, shape):
                yield passed
                shape = passed.output
    elif isinstance(layer, Lite0):
        *found, last = _through(layer.layers, shape)
        yield from [*found, last, _Passed((FEATURES,))]
    elif isinstance(layer, Same):
        output = (
            layer.out_channels,
            *(-(-side // stride) for side, stride in zip(shape[1:], layer.stride, strict=True)),
        )
        yield _Passed(output, prod(output) * layer.weight[0].numel())
    elif isinstance(layer, nn.Conv2d):
        output = (layer.out_channels, *map(_slid, shape[1:], layer.kernel_size, layer.stride, _padding(layer)))
        yield _Passed(output, prod(output) * layer.weight[0].numel())
    elif isinstance(layer, nn.Linear | Linear):
        yield _Passed((len(layer.weight),), layer.weight.numel())
    elif isinstance(layer, nn.Flatten):
        yield _Passed((prod(shape),))
    elif isinstance(layer, nn.AdaptiveMaxPool2d | nn.AdaptiveAvgPool2d):
        assert layer.output_size == 1
        yield _Passed((shape[0], 1, 1))
    else:  # element-wise
        assert isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.ReLU | nn.Dropout), layer
        yield _Passed(shape)


def _padding(layer: nn.Conv2d) -> tuple[int, int]:
    assert layer.dilation == (1, 1)
    assert not isinstance(layer.padding, str)
    return layer.padding[0], layer.padding[1]


def _slid(side: int, kernel: int, stride: int, padding: int) -> int:
    return (side + 2 * padding - kernel) // stride + 1
