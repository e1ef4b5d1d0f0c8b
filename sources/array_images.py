"""Images of an .npz file in one form: uint8 of shape (N, H, W) or (N, H, W, C), whatever their stored form.

The headers define the form before a pixel is read; then the pixels are read in pieces.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vouch.bundle.npz import Header, Npz
from vouch.sources.errors import SourceError
from vouch.sources.images import Images
from vouch.sources.pixel_values import Values, as_bytes
from vouch.sources.split_names import SplitName
from vouch.sources.storage import room_for
from vouch.sources.wanted import Layout, Wanted

CHANNELS_FIRST = (1, 3, 4)
"""Numbers of channels that are recognised before height and width."""
CHUNK_BYTES = 16 << 20


@dataclass(frozen=True)
class Arrangement:
    """The stored order of an image's values, and the image's shape."""

    shape: tuple[int, ...]
    """(H, W) or (H, W, C)."""
    order: Literal["grey", "nhwc", "nchw", "flat"]

    def of(self, block: np.ndarray) -> np.ndarray:
        """The images, shape (N, ...), in the new shape."""
        moved = block.transpose(0, 2, 3, 1) if self.order == "nchw" else block
        return moved.reshape(len(block), *self.shape)

    def in_words(self) -> list[str]:
        """A note for the user; empty if the images need no change."""
        size = " x ".join(map(str, self.shape[:2]))
        said = {"nchw": "images: N C H W, channels first", "flat": f"images: rows of numbers, taken as {size} pixels"}
        return [said[self.order]] if self.order in said else []


def arrangement_of(where: str, shape: tuple[int, ...], layout: Layout | None = None) -> Arrangement:
    """The order of values in an array of images of this shape.

    Args:
        where: the array's name in messages.
        layout: the order of its axes, if known.

    Raises:
        SourceError: they are not images, or the channels could be first or last.
    """
    if len(shape) == 3:
        return Arrangement(shape[1:], "grey")
    if len(shape) == 2:
        side = math.isqrt(shape[1])
        if side > 1 and side * side == shape[1]:
            return Arrangement((side, side), "flat")
    if len(shape) == 4:
        last = 1 <= shape[3] <= 4
        first = shape[1] in CHANNELS_FIRST and min(shape[2:]) >= shape[1]
        if first and last and not layout:
            raise SourceError(
                f"{where} has the shape {shape}, in which {shape[1]} or {shape[3]} could be the channels; pass "
                "--layout nchw if they come before height and width, else --layout nhwc"
            )
        if layout == "nchw" and 1 <= shape[1] <= 4:
            last, first = False, True
        if last and layout != "nchw":
            return Arrangement(shape[1:3] if shape[3] == 1 else shape[1:], "nhwc")
        if first and layout != "nhwc":
            return Arrangement(shape[2:] if shape[1] == 1 else (*shape[2:], shape[1]), "nchw")
    said = f" with --layout {layout}" if layout else ""
    raise SourceError(
        f"the images of {where} have the shape {shape}{said}; expected (N, H, W), or (N, H, W, C) or (N, C, H, W) with "
        "up to 4 channels: reshape or transpose them before saving"
    )


def read_images(
    npz: Npz, where: str, headers: Mapping[SplitName, tuple[str, Header]], wanted: Wanted
) -> tuple[dict[SplitName, Images], list[str]]:
    """The images of every split, and notes for the user.

    Args:
        where: the file's name in messages.
        headers: the name and the header of each split's array.
        wanted: the order of axes, and the memory limit.

    Raises:
        SourceError: they are not images, not pixels, or too large for the memory; or their types differ.
        Exception: what `Npz` raises.
    """
    dtypes = {header.dtype for _, header in headers.values()}
    if len(dtypes) > 1:
        found = ", ".join(f"{header.dtype} in {name}" for name, header in headers.values())
        raise SourceError(f"the images of {where} differ in type: {found}; expected one type, preferably uint8")
    values = Values(dtypes.pop())
    if values.dtype.kind not in "buif":
        raise SourceError(f"the images of {where} are {values.dtype}; expected numbers, preferably uint8 from 0 to 255")
    arranged = {
        split: arrangement_of(f"{where}: {name}", one.shape, wanted.layout) for split, (name, one) in headers.items()
    }
    factor = 1
    if values.dtype != np.uint8:
        for name, header in headers.values():
            for block in _blocks(npz, name, header):
                values.add(block)
        factor = values.factor(where)
    images: dict[SplitName, Images] = {}
    for split, (name, header) in headers.items():
        images[split] = room_for((header.shape[0], *arranged[split].shape), wanted.memory)
        start = 0
        for block in _blocks(npz, name, header):
            images[split][start : start + len(block)] = arranged[split].of(as_bytes(block, factor))
            start += len(block)
    return images, next(iter(arranged.values())).in_words() + values.in_words(factor)


def _blocks(npz: Npz, name: str, header: Header) -> Iterator[np.ndarray]:
    row_bytes = math.prod(header.shape[1:]) * header.dtype.itemsize
    return npz.read_rows(name, max(1, CHUNK_BYTES // max(1, row_bytes)))
