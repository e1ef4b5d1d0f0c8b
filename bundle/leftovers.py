"""Removes unfinished files and folders: a writer locks what it writes, so what is not locked belongs to no process.

A lock on a file (flock), not a process number: numbers are reused, and every container has a process 1. The lock ends
with its process, however that ends, and works between containers and, on a network file system, between machines.
If a file system has no locks, nothing is removed.
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
    """A new file, open for writing, that `remove_if_left` does not remove while the block runs.

    Raises:
        FileExistsError: the file exists.
        FileNotFoundError: the folder does not exist, or the file was removed before it could be locked.
    """
    with path.open("x+b") as file:
        with suppress(OSError):  # without locks, nothing is removed
            fcntl.flock(file, fcntl.LOCK_EX)
        if not _is(path, file.fileno()):
            raise FileNotFoundError(f"{path} was removed")
        yield file


def hidden_files(models: Path, pattern: str) -> list[Path]:
    """Files and folders of all models in a models folder; also while other processes change it."""
    found: list[Path] = []
    for folder in models.glob("*/"):
        with suppress(OSError):  # removed meanwhile, or of another user
            found.extend(folder.glob(pattern))
    return found


def remove_if_left(path: Path, mark: Path | None = None) -> bool:
    """Removes an unfinished file or folder unless its writer is still running; returns whether it did.

    Args:
        mark: for a folder, the file in it that its writer made first and has locked.
    """
    mark = mark or path
    try:
        if not stat.S_ISREG(mark.lstat().st_mode):
            return False
        descriptor = os.open(mark, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return mark != path and _remove_unmarked(path, mark)
    except OSError:  # of another user
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _is(mark, descriptor) and _remove(path)
    except OSError:  # locked by its writer, or there are no locks
        return False
    finally:
        os.close(descriptor)


def remove_if_empty(folder: Path) -> None:
    """Removes an empty folder of a model, after a check, a failed first publishing or an interruption."""
    with suppress(OSError):  # it has versions, another process publishes, or it was removed
        folder.rmdir()


def _remove_unmarked(folder: Path, mark: Path) -> bool:
    """Removes an empty folder. A writer that has just made it notices that, and makes another."""
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
