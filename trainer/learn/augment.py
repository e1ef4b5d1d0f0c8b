"""New examples from old ones: small random rotations, scalings, shears, shifts and bends of a whole batch at once.

The only place where an image is changed, on purpose and on a copy.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vouch.bundle.training import Augmentation
from vouch.trainer.learn.device import moved

BEND_POINTS = 5
"""Points a side that are pushed at random where an image is bent; between them the push changes smoothly."""


class Variants:
    """The variants that a fit learns from."""

    def __init__(self, augment: Augmentation | None) -> None:
        """
        Args:
            augment: how far they may be from their images; None: the images are learned as they are.
        """
        self._augment = augment
        self.strength = 1.0
        """What of it is applied, from 0 to 1."""

    def of(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A variant of each image; arguments and result as `warp` has them."""
        return warp(x, self._augment, generator) if self._augment else x

    def end_epoch(
        self,
        answers: Callable[[Tensor], Tensor],
        sample: Callable[[int], tuple[Tensor, Tensor]],
        generator: torch.Generator,
    ) -> str:
        """May change the strength, by what the network answers to images and to their variants.

        Args:
            answers: logits, shape (n, K), for images as `of` takes them, in evaluation mode.
            sample: draws n fit images by the generator: images as `of` takes them, and their labels.

        Returns:
            a sentence to be said where something changed, else nothing.
        """
        return ""

    def state_dict(self) -> dict[str, Any]:
        """All that the next epoch builds on."""
        return {"strength": self.strength}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there."""
        self.strength = state["strength"]


def warp(x: Tensor, by: Augmentation, generator: torch.Generator) -> Tensor:
    """A variant of each image under a random map of its own; what comes in from outside repeats the border.

    Args:
        x: float32, shape (N, C, H, W); not changed.
        generator: on the CPU, so that every device gets the same variants.

    Returns:
        float32, shape (N, C, h, w) with the sides that `crop` leaves.
    """
    count, channels, height, width = x.shape
    uniform = moved(torch.rand(count, 6, generator=generator) * 2 - 1, x.device)
    angle = uniform[:, 0] * by.rotation
    scale_x, scale_y = 1 + uniform[:, 1] * by.scaling, 1 + uniform[:, 2] * by.scaling
    shear, shift_x, shift_y = uniform[:, 3] * by.shear, uniform[:, 4] * by.shift, uniform[:, 5] * by.shift
    rows = [
        torch.stack([angle.cos() * scale_x, shear - angle.sin() * scale_y, shift_x], dim=1),
        torch.stack([angle.sin() * scale_x + shear, angle.cos() * scale_y, shift_y], dim=1),
    ]
    size = [count, channels, max(1, round(height * by.crop)), max(1, round(width * by.crop))]
    zoom = moved(torch.tensor([size[3] / width, size[2] / height, 1.0]), x.device)
    grid = functional.affine_grid(torch.stack(rows, dim=1) * zoom, size, align_corners=False)
    if by.bend:
        pushes = torch.rand(count, 2, BEND_POINTS, BEND_POINTS, generator=generator) * 2 - 1
        pushes = moved(pushes, x.device) * by.bend
        grid = grid + functional.interpolate(pushes, size[2:], mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
