"""EfficientNet-Lite0: its layers as a table, and the network in PyTorch for fine-tuning.

The table is the only description: the ONNX graph (graph.py) and the names of the weights (weights.py) are made from it
too. Its source is efficientnet_lite_builder.py in TensorFlow's repository tpu, models/official/efficientnet/lite:
EfficientNet-B0 of "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (Tan and Le 2019, table 1)
with ReLU6 instead of swish and without squeeze-and-excitation. Batch norms are folded into the convolutions: their
statistics never change here.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

SIZE = (224, 224)
"""`efficientnet_lite_params`: the resolution of lite0."""
MEAN, SCALE = 127.0, 128.0
"""`MEAN_RGB` and `STDDEV_RGB` of efficientnet_lite_builder.py, the same for the three colours."""
STEM, LAST = 32, 1280
"""Channels of the first layer and of the last: `fix_head_stem`."""
BLOCKS = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
"""`_DEFAULT_BLOCKS_ARGS`: repeats, kernel, stride of the first repeat, expansion, channels before and after."""

Convolutions = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Weight, shape (after, before or 1, kernel, kernel), and bias, shape (after,), by the name of a layer."""


class Layer(NamedTuple):
    """A convolution with its batch norm."""

    name: str
    norm: str
    """Names of the convolution and the batch norm in the published weights."""
    before: int
    after: int
    kernel: int
    stride: int = 1
    depthwise: bool = False
    """Whether each channel has its own template, without a sum over channels."""
    bends: bool = True
    """Whether ReLU6 follows."""
    opens: bool = False
    """Whether a block begins with it."""
    adds: bool = False
    """Whether the block's input is added to its output."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of its weight."""
        return self.after, 1 if self.depthwise else self.before, self.kernel, self.kernel


def _layers() -> Iterator[Layer]:
    yield Layer("_conv_stem", "_bn0", 3, STEM, kernel=3, stride=2)
    number = 0
    for repeats, kernel, stride, expansion, first, after in BLOCKS:
        for repeat in range(repeats):
            before = after if repeat else first
            yield from _block(f"_blocks.{number}.", before, after, kernel, stride if repeat == 0 else 1, expansion)
            number += 1
    yield Layer("_conv_head", "_bn1", BLOCKS[-1][-1], LAST, kernel=1)


def _block(name: str, before: int, after: int, kernel: int, stride: int, expansion: int) -> Iterator[Layer]:
    """An inverted residual: a wide 1 x 1 convolution, a depthwise one, and a narrow 1 x 1 one."""
    wide = before * expansion
    if expansion > 1:
        yield Layer(f"{name}_expand_conv", f"{name}_bn0", before, wide, kernel=1, opens=True)
    yield Layer(f"{name}_depthwise_conv", f"{name}_bn1", wide, wide, kernel, stride, True, opens=expansion == 1)
    adds = stride == 1 and before == after
    yield Layer(f"{name}_project_conv", f"{name}_bn2", wide, after, kernel=1, bends=False, adds=adds)


LAYERS = tuple(_layers())


def _given() -> Iterator[int]:
    """Rows of the last layer, and of earlier ones that end a block and have the same number of places."""
    halved = max(row for row, layer in enumerate(LAYERS) if layer.stride > 1)
    yield len(LAYERS) - 1
    yield from (row for row in range(halved, len(LAYERS)) if not LAYERS[row].bends)


GIVEN = tuple(_given())
"""Rows of the table whose means over all places are the features, the last layer's first."""
EARLIER = sum(LAYERS[row].after for row in GIVEN[1:])
"""Features that are not of the last layer: 1,088."""
FEATURES = LAST + EARLIER


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zero pixels before and after, as TensorFlow's padding "same": the odd one is added at the end.

    https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    """
    outputs = -(-side // stride)
    total = max(0, (outputs - 1) * stride + kernel - side)
    return total // 2, total - total // 2


class Same(nn.Conv2d):
    """A convolution with TensorFlow's padding "same": the output side is the input side / stride, rounded up."""

    def forward(self, x: Tensor) -> Tensor:
        """
        Args:
            x: shape (N, C, H, W), of any size.
        """
        top, bottom = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
        return super().forward(functional.pad(x, (left, right, top, bottom)))


class Lite0(nn.Module):
    """The network in PyTorch, with weights that may change."""

    def __init__(self, convolutions: Convolutions) -> None:
        """
        Args:
            convolutions: of every layer; copied.
        """
        super().__init__()
        made = []
        for layer in LAYERS:
            groups = layer.before if layer.depthwise else 1
            module = Same(layer.before, layer.after, layer.kernel, layer.stride, groups=groups)
            weight, bias = convolutions[layer.name]
            assert module.bias is not None
            with torch.no_grad():
                module.weight.copy_(torch.from_numpy(weight))
                module.bias.copy_(torch.from_numpy(bias))
            made.append(module)
        self.layers = nn.Sequential(*made)
        """In the order of the table; run by `places`, because blocks add their input."""

    def places(self, x: Tensor) -> Tensor:
        """The features of the last layer at each place, followed by those of earlier layers.

        Args:
            x: (pixels - `MEAN`) / `SCALE`: float32, shape (N, 3, H, W).

        Returns:
            shape (N, 2368, H / 32, W / 32), rounded up.
        """
        kept, given = x, []
        for row, (layer, module) in enumerate(zip(LAYERS, self.layers, strict=True)):
            kept = x if layer.opens else kept
            x = module(x)
            x = functional.relu6(x) if layer.bends else x
            x = x + kept if layer.adds else x
            if row in GIVEN:
                given.append(x)
        return torch.cat([given[-1], *given[:-1]], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Features, shape (N, 2368): the mean over all places; argument as `places`."""
        return self.places(x).mean(dim=(2, 3))

    def convolutions(self) -> Convolutions:
        """The current weights, for the graph."""
        values = [part.detach().cpu().numpy().copy() for part in self.layers.parameters()]
        return {layer.name: (values[2 * row], values[2 * row + 1]) for row, layer in enumerate(LAYERS)}
