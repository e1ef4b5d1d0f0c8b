"""New examples from old ones: small random rotations, scalings, shears and shifts of a whole batch at once.

The only place where an image is changed, on purpose and on a copy.
"""

import torch
from torch import Tensor
from torch.nn import functional

MAX_ROTATION = 0.2  # radians, about 11 degrees
MAX_SCALING = 0.1
MAX_SHEAR = 0.1
MAX_SHIFT = 0.12  # of half the side: 1.7 pixels of 28


def warp(x: Tensor, generator: torch.Generator) -> Tensor:
    """A variant of each image under a random affine map of its own; what comes in from outside repeats the border.

    Args:
        x: float, shape (N, C, H, W); not changed.
        generator: on the CPU, so that every device gets the same variants.
    """
    uniform = (torch.rand(len(x), 6, generator=generator) * 2 - 1).to(x.device, x.dtype)
    angle = uniform[:, 0] * MAX_ROTATION
    scale_x, scale_y = 1 + uniform[:, 1] * MAX_SCALING, 1 + uniform[:, 2] * MAX_SCALING
    shear, shift_x, shift_y = uniform[:, 3] * MAX_SHEAR, uniform[:, 4] * MAX_SHIFT, uniform[:, 5] * MAX_SHIFT
    rows = [
        torch.stack([angle.cos() * scale_x, shear - angle.sin() * scale_y, shift_x], dim=1),
        torch.stack([angle.sin() * scale_x + shear, angle.cos() * scale_y, shift_y], dim=1),
    ]
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
