"""What is being written is under a lock of its writer, so what nobody holds was left by a process that is no more.

A lock on a file (flock) rather than a process's number: numbers are given again, and every container has a 1. It ends
with its process, however that ends, and holds between containers and, on a network file system, between machines.
Where a file system has no locks, nothing is removed.
"""

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def held(path: Path) -> Iterator[BinaryIO]:
    """A new file, open for writing, that `remove_if_left` leaves alone as long as the block runs.

    Raises:
        FileExistsError: there is one of this name.
        FileNotFoundError: there is no such folder, or the file was taken for left before it could be locked.
    """
    with path.open("x+b") as file:
        with suppress(OSError):  # no locks here: nothing is removed here either
            fcntl.flock(file, fcntl.LOCK_EX)
        if not _is(path, file.fileno()):
            raise FileNotFoundError(f"{path} was removed")
        yield file


def hidden_files(models: Path, pattern: str) -> list[Path]:
    """Files and folders of all models of a models folder; also while others make and remove some."""
    found: list[Path] = []
    for folder in models.glob("*/"):
        with suppress(OSError):  # it is gone, or somebody else's
            found.extend(folder.glob(pattern))
    return found


def remove_if_left(path: Path, mark: Path | None = None) -> bool:
    """Removes an unfinished file or folder unless its writer is still there; returns whether it did.

    Args:
        mark: of a folder, the file in it that its writer made first, and holds.
    """
    mark = mark or path
    try:
        if not stat.S_ISREG(mark.lstat().st_mode):
            return False
        descriptor = os.open(mark, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return mark != path and _remove_unmarked(path, mark)
    except OSError:  # somebody else's
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _is(mark, descriptor) and _remove(path)
    except OSError:  # its writer holds it, or there are no locks here
        return False
    finally:
        os.close(descriptor)


def remove_if_empty(folder: Path) -> None:
    """So that a check, a failed first publishing or an interruption leaves no empty model behind."""
    with suppress(OSError):  # it has versions, another publisher is at work, or it is gone
        folder.rmdir()


def _remove_unmarked(folder: Path, mark: Path) -> bool:
    """A folder whose writer has just made it is empty: that one finds out that it is gone, and makes another."""
    try:
        folder.rmdir()
    except OSError:
        return folder.is_dir() and not folder.is_symlink() and not mark.exists() and _remove(folder)
    return True


def _remove(path: Path) -> bool:
    if path.is_file():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)
    return not path.exists()


def _is(path: Path, descriptor: int) -> bool:
    """Whether the open file still has this name."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    return False
