"""From an encoded image to the pixels a model takes: decode, orient, reduce to 8 bits, colour, resize.

The one copy of these steps: the trainer reads folders of images with it and the server answers with it, under the
settings and the rules that the manifest carries, so that training and serving cannot differ.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile, ImageOps

from vouch.bundle.errors import InvalidImage
from vouch.bundle.pixel_settings import FIRST_RULES, PixelSettings
from vouch.bundle.samples import Depth, eight_bits, is_grey, is_transparent, on_ground, raw_mode

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
    colour: bool
    """False: it is grey."""


@dataclass(frozen=True)
class Decoded:
    """What came of a file."""

    content: Content
    pixels: np.ndarray
    """uint8, as `decode` returns them."""
    depth: Depth | None
    """The lowest and the highest of its 16-bit samples; None: it has none."""
    transparent: bool
    """Whether any part of it is."""


def look(encoded: bytes) -> Content:
    """What an encoded image holds, without decoding its pixels where its header says it.

    Raises:
        InvalidImage: as `decode`, as far as it is found.
    """
    with _opened(encoded) as image:
        grey = is_grey(image, raw_mode(image))
        with _refusing():
            turned = image.getexif().get(ORIENTATION) in (5, 6, 7, 8)  # these lie on their side
        width, height = reversed(image.size) if turned else image.size
        return Content(height, width, not grey)


def decode(encoded: bytes, settings: PixelSettings) -> np.ndarray:
    """The model's input pixels for a PNG or JPEG file's bytes.

    Returns:
        uint8, shape `settings.shape`.

    Raises:
        InvalidImage: not a PNG or JPEG image, truncated, animated, over 64 million pixels, which is found before they
            are allocated where the header tells; or 16-bit samples over the bits of the settings.
    """
    with _opened(encoded) as image:
        picture, _ = _picture(encoded, image, settings)
        return _pixels(picture, settings)


def look_and_decode(encoded: bytes, settings: PixelSettings) -> Decoded:
    """Both at once, for whoever finds out the settings on the way. Raises as `decode`."""
    with _opened(encoded) as image:
        grey = is_grey(image, raw_mode(image))
        picture, depth = _picture(encoded, image, settings)
        content = Content(picture.height, picture.width, not grey)
        return Decoded(content, _pixels(picture, settings), depth, is_transparent(picture))


def _upright(image: Image.Image) -> Image.Image:
    with _refusing():
        image.load()
        return ImageOps.exif_transpose(image)


def _picture(encoded: bytes, image: ImageFile.ImageFile, settings: PixelSettings) -> tuple[Image.Image, Depth | None]:
    """The upright picture in 8 bits, with its alpha; and how far 16-bit samples go, under rules that look at them."""

    def read_again(raw: str) -> Image.Image:
        with _opened(encoded) as again:
            again.tile = [again.tile[0]._replace(args=raw)]
            return _upright(again)

    raw = raw_mode(image)
    upright = _upright(image)
    if settings.rules == FIRST_RULES:
        return _first_rules(upright), None
    with _refusing():
        return eight_bits(upright, raw, settings.bits, read_again)


def _pixels(picture: Image.Image, settings: PixelSettings) -> np.ndarray:
    if settings.rules != FIRST_RULES and settings.channels not in (2, 4):
        picture = on_ground(picture, settings.ground)
    coloured = picture.convert(MODES[settings.channels or 1])
    size = (settings.width, settings.height)
    if coloured.size != size:
        coloured = coloured.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(coloured, dtype=np.uint8).reshape(settings.shape)


def _opened(encoded: bytes) -> ImageFile.ImageFile:
    try:
        image = Image.open(io.BytesIO(encoded), formats=FORMATS)
    except Exception as err:  # as in _refusing
        enormous = isinstance(err, (Image.DecompressionBombError, Image.DecompressionBombWarning))
        if enormous:
            raise InvalidImage(f"the image has far more than {MAX_PIXELS:,} pixels, which are the most taken") from err
        raise InvalidImage(f"expected a PNG or JPEG image; these {len(encoded):,} bytes are not one") from err
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
    except InvalidImage:
        raise
    except Exception as err:  # Pillow raises a dozen types for broken or hostile content
        raise InvalidImage(f"the image cannot be decoded: {err}") from err


def _first_rules(image: Image.Image) -> Image.Image:
    """Rules 1: 16-bit grey scaled to 8 bits, which Pillow's own conversion would cut off above 255.

    A palette with transparency becomes colour here, because Pillow warns about going on to grey from it. Alpha is
    dropped by the conversion to the model's channels.
    """
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode in ("I", "I;16", "I;16B"):
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    return image
