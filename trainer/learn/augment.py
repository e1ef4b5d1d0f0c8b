"""New examples from old ones: small random maps of a whole batch at once, mirroring, and changes of colour.

The only place where an image is changed, on purpose and on a copy. Lengths and angles are those of the picture: a
rotation is one at any ratio of its sides.
"""

from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from vouch.bundle.training import Augmentation
from vouch.trainer.learn.device import moved

BEND_POINTS = 5
"""Points a side that are pushed at random where an image is bent; between them the push changes smoothly."""


def of_strength(by: Augmentation, strength: float) -> Augmentation:
    """The same with variants nearer to their images: 1 leaves it as it is, 0 leaves only mirroring and cropping."""
    if strength == 1:
        return by
    names = ("rotation", "scaling", "shear", "shift", "bend", "zoom", "colour")
    return replace(by, **{name: getattr(by, name) * strength for name in names})


def warp(x: Tensor, by: Augmentation, generator: torch.Generator) -> Tensor:
    """A variant of each image under a random map of its own; what comes in from outside repeats the border.

    Args:
        x: float32, shape (N, C, H, W), channels of about mean 0 and deviation 1; not changed.
        generator: on the CPU, so that every device gets the same variants.

    Returns:
        float32, shape (N, C, h, w) with the sides that `crop` leaves.
    """
    count, channels, height, width = x.shape
    size = [count, channels, max(1, round(height * by.crop)), max(1, round(width * by.crop))]
    grid = _places(x, by, (size[2], size[3]), generator)
    if by.flip:
        mirrored = moved(torch.rand(count, generator=generator) < 0.5, x.device)
        grid = torch.where(mirrored[:, None, None, None], grid.flip(2), grid)
    variants = functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return _recoloured(variants, by.colour, generator) if by.colour else variants


def _places(x: Tensor, by: Augmentation, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Where each pixel of a variant is taken from, shape (N, h, w, 2), as `grid_sample` has it.

    A place is a weighted sum of few numbers of its variant, with the same weights for all variants: one product of
    matrices. `affine_grid` and `interpolate` give the same, and took a tenth of a step of small images.
    """
    count = len(x)
    numbers, weights = [_maps(x, by, size, generator)], [_plane(size, x.device)]
    if by.bend:
        pushes = torch.rand(count, 2, BEND_POINTS**2, generator=generator) * 2 - 1
        numbers.append(moved(pushes, x.device) * by.bend)
        weights.append(_surface(size, x.device))
    places = torch.cat(numbers, dim=2).flatten(0, 1) @ torch.cat(weights)
    return places.view(count, 2, *size).permute(0, 2, 3, 1)


@lru_cache(maxsize=16)
def _plane(size: tuple[int, int], device: torch.device) -> Tensor:
    """Each pixel's x, its y and 1, shape (3, h * w): sides go from -1 to 1, pixels are in the middle of theirs."""
    rows, columns = ((2 * torch.arange(side, dtype=torch.float32) + 1) / side - 1 for side in size)
    down, across = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([across, down, torch.ones(size)]).flatten(1).to(device)


@lru_cache(maxsize=16)
def _surface(size: tuple[int, int], device: torch.device) -> Tensor:
    """What each point that is pushed counts at each pixel, shape (BEND_POINTS**2, h * w): a smooth surface."""
    points = torch.eye(BEND_POINTS**2).view(-1, 1, BEND_POINTS, BEND_POINTS)
    return functional.interpolate(points, size, mode="bicubic", align_corners=True).flatten(1).to(device)


def _maps(x: Tensor, by: Augmentation, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """A map for each image from places of the variant to places of the image, shape (N, 2, 3), as `affine_grid` has it.

    Args:
        size: of the variants.
    """
    count, _, height, width = x.shape
    uniform = moved(torch.rand(count, 6, generator=generator) * 2 - 1, x.device)
    angle = uniform[:, 0] * by.rotation
    scale_x, scale_y = 1 + uniform[:, 1] * by.scaling, 1 + uniform[:, 2] * by.scaling
    shear, shift_x, shift_y = uniform[:, 3] * by.shear, uniform[:, 4] * by.shift, uniform[:, 5] * by.shift
    # Places are -1 to 1 along either side, so what goes from one axis to the other is in proportion to the sides.
    across, down = height / width, width / height
    rows = [
        torch.stack([angle.cos() * scale_x, (shear - angle.sin() * scale_y) * across, shift_x], dim=1),
        torch.stack([(angle.sin() * scale_x + shear) * down, angle.cos() * scale_y, shift_y], dim=1),
    ]
    zoom = moved(torch.tensor([size[1] / width, size[0] / height, 1.0]), x.device)
    maps = torch.stack(rows, dim=1) * zoom
    if by.zoom:
        drawn = moved(torch.rand(count, 3, generator=generator), x.device)
        shown = 1 - by.zoom * drawn[:, :1, None]
        places = (1 - shown[:, 0]) * (drawn[:, 1:] * 2 - 1)
        maps = torch.cat([maps[:, :, :2] * shown, maps[:, :, 2:] + places[:, :, None]], dim=2)
    return maps


def _recoloured(x: Tensor, colour: float, generator: torch.Generator) -> Tensor:
    """Other contrast, brightness and, of three channels, saturation."""
    drawn = moved((torch.rand(len(x), 3, 1, 1, 1, generator=generator) * 2 - 1) * colour, x.device)
    middle = x.mean(dim=(1, 2, 3), keepdim=True)
    x = middle + (x - middle) * (1 + drawn[:, 0]) + drawn[:, 1]
    if x.shape[1] == 3:
        grey = x.mean(dim=1, keepdim=True)
        x = grey + (x - grey) * (1 + drawn[:, 2])
    return x
