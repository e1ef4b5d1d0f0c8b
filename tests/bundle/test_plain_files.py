import hashlib
import os
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from vouch.bundle.errors import InvalidBundle
from vouch.bundle.plain_files import check_size, file_digest, first_entries, read_file

LARGE = 200 << 20


def sparse(path: Path, size: int = LARGE) -> Path:
    """A file of zeros that takes no room."""
    path.touch()
    os.truncate(path, size)
    return path


@pytest.mark.parametrize("look", [check_size, read_file, file_digest])
def test_a_file_over_its_limit_is_not_read(tmp_path: Path, look: Callable[[Path, int], object]) -> None:
    """It is refused by name, size and limit, and takes no memory."""
    path = sparse(tmp_path / "large")
    tracemalloc.start()
    try:
        with pytest.raises(InvalidBundle, match=r"large has 209,715,200 bytes; expected at most 209,715,199"):
            look(path, LARGE - 1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 1 << 20
    look(path, LARGE)


def test_a_large_file_is_hashed_in_pieces(tmp_path: Path) -> None:
    """Size and digest are those of all of it, in a few megabytes."""
    path = sparse(tmp_path / "large")
    tracemalloc.start()
    try:
        found = file_digest(path, LARGE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert found == (LARGE, hashlib.sha256(bytes(LARGE)).hexdigest())
    assert peak < 4 << 20


def a_link(path: Path) -> None:
    (path.parent / "target").write_text("x")
    path.symlink_to("target")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


@pytest.mark.parametrize("make", [a_link, a_socket, Path.mkdir, os.mkfifo])
def test_what_is_no_plain_file_is_not_opened(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A pipe is not waited for, a link not followed; nothing is left open."""
    make(tmp_path / "it")
    open_before = os.listdir("/proc/self/fd")  # noqa: PTH208 - names are enough
    for look in (check_size, read_file, file_digest):
        with pytest.raises(InvalidBundle, match="it is a link or not a file"):
            look(tmp_path / "it", 10)

    assert len(os.listdir("/proc/self/fd")) == len(open_before)  # noqa: PTH208


def test_a_missing_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    """Callers say what it means to them."""
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "missing", 10)


def test_of_a_full_folder_some_names_are_read(tmp_path: Path) -> None:
    """Sorted, and no more than asked for."""
    for number in range(20):
        (tmp_path / str(number)).touch()

    assert first_entries(tmp_path, 100) == sorted(map(str, range(20)))
    assert len(first_entries(tmp_path, 5)) == 5
