"""The number of the next version: one above all that a model has ever had, including removed versions.

A hidden file in the model's folder stores the highest number. If the file is lost or broken, the existing folders
count. Publishers take turns by a lock on the folder; without locks, the rename decides.
"""

import errno
import fcntl
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vouch.bundle.errors import BundleError
from vouch.bundle.plain_files import read_file

HIGHEST = ".highest"
"""The file's name: hidden, so that servers and earlier versions of Vouch ignore it."""
HIGHEST_NUMBER = 999_999_999
MAX_BYTES = 64
TURN_S = 30.0
"""A publisher waits this long for others; then it continues without the lock, and the rename decides."""
PAUSE_S = 0.01


def next_number(folder: Path, versions: Iterable[int]) -> int:
    """The number of the next version.

    Args:
        folder: the model's folder.
        versions: the versions in it.

    Raises:
        BundleError: the highest possible number is used.
    """
    if (number := max(_remembered(folder), *versions, 0) + 1) > HIGHEST_NUMBER:
        raise BundleError(f"{folder} has reached version {HIGHEST_NUMBER:,}, the highest possible one")
    return number


def remember(folder: Path, number: int, fresh: Path) -> None:
    """Stores a number as the highest, durably.

    Args:
        fresh: path for the new file, in the same file system, before it is renamed.
    """
    with fresh.open("wb") as file:
        file.write(f"{number}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / HIGHEST)


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Prevents other publishers from taking a number of this model inside the block, if there are locks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _wait_for_lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int) -> None:
    ends = time.monotonic() + TURN_S
    while time.monotonic() < ends:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            if err.errno not in (errno.EWOULDBLOCK, errno.EINTR):
                return  # no locks
            time.sleep(PAUSE_S)
        else:
            return


def _remembered(folder: Path) -> int:
    with suppress(OSError, BundleError):
        content = read_file(folder / HIGHEST, MAX_BYTES).strip()
        if re.fullmatch(rb"[1-9][0-9]{0,8}", content):
            return int(content)
    return 0
