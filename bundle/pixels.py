"""From an encoded image to the pixels a model takes: decode, orient, colour, resize.

The one copy of these steps: the trainer reads folders of images with it and the server answers with it, under the
settings that the manifest carries, so that training and serving cannot differ.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict, Field

from bundle.errors import InvalidImage

FORMATS = ("PNG", "JPEG")
MAX_PIXELS = 64_000_000  # of the encoded image; a small file can claim to be enormous
ORIENTATION = 0x0112  # the EXIF tag
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # channels -> Pillow's name of the colour mode

warnings.filterwarnings("ignore", module=r"PIL\.")  # here once: what Pillow warns about is refused or harmless


class PixelSettings(BaseModel):
    """What an image becomes before the model sees it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int = Field(ge=1)
    width: int = Field(ge=1)
    channels: int | None = Field(default=None, ge=1, le=4)
    """None: grey, and no axis for it."""
    resample: Literal["bilinear"] = "bilinear"
    """Resizing stretches to height x width, with antialiasing."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image: (H, W) or (H, W, C)."""
        return (self.height, self.width) + ((self.channels,) if self.channels else ())

    @classmethod
    def of(cls, images: np.ndarray) -> "PixelSettings":
        """The settings that fit images of shape (N, H, W) or (N, H, W, C)."""
        height, width, *channels = images.shape[1:]
        return cls(height=height, width=width, channels=channels[0] if channels else None)


def read_size(encoded: bytes) -> tuple[int, int, int | None]:
    """Height, width and channels (None: grey) of an encoded image that stands upright.

    Raises:
        InvalidImage: as `decode`, as far as it is found: a JPEG's pixels are not looked at.
    """
    with _opened(encoded) as image:
        with _refusing():
            turned = image.getexif().get(ORIENTATION) in (5, 6, 7, 8)  # these lie on their side
        width, height = reversed(image.size) if turned else image.size
        grey = image.mode in ("1", "L", "LA", "I", "I;16", "I;16B")
        return height, width, None if grey else 3


def decode(encoded: bytes, settings: PixelSettings) -> np.ndarray:
    """The model's input pixels for a PNG or JPEG file's bytes.

    Returns:
        uint8, shape `settings.shape`.

    Raises:
        InvalidImage: not a PNG or JPEG image, truncated, animated, or over 64 million pixels; found before its pixels
            are allocated where the header tells.
    """
    with _opened(encoded) as image:
        with _refusing():
            image.load()
            upright = ImageOps.exif_transpose(image)
        coloured = _eight_bits(upright).convert(MODES[settings.channels or 1])
        size = (settings.width, settings.height)
        if coloured.size != size:
            coloured = coloured.resize(size, Image.Resampling.BILINEAR)
        return np.asarray(coloured, dtype=np.uint8).reshape(settings.shape)


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
