import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vouch.sources import idx
from vouch.sources.errors import SourceError

IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
LABELS = np.array([0, 7, 10, 7], dtype=np.uint8)

small_images = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5))


def encode(array: np.ndarray) -> bytes:
    return idx.header(array.shape) + array.tobytes()


def test_the_header_is_the_one_of_the_format() -> None:
    """Two zero bytes, the type, the number of axes, then each length in four bytes, the highest first."""
    assert idx.header((60_000, 28, 28)).hex(" ") == "00 00 08 03 00 00 ea 60 00 00 00 1c 00 00 00 1c"


@given(array=small_images, compressed=st.booleans())
def test_any_array_is_read_back_as_it_was(array: np.ndarray, compressed: bool) -> None:
    """Reading gives what was written, plain or gzip."""
    content = gzip.compress(encode(array), 1) if compressed else encode(array)

    read = idx.parse(io.BytesIO(content), "images", idx.IMAGES)

    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


@given(data=st.data(), compressed=st.booleans())
def test_a_file_cut_at_any_byte_is_refused(data: st.DataObject, compressed: bool) -> None:
    """No beginning of a file is taken for a whole one."""
    content = gzip.compress(encode(IMAGES)) if compressed else encode(IMAGES)
    cut = content[: data.draw(st.integers(0, len(content) - 1))]

    with pytest.raises(SourceError, match="images"):
        idx.parse(io.BytesIO(cut), "images", idx.IMAGES)


@given(content=st.binary(max_size=64), compressed=st.booleans())
def test_arbitrary_bytes_give_an_array_or_a_source_error(content: bytes, compressed: bool) -> None:
    """No content whatever ends in another exception."""
    packed = gzip.compress(content, 1) if compressed else content

    try:
        array = idx.parse(io.BytesIO(packed), "images", idx.IMAGES)
    except SourceError:
        return

    assert encode(array) == content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (encode(IMAGES) + b"\0", "states 24 bytes.*more follow"),
        (encode(IMAGES)[:-1], "only 23 follow; it is truncated"),
        (gzip.compress(encode(IMAGES) + b"\0", mtime=0), "more follow"),
        (encode(IMAGES)[:9], "less than its header"),
        (b"", "has only 0 bytes"),
        (b"\x89PNG\r\n\x1a\n", "not an IDX file: it begins with 89 50 4e 47"),
        (b"\0\0\x99\x03" + bytes(12), "not an IDX file"),
        (b"\0\0\x0d\x03" + bytes(12), "elements of type float32; .*uint8"),
        (encode(LABELS), "wrong content.*labels, 1 axis.*expected an IDX file of images"),
        (encode(IMAGES[None]), "wrong content.*4 axes"),
        (idx.header((0, 28, 28)), "is empty: its header states 0 x 28 x 28"),
        (idx.header((3, 0, 28)), "is empty"),
        (gzip.compress(encode(IMAGES), mtime=0)[:-6], "broken gzip"),
        (gzip.compress(encode(IMAGES), mtime=0)[:-8] + bytes(8), "broken gzip.*CRC"),
        (gzip.compress(encode(IMAGES), mtime=0) + b"surplus", "broken gzip"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\xff" * 30, "broken gzip"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path: Path, content: bytes, message: str) -> None:
    """The message names the file, what was expected and what came."""
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)

    with pytest.raises(SourceError, match=f"train-images-idx3-ubyte.*{message}"):
        idx.read_idx(path, idx.IMAGES)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_header_that_promises_more_than_there_is_takes_no_memory(compressed: bool) -> None:
    """Lengths of 4 billion each are held against the memory that is left before anything is allocated for them."""
    content = idx.header((2**32 - 1,) * 3) + b"x"
    packed = gzip.compress(content) if compressed else content

    with pytest.raises(
        SourceError, match=r"has 79,228,162,458,924,105,385,300,197,375 bytes by its header .* are available"
    ):
        idx.parse(io.BytesIO(packed), "images", idx.IMAGES)


def test_more_than_there_is_memory_for_is_refused_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is inflated."""
    monkeypatch.setattr("vouch.sources.idx.available_memory", lambda: 23)

    with pytest.raises(
        SourceError, match=r"has 24 bytes by its header \(4 x 2 x 3\), but only 23 bytes of memory are available"
    ):
        idx.parse(io.BytesIO(gzip.compress(encode(IMAGES))), "images", idx.IMAGES)


def test_surplus_is_not_decompressed() -> None:
    """A gzip file that goes on for long behind its array is read no further than one byte past it."""
    surplus = np.random.default_rng(0).bytes(4 << 20)
    file = io.BytesIO(gzip.compress(encode(IMAGES) + surplus, 1))

    with pytest.raises(SourceError, match="more follow"):
        idx.parse(file, "images", idx.IMAGES)

    assert file.tell() < len(surplus) / 2


def test_a_folder_in_place_of_a_file_is_a_source_error(tmp_path: Path) -> None:
    """What the system refuses to read is said in one sentence."""
    with pytest.raises(SourceError, match="cannot be read: Is a directory"):
        idx.read_idx(tmp_path, idx.IMAGES)
