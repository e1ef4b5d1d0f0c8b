import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn

from vouch.sources.digits import load_digits
from vouch.sources.names import Names
from vouch.trainer.splits.near_duplicates import Hashed, near_duplicates

RANDOM = np.random.default_rng(0)


def enlarged(images: np.ndarray) -> np.ndarray:
    """Digits of 8 x 8 as ones of 28 x 28."""
    return np.stack([np.asarray(Image.fromarray(image).resize((28, 28))) for image in images])


DIGITS = enlarged(load_digits("digits").splits["all"].images[:300])


def as_jpeg(image: np.ndarray, quality: int = 75) -> np.ndarray:
    """What a JPEG file keeps of an image."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def brightened(images: np.ndarray) -> np.ndarray:
    return np.minimum(images.astype(np.int16) + 20, 255).astype(np.uint8)


def noisy(images: np.ndarray) -> np.ndarray:
    return np.clip(images + np.random.default_rng(1).normal(0, 3, images.shape), 0, 255).astype(np.uint8)


def compressed(images: np.ndarray) -> np.ndarray:
    return np.stack([as_jpeg(image) for image in images])


ALTERED = [brightened, noisy, compressed]


def pairs(first: np.ndarray, second: np.ndarray) -> list[tuple[int, int]]:
    return [(a, b) for a, b in near_duplicates(Hashed.of(first), Hashed.of(second)).pairs.tolist()]


def slowly_found(first: np.ndarray, second: np.ndarray) -> list[tuple[int, int]]:
    """The same pairs by the definition: all with all, with scipy's transform and numpy's correlation."""

    def bits(image: np.ndarray) -> np.ndarray:
        coefficients = dctn(image.astype(np.float64))[:8, :8]
        return np.asarray(coefficients - np.median(coefficients) > 1e-4 * np.linalg.norm(coefficients))

    def near(a: np.ndarray, b: np.ndarray) -> bool:
        return bool(np.corrcoef(a.ravel(), b.ravel())[0, 1] >= 0.99 and (a != b).any())

    first_bits, second_bits = ([bits(image) for image in images] for images in (first, second))
    return [
        (i, j)
        for i, a in enumerate(first_bits)
        for j, b in enumerate(second_bits)
        if (a != b).sum() <= 3 and near(first[i], second[j])
    ]


NAMES = (Names("tune"), Names("fit"))


@pytest.mark.parametrize("altered", ALTERED)
def test_an_altered_copy_is_found(altered: Callable[[np.ndarray], np.ndarray]) -> None:
    """Brightened, with a little noise or compressed anew: over nine of ten are found, and no other image."""
    found = pairs(altered(DIGITS), DIGITS)

    assert all(a == b for a, b in found)
    assert len(found) > 0.9 * len(DIGITS)


def test_a_jpeg_of_a_photo_in_colour_is_found() -> None:
    """Large images and colours are looked at too."""
    smooth = Image.fromarray(RANDOM.integers(0, 256, (6, 6, 3), np.uint8)).resize((200, 150), Image.Resampling.BICUBIC)
    photo = np.asarray(smooth)

    assert pairs(as_jpeg(photo)[None], photo[None]) == [(0, 0)]


def test_the_same_shape_in_another_colour_is_another_image() -> None:
    """A red square is not nearly the same as a blue one, though they are equally bright."""
    square = np.zeros((1, 16, 16, 3), np.uint8)
    square[:, 4:9, 3:9, 0] = 200

    assert pairs(square[..., ::-1], square) == []
    assert pairs(square[..., ::-1] // 2, square[..., ::-1]) == [(0, 0)]


def test_symmetrical_images_are_found() -> None:
    """Most of their coefficients are 0, and the signs of rounding errors must not part them."""
    cross = np.full((2, 28, 28), 10, np.uint8)
    cross[0, 12:16] = cross[0, :, 12:16] = cross[1, 8:20, 8:20] = 180

    assert pairs(brightened(cross), cross) == [(0, 0), (1, 1)]


def test_different_digits_are_not_near() -> None:
    """No two of these real digits are nearly the same, though many are of one class."""
    assert pairs(DIGITS, DIGITS) == []


def test_exact_copies_are_not_counted() -> None:
    """They are reported elsewhere; an altered copy beside them is still found."""
    images = np.concatenate([DIGITS[:5], noisy(DIGITS[3:4])])

    assert pairs(images, DIGITS[:5]) == [(5, 3)]


def test_images_of_one_colour_are_not_near() -> None:
    """There is nothing in them that could be alike."""
    plain = np.full((3, 28, 28), 7, np.uint8) + np.arange(3, dtype=np.uint8)[:, None, None]

    assert pairs(plain, plain + np.uint8(10)) == []


@pytest.mark.parametrize("shape", [(7, 28), (28, 7), (7, 7), (1, 1)])
def test_images_below_8_x_8_are_not_looked_at(shape: tuple[int, int]) -> None:
    """So few pixels are alike by chance."""
    images = RANDOM.integers(0, 250, (20, *shape), np.uint8)

    assert pairs(images, images + np.uint8(1)) == []


def test_no_images_have_no_duplicates() -> None:
    """An empty split is no error here."""
    assert pairs(DIGITS[:0], DIGITS) == []
    assert pairs(DIGITS, DIGITS[:0]) == []


def test_comparing_all_with_all_gives_the_same() -> None:
    """The pairs are those of the definition, also where only some of an image's altered copies are near enough."""
    weaker = np.concatenate([noisy(DIGITS[:60]), noisy(noisy(noisy(DIGITS[60:120]))), compressed(DIGITS[120:180])])
    shifted = np.roll(DIGITS[180:240], 1, axis=2)
    first = np.concatenate([weaker, shifted, brightened(DIGITS[:40])])
    found = pairs(first, DIGITS)

    assert found == slowly_found(first, DIGITS)
    assert 150 < len(found) < len(first)


def test_some_of_the_images_keep_their_positions() -> None:
    """Splits of one array are told by where their images stand in it."""
    images = np.concatenate([DIGITS[:10], noisy(DIGITS[:10])])
    hashed = Hashed.of(images)

    assert near_duplicates(hashed.only(slice(10, 13)), hashed.only(np.array([2, 0, 5]))).pairs.tolist() == [
        [10, 0],
        [12, 2],
    ]


@pytest.mark.parametrize(("max_pairs", "max_checked_pixels"), [(40, 10**9), (10**9, 20 * 28 * 28)])
def test_too_many_candidates_are_said(max_pairs: int, max_checked_pixels: int) -> None:
    """Where not all candidates can be looked at, the sentence says that there may be more."""
    first, second = Hashed.of(brightened(DIGITS)), Hashed.of(DIGITS)
    whole, found = near_duplicates(first, second), near_duplicates(first, second, max_pairs, max_checked_pixels)

    assert whole.complete
    assert not found.complete
    assert 0 < len(found.pairs) < len(whole.pairs)
    assert found.sentence("validation", 300, "fit", NAMES).startswith(
        f"at least {len(found.pairs)} of 300 validation images"
    )


def test_the_sentence_counts_images_and_shows_a_few() -> None:
    """An image that is like two others counts once; three examples are enough."""
    copies = np.concatenate([noisy(DIGITS[:5]), brightened(DIGITS[:1])])
    found = near_duplicates(Hashed.of(DIGITS[:6]), Hashed.of(copies))

    assert len(found.pairs) == 6
    assert found.sentence("tune", 1234, "fit", NAMES) == (
        "5 of 1,234 tune images are nearly the same as one in fit "
        "(tune[0] like fit[0]; tune[1] like fit[1]; tune[2] like fit[2]; ...)"
    )
