"""How a picture is fitted into the model's image: stretched, cropped to the middle, or padded.

Computed in whole pixels with integers, so that every machine gets the same result. Loads no image library.
"""

from dataclasses import dataclass
from math import gcd

from vouch.bundle.images.parts import ImageParts
from vouch.bundle.pixel_settings import SCALED_RULES, PixelSettings

Box = tuple[int, int, int, int]
"""Left, upper, right and lower edge."""
ON_SIDE = (5, 6, 7, 8)
"""Orientations that swap height and width, by EXIF's numbers."""
FRACTIONS = (8, 4, 2)
"""JPEG files can be decoded at 1/8, 1/4 or 1/2 of their size."""
LEFT = 2
"""The reduced picture has at least this multiple of the final size: the resize is more precise than the reduction."""


@dataclass(frozen=True)
class Placement:
    """A part of a picture, and its place in the image."""

    part: Box
    """Box in the upright picture."""
    place: Box
    """Box in the model's image; around it is only ground."""

    @property
    def part_size(self) -> tuple[int, int]:
        """Width and height of the part."""
        return _size(self.part)

    @property
    def place_size(self) -> tuple[int, int]:
        """Width and height of the part in the model's image."""
        return _size(self.place)


def placement(width: int, height: int, settings: PixelSettings) -> Placement:
    """How a picture of this size is placed.

    stretch: the whole picture fills the whole image.
    crop: the largest part with the image's proportions, from the middle, fills the whole image.
    pad: the whole picture, as large as possible with its own proportions, is in the middle of the image.

    A side computed from the proportions is rounded to the nearest pixel, a half up, and is never 0. If the rest is
    odd, the part or the place is half a pixel further to the left or to the top.
    """
    wide = width * settings.height > height * settings.width
    part, place = (width, height), (settings.width, settings.height)
    if settings.fit == "crop":
        if wide:
            part = (min(width, _in_proportion(height, settings.width, settings.height)), height)
        else:
            part = (width, min(height, _in_proportion(width, settings.height, settings.width)))
    if settings.fit == "pad":
        if wide:
            place = (settings.width, _in_proportion(settings.width, height, width))
        else:
            place = (_in_proportion(settings.height, width, height), settings.height)
    return Placement(_centred(part, (width, height)), _centred(place, (settings.width, settings.height)))


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Width and height of a picture of this size after rotating it upright."""
    return (height, width) if orientation in ON_SIDE else (width, height)


def fraction(parts: ImageParts, settings: PixelSettings) -> int:
    """The divisor of a picture's sides while it is decoded, 1, 2, 4 or 8. For a JPEG file the largest with which each
    side of the used part stays at least twice its final length, and that divides both sides without rest: libjpeg
    rounds up, which would stretch the picture.
    """
    if parts.kind != "JPEG" or settings.rules < SCALED_RULES:
        return 1
    placed = placement(*upright_size(parts.width, parts.height, parts.orientation), settings)
    times = min(old // (LEFT * new) for old, new in zip(placed.part_size, placed.place_size, strict=True))
    whole = gcd(parts.width, parts.height)
    return next((each for each in FRACTIONS if each <= times and whole % each == 0), 1)


def _in_proportion(side: int, new: int, old: int) -> int:
    """This side times new / old, rounded to the nearest whole number, a half up, at least 1."""
    return max(1, (2 * side * new + old) // (2 * old))


def _centred(inner: tuple[int, int], outer: tuple[int, int]) -> Box:
    left, upper = (outer[0] - inner[0]) // 2, (outer[1] - inner[1]) // 2
    return left, upper, left + inner[0], upper + inner[1]


def _size(box: Box) -> tuple[int, int]:
    left, upper, right, lower = box
    return right - left, lower - upper
