"""Reads regular files of untrusted sizes: the size is checked first, and no more than that is read.

Reading a pipe may never end, and a link could lead anywhere, so neither is opened.
"""

import errno
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from vouch.bundle.errors import InvalidBundle

CHUNK_BYTES = 1 << 20
NO_FILE = (errno.ELOOP, errno.ENXIO)
"""Error numbers of opening a link and a socket."""


def check_size(path: Path, limit: int) -> None:
    """Checks a file's kind and size.

    Raises:
        InvalidBundle: not a regular file, or it has more than `limit` bytes.
        OSError: it cannot be opened.
    """
    with open_file(path, limit):
        pass


def read_file(path: Path, limit: int) -> bytes:
    """The content, at most `limit` bytes. Raises as `check_size`."""
    with open_file(path, limit) as (file, size):
        return file.read(size)


def file_digest(path: Path, limit: int) -> tuple[int, str]:
    """Size and SHA-256, in hexadecimal, of a file of any size in little memory. Raises as `check_size`."""
    with open_file(path, limit) as (file, size):
        return read_digest(file, size)


def read_digest(file: BinaryIO, size: int) -> tuple[int, str]:
    """The same for this many bytes of an open file: the number of bytes read, and their digest."""
    digest = hashlib.sha256()
    left = size
    while left and (chunk := file.read(min(left, CHUNK_BYTES))):
        digest.update(chunk)
        left -= len(chunk)
    return size - left, digest.hexdigest()


def hold(path: Path, limit: int) -> int:
    """A descriptor of the file, for reading it even if the path is changed or removed. The caller closes it. Raises as
    `check_size`.
    """
    with open_file(path, limit) as (file, _):
        return os.dup(file.fileno())


def read_held(descriptor: int, limit: int) -> bytes:
    """The content of an open file, at most `limit` bytes. Raises as `open_held`."""
    with open_held(descriptor, limit) as (file, size):
        return file.read(size)


@contextmanager
def open_held(descriptor: int, limit: int) -> Iterator[tuple[BinaryIO, int]]:
    """An open file and its size; the descriptor stays open when this is closed.

    Raises:
        InvalidBundle: it has more than `limit` bytes.
        OSError: it cannot be read.
    """
    if (size := os.fstat(descriptor).st_size) > limit:
        raise InvalidBundle(f"a file has {size:,} bytes; expected at most {limit:,}")
    with io.BufferedReader(_Held(descriptor), CHUNK_BYTES) as file:
        yield file, size


class _Held(io.RawIOBase):
    """Reads an open file with its own position: others share the descriptor and the kernel's position."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        end = os.fstat(self._descriptor).st_size if whence == io.SEEK_END else 0
        self._at = offset + (self._at if whence == io.SEEK_CUR else end)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        part = os.pread(self._descriptor, len(buffer), self._at)
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


def first_entries(folder: Path, most: int) -> list[str]:
    """Sorted names of a folder's entries, at most `most`. Raises OSError."""
    with os.scandir(folder) as entries:  # Path.iterdir reads all of them
        return sorted(entry.name for entry in islice(entries, most))


@contextmanager
def open_file(path: Path, limit: int) -> Iterator[tuple[BinaryIO, int]]:
    """The file and its size when opened; data appended later must not be read.

    Raises as `check_size`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as err:
        if err.errno in NO_FILE:
            raise InvalidBundle(_no_file(path)) from err
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise InvalidBundle(_no_file(path))
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > limit:
            raise InvalidBundle(f"{path} has {status.st_size:,} bytes; expected at most {limit:,}")
        yield file, status.st_size


def _no_file(path: Path) -> str:
    return f"{path} is a link or not a file; a bundle contains regular files"
