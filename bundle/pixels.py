"""From an encoded image to the pixels a model takes: decode, orient, colour, resize.

The one copy of these steps: the trainer reads folders of images with it and the server answers with it, under the
settings that the manifest carries, so that training and serving cannot differ.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from vouch.bundle.errors import InvalidImage
from vouch.bundle.pixel_settings import PixelSettings

FORMATS = ("PNG", "JPEG")
MAX_PIXELS = 64_000_000  # of the encoded image; a small file can claim to be enormous
ORIENTATION = 0x0112  # the EXIF tag
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # channels -> Pillow's name of the colour mode

warnings.filterwarnings("ignore", module=r"PIL\.")  # here once: what Pillow warns about is refused or harmless


@dataclass(frozen=True)
class Content:
    """What an encoded image holds by itself."""

    height: int
    width: int
    """Of the image that stands upright."""
    channels: int
    """1: grey; 2: grey and alpha; 3: red, green and blue; 4: these and alpha."""
    transparent: bool
    """Whether its alpha is below 255 anywhere."""


def look(encoded: bytes) -> Content:
    """What an encoded image holds.

    Raises:
        InvalidImage: as `decode`, as far as it is found: pixels are looked at only where there is alpha.
    """
    with _opened(encoded) as image:
        with _refusing():
            turned = image.getexif().get(ORIENTATION) in (5, 6, 7, 8)  # these lie on their side
        content = _content(image)
        return Content(content.width, content.height, content.channels, content.transparent) if turned else content


def decode(encoded: bytes, settings: PixelSettings) -> np.ndarray:
    """The model's input pixels for a PNG or JPEG file's bytes.

    Returns:
        uint8, shape `settings.shape`.

    Raises:
        InvalidImage: not a PNG or JPEG image, truncated, animated, or over 64 million pixels; found before its pixels
            are allocated where the header tells.
    """
    with _opened(encoded) as image:
        return _pixels(_upright(image), settings)


def look_and_decode(encoded: bytes, settings: PixelSettings) -> tuple[Content, np.ndarray]:
    """Both at once, for whoever finds out the settings on the way. Raises as `decode`."""
    with _opened(encoded) as image:
        upright = _upright(image)
        return _content(upright), _pixels(upright, settings)


def _upright(image: Image.Image) -> Image.Image:
    with _refusing():
        image.load()
        return ImageOps.exif_transpose(image)


def _pixels(upright: Image.Image, settings: PixelSettings) -> np.ndarray:
    coloured = _eight_bits(upright).convert(MODES[settings.channels or 1])
    size = (settings.width, settings.height)
    if coloured.size != size:
        coloured = coloured.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(coloured, dtype=np.uint8).reshape(settings.shape)


def _content(image: Image.Image) -> Content:
    width, height = image.size
    grey = image.mode in ("1", "L", "LA", "I", "I;16", "I;16B")
    if image.mode.startswith("I") or not image.has_transparency_data:
        return Content(height, width, 1 if grey else 3, transparent=False)
    with _refusing():
        opaque = image.convert("RGBA").getchannel("A").getextrema() == (255, 255)
    return Content(height, width, 2 if grey else 4, transparent=not opaque)


def _opened(encoded: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(encoded), formats=FORMATS)
    except Exception as err:  # as in _refusing
        enormous = isinstance(err, (Image.DecompressionBombError, Image.DecompressionBombWarning))
        reason = "too many pixels" if enormous else "not one"
        raise InvalidImage(f"expected a PNG or JPEG image; these {len(encoded):,} bytes are {reason}") from err
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise InvalidImage(f"the image has {width:,} x {height:,} pixels; at most {MAX_PIXELS:,} are taken")
    if image.format == "PNG" and getattr(image, "n_frames", 1) > 1:  # a camera's JPEG may have a preview behind it
        raise InvalidImage("the image is animated; expected a single picture")
    return image


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except Exception as err:  # Pillow raises a dozen types for broken or hostile content
        raise InvalidImage(f"the image cannot be decoded: {err}") from err


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey scaled to 8 bits; Pillow's own conversion would cut off above 255.

    A palette with transparency becomes colour here, because Pillow warns about going on to grey from it.
    """
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode in ("I", "I;16", "I;16B"):
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    return image
