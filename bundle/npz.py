"""Arrays of an .npz file, looked at before they are read: a kilobyte of it may inflate to a gigabyte.

It is a zip archive of .npy files: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. What the
header of an array promises can be held against what is expected; then exactly as many bytes are inflated.
"""

import io
import math
import struct
import zipfile
from collections.abc import Iterator
from typing import IO, Any, BinaryIO, NamedTuple

import numpy as np

MAX_DIRECTORY_BYTES = 1 << 16
"""Of the archive's list of members, each of which takes ten times its bytes when it is read."""
END, END_64, LOCATOR_64 = struct.Struct("<4s8xI6x"), struct.Struct("<4s36xQ8x"), struct.Struct("<4s4xQ4x")
"""What a zip archive ends with, from the last backwards: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What numpy writes; others take as much memory as the file asks for."""
CHUNK_BYTES = 1 << 20


class Header(NamedTuple):
    """What a member says it holds."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype


class Npz:
    """An .npz file. Whatever is wrong with it is raised as ValueError, or as what zipfile, zlib or numpy raises."""

    def __init__(self, content: bytes | BinaryIO) -> None:
        """
        Args:
            content: the file, or all of it.
        """
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        if directory_bytes(file) > MAX_DIRECTORY_BYTES:
            raise ValueError("it lists too many members")
        self._archive = zipfile.ZipFile(file)

    def names(self) -> list[str]:
        """Of its arrays; other members of the archive are none."""
        return [name.removesuffix(".npy") for name in self._archive.namelist() if name.endswith(".npy")]

    def header(self, name: str) -> Header:
        """What an array is, of which nothing is inflated but this."""
        with self._opened(name) as member:
            return _header(member)

    def read(self, name: str) -> np.ndarray:
        """An array of plain values. The caller has looked at its header, and has room for it."""
        with self._opened(name) as member:
            shape, fortran_order, dtype = self._checked_header(name, member)
            array = np.empty(shape, dtype, "F" if fortran_order else "C")
            _fill(array.T if fortran_order else array, member)
        return array

    def read_rows(self, name: str, count: int) -> Iterator[np.ndarray]:
        """The same in pieces of so many rows, one in memory at a time where the array is in row-major order."""
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
            raise ValueError(f"{name} has {size:,} bytes, not what its header promises")
        return header

    def _opened(self, name: str) -> IO[bytes]:
        info = self._archive.getinfo(f"{name}.npy")
        if info.compress_type not in METHODS:
            raise ValueError(f"{name} is compressed by method {info.compress_type}")
        return self._archive.open(info)


def _fill(array: np.ndarray, member: IO[bytes]) -> None:
    """Reads an array in row-major order."""
    place: Any = array.reshape(-1).view(np.uint8).data
    for start in range(0, len(place), CHUNK_BYTES):
        wanted = min(CHUNK_BYTES, len(place) - start)
        place[start : start + wanted] = member.read(wanted)  # too few raise ValueError


def _header(member: IO[bytes]) -> Header:
    if np.lib.format.read_magic(member) != (1, 0):  # what numpy writes of plain values; later ones may be 4 GB
        raise ValueError("expected version 1.0 of .npy")
    header = Header(*np.lib.format.read_array_header_1_0(member))
    if header.dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded")
    return header


def directory_bytes(file: BinaryIO) -> int:
    """Size of the list of members, as zipfile is going to find it."""
    begin = max(0, file.seek(0, io.SEEK_END) - END.size - LOCATOR_64.size - END_64.size)
    file.seek(begin)
    content = file.read()
    at = len(content) - END.size
    if at < 0 or content[at : at + 4] != b"PK\5\6" or content[-2:] != b"\0\0":
        raise ValueError("it does not end as a zip archive without a comment")
    size: int = END.unpack_from(content, at)[1]
    locator, record = at - LOCATOR_64.size, at - LOCATOR_64.size - END_64.size
    if record >= 0 and content[locator : locator + 4] == b"PK\6\7":
        if LOCATOR_64.unpack_from(content, locator)[1] != begin + record or content[record : record + 4] != b"PK\6\6":
            raise ValueError("it has its list of members elsewhere")
        size = END_64.unpack_from(content, record)[1]
    return size
