"""What is published of a file: its pixels, and nothing that tells of people and places."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.bundle.odd_images import IMAGES, SECRET
from vouch.bundle.errors import InvalidImage
from vouch.bundle.image_parts import image_parts
from vouch.bundle.images.kinds import kind_of
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.pixels import decode, look
from vouch.bundle.without_metadata import without_metadata

SETTINGS = [
    PixelSettings(height=9, width=5),
    PixelSettings(height=9, width=5, channels=4),
    PixelSettings(height=9, width=5, channels=3, ground="#ff8000"),
    PixelSettings(rules=1, height=9, width=5, channels=3),
]


@pytest.mark.parametrize("name", IMAGES)
def test_the_picture_stays_and_nothing_else(name: str) -> None:
    """Decoded under any settings it gives the same pixels, stands the same way up, and holds no more than them."""
    file = IMAGES[name]()
    kept = without_metadata(file)

    assert kind_of(kept) == kind_of(file)
    assert SECRET[:8] not in kept
    assert len(kept) <= len(file) + 64
    assert look(kept) == look(file)
    assert image_parts(kept) == image_parts(file)
    assert without_metadata(kept) == kept
    for settings in SETTINGS:
        np.testing.assert_array_equal(decode(kept, settings), decode(file, settings))


@pytest.mark.parametrize("name", [name for name in IMAGES if "turned" in name])
def test_only_what_is_to_be_turned_says_so(name: str) -> None:
    """In other programs too the picture stands upright."""
    file = IMAGES[name]()
    shown, kept = (
        ImageOps.exif_transpose(Image.open(io.BytesIO(content))) for content in (file, without_metadata(file))
    )

    np.testing.assert_array_equal(np.asarray(kept), np.asarray(shown))


def test_what_cannot_be_decoded_has_no_picture_to_keep() -> None:
    """The reason is that of the decoder."""
    with pytest.raises(InvalidImage, match="found a GIF picture"):
        without_metadata(b"GIF89a")
