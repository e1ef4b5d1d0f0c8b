"""Arrays as pictures in the page: images unchanged, and weights in two colours.

Weights are drawn with transparency, so that 0 has the colour of the page, light or dark.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from PIL import Image

from vouch.trainer.report.encoding import MAX_PHOTO_BYTES, SMALL_SIDE, jpeg_uri, png_uri

LARGEST_SIDE = 224
WEIGHTS_SIDE = 64
THUMBNAIL_SIDE, PHOTO_THUMBNAIL_SIDE = 40, 72
"""Pixels of a thumbnail's longer side; photographs need more to be recognisable."""
FOR, AGAINST = (224, 96, 0), (36, 112, 220)
"""Colours of positive and negative weights: orange and blue, distinguishable with any kind of colour vision."""


@dataclass(frozen=True)
class Tile:
    """A picture with its size and captions."""

    uri: str
    alt: str
    """Alternative text."""
    width: int
    """CSS pixels."""
    height: int
    caption: str = ""
    note: str = ""


def image_tile(image: np.ndarray, alt: str, side: int, caption: str = "", note: str = "") -> Tile:
    """An image as `image_uri` takes it, about this many CSS pixels per side."""
    width, height = shown_size(image.shape[0], image.shape[1], side)
    return Tile(image_uri(image, min(LARGEST_SIDE, 2 * side)), alt, width, height, caption, note)


def weights_tile(weights: np.ndarray, limit: float, alt: str, side: int, caption: str = "", note: str = "") -> Tile:
    """Weights as `weights_uri` takes them, about this many CSS pixels per side."""
    width, height = shown_size(weights.shape[0], weights.shape[1], side)
    return Tile(weights_uri(weights, limit), alt, width, height, caption, note)


@dataclass(frozen=True)
class MappedTile:
    """An image with a map of where a score came from over it."""

    image: Tile
    heat: str
    """The map's URI; the page stretches it over the image."""


def mapped_tile(image: np.ndarray, parts: np.ndarray, limit: float, side: int, words: tuple[str, str]) -> MappedTile:
    """An image with a map.

    Args:
        image: as `image_uri` takes it.
        parts: how much each place contributes to a class, shape (h, w).
        limit: the absolute value that gets full colour.
        side: about this many CSS pixels.
        words: caption and note.
    """
    width, height = shown_size(image.shape[0], image.shape[1], side)
    alt = f"the image with a map of the places that count: {', '.join(filter(None, words))}"
    return MappedTile(Tile(image_uri(image, side), alt, width, height, *words), weights_uri(parts, limit))


def image_uri(image: np.ndarray, largest_side: int = LARGEST_SIDE) -> str:
    """An image, reduced if it is larger than this; a photograph takes at most 16 kB.

    Args:
        image: uint8, shape (H, W) or (H, W, C): one channel is grey, of two channels the mean is shown, of four the
            first three.
    """
    picture = _fitted(_visible(image), largest_side)
    return jpeg_uri(picture, MAX_PHOTO_BYTES) if is_photograph(image.shape) else png_uri(picture)


def is_photograph(shape: tuple[int, ...]) -> bool:
    """Whether images of this shape, (H, W) or (H, W, C), are so large that single pixels do not matter."""
    return max(shape[:2]) > SMALL_SIDE


def weights_uri(weights: np.ndarray, limit: float) -> str:
    """Weights as a picture: orange for positive, blue for negative, transparent for 0.

    Args:
        weights: floats, shape (H, W).
        limit: the absolute value that gets full colour.
    """
    levels = np.zeros(weights.shape) if limit == 0 else np.clip(weights / limit, -1, 1)
    picture = _fitted(Image.fromarray(np.round(levels * 127 + 127).astype(np.uint8)), WEIGHTS_SIDE)
    strengths = np.abs(np.arange(255) - 127) / 127
    return _two_coloured(picture, [FOR if level >= 127 else AGAINST for level in range(255)], strengths)


def counts_uri(counts: np.ndarray) -> str:
    """Counts as a picture: transparent for 0, full colour for the largest, on a square-root scale.

    Args:
        counts: not negative, shape (H, W).
    """
    levels = np.sqrt(counts / max(1.0, float(counts.max())))
    picture = Image.fromarray(np.round(levels * 255).astype(np.uint8))
    return _two_coloured(picture, [FOR] * 256, np.arange(256) / 255)


class Sheet:
    """Many thumbnails in one picture, of which the page shows one part at a time."""

    def __init__(self, images: Iterable[np.ndarray]) -> None:
        """
        Args:
            images: uint8, shape (H, W) or (H, W, C), all of one shape.
        """
        thumbnails, photographs = [], False
        for image in images:
            photographs = is_photograph(image.shape)
            side = PHOTO_THUMBNAIL_SIDE if photographs else THUMBNAIL_SIDE
            thumbnails.append(_fitted(_visible(image), side))
        self.count = len(thumbnails)
        self.width, self.height = thumbnails[0].size if thumbnails else (1, 1)
        self.columns = max(1, ceil(sqrt(self.count)))
        self.rows = max(1, ceil(self.count / self.columns))
        mode = thumbnails[0].mode if thumbnails else "L"
        whole = Image.new(mode, (self.columns * self.width, self.rows * self.height))
        for number, thumbnail in enumerate(thumbnails):
            row, column = divmod(number, self.columns)
            whole.paste(thumbnail, (column * self.width, row * self.height))
        self.uri = jpeg_uri(whole) if photographs else png_uri(whole)


def shown_size(height: int, width: int, wanted: int) -> tuple[int, int]:
    """Width and height in CSS pixels that are about as large as wanted; small images are enlarged by whole factors."""
    side = max(height, width)
    factor = max(1, round(wanted / side)) if side <= wanted else wanted / side
    return max(1, round(width * factor)), max(1, round(height * factor))


def _two_coloured(levels: Image.Image, colours: list[tuple[int, int, int]], strengths: np.ndarray) -> str:
    """A picture with each level in its colour, with this opacity (0 to 1)."""
    indexed = Image.frombytes("P", levels.size, levels.tobytes())
    indexed.putpalette([value for colour in colours for value in colour])
    return png_uri(indexed, transparency=bytes(np.round(strengths * 255).astype(np.uint8)))


def _visible(image: np.ndarray) -> Image.Image:
    if image.ndim == 2:
        return Image.fromarray(image)
    channels = image.shape[2]
    if channels < 3:
        return Image.fromarray(image.mean(axis=2).round().astype(np.uint8))
    return Image.fromarray(np.ascontiguousarray(image[..., :3]))


def _fitted(picture: Image.Image, largest_side: int) -> Image.Image:
    scale = largest_side / max(picture.size)
    if scale >= 1:
        return picture
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)
