"""Images of one shape in a file without a name: like an array that is read when it is indexed.

The file is read, never mapped: the system caches recent parts, and they do not count as the process's memory. The file
disappears with its last reference, however the process ends.
"""

import math
import os
import tempfile
import weakref
from collections.abc import Iterator

import numpy as np


class ImageFile:
    """Images in a file: uint8, shape (N, H, W) or (N, H, W, C). A selection is a view of the same file."""

    dtype = np.dtype(np.uint8)

    def __init__(self, shape: tuple[int, ...], folder: str) -> None:
        """Space for images of this shape, with undefined content.

        Args:
            folder: the file's folder.

        Raises:
            OSError, OverflowError: there is not enough space.
        """
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, math.prod(shape))  # a full disk is an error here, not during writing
            self._file = _Descriptor(os.dup(file.fileno()))
        self._positions = np.arange(shape[0])
        self.shape = shape

    @property
    def ndim(self) -> int:
        """3, or 4 with a channel axis."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """The size of all its images in bytes."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice | np.ndarray) -> np.ndarray:
        """These images as a new array in memory, as with numpy's indexing.

        Args:
            rows: one position, a slice, positions, or bool of shape (N,).
        """
        positions = np.atleast_1d(self._positions[rows])
        images = np.empty((len(positions), *self.shape[1:]), np.uint8)
        size, content = math.prod(self.shape[1:]), images.reshape(-1).data
        ends = [*(np.flatnonzero(np.diff(positions) != 1) + 1).tolist(), len(positions)]
        start = 0
        for end in ends:  # of consecutive images
            if end > start:
                self._file.read(content[start * size : end * size], int(positions[start]) * size)
            start = end
        return images[0] if isinstance(rows, (int, np.integer)) else images

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yields one image after the other."""
        return (self[row] for row in range(len(self)))

    def __setitem__(self, rows: int | slice, images: np.ndarray) -> None:
        """Writes one image, or consecutive images."""
        chosen = np.atleast_1d(self._positions[rows])
        content = np.ascontiguousarray(np.broadcast_to(images, (len(chosen), *self.shape[1:])), dtype=np.uint8)
        assert (np.diff(chosen) == 1).all()
        if len(chosen):
            self._file.write(content.reshape(-1).data, int(chosen[0]) * math.prod(self.shape[1:]))

    def those(self, rows: slice | np.ndarray) -> "ImageFile":
        """A view of these images; reads nothing.

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
