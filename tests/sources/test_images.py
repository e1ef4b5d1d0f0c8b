from collections.abc import Generator, Iterator
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from tests.support.stored_images import PLACES, VALUES, images_in
from vouch.sources.image_file import ImageFile
from vouch.sources.images import Images, batch_rows, batches, rows_in_turn, rows_of

ROW = 12
"""Bytes."""


@pytest.fixture(params=PLACES)
def images(request: pytest.FixtureRequest, tmp_path: Path) -> Images:
    """The same images, in both places where they may be."""
    return images_in(request.param, tmp_path)


@pytest.mark.parametrize(
    ("max_bytes", "most", "sizes"),
    [(3 * ROW + 1, None, [3, 3, 3, 1]), (1, None, [1] * 10), (1 << 20, None, [10]), (1 << 20, 4, [4, 4, 2])],
)
def test_batches_are_all_images_in_bounded_pieces(
    images: Images, max_bytes: int, most: int | None, sizes: list[int]
) -> None:
    """In their order, none larger than was said, where one image is not larger itself."""
    found = list(batches(images, max_bytes, most))

    assert [len(batch) for batch in found] == sizes
    np.testing.assert_array_equal(np.concatenate(found), VALUES, strict=True)


def test_no_images_are_no_batches(images: Images) -> None:
    """Also of a part that is empty."""
    assert list(batches(rows_of(images, slice(0)))) == []


def test_a_part_is_gone_through_as_the_whole_is(images: Images) -> None:
    """Positions in any order, and masks."""
    for rows in (np.array([7, 7, 0, 3]), np.arange(10) % 3 == 0, slice(2, 8)):
        found = list(batches(rows_of(images, rows), 2 * ROW))

        np.testing.assert_array_equal(np.concatenate(found), VALUES[rows], strict=True)


def test_rows_come_in_the_order_that_they_were_asked_for(images: Images) -> None:
    """Part by part; parts are asked for one by one, one ahead at most."""
    asked = []

    def parts() -> Iterator[np.ndarray]:
        for row in range(5):
            asked.append(row)
            yield np.array([row, 9 - row])

    for number, found in enumerate(rows_in_turn(images, parts())):
        np.testing.assert_array_equal(found, VALUES[[number, 9 - number]])
        assert len(asked) <= number + 2


def test_a_file_is_read_one_batch_ahead_and_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next batch is there while one is in use; the one after that is not begun."""
    file, begun, second = ImageFile(VALUES.shape, str(tmp_path)), list[slice](), Event()
    read = ImageFile.__getitem__

    def noted(self: ImageFile, rows: slice) -> np.ndarray:
        begun.append(rows)
        found = read(self, rows)
        if len(begun) == 2:
            second.set()
        return found

    monkeypatch.setattr(ImageFile, "__getitem__", noted)
    going = batches(file, 2 * ROW)

    next(going)

    assert second.wait(10)
    assert isinstance(going, Generator)
    going.close()
    assert begun == [slice(0, 2), slice(2, 4)]


def test_what_reading_raises_is_raised_where_the_batch_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not lost in the thread that reads."""
    file = ImageFile(VALUES.shape, str(tmp_path))

    def broken(*_: object) -> np.ndarray:
        raise OSError("the disk is gone")

    monkeypatch.setattr(ImageFile, "__getitem__", broken)

    with pytest.raises(OSError, match="the disk is gone"):
        list(batches(file))


def test_a_batch_has_at_least_one_image() -> None:
    """However large one is, and where an image has no pixels."""
    assert batch_rows((100, 100, 3), max_bytes=10) == 1
    assert batch_rows((0, 4), max_bytes=10) == 10
