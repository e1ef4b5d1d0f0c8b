"""New examples from old ones: small random rotations, scalings, shears, shifts and bends of a whole batch at once.

The only place where an image is changed, on purpose and on a copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor
from torch.nn import functional

BEND_POINTS = 5
"""Points a side that are pushed at random where an image is bent; between them the push changes smoothly."""
SMALLEST_SIDE = 16
"""Pixels a side to which variants may be shrunk; digits smaller than that lose what tells them apart."""


@dataclass(frozen=True)
class Augmentation:
    """How far a variant may be from its image. Each variant draws its own values, evenly up to these."""

    rotation: float = 0.2
    """Radians; 0.2 is about 11 degrees."""
    scaling: float = 0.1
    shear: float = 0.1
    shift: float = 0.12
    """Of half the side: 1.7 pixels of 28."""
    bend: float = 0.0
    """Of half the side."""
    crop: float = 1.0
    """The share of the side that a variant shows: 6/7 of 28 pixels are 24. The same for all variants, so that a batch
    has one size; the network must take images of any size."""
    growth: tuple[float, ...] = (1.0,)
    """How large variants are, as shares of their full side, in stages of equally many epochs; the last share is 1.
    Smaller images are learned from faster."""

    def size(self, epoch: int, epochs: int, shape: Sequence[int]) -> float:
        """The share of their full side that variants have in an epoch.

        Args:
            epoch: from 1.
            epochs: of the whole fit.
            shape: of an image, (H, W) or (H, W, C); no variant is shrunk to fewer than 16 pixels a side.
        """
        least = min(1.0, SMALLEST_SIDE / (self.crop * min(shape[:2])))
        stage = ceil(epoch * len(self.growth) / epochs)  # so that the last epoch is in the last
        return max(least, self.growth[stage - 1])


def shrunk(x: Tensor, size: float) -> Tensor:
    """Images, float, shape (N, C, H, W), with their sides multiplied by a share, 0 to 1."""
    if size == 1:
        return x
    sides = [round(x.shape[2] * size), round(x.shape[3] * size)]
    return functional.interpolate(x, sides, mode="bilinear", align_corners=False)


def warp(x: Tensor, by: Augmentation, generator: torch.Generator, size: float = 1.0) -> Tensor:
    """A variant of each image under a random map of its own; what comes in from outside repeats the border.

    Args:
        x: float, shape (N, C, H, W); not changed.
        generator: on the CPU, so that every device gets the same variants.
        size: share of its full side that a variant has.

    Returns:
        float, shape (N, C, h, w) with the sides that `crop` leaves, times `size`.
    """
    count, channels, height, width = x.shape
    uniform = (torch.rand(count, 6, generator=generator) * 2 - 1).to(x.device, x.dtype)
    angle = uniform[:, 0] * by.rotation
    scale_x, scale_y = 1 + uniform[:, 1] * by.scaling, 1 + uniform[:, 2] * by.scaling
    shear, shift_x, shift_y = uniform[:, 3] * by.shear, uniform[:, 4] * by.shift, uniform[:, 5] * by.shift
    rows = [
        torch.stack([angle.cos() * scale_x, shear - angle.sin() * scale_y, shift_x], dim=1),
        torch.stack([angle.sin() * scale_x + shear, angle.cos() * scale_y, shift_y], dim=1),
    ]
    shown = max(1, round(height * by.crop)), max(1, round(width * by.crop))
    sides = [max(1, round(side * size)) for side in shown]
    zoom = torch.tensor([shown[1] / width, shown[0] / height, 1.0], device=x.device, dtype=x.dtype)
    grid = functional.affine_grid(torch.stack(rows, dim=1) * zoom, [count, channels, *sides], align_corners=False)
    if by.bend:
        pushes = torch.rand(count, 2, BEND_POINTS, BEND_POINTS, generator=generator) * 2 - 1
        pushes = pushes.to(x.device, x.dtype) * by.bend
        grid = grid + functional.interpolate(pushes, sides, mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
