"""New examples from old ones: small random rotations, scalings, shears, shifts and bends of a whole batch at once.

The only place where an image is changed, on purpose and on a copy.
"""

import torch
from torch import Tensor
from torch.nn import functional

from vouch.bundle.training import Augmentation

BEND_POINTS = 5
"""Points a side that are pushed at random where an image is bent; between them the push changes smoothly."""


def warp(x: Tensor, by: Augmentation, generator: torch.Generator) -> Tensor:
    """A variant of each image under a random map of its own; what comes in from outside repeats the border.

    Args:
        x: float, shape (N, C, H, W); not changed.
        generator: on the CPU, so that every device gets the same variants.

    Returns:
        float, shape (N, C, h, w) with the sides that `crop` leaves.
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
    size = [count, channels, max(1, round(height * by.crop)), max(1, round(width * by.crop))]
    zoom = torch.tensor([size[3] / width, size[2] / height, 1.0], device=x.device, dtype=x.dtype)
    grid = functional.affine_grid(torch.stack(rows, dim=1) * zoom, size, align_corners=False)
    if by.bend:
        pushes = torch.rand(count, 2, BEND_POINTS, BEND_POINTS, generator=generator) * 2 - 1
        pushes = pushes.to(x.device, x.dtype) * by.bend
        grid = grid + functional.interpolate(pushes, size[2:], mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
