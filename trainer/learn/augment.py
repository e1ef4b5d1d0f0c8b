"""Augmentation: small random maps of a whole batch at once, mirroring, and changes of colour.

The only place where images are changed, on purpose and on a copy. Lengths and angles are those of the picture: a
rotation stays a rotation for any ratio of the sides.
"""

from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from vouch.bundle.training import Augmentation
from vouch.trainer.learn.device import moved

BEND_POINTS = 5
"""Points per side that are moved at random to bend an image; between them the displacement is smooth."""


def of_strength(by: Augmentation, strength: float) -> Augmentation:
    """The same augmentation, weaker: 1 leaves it unchanged, 0 leaves only mirroring and cropping."""
    if strength == 1:
        return by
    names = ("rotation", "scaling", "shear", "shift", "bend", "zoom", "colour")
    return replace(by, **{name: getattr(by, name) * strength for name in names})


def warp(x: Tensor, by: Augmentation, generator: torch.Generator) -> Tensor:
    """A variant of each image under its own random map; places outside the image repeat the border.

    Args:
        x: float32, shape (N, C, H, W), channels of about mean 0 and deviation 1; not changed.
        generator: on the CPU, so that every device gets the same variants.

    Returns:
        float32, shape (N, C, h, w) with sides reduced by `crop`.
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
    """Where each pixel of a variant is taken from, shape (N, h, w, 2), as for `grid_sample`.

    A place is a weighted sum of a few numbers of its variant, with the same weights for all variants: one matrix
    product. `affine_grid` and `interpolate` give the same, but took a tenth of a step of small images.
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
    """Each pixel's x, y and 1, shape (3, h * w): sides go from -1 to 1, and a pixel's place is its centre."""
    rows, columns = ((2 * torch.arange(side, dtype=torch.float32) + 1) / side - 1 for side in size)
    down, across = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([across, down, torch.ones(size)]).flatten(1).to(device)


@lru_cache(maxsize=16)
def _surface(size: tuple[int, int], device: torch.device) -> Tensor:
    """The weight of each moved point at each pixel, shape (BEND_POINTS**2, h * w): a smooth surface."""
    points = torch.eye(BEND_POINTS**2).view(-1, 1, BEND_POINTS, BEND_POINTS)
    return functional.interpolate(points, size, mode="bicubic", align_corners=True).flatten(1).to(device)


def _maps(x: Tensor, by: Augmentation, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """A map for each image from places of the variant to places of the image, shape (N, 2, 3), as for `affine_grid`.

    Args:
        size: of the variants.
    """
    count, _, height, width = x.shape
    uniform = moved(torch.rand(count, 6, generator=generator) * 2 - 1, x.device)
    angle = uniform[:, 0] * by.rotation
    scale_x, scale_y = 1 + uniform[:, 1] * by.scaling, 1 + uniform[:, 2] * by.scaling
    shear, shift_x, shift_y = uniform[:, 3] * by.shear, uniform[:, 4] * by.shift, uniform[:, 5] * by.shift
    # Places are -1 to 1 along either side, so terms from one axis to the other are scaled by the ratio of the sides.
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
    """Random contrast, brightness and, with three channels, saturation."""
    drawn = moved((torch.rand(len(x), 3, 1, 1, 1, generator=generator) * 2 - 1) * colour, x.device)
    middle = x.mean(dim=(1, 2, 3), keepdim=True)
    x = middle + (x - middle) * (1 + drawn[:, 0]) + drawn[:, 1]
    if x.shape[1] == 3:
        grey = x.mean(dim=1, keepdim=True)
        x = grey + (x - grey) * (1 + drawn[:, 2])
    return x
