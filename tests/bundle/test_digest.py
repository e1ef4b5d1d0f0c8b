import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vouch.bundle.array_digest import InParts, array_digest, image_digests
from vouch.bundle.digest import bytes_digest


def test_bytes_have_their_sha256() -> None:
    """The digest is SHA-256 as FIPS 180-2 gives it for "abc"."""
    assert bytes_digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_equal_arrays_have_equal_digests() -> None:
    """How an array lies in memory does not matter."""
    array = np.arange(24).reshape(2, 3, 4)

    assert array_digest(array) == array_digest(array.copy())
    assert array_digest(array) == array_digest(np.asfortranarray(array))
    assert array_digest(array[:, ::2]) == array_digest(array[:, ::2].copy())


@pytest.mark.parametrize(
    "other",
    [
        (np.array([[1, 2], [3, 5]], np.uint8),),
        (np.array([[1, 2], [3, 4]], np.int8),),
        (np.array([1, 2, 3, 4], np.uint8),),
        (np.array([[1, 2]], np.uint8), np.array([[3, 4]], np.uint8)),
        (np.array([[1, 2], [3, 4]], np.uint8), np.array([], np.uint8)),
        (),
    ],
    ids=["value", "type", "shape", "parted", "one more", "none"],
)
def test_any_difference_shows(other: tuple[np.ndarray, ...]) -> None:
    """Another value, type, shape or division into arrays gives another digest."""
    assert array_digest(np.array([[1, 2], [3, 4]], np.uint8)) != array_digest(*other)


def test_the_order_of_arrays_counts() -> None:
    """Images before labels is not labels before images."""
    first, second = np.zeros(3, np.uint8), np.ones(3, np.uint8)

    assert array_digest(first, second) != array_digest(second, first)


@given(arrays(np.uint8, st.tuples(st.integers(1, 12), st.just(2), st.just(2)), elements=st.integers(0, 1)))
def test_equal_images_and_only_they_share_a_digest(images: np.ndarray) -> None:
    """Two images have the same digest exactly when all their pixels are the same."""
    digests = image_digests(images)
    same_digest = [[bool(one == other) for other in digests] for one in digests]
    same_pixels = [[bool((one == other).all()) for other in images] for one in images]

    assert digests.shape == (len(images),)
    assert same_digest == same_pixels


@given(arrays(np.uint8, st.tuples(st.integers(1, 12), st.just(2), st.just(2)), elements=st.integers(0, 1)))
def test_duplicates_are_found_by_sorting(images: np.ndarray) -> None:
    """Digests can be sorted and looked up: numpy finds as many distinct ones as there are distinct images."""
    digests = image_digests(images)
    distinct = {image.tobytes() for image in images}

    assert len(np.unique(digests)) == len(distinct)
    assert np.isin(digests, image_digests(images[:1])).tolist() == [bool((row == images[0]).all()) for row in images]


def test_the_layout_of_images_does_not_matter() -> None:
    """A view of every second image has the digests of its copy."""
    images = np.arange(4 * 3 * 3, dtype=np.uint8).reshape(4, 3, 3)

    assert image_digests(images[::2]).tolist() == image_digests(images[::2].copy()).tolist()
    assert image_digests(images.transpose(0, 2, 1))[0] != image_digests(images)[0]


def test_an_array_in_parts_has_the_digest_of_the_whole() -> None:
    """However it is cut, beside arrays that are whole, and where it has no rows at all."""
    whole, labels = np.random.default_rng(0).integers(0, 256, (7, 3, 2), dtype=np.uint8), np.arange(7)
    cut = [InParts(whole.shape, whole.dtype, np.split(whole, places)) for places in ([], [3], [1, 2, 6])]
    empty = InParts((0, 2), whole.dtype, iter(()))

    assert {array_digest(parts, labels) for parts in cut} == {array_digest(whole, labels)}
    assert array_digest(empty) == array_digest(np.empty((0, 2), np.uint8))
