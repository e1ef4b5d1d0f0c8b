"""Large JPEG files are decoded at a fraction of their size, under the rules that say so."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vouch.bundle.image_parts import image_parts
from vouch.bundle.images.jpeg import with_orientation
from vouch.bundle.pixel_settings import SCALED_RULES, Fit, PixelSettings
from vouch.bundle.pixels import decode, decode_bytes, look_and_decode
from vouch.bundle.placement import fraction

NOISE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
FITS: tuple[Fit, ...] = ("stretch", "crop", "pad")


def photo(width: int, height: int, kind: str = "JPEG", **options: Any) -> bytes:
    """Smooth, as a photograph is that is far larger than the model's image."""
    file = io.BytesIO()
    Image.fromarray(NOISE).resize((width, height), Image.Resampling.BICUBIC).save(file, kind, **options)
    return file.getvalue()


def settings(height: int, width: int, fit: Fit = "stretch", rules: int = SCALED_RULES) -> PixelSettings:
    return PixelSettings(rules=rules, height=height, width=width, channels=3, fit=fit)


@pytest.mark.parametrize(
    ("width", "height", "fit", "divisor"),
    [
        (4000, 3000, "stretch", 4),
        (3000, 4000, "crop", 4),
        (895, 895, "stretch", 1),  # half of it would be less than twice 224
        (896, 896, "stretch", 2),
        (898, 897, "stretch", 1),  # it does not divide both sides
        (4080, 3060, "stretch", 4),
        (3900, 3002, "stretch", 2),
        (8000, 300, "stretch", 1),  # the shorter side decides
        (8000, 320, "pad", 8),  # becomes 224 x 9
        (50_000, 1000, "stretch", 2),
        (65_000, 64_000, "stretch", 8),
    ],
)
def test_what_is_left_is_twice_as_large_as_what_it_becomes(width: int, height: int, fit: Fit, divisor: int) -> None:
    """JPEG knows no smaller fraction than an eighth; other kinds, and older rules, know none."""
    parts = image_parts(photo(64, 48))
    large = type(parts)(**vars(parts) | {"width": width, "height": height})

    assert fraction(large, settings(224, 224, fit)) == divisor
    assert fraction(type(large)(**vars(large) | {"kind": "PNG"}), settings(224, 224, fit)) == 1
    if fit == "stretch":
        assert fraction(large, settings(224, 224, fit, rules=SCALED_RULES - 1)) == 1


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_pixels_are_nearly_those_of_a_whole_decode(fit: Fit, orientation: int) -> None:
    """Whichever way up the picture is, and whatever is taken of it; what the file holds is said as it is."""
    file = with_orientation(photo(1000, 600, quality=95), orientation)
    whole = look_and_decode(file, settings(40, 64, fit, rules=SCALED_RULES - 1))
    scaled = look_and_decode(file, settings(40, 64, fit))

    assert fraction(image_parts(file), settings(40, 64, fit)) > 1
    assert scaled.content == whole.content
    assert scaled.pixels.shape == whole.pixels.shape
    assert 0 < np.abs(scaled.pixels.astype(int) - whole.pixels).mean() < 1


@pytest.mark.parametrize("fit", FITS)
def test_a_file_that_is_not_large_is_decoded_whole(fit: Fit) -> None:
    """Its pixels are those of the rules before; so are those of other kinds."""
    for file in (photo(500, 375), photo(1200, 900, "PNG"), photo(1200, 900, "WEBP")):
        before, now = (decode(file, settings(224, 224, fit, rules)) for rules in (SCALED_RULES - 1, SCALED_RULES))
        np.testing.assert_array_equal(now, before, strict=True)


def test_it_takes_less_memory() -> None:
    """A progressive file holds what it read of the whole picture all the same."""
    plain, progressive = image_parts(photo(1600, 1280)), image_parts(photo(1600, 1280, progressive=True))
    now, before = settings(80, 80), settings(80, 80, rules=SCALED_RULES - 1)

    assert decode_bytes(plain, now) < decode_bytes(plain, before) / 8
    assert decode_bytes(progressive, now) > progressive.scan_bytes * 1600 * 1280
    assert decode_bytes(progressive, now) < decode_bytes(progressive, before)
