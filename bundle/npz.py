"""Arrays of an .npz file, checked before they are read: a kilobyte of it may decompress to a gigabyte.

It is a zip archive of .npy files: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. What the
header of an array states is compared with what is expected; then exactly this many bytes are decompressed.
"""

import io
import math
import zipfile
from collections.abc import Iterator, Sequence
from typing import IO, Any, BinaryIO, NamedTuple

import numpy as np

from vouch.bundle.archive import directory, members

MAX_DIRECTORY_BYTES = 1 << 16
"""Limit for the archive's list of members; reading a member's entry takes ten times its bytes."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Compression methods that numpy uses; others can take as much memory as the file wants."""
CHUNK_BYTES = 1 << 20


class Header(NamedTuple):
    """An array's header."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype


class Npz:
    """An .npz file. Errors in it are raised as ValueError, or as errors of zipfile, zlib or numpy."""

    def __init__(self, content: bytes | BinaryIO, expected: Sequence[str] = ()) -> None:
        """
        Args:
            content: the open file, or its bytes.
            expected: the names of all its members, in order; None: any.
        """
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        if directory(file).size > MAX_DIRECTORY_BYTES:
            raise ValueError("it lists too many members")
        if expected and (found := [member.name for member in members(file)]) != [*expected]:
            raise ValueError(f"it contains {', '.join(found[:5])}; expected {', '.join(expected)}")
        self._archive = zipfile.ZipFile(file)

    def names(self) -> list[str]:
        """The names of its arrays, without other members of the archive."""
        return [name.removesuffix(".npy") for name in self._archive.namelist() if name.endswith(".npy")]

    def header(self, name: str) -> Header:
        """An array's header; nothing else is decompressed."""
        with self._opened(name) as member:
            return _header(member)

    def read(self, name: str) -> np.ndarray:
        """An array of plain values. The caller has checked its header, and has memory for it."""
        with self._opened(name) as member:
            shape, fortran_order, dtype = self._checked_header(name, member)
            array = np.empty(shape, dtype, "F" if fortran_order else "C")
            _fill(array.T if fortran_order else array, member)
        return array

    def read_rows(self, name: str, count: int) -> Iterator[np.ndarray]:
        """The same in pieces of this many rows, one in memory at a time if the array is in row-major order."""
        with self._opened(name) as member:
            shape, fortran_order, dtype = self._checked_header(name, member)
            whole = self.read(name) if fortran_order else None
            for start in range(0, shape[0], count):
                if whole is not None:
                    yield whole[start : start + count]
                    continue
                rows = np.empty((min(count, shape[0] - start), *shape[1:]), dtype)
                _fill(rows, member)
                yield rows

    def _checked_header(self, name: str, member: IO[bytes]) -> Header:
        header = _header(member)
        size = self._archive.getinfo(f"{name}.npy").file_size
        if size != member.tell() + math.prod(header.shape) * header.dtype.itemsize:
            raise ValueError(f"{name} has {size:,} bytes, not the size in its header")
        return header

    def open(self, name: str) -> IO[bytes]:
        """Opens a member that is not an array."""
        return self._opened(name, "")

    def _opened(self, name: str, ending: str = ".npy") -> IO[bytes]:
        info = self._archive.getinfo(f"{name}{ending}")
        if info.compress_type not in METHODS:
            raise ValueError(f"{name} has the unsupported compression method {info.compress_type}")
        return self._archive.open(info)


def _fill(array: np.ndarray, member: IO[bytes]) -> None:
    """Reads an array in row-major order."""
    place: Any = array.reshape(-1).view(np.uint8).data
    for start in range(0, len(place), CHUNK_BYTES):
        wanted = min(CHUNK_BYTES, len(place) - start)
        place[start : start + wanted] = member.read(wanted)  # too few raise ValueError


def _header(member: IO[bytes]) -> Header:
    if np.lib.format.read_magic(member) != (
        1,
        0,
    ):  # what numpy writes for plain values; headers of later versions may be 4 GB
        raise ValueError("expected version 1.0 of .npy")
    header = Header(*np.lib.format.read_array_header_1_0(member))
    if header.dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded")
    return header
