"""How pictures of other proportions fill the model's image, in right values."""

import io
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vouch.bundle.errors import InvalidImage
from vouch.bundle.image_parts import MAX_PIXELS
from vouch.bundle.pixel_settings import Fit, PixelSettings
from vouch.bundle.pixels import decode, look_and_decode
from vouch.bundle.placement import placement

SIDES = st.integers(1, 65_535)
STRIPES = np.repeat(np.repeat(np.array([[50, 200, 100]], np.uint8), 10, axis=0), 10, axis=1)
"""10 high, 30 wide: what is on the left, in the middle and on the right."""


def decoded(pixels: np.ndarray, fit: Fit, height: int, width: int, **more: Any) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return decode(file.getvalue(), PixelSettings(height=height, width=width, fit=fit, **more))


@pytest.mark.parametrize(
    ("width", "height", "fit", "part", "place"),
    [
        (30, 10, "stretch", (0, 0, 30, 10), (0, 0, 6, 4)),
        (30, 10, "crop", (7, 0, 22, 10), (0, 0, 6, 4)),  # 15 of 30, the odd pixel left over on the right
        (10, 30, "crop", (0, 11, 10, 18), (0, 0, 6, 4)),  # 10 * 4 / 6 is 6.67
        (6, 4, "crop", (0, 0, 6, 4), (0, 0, 6, 4)),
        (3, 2, "crop", (0, 0, 3, 2), (0, 0, 6, 4)),  # made larger
        (10_000, 1, "crop", (4999, 0, 5001, 1), (0, 0, 6, 4)),  # 1.5 of a pixel
        (1, 10_000, "crop", (0, 4999, 1, 5000), (0, 0, 6, 4)),
        (30, 10, "pad", (0, 0, 30, 10), (0, 1, 6, 3)),
        (10, 30, "pad", (0, 0, 10, 30), (2, 0, 3, 4)),  # 1.33 of 6
        (6, 4, "pad", (0, 0, 6, 4), (0, 0, 6, 4)),
        (10_000, 1, "pad", (0, 0, 10_000, 1), (0, 1, 6, 2)),
        (1, 10_000, "pad", (0, 0, 1, 10_000), (2, 0, 3, 4)),
    ],
)
def test_a_picture_is_placed_in_whole_pixels(
    width: int, height: int, fit: Fit, part: tuple[int, ...], place: tuple[int, ...]
) -> None:
    """What is taken of it, and where it goes in an image 4 high and 6 wide."""
    placed = placement(width, height, PixelSettings(height=4, width=6, fit=fit))

    assert (placed.part, placed.place) == (part, place)


@given(width=SIDES, height=SIDES, target=st.tuples(st.integers(1, 4096), st.integers(1, 4096)))
def test_proportions_are_kept_to_a_pixel(width: int, height: int, target: tuple[int, int]) -> None:
    """Whatever the sides are, what is taken lies in the picture, what it becomes lies in the image, and one side is
    filled; half a pixel of rounding is all that proportions are wrong by.
    """
    for fit in ("crop", "pad"):
        settings = PixelSettings(height=target[0], width=target[1], fit=fit)
        placed = placement(width, height, settings)
        (left, upper, right, lower), (to_left, to_upper, to_right, to_lower) = placed.part, placed.place
        assert 0 <= left < right <= width
        assert 0 <= upper < lower <= height
        assert 0 <= to_left < to_right <= settings.width
        assert 0 <= to_upper < to_lower <= settings.height
        (w, h), (new_w, new_h) = placed.part_size, placed.place_size
        assert (w == width or h == height) if fit == "crop" else (new_w == settings.width or new_h == settings.height)
        other = (w * new_h, h * new_w)
        slack = max(new_h, new_w) / 2 if fit == "crop" else max(w, h) / 2
        assert abs(other[0] - other[1]) <= slack or 1 in (w, h, new_w, new_h)


def test_cropping_keeps_the_middle() -> None:
    """Nothing of what lies beside it shows, and it is as it was where no resizing is needed."""
    np.testing.assert_array_equal(decoded(STRIPES, "crop", 10, 10), STRIPES[:, 10:20], strict=True)
    np.testing.assert_array_equal(decoded(STRIPES, "crop", 4, 4), np.full((4, 4), 200, np.uint8), strict=True)
    np.testing.assert_array_equal(decoded(STRIPES.T, "crop", 7, 7), np.full((7, 7), 200, np.uint8), strict=True)


def test_padding_keeps_all_of_it() -> None:
    """In the middle of the ground's colour, for grey as grey as any transparent part would be."""
    found = decoded(STRIPES, "pad", 31, 30, ground="#ff0000")

    np.testing.assert_array_equal(found[10:20], STRIPES)
    np.testing.assert_array_equal(np.delete(found, slice(10, 20), axis=0), 76)  # the luma of red
    assert decoded(STRIPES, "pad", 31, 30, ground="#ff0000", channels=3)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(("channels", "around"), [(2, [76, 0]), (4, [255, 0, 0, 0])])
def test_what_is_padded_is_transparent_where_the_model_sees_that(channels: int, around: list[int]) -> None:
    """There is nothing; the picture itself is opaque."""
    found = decoded(STRIPES, "pad", 30, 30, ground="#ff0000", channels=channels)

    assert found[0, 0].tolist() == around
    np.testing.assert_array_equal(found[10:20, :, -1], 255)


@pytest.mark.parametrize("fit", get_args(Fit))
def test_a_picture_of_the_models_proportions_is_the_same_in_every_way(fit: Fit) -> None:
    """There is nothing to choose then."""
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)

    np.testing.assert_array_equal(
        decoded(picture, fit, 8, 12, channels=3), decoded(picture, "stretch", 8, 12, channels=3), strict=True
    )


@pytest.mark.parametrize(("fit", "refused"), [("stretch", True), ("crop", False), ("pad", False)])
def test_what_is_in_memory_on_the_way_is_bounded(fit: Fit, refused: bool) -> None:
    """Pillow makes a picture of the old height and the new width first: of a column that is cropped, or that stays
    narrow, this is little.
    """
    column = np.full((60_000, 1), 7, np.uint8)
    width = MAX_PIXELS // 60_000 + 1

    if refused:
        with pytest.raises(InvalidImage, match="60,000 pixels high; made 1,067 pixels wide"):
            decoded(column, fit, 4, width)
    else:
        assert decoded(column, fit, 4, width).shape == (4, width)


def test_a_sample_that_is_cut_away_is_not_looked_at() -> None:
    """One that needs more bits than there are is refused where it would be seen."""
    samples = np.full((10, 30), 1000, np.uint16)
    samples[:, :10] = 2000
    file = io.BytesIO()
    Image.fromarray(samples).save(file, "PNG")

    cropped = look_and_decode(file.getvalue(), PixelSettings(height=5, width=5, bits=10, fit="crop"))

    assert cropped.depth == (1000, 1000)
    with pytest.raises(InvalidImage, match="a 16-bit sample of 2,000"):
        decode(file.getvalue(), PixelSettings(height=5, width=5, bits=10, fit="pad"))
