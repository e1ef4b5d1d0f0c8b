"""Images of one shape in a file that has no name: like an array that is read where it is indexed.

The file is read and never mapped: what was read lately is the system's to keep or to drop, and counts as nobody's
memory. It is gone with the last that refers to it, however the process ends.
"""

import math
import os
import tempfile
import weakref
from collections.abc import Iterator

import numpy as np


class ImageFile:
    """uint8, shape (N, H, W) or (N, H, W, C); a part that is chosen of it is a view of the same file."""

    dtype = np.dtype(np.uint8)

    def __init__(self, shape: tuple[int, ...], folder: str) -> None:
        """Room for images of this shape, with any content.

        Args:
            folder: where the file lies.

        Raises:
            OSError, OverflowError: there is no such room.
        """
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, math.prod(shape))  # a full disk is an error now, not when it is filled
            self._file = _Descriptor(os.dup(file.fileno()))
        self._positions = np.arange(shape[0])
        self.shape = shape

    @property
    def ndim(self) -> int:
        """3, or 4 with a channel axis."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Of all its images."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice | np.ndarray) -> np.ndarray:
        """These images in memory, as numpy's indexing gives them: a new array.

        Args:
            rows: one position, a slice, positions, or bool of shape (N,).
        """
        positions = np.atleast_1d(self._positions[rows])
        images = np.empty((len(positions), *self.shape[1:]), np.uint8)
        size, content = math.prod(self.shape[1:]), images.reshape(-1).data
        ends = [*(np.flatnonzero(np.diff(positions) != 1) + 1).tolist(), len(positions)]
        start = 0
        for end in ends:  # of images that lie one after the other
            if end > start:
                self._file.read(content[start * size : end * size], int(positions[start]) * size)
            start = end
        return images[0] if isinstance(rows, (int, np.integer)) else images

    def __iter__(self) -> Iterator[np.ndarray]:
        """One image after the other."""
        return (self[row] for row in range(len(self)))

    def __setitem__(self, rows: int | slice, images: np.ndarray) -> None:
        """Writes one image, or some that lie one after the other."""
        chosen = np.atleast_1d(self._positions[rows])
        content = np.ascontiguousarray(np.broadcast_to(images, (len(chosen), *self.shape[1:])), dtype=np.uint8)
        assert (np.diff(chosen) == 1).all()
        if len(chosen):
            self._file.write(content.reshape(-1).data, int(chosen[0]) * math.prod(self.shape[1:]))

    def those(self, rows: slice | np.ndarray) -> "ImageFile":
        """A view of these images: nothing is read.

        Args:
            rows: as for indexing.
        """
        view = object.__new__(ImageFile)
        view._file, view._positions = self._file, self._positions[rows]
        view.shape = (len(view._positions), *self.shape[1:])
        return view


class _Descriptor:
    """An open file, closed with the last that refers to it."""

    def __init__(self, number: int) -> None:
        self._number = number
        weakref.finalize(self, os.close, number)

    def read(self, place: memoryview, offset: int) -> None:
        """Fills this place."""
        while place:
            count = os.preadv(self._number, [place], offset)
            if not count:
                raise OSError("the file of decoded images has become shorter")
            place, offset = place[count:], offset + count

    def write(self, content: memoryview, offset: int) -> None:
        while content:
            count = os.pwrite(self._number, content, offset)
            content, offset = content[count:], offset + count
