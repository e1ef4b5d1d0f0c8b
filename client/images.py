"""From a caller's images to the content of a request: pixels, or the bytes of PNG, JPEG and WebP files.

A caller has one image or several: an array, the bytes of a file, or a file's path. A file of a kind that servers do not
accept is rewritten as PNG, as in training. Knows no channel and no message.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from vouch.bundle.errors import InvalidImage
from vouch.bundle.image_parts import MAX_FILE_BYTES
from vouch.sources.rewriting import TAKEN, as_callers_send, is_rewritten


class GivesArray(Protocol):
    """Objects that NumPy can turn into an array, such as PyTorch's tensors."""

    def __array__(self) -> np.ndarray: ...


class ShowsArray(Protocol):
    """The same by another protocol, such as Pillow's images."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...


Image = np.ndarray | bytes | bytearray | memoryview | str | os.PathLike[str] | GivesArray | ShowsArray
"""One image: uint8 pixels of shape (H, W) or (H, W, C), the bytes of an image file, or its path."""
Images = Image | Iterable[Image]
"""One image or several; an array may also hold several, of shape (N, H, W) or (N, H, W, C)."""
Content = np.ndarray | list[bytes]
"""The content of a request: uint8 pixels of shape (N, H, W) or (N, H, W, C), or the bytes of N files."""

PIECE_BYTES = 1 << 20
MOST_CHANNELS = 4
PILLOW_MODES = ("L", "LA", "RGB", "RGBA")
"""Modes of Pillow whose numbers are light and colour. Those of other modes are palette indices, inks or bits."""
SHAPES = "(H, W) or (H, W, C) for one image, (N, H, W) or (N, H, W, C) for several"
URL = re.compile(r"[a-z][a-z0-9+.-]*://|data:", re.IGNORECASE)


class UnusableFile(ValueError):
    """A file without an image that can be sent; the message is the reason, without the file's name."""


@dataclass(frozen=True)
class Taken:
    """A caller's images, read and checked as far as possible without the model."""

    content: Content
    ambiguous: bool = False
    """An array of three axes: several images without channels, or one with channels."""

    def fits(self, image_shape: tuple[int, ...]) -> bool:
        """Whether this input shape of the model fits."""
        return not self.ambiguous or image_shape in (self._shape, self._shape[1:])

    def settled(self, image_shape: tuple[int, ...]) -> Content:
        """What to send.

        Args:
            image_shape: (H, W) or (H, W, C) of the model; empty if unknown: then three axes are N images.

        Raises:
            ValueError: an array of three axes does not fit the model either way.
        """
        if isinstance(self.content, np.ndarray) and self.ambiguous and image_shape:
            if self._shape == image_shape:
                return self.content[np.newaxis]
            if self._shape[1:] != image_shape:
                one, several = (_spoken(shape) for shape in (image_shape, ("N", *image_shape)))
                raise ValueError(
                    f"expected pixels of the model's shape, {one} for one image or {several} for several, got "
                    f"{_spoken(self._shape)}; the server resizes image files, but not arrays"
                )
        return self.content

    @property
    def _shape(self) -> tuple[int, ...]:
        return self.content.shape if isinstance(self.content, np.ndarray) else ()


def take(images: Images) -> Taken:
    """One image or several; files are read.

    Raises:
        ValueError: no image, pixels that are not uint8, another shape, or an empty file.
        TypeError: not an image.
        OSError: a file cannot be read.
    """
    array = _as_array(images)
    if array is not None:
        return _take_array(array)
    if (file := _as_file(images)) is not None:
        return Taken([file])
    _refuse_open_file(images)
    if isinstance(images, Mapping | Set):
        raise TypeError(f"expected images in a fixed order, got a {type(images).__name__}; pass a list")
    if not isinstance(images, Iterable):
        raise TypeError(_no_image(images))
    return _take_several(list(images))


def read_file(path: str | os.PathLike[str]) -> bytes:
    """An image file's bytes, as servers accept them.

    Raises:
        UnusableFile: it is empty, too large for an image, cannot be rewritten, or is a URL.
        OSError: it cannot be read.
    """
    if is_url(os.fspath(path)):
        raise UnusableFile("is a URL, expected a file; download it first")
    with Path(path).open("rb") as file:
        return to_send(read_bounded(file, os.fstat(file.fileno()).st_size))


def to_send(file: bytes) -> bytes:
    """An image file's bytes as servers accept them. A file of an unknown kind is sent unchanged: the server names it.

    Raises:
        UnusableFile: it is of a kind that is rewritten, but cannot be decoded.
    """
    try:
        return as_callers_send(file) if is_rewritten(file) else file
    except InvalidImage as err:
        raise UnusableFile(f"cannot be sent: {err}") from err


def is_url(name: str) -> bool:
    """Whether a name is a URL, and not an existing file."""
    try:
        return URL.match(name) is not None and not Path(name).exists()
    except OSError:  # too long for a file, such as a data URL
        return True


def read_bounded(file: IO[bytes], size: int = 0) -> bytes:
    """The file's whole content, if it may be an image.

    Args:
        size: in bytes, if it is known.

    Raises:
        UnusableFile: it is empty, or larger than an image; not more than that is read.
    """
    pieces: list[bytes] = []
    read = 0
    while max(read, size) <= MAX_FILE_BYTES and (piece := file.read(PIECE_BYTES)):
        pieces.append(piece)
        read += len(piece)
    if max(read, size) > MAX_FILE_BYTES:
        raise UnusableFile(f"has over {MAX_FILE_BYTES:,} bytes, the limit for images")
    if not read:
        raise UnusableFile(f"is empty; expected {TAKEN}")
    return b"".join(pieces)


def _refuse_open_file(image: Any) -> None:
    """Rejects an open file: its lines would be taken for images. Raises TypeError."""
    if callable(getattr(image, "read", None)):
        raise TypeError("expected an image, got an open file; pass its bytes: file.read()")


def _take_array(array: np.ndarray) -> Taken:
    if array.ndim == 1 and array.dtype.kind in "OU" and array.size:  # a column of names from a table
        return _take_several(array.tolist())
    if array.dtype != np.uint8 or not 2 <= array.ndim <= 4:
        raise ValueError(_no_pixels(array))
    if not array.size:
        raise ValueError(f"expected at least one image, got an array of shape {_spoken(array.shape)}")
    if array.ndim == 2:
        return Taken(array[np.newaxis])
    return Taken(array, ambiguous=array.ndim == 3 and array.shape[2] <= MOST_CHANNELS)


def _take_several(images: Sequence[Any]) -> Taken:
    if not images:
        raise ValueError("expected at least one image, got none")
    arrays = [_as_array(image) for image in images]
    pixels = [array for array in arrays if array is not None]
    if not pixels:
        return Taken([_file_at(place, image) for place, image in enumerate(images)])
    if len(pixels) < len(images):
        raise ValueError(
            f"expected only arrays or only files, got {len(pixels)} arrays among {len(images)} images; send arrays "
            "and files in separate calls"
        )
    for place, array in enumerate(pixels):
        if array.dtype != np.uint8 or array.ndim not in (2, 3) or not array.size:
            raise ValueError(f"image {place}: {_no_pixels(array, 'shape (H, W) or (H, W, C) each')}")
        if array.shape != pixels[0].shape:
            raise ValueError(
                f"expected images of one shape, got image {place} of {_spoken(array.shape)} after "
                f"{_spoken(pixels[0].shape)}; send each shape in a separate call"
            )
    return Taken(np.stack(pixels))


def _file_at(place: int, image: Any) -> bytes:
    try:
        file = _as_file(image)
    except ValueError as err:
        raise ValueError(f"image {place}: {err}") from err
    if file is None:
        _refuse_open_file(image)
        raise TypeError(f"image {place}: {_no_image(image)}")
    return file


def _as_array(image: Any) -> np.ndarray | None:
    arrays = ("__array__", "__array_interface__")
    if isinstance(image, str | bytes) or not any(hasattr(image, name) for name in arrays):  # NumPy's strings are both
        return None
    mode = getattr(image, "mode", "L")
    if isinstance(mode, str) and mode not in PILLOW_MODES:
        raise ValueError(f'expected an image of mode {", ".join(PILLOW_MODES)}, got {mode}; use image.convert("RGB")')
    return np.asarray(image)


def _as_file(image: Any) -> bytes | None:
    if isinstance(image, bytes | bytearray | memoryview):
        if not len(image):
            raise ValueError(f"expected the bytes of an image file ({TAKEN}), got none")
        try:
            return to_send(bytes(image))
        except UnusableFile as err:
            raise ValueError(f"the image {err}") from err
    if isinstance(image, str | os.PathLike):
        try:
            return read_file(image)
        except UnusableFile as err:
            raise ValueError(f"{os.fspath(image)} {err}") from err
    return None


def _no_image(image: object) -> str:
    return (
        "expected an image: an array of uint8 pixels, the bytes of an image file, or its path; "
        f"got {type(image).__name__}"
    )


def _no_pixels(array: np.ndarray, shapes: str = f"shape {SHAPES}") -> str:
    expected = f"expected uint8 pixels of {shapes}, got {array.dtype} of {_spoken(array.shape)}"
    if array.dtype == np.uint8:
        return expected
    wanted = f"{expected}; send raw pixels, 0 to 255: the model scales them itself"
    if array.dtype.kind not in "bifu" or not array.size:
        return wanted
    lowest, highest = array.min(), array.max()
    if lowest >= 0 and highest <= 1:
        return f"{wanted}. These are 0 to 1: convert them by (255 * images).round().astype(numpy.uint8)"
    if lowest >= 0 and highest <= 255:
        return (
            f"{wanted}. These are {lowest:g} to {highest:g}: if that scale is right, "
            "use images.round().astype(numpy.uint8)"
        )
    return f"{wanted}. These are {lowest:g} to {highest:g}"


def _spoken(shape: Iterable[object]) -> str:
    return f"({', '.join(map(str, shape))})"
