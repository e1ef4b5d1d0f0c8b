"""What a network takes for an image, counted layer by layer; and how many images can be answered at once for that."""

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
"""Of a batch as floats: converted, normalised, varied. Measured: 3.3 for a linear model on 512 x 512 pixels."""
MEASURE_BATCH = 1024
"""Images that are answered at once where nothing is learned from them, at most."""
MEASURE_BYTES = 128 << 20
"""Of what the layers give for them. A constant: answers differ in their last bits with the size of a batch, and how
much memory there is must not decide about a model."""


@dataclass(frozen=True)
class Demand:
    """What a network takes."""

    weights: int
    """Numbers that the graph holds."""
    input: int
    """Numbers of an image."""
    activations: int
    """Numbers that all layers give for an image, which a step keeps until its end."""
    largest: int
    """The most that a layer gives."""
    multiply_adds: int = 0
    """Of an answer; learning takes about three times as many."""

    def measuring(self) -> int:
        """Bytes for an image where nothing is learned from it: a layer's input and output, beside the image."""
        return FLOAT * (COPIES_OF_INPUT * self.input + 2 * self.largest)

    def measuring_batch(self) -> int:
        """How many images are answered at once."""
        return max(1, min(MEASURE_BATCH, MEASURE_BYTES // self.measuring()))


def demand_of(model: Classifier, image_shape: tuple[int, ...]) -> Demand:
    """Layer by layer, from their shapes; nothing is run, and the weights may be on the meta device.

    Args:
        image_shape: (H, W) or (H, W, C).
    """
    passed = list(_through(model.network, (model.mean.shape[1], *image_shape[:2])))
    sizes = [prod(layer.output) for layer in passed]
    weights = sum(value.numel() for value in model.state_dict().values())
    return Demand(weights, prod(image_shape), sum(sizes), max(sizes), sum(layer.multiply_adds for layer in passed))


@cache
def multiply_adds(kind: ModelKind, image_shape: tuple[int, ...], layers: Layers) -> int:
    """Of a network of this kind, for an image."""
    with torch.device("meta"):
        return demand_of(Classifier(kind, image_shape, 2, layers), image_shape).multiply_adds


@dataclass(frozen=True)
class _Passed:
    """A layer that an image has gone through."""

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
    else:  # value by value
        assert isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.ReLU | nn.Dropout), layer
        yield _Passed(shape)


def _padding(layer: nn.Conv2d) -> tuple[int, int]:
    assert layer.dilation == (1, 1)
    assert not isinstance(layer.padding, str)
    return layer.padding[0], layer.padding[1]


def _slid(side: int, kernel: int, stride: int, padding: int) -> int:
    return (side + 2 * padding - kernel) // stride + 1
