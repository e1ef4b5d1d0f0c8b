"""From an encoded image to the pixels a model takes: decode, orient, crop, reduce to 8 bits, colour, resize, pad.

The one copy of these steps: the trainer reads folders of images with it and the server answers with it, under the
settings and the rules that the manifest carries, so that training and serving cannot differ.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile

from vouch.bundle.errors import InvalidImage
from vouch.bundle.image_parts import MAX_PIXELS, image_parts
from vouch.bundle.images.parts import ImageParts
from vouch.bundle.images.png import has_all_rows
from vouch.bundle.images.refusing import refusing
from vouch.bundle.pixel_settings import FIRST_RULES, PixelSettings
from vouch.bundle.placement import Box, Placement, fraction, placement, upright_size
from vouch.bundle.samples import (
    LOW_BYTES,
    Depth,
    eight_bits,
    is_grey,
    is_transparent,
    low_bytes_mode,
    on_ground,
    raw_mode,
)

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # channels -> Pillow's name of the colour mode
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What puts a picture upright, by its orientation as EXIF numbers it."""
PLAIN = ("L", "RGB")
"""Modes of 8 bits without alpha, unless a colour of theirs stands for it."""
STRIP_PIXELS = 1 << 20
"""A large picture goes through the steps in strips of this size, or each step would hold a copy of the whole."""
STRIP_PIXEL_BYTES = 16
"""Of a strip's copies on its way to the model's channels."""


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
    """What an encoded image holds, without decoding its pixels.

    Raises:
        InvalidImage: as `decode`, as far as it is found.
    """
    parts = image_parts(encoded)
    with _opened(parts) as image:
        return _content(parts, image)


def decode(encoded: bytes, settings: PixelSettings) -> np.ndarray:
    """The model's input pixels for a PNG, JPEG or WebP file's bytes.

    Returns:
        uint8, shape `settings.shape`.

    Raises:
        InvalidImage: what `image_parts` refuses for its headers; truncated or broken; too tall to be made as wide as
            the settings say; or 16-bit samples over the bits of the settings.
    """
    return decode_parts(image_parts(encoded), settings)


def decode_parts(parts: ImageParts, settings: PixelSettings) -> np.ndarray:
    """The same for a file whose parts are known already."""
    with _opened(parts) as image:
        return _decoded(parts, image, settings).pixels


def decode_bytes(parts: ImageParts, settings: PixelSettings) -> int:
    """How much memory decoding a file takes at its peak; for plain pictures, 16-bit colour and alpha it is often less.

    Measured at 64 million pixels, for grey: 2 bytes a pixel from 8-bit grey, 5.2 from colour, 7 from a progressive JPEG
    in colour, 9.7 from 16-bit colour with a transparent colour, 16 from WebP; for colour 3 more, with alpha 7 more.
    """
    turned = 2 if parts.orientation in TURNS else 1
    made = {1: 1, 2: 8, 3: 4, 4: 8}[settings.channels or 1]
    divisor = fraction(parts, settings)
    width, height = parts.width // divisor, parts.height // divisor
    pixels, scanned = width * height, parts.width * parts.height * parts.scan_bytes
    whole = max(pixels * parts.pixel_bytes + scanned, pixels * (turned * parts.pixel_bytes + made))
    narrowed = min(max(width, height) * settings.width, MAX_PIXELS) * made
    padded = settings.height * settings.width * made if settings.fit == "pad" else 0
    return pixels * parts.held_bytes + whole + narrowed + padded + min(pixels, STRIP_PIXELS) * STRIP_PIXEL_BYTES


def look_and_decode(encoded: bytes, settings: PixelSettings) -> Decoded:
    """Both at once, for whoever finds out the settings on the way. Raises as `decode`."""
    parts = image_parts(encoded)
    with _opened(parts) as image:
        return _decoded(parts, image, settings)


def _content(parts: ImageParts, image: ImageFile.ImageFile) -> Content:
    width, height = upright_size(*image.size, parts.orientation)
    return Content(height, width, not is_grey(image, raw_mode(image)))


def _decoded(parts: ImageParts, image: ImageFile.ImageFile, settings: PixelSettings) -> Decoded:
    content = _content(parts, image)
    divisor = fraction(parts, settings)
    placed = placement(content.width // divisor, content.height // divisor, settings)
    _check_resize(placed)
    if divisor > 1:
        image.draft(None, (image.width // divisor, image.height // divisor))
    picture, depth, transparent = _picture(parts, image, settings, placed.part)
    if picture.size != placed.place_size:
        picture = picture.resize(placed.place_size, Image.Resampling.BILINEAR)
    if picture.size != (settings.width, settings.height):
        picture = _padded(picture, placed, settings)
    return Decoded(content, np.asarray(picture, dtype=np.uint8).reshape(settings.shape), depth, transparent)


def _check_resize(placed: Placement) -> None:
    """Pillow resizes the width first, which makes a picture of the old height and the new width."""
    height, width = placed.part_size[1], placed.place_size[0]
    if height * width > MAX_PIXELS:
        raise InvalidImage(
            f"the image is {height:,} pixels high; made {width:,} pixels wide it has more than {MAX_PIXELS:,}"
        )


def _padded(picture: Image.Image, placed: Placement, settings: PixelSettings) -> Image.Image:
    """On the ground's colour, which is transparent where the model sees that."""
    ground = Image.new("RGBA", (1, 1), (*bytes.fromhex(settings.ground[1:]), 0)).convert(picture.mode)
    canvas = Image.new(picture.mode, (settings.width, settings.height), ground.getpixel((0, 0)))
    canvas.paste(picture, placed.place)
    return canvas


def _picture(
    parts: ImageParts, image: ImageFile.ImageFile, settings: PixelSettings, part: Box
) -> tuple[Image.Image, Depth | None, bool]:
    """This part of the upright picture in the model's channels, how far 16-bit samples go in it, and whether any of it
    is transparent.
    """
    left, upper, right, lower = part
    raw = raw_mode(image)
    with refusing(parts.kind):
        upright = _upright(parts, image)
        mode = MODES[settings.channels or 1]
        if _is_plain(upright, raw) and part == (0, 0, *upright.size):
            return upright if upright.mode == mode else upright.convert(mode), None, False
        if _is_plain(upright, raw) and upright.mode == mode:
            return upright.crop(part), None, False
        low = _upright_low(parts, upright, raw, settings)
        picture = Image.new(mode, (right - left, lower - upper))
        depths: list[Depth] = []
        transparent = False
        for box in _strips(part):
            strip, depth = _eight_bits(upright.crop(box), low and low.crop(box), raw, settings)
            depths += [depth] if depth else []
            transparent = transparent or is_transparent(strip)
            if settings.rules != FIRST_RULES and settings.channels not in (2, 4):
                strip = on_ground(strip, settings.ground)
            picture.paste(strip.convert(picture.mode), (0, box[1] - upper))
    lowest_and_highest = (min(low for low, _ in depths), max(high for _, high in depths)) if depths else None
    return picture, lowest_and_highest, transparent


def _is_plain(upright: Image.Image, raw: str) -> bool:
    """Whether no rule says anything of it but its mode: it needs no strips, which are copies, and those of a photo cost
    nearly as much as its decode.
    """
    return upright.mode in PLAIN and raw not in LOW_BYTES and "transparency" not in upright.info


def _strips(part: Box) -> Iterator[Box]:
    """From the top down."""
    left, upper, right, lower = part
    rows = max(1, STRIP_PIXELS // (right - left))
    for top in range(upper, lower, rows):
        yield left, top, right, min(top + rows, lower)


def _eight_bits(
    strip: Image.Image, low: Image.Image | None, raw: str, settings: PixelSettings
) -> tuple[Image.Image, Depth | None]:
    if settings.rules == FIRST_RULES:
        return _first_rules(strip), None
    return eight_bits(strip, low, raw, settings.bits)


def _upright(parts: ImageParts, image: ImageFile.ImageFile) -> Image.Image:
    image.load()
    if parts.kind == "PNG" and _may_lack_rows(image) and not has_all_rows(parts.encoded):
        raise InvalidImage("the image is truncated: rows of its pixels are lacking")
    return image.transpose(TURNS[parts.orientation]) if parts.orientation in TURNS else image


def _may_lack_rows(image: ImageFile.ImageFile) -> bool:
    """Rows that a PNG file lacks, Pillow leaves zero, and says nothing; of an interlaced one they may be anywhere."""
    last = image.getpixel((image.width - 1, image.height - 1))
    return bool(image.info.get("interlace")) or not (any(last) if isinstance(last, tuple) else last)


def _upright_low(parts: ImageParts, upright: Image.Image, raw: str, settings: PixelSettings) -> Image.Image | None:
    """The low bytes of 16-bit samples where Pillow has read the high ones and both are needed: the file, read again."""
    mode = low_bytes_mode(upright, raw, settings.bits)
    if mode is None or settings.rules == FIRST_RULES:
        return None
    with _opened(parts) as again:
        again.tile = [again.tile[0]._replace(args=mode)]
        return _upright(parts, again)


def _opened(parts: ImageParts) -> ImageFile.ImageFile:
    with refusing(parts.kind):
        image = Image.open(io.BytesIO(parts.encoded), formats=(parts.kind,))
        if image.size != (parts.width, parts.height):
            raise InvalidImage("the image is broken: it says two sizes")
        return image


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
