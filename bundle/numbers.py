"""The number of the next version: one above all that a model has ever had, those that were removed since included.

A hidden file in the model's folder remembers the highest. Where it is lost or is no number, the folders that are left
are what is known. Publishers take turns by a lock on the folder; where there are no locks, the rename decides.
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
"""The file's name: hidden, so that neither servers nor earlier versions of Vouch take it for a version."""
HIGHEST_NUMBER = 999_999_999
MAX_BYTES = 64
TURN_S = 30.0
"""That a publisher waits for the others; then it goes on without the lock, and the rename decides."""
PAUSE_S = 0.01


def next_number(folder: Path, versions: Iterable[int]) -> int:
    """One above the highest.

    Args:
        folder: of the model.
        versions: that are in it.

    Raises:
        BundleError: there is no higher one.
    """
    if (number := max(_remembered(folder), *versions, 0) + 1) > HIGHEST_NUMBER:
        raise BundleError(f"{folder} has reached version {HIGHEST_NUMBER:,}, which is the last that there can be")
    return number


def remember(folder: Path, number: int, fresh: Path) -> None:
    """Makes a number the highest that was given, durably.

    Args:
        fresh: where the file is written, in the same file system, before it takes its place.
    """
    with fresh.open("wb") as file:
        file.write(f"{number}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / HIGHEST)


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """While the block runs, no other publisher takes a number of this model, where there are locks."""
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
                return  # no locks here
            time.sleep(PAUSE_S)
        else:
            return


def _remembered(folder: Path) -> int:
    with suppress(OSError, BundleError):
        content = read_file(folder / HIGHEST, MAX_BYTES).strip()
        if re.fullmatch(rb"[1-9][0-9]{0,8}", content):
            return int(content)
    return 0
