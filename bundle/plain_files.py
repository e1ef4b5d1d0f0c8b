"""Reads plain files whose sizes nobody vouches for: a size is looked at first, and no more than that is read.

A pipe would be waited for for ever, and a link could lead anywhere, so neither is opened.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from vouch.bundle.errors import InvalidBundle

CHUNK_BYTES = 1 << 20
NO_FILE = (errno.ELOOP, errno.ENXIO)
"""What opening says of a link and of a socket."""


def check_size(path: Path, limit: int) -> None:
    """
    Raises:
        InvalidBundle: no plain file, or it has more than `limit` bytes.
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
    """The same of so many bytes of an open file; how many there were, and their digest."""
    digest = hashlib.sha256()
    left = size
    while left and (chunk := file.read(min(left, CHUNK_BYTES))):
        digest.update(chunk)
        left -= len(chunk)
    return size - left, digest.hexdigest()


def first_entries(folder: Path, most: int) -> list[str]:
    """Names of what is in a folder, `most` of them at most, sorted. Raises OSError."""
    with os.scandir(folder) as entries:  # Path.iterdir reads them all at once
        return sorted(entry.name for entry in islice(entries, most))


@contextmanager
def open_file(path: Path, limit: int) -> Iterator[tuple[BinaryIO, int]]:
    """The file, and the size that it had when it was opened; what is written behind that meanwhile is not to be read.

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
    return f"{path} is a link or no file at all; a bundle holds plain files"
