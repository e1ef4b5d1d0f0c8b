"""The shape of the images in a table of pixels: from the user, from the columns' names, or a square. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vouch.sources.errors import SourceError
from vouch.sources.labels import shape_text
from vouch.sources.table_columns import channel_in, numbers_in
from vouch.sources.wanted import Wanted

MOST_CHANNELS = 4


@dataclass(frozen=True, eq=False)
class TableShape:
    """The shape of an image, and the order of its values in a line."""

    shape: tuple[int, ...]
    """(H, W) or (H, W, C)."""
    order: np.ndarray | None = None
    """Positions in the line of the image's values, row by row with channels last; None: the same order."""
    note: str = ""
    """A note on the choice, if there were several ways."""

    def of(self, lines: np.ndarray) -> np.ndarray:
        """The images in these lines of shape (N, P)."""
        return (lines if self.order is None else lines[:, self.order]).reshape(len(lines), *self.shape)


def shape_of(where: str, count: int, names: Sequence[str], wanted: Wanted) -> TableShape:
    """The shape of images with this many values.

    Args:
        where: the file's name in messages.
        names: of the columns; empty if they are not named one by one.
        wanted: size, channels and layout, as far as they are known.

    Raises:
        SourceError: the shape is unknown, or the wanted one needs another number of values.
    """
    if {"r", "g", "b"} <= set(map(channel_in, names)):
        return _by_channel(where, names, wanted)
    named = _of_grid(_grid(names))
    if named and wanted.size in (None, named.shape[:2]) and wanted.channels in (0, *(named.shape[2:] or (1,))):
        return named
    channels, (height, width) = _size(where, count, wanted)
    if channels == 1:
        return TableShape((height, width))
    planes = wanted.layout == "nchw"
    said = "one plane after the other" if planes else "the values of a pixel side by side"
    other = "" if wanted.layout else "; --layout nchw for one plane after the other"
    note = f"{shape_text((height, width))} pixels with {channels} channels, {said}{other}"
    return TableShape((height, width, channels), _of_planes(height * width, channels) if planes else None, note)


def _size(where: str, count: int, wanted: Wanted) -> tuple[int, tuple[int, int]]:
    """Channels, and height and width."""
    if count < 1:
        raise SourceError(f"{where} has only one column; expected a label, then the pixels, separated by commas")
    for channels in (wanted.channels,) if wanted.channels else (1, 3):
        side = math.isqrt(count // channels)
        height, width = wanted.size or (side, side)
        if height * width * channels == count and (height * width > 1 or channels == 1 or wanted.channels):
            return channels, (height, width)
    told = f"--size {wanted.size[0]}x{wanted.size[1]}" if wanted.size else ""
    if wanted.channels > 1:
        told += f"{' with' if told else ''} --channels {wanted.channels}"
    if wanted.size:
        needed = wanted.size[0] * wanted.size[1] * max(1, wanted.channels)
        raise SourceError(f"{where} has {count:,} pixels per line, but {told} needs {needed:,}")
    square = f"not {wanted.channels} times a square number" if wanted.channels > 1 else "not a square number"
    raise SourceError(f"{where} has {count:,} pixels per line, {square}: pass --size HxW, and --channels 3 for colour")


def _grid(names: Sequence[str]) -> tuple[int, ...]:
    """Lengths of the axes that the names number, if every position has a name; else empty. Omits axes of length 1."""
    numbers = [numbers_in(name) for name in names]
    if not numbers or len({len(one) for one in numbers}) > 1:
        return ()
    lengths = tuple(max(axis) - min(axis) + 1 for axis in zip(*numbers, strict=True))
    return tuple(length for length in lengths if length > 1) if math.prod(lengths) == len(names) else ()


def _of_grid(grid: tuple[int, ...]) -> TableShape | None:
    """Rows and columns; with channels before or after them, if exactly one axis is short enough for channels."""
    if len(grid) == 2:
        return TableShape(grid, note=f"{shape_text(grid)} pixels, from the names of the columns")
    if len(grid) != 3 or not (grid[2] <= MOST_CHANNELS or grid[0] <= MOST_CHANNELS < min(grid[1:])):
        return None
    planes = grid[2] > MOST_CHANNELS
    *size, channels = (*grid[1:], grid[0]) if planes else grid
    note = f"{shape_text(size)} pixels with {channels} channels, from the names of the columns"
    return TableShape((*size, channels), _of_planes(math.prod(size), channels) if planes else None, note)


def _by_channel(where: str, names: Sequence[str], wanted: Wanted) -> TableShape:
    """Columns named red, green and blue, in any order."""
    places = [[place for place, name in enumerate(names) if channel_in(name) == channel] for channel in "rgb"]
    numbers = [[numbers_in(names[place]) for place in of_channel] for of_channel in places]
    if not numbers[0] == numbers[1] == numbers[2] or len(names) != 3 * len(places[0]):
        raise SourceError(
            f"{where} has {len(places[0]):,} columns of red, {len(places[1]):,} of green and {len(places[2]):,} of "
            "blue, not all with the same numbers; expected one of each for every pixel"
        )
    pixels = len(places[0])
    grid = _grid([names[place] for place in places[0]])
    if wanted.size is None and len(grid) == 2:
        height, width = grid
    else:
        _, (height, width) = _size(where, pixels, Wanted(size=wanted.size))
    order = np.array(places).T.reshape(-1)
    note = f"{shape_text((height, width))} pixels in colour, from the names of the columns"
    return TableShape((height, width, 3), order, note)


def _of_planes(pixels: int, channels: int) -> np.ndarray:
    """Positions in planar order (one channel after the other) of an image's values with channels last."""
    return np.arange(pixels * channels).reshape(channels, pixels).T.reshape(-1)
