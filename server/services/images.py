"""Images of a request as an array, checked against the model's input. Shared by all prediction services."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.wire_format import Serialized
from vouch.server.budget import Hold
from vouch.server.errors import InvalidRequest

QUOTED_SIZES = 8
"""Sizes of a shape shown in an error: a caller's shape may have millions."""


@dataclass(frozen=True)
class Images:
    """Images of a request, counted and checked, but not decoded yet."""

    count: int
    """N."""
    in_place: bool
    """Whether the request contains raw pixels."""
    load: Callable[[Hold], Awaitable[np.ndarray]]
    """Returns them: uint8, shape (N, H, W) or (N, H, W, C). The hold takes the memory for decoding meanwhile. Raises
    InvalidRequest or Overloaded."""


def images_in(pixels: Serialized, shape: Sequence[int], expected: PixelSettings, max_images: int) -> Images:
    """These bytes as images, without a copy. Args and errors as in `raw_images`."""
    images = raw_images(pixels, shape, expected, max_images)

    async def load(_: Hold) -> np.ndarray:
        return images

    return Images(len(images), True, load)


def raw_images(pixels: Serialized, shape: Sequence[int], expected: PixelSettings, max_images: int) -> np.ndarray:
    """The images in these bytes, without a copy.

    Args:
        pixels: one byte per channel, row-major.
        shape: (N, H, W) or (N, H, W, C), as given by the caller.

    Returns:
        uint8, read-only, of that shape.

    Raises:
        InvalidRequest: not the model's shape, no image or too many, or a number of bytes that does not fit the shape.
    """
    check_shape(shape, expected, max_images)
    count = int(np.prod(expected.shape)) * shape[0]
    if len(pixels) != count:
        raise InvalidRequest(f"expected {count:,} bytes of pixels for shape {list(shape)}, got {len(pixels):,}")
    return np.frombuffer(pixels, np.uint8).reshape(tuple(shape))


def check_shape(shape: Sequence[int], expected: PixelSettings, max_images: int) -> None:
    """
    Raises:
        InvalidRequest: not N images of the model's shape, 1 <= N <= max_images.
    """
    if len(shape) != 1 + len(expected.shape) or tuple(shape[1:]) != expected.shape:
        wanted = ", ".join(map(str, expected.shape))
        more = f" and {len(shape) - QUOTED_SIZES:,} more sizes" if len(shape) > QUOTED_SIZES else ""
        raise InvalidRequest(f"expected images of shape [N, {wanted}], got {list(shape[:QUOTED_SIZES])}{more}")
    check_count(shape[0], max_images)


def check_count(images: int, max_images: int) -> None:
    """
    Raises:
        InvalidRequest: no image, or more than a request may have.
    """
    if not 1 <= images <= max_images:
        raise InvalidRequest(f"expected 1 to {max_images:,} images in a request, got {images:,}")
