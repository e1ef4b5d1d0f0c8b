"""What a caller may hand over as one image or several, and what is said of anything else. No server."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vouch.client import images as module
from vouch.client.images import Content, UnusableFile, read_bounded, read_file, take

GREY = np.arange(6 * 5, dtype=np.uint8).reshape(6, 5)
COLOUR = np.arange(6 * 5 * 3, dtype=np.uint8).reshape(6, 5, 3)
FILE = b"\x89PNG and so on"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "one.png").write_bytes(FILE)
    return tmp_path / "one.png"


def same(content: Content, expected: Content) -> bool:
    if isinstance(content, np.ndarray) and isinstance(expected, np.ndarray):
        return content.dtype == expected.dtype and np.array_equal(content, expected)
    return type(content) is type(expected) and content == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (GREY, GREY[None]),
        (np.stack([GREY, GREY + 1]), np.stack([GREY, GREY + 1])),
        (COLOUR[None], COLOUR[None]),
        ([GREY, GREY + 1], np.stack([GREY, GREY + 1])),
        ((COLOUR for _ in range(2)), np.stack([COLOUR, COLOUR])),
        (GREY.T, np.ascontiguousarray(GREY.T)[None]),
        (Image.fromarray(GREY), GREY[None]),
        ([Image.fromarray(COLOUR)], COLOUR[None]),
        (FILE, [FILE]),
        (bytearray(FILE), [FILE]),
        (memoryview(FILE), [FILE]),
        ([FILE, b"another"], [FILE, b"another"]),
    ],
)
def test_one_image_or_several_become_what_a_request_carries(given: Any, expected: Content) -> None:
    """Arrays and what NumPy makes arrays of as pixels, bytes as files; in the order they were given."""
    assert same(take(given).settled((6, 5)), expected)


def test_paths_are_read(path: Path) -> None:
    """As str, as Path, alone, in lists, beside bytes, and as a column of a table."""
    for given in (path, str(path), [path], (str(path),), np.array([str(path)]), np.array([path], dtype=object)):
        assert take(given).content == [FILE]
    assert take([path, b"another", str(path)]).content == [FILE, b"another", FILE]


@pytest.mark.parametrize(
    ("shape", "image_shape", "expected"),
    [
        ((6, 5, 3), (6, 5, 3), (1, 6, 5, 3)),
        ((6, 5, 3), (5, 3), (6, 5, 3)),
        ((4, 4, 4), (4, 4), (4, 4, 4)),
        ((4, 4, 4), (4, 4, 4), (1, 4, 4, 4)),
        ((6, 5, 1), (6, 5, 1), (1, 6, 5, 1)),
        ((6, 5, 3), (), (6, 5, 3)),
        ((9, 28, 28), (28, 28), (9, 28, 28)),
        ((9, 28, 28), (28, 28, 3), (9, 28, 28)),
    ],
)
def test_the_model_decides_what_three_axes_mean(
    shape: tuple[int, ...], image_shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    """One image with channels, or several without; more than four channels are none, and need no model to say so."""
    taken = take(np.zeros(shape, np.uint8))

    content = taken.settled(image_shape)

    assert isinstance(content, np.ndarray)
    assert content.shape == expected
    assert taken.fits(()) is (shape[2] > 4)
    assert taken.fits(image_shape or (1, 1)) is (bool(image_shape) or shape[2] > 4)


def test_three_axes_that_fit_neither_way_say_what_would() -> None:
    """Both shapes, the one that came, and that files are resized where arrays are not."""
    with pytest.raises(
        ValueError, match=r"shape, \(8, 8\) for one .* \(N, 8, 8\) for several.* got \(6, 5, 3\); the server resizes"
    ):
        take(COLOUR).settled((8, 8))


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (np.zeros((2, 4, 4), np.float32), r"expected uint8 pixels .* got float32 of \(2, 4, 4\); .* 1: .*\(255 \*"),
        (np.full((4, 4), 200.0), r"got float64 of \(4, 4\); .* 200 to 200: .*images.round\(\).astype\(numpy.uint8\)"),
        (np.full((4, 4), -1.5), r"got float64 .* the model scales them itself. These are -1.5 to -1.5$"),
        (np.ones((4, 4), bool), r"got bool .* 0 to 1: .*\(255 \* images\)"),
        (np.full((4, 4), 4000, np.uint16), r"got uint16 of \(4, 4\); .* These are 4000 to 4000$"),
        (np.zeros(16, np.uint8), r"expected uint8 pixels of shape \(H, W\) or .* got uint8 of \(16\)"),
        (np.zeros((1, 1, 4, 4, 1), np.uint8), r"got uint8 of \(1, 1, 4, 4, 1\)"),
        (np.uint8(3), r"got uint8 of \(\)"),
        (np.zeros((0, 4, 4), np.uint8), r"at least one image, got an array of shape \(0, 4, 4\)"),
        (np.zeros((4, 0), np.uint8), r"at least one image, got an array of shape \(4, 0\)"),
        (np.array([b"a", b"b"]), r"got \|S1 of \(2\)"),
        ([], "at least one image, got none"),
        (iter(()), "at least one image, got none"),
        (b"", r"the bytes of an image file \(PNG, JPEG, WebP, BMP, GIF or TIFF\), got none"),
        ([FILE, b""], "image 1: expected the bytes"),
        ([GREY, FILE], "expected only arrays or only files, got 1 arrays among 2 images"),
        ([GREY, GREY[:3]], r"of one shape, got image 1 of \(3, 5\) after \(6, 5\)"),
        ([GREY, GREY / 255], r"image 1: expected uint8 pixels of shape \(H, W\) or \(H, W, C\) each, got float64"),
        ([COLOUR[None]], r"image 0: expected uint8 pixels .* got uint8 of \(1, 6, 5, 3\)"),
        (Image.fromarray(GREY).convert("P"), r'got P; use image.convert\("RGB"\)'),
        ("https://example.com/cat.png", "https://example.com/cat.png is a URL, expected a file; download it first"),
    ],
)
def test_what_is_no_image_is_said_with_what_was_expected(given: Any, complaint: str) -> None:
    """The commonest mistakes with their remedy; nothing is sent."""
    with pytest.raises(ValueError, match=complaint):
        take(given)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (None, "expected an image: .* got NoneType"),
        (7, "got int"),
        (io.BytesIO(b"a\nb"), "got an open file; pass its bytes"),
        ([io.BytesIO(b"a\nb")], "got an open file; pass its bytes"),
        ([[1, 2], [3, 4]], "image 0: expected an image: .* got list"),
        ({"a": GREY}, "in a fixed order, got a dict"),
        ({FILE}, "in a fixed order, got a set"),
    ],
)
def test_other_things_than_images_are_named_by_their_type(given: Any, complaint: str) -> None:
    """Also things in no order, whose answers nobody could tell apart."""
    with pytest.raises(TypeError, match=complaint):
        take(given)


def test_files_that_cannot_be_read_are_named(tmp_path: Path, path: Path) -> None:
    """By Python's own errors, and an empty file by ours."""
    (tmp_path / "empty.png").touch()

    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        take([path, tmp_path / "none.png"])
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        take(tmp_path)
    with pytest.raises(ValueError, match=r"image 1: .*empty\.png is empty; expected PNG, JPEG, WebP, BMP, GIF or TIFF"):
        take([path, tmp_path / "empty.png"])


class Endless(io.RawIOBase):
    """Like /dev/zero; counts what was read."""

    given = 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0
        self.given += size
        return bytes(size)


def test_no_more_is_read_than_an_image_may_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file's size is known before; what comes through a pipe is read until it is too much."""
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 5_000_000)
    with (tmp_path / "film.mp4").open("wb") as file:
        file.truncate(5_000_001)
    endless = Endless()

    with pytest.raises(UnusableFile, match="has over 5,000,000 bytes, the limit for images"):
        read_file(tmp_path / "film.mp4")
    with pytest.raises(UnusableFile, match="has over 5,000,000 bytes"):
        read_bounded(endless)  # type: ignore[arg-type]
    assert endless.given <= 5_000_000 + module.PIECE_BYTES
    assert read_bounded(io.BytesIO(bytes(5_000_000))) == bytes(5_000_000)
