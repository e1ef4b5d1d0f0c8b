import errno
import os
from pathlib import Path

import numpy as np
import pytest

from vouch.sources.image_file import ImageFile

VALUES = np.random.default_rng(0).integers(0, 256, (7, 4, 3), dtype=np.uint8)


@pytest.fixture
def images(tmp_path: Path) -> ImageFile:
    """The values in a file."""
    file = ImageFile(VALUES.shape, str(tmp_path))
    file[0:5] = VALUES[:5]
    for row in (5, 6):
        file[row] = VALUES[row]
    return file


@pytest.mark.parametrize(
    "rows",
    [
        *(0, -1, np.int64(3)),
        *(slice(None), slice(2, 5), slice(6, 99), slice(3, 3), slice(None, None, 3)),
        *(np.array([4, 0, 0, 2]), np.array([2, 3, 4, 0, 1]), np.array([], np.int64), np.arange(7) % 2 == 0),
    ],
    ids=repr,
)
def test_it_is_indexed_as_an_array_is(images: ImageFile, rows: int | slice | np.ndarray) -> None:
    """One image, slices, positions in any order and masks; the oracle is numpy's own indexing."""
    np.testing.assert_array_equal(images[rows], VALUES[rows], strict=True)


@pytest.mark.parametrize("rows", [slice(1, 6), np.array([6, 2, 2, 5]), np.arange(7) % 2 == 1])
def test_a_part_of_it_is_a_view(images: ImageFile, rows: slice | np.ndarray) -> None:
    """Of the same file, also a part of a part; what is written there is seen."""
    part = images.those(rows)
    again = part.those(np.array([2, 0]))

    assert (part.shape, part.ndim, part.nbytes) == (VALUES[rows].shape, 3, VALUES[rows].nbytes)
    np.testing.assert_array_equal(again[:], VALUES[rows][[2, 0]], strict=True)

    part[0] = np.full((4, 3), 9, np.uint8)

    assert (images[rows][0] == 9).all()


def test_rows_that_are_not_there_are_an_error(images: ImageFile) -> None:
    """So a loop over it ends, as over an array."""
    with pytest.raises(IndexError):
        images[7]
    assert [image.tolist() for image in images] == VALUES.tolist()


def test_no_file_is_left(images: ImageFile, tmp_path: Path) -> None:
    """Not even while it is in use: the file has no name. With the last view its descriptor is closed."""
    open_files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    view = images.those(slice(2))
    more = ImageFile((3, 2, 2), str(tmp_path))

    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == open_files + 1  # noqa: PTH208
    del more
    assert len(os.listdir("/proc/self/fd")) == open_files  # noqa: PTH208
    assert len(view) == 2


def test_what_the_disk_cuts_short_is_an_error(images: ImageFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that gives a part is gone on with; one that gives nothing is not waited for, or taken for pixels."""
    whole = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, places, at: whole(file, [places[0][:5]], at))
    np.testing.assert_array_equal(images[1:3], VALUES[1:3])

    monkeypatch.setattr(os, "preadv", lambda *_: 0)
    with pytest.raises(OSError, match="become shorter"):
        images[1:3]


def test_a_full_disk_is_an_error_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when the room is filled."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)

    with pytest.raises(OSError, match="No space left"):
        ImageFile((1, 2, 2), str(tmp_path))
