"""What a network takes for an image, counted layer by layer; and how many images can be answered at once for that.

On torch's meta device, which computes shapes and allocates nothing, as on any other.
"""

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

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

    def measuring(self) -> int:
        """Bytes for an image where nothing is learned from it: a layer's input and output, beside the image."""
        return FLOAT * (COPIES_OF_INPUT * self.input + 2 * self.largest)

    def measuring_batch(self) -> int:
        """How many images are answered at once."""
        return max(1, min(MEASURE_BATCH, MEASURE_BYTES // self.measuring()))


@torch.no_grad()
def demand_of(model: nn.Module, image_shape: tuple[int, ...]) -> Demand:
    """Runs the model, in evaluation mode, on a black image, where its weights are.

    Args:
        image_shape: (H, W) or (H, W, C).
    """
    outputs: list[int] = []

    def count(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        outputs.append(output.numel())

    layers = [module for module in model.modules() if not any(module.children())]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    state = model.state_dict().values()
    try:
        device = next(iter(state)).device
        model(torch.zeros((1, *image_shape), dtype=torch.uint8, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    return Demand(sum(value.numel() for value in state), prod(image_shape), sum(outputs), max(outputs))
