"""From an encoded image to a model's pixels: decode, orient, crop, reduce to 8 bits, convert colours, resize, pad.

The only implementation of these steps: trainer and server use it with the settings and rules in the manifest, so that
training and serving cannot differ.
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
"""EXIF's orientation -> the operation that makes a picture upright."""
PLAIN = ("L", "RGB")
"""Modes of 8 bits without alpha, unless one colour is marked as transparent."""
STRIP_PIXELS = 1 << 20
"""A large picture is processed in strips of this size; else each step would need a copy of the whole picture."""
STRIP_PIXEL_BYTES = 16
"""Bytes per pixel of a strip's copies."""


@dataclass(frozen=True)
class Content:
    """The properties of an encoded image."""

    height: int
    width: int
    """Size of the upright image."""
    colour: bool
    """False for grey images."""


@dataclass(frozen=True)
class Decoded:
    """A decoded file."""

    content: Content
    pixels: np.ndarray
    """uint8, as from `decode`."""
    depth: Depth | None
    """The lowest and the highest of its 16-bit samples; None without 16-bit samples."""
    transparent: bool
    """Whether any part of it is transparent."""


def look(encoded: bytes) -> Content:
    """The properties of an encoded image, without decoding its pixels.

    Raises:
        InvalidImage: as `decode`, for errors in the headers.
    """
    parts = image_parts(encoded)
    with _opened(parts) as image:
        return _content(parts, image)


def decode(encoded: bytes, settings: PixelSettings) -> np.ndarray:
    """The model's input pixels for a PNG, JPEG or WebP file's bytes.

    Returns:
        uint8, shape `settings.shape`.

    Raises:
        InvalidImage: refused by `image_parts` for its headers; truncated or broken; too tall for a resize to the
            width in the settings; or 16-bit samples over the bits in the settings.
    """
    return decode_parts(image_parts(encoded), settings)


def decode_parts(parts: ImageParts, settings: PixelSettings) -> np.ndarray:
    """The same for a file whose parts are already known."""
    with _opened(parts) as image:
        return _decoded(parts, image, settings).pixels


def decode_bytes(parts: ImageParts, settings: PixelSettings) -> int:
    """The peak memory of decoding a file; often less for plain pictures, 16-bit colour and alpha.

    Measured at 64 million pixels, to grey: 2 bytes per pixel from 8-bit grey, 5.2 from colour, 7 from a progressive
    JPEG in colour, 9.7 from 16-bit colour with a transparent colour, 16 from WebP; 3 more to colour, 7 more with alpha.
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
    """Inspects and decodes in one step; the properties decide the settings. Raises as `decode`."""
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
    """Checks the intermediate picture: Pillow resizes the width first, to the old height and the new width."""
    height, width = placed.part_size[1], placed.place_size[0]
    if height * width > MAX_PIXELS:
        raise InvalidImage(
            f"the image is {height:,} pixels high; made {width:,} pixels wide it has more than {MAX_PIXELS:,}"
        )


def _padded(picture: Image.Image, placed: Placement, settings: PixelSettings) -> Image.Image:
    """Pads with the ground's colour, which is transparent if the model has an alpha channel."""
    ground = Image.new("RGBA", (1, 1), (*bytes.fromhex(settings.ground[1:]), 0)).convert(picture.mode)
    canvas = Image.new(picture.mode, (settings.width, settings.height), ground.getpixel((0, 0)))
    canvas.paste(picture, placed.place)
    return canvas


def _picture(
    parts: ImageParts, image: ImageFile.ImageFile, settings: PixelSettings, part: Box
) -> tuple[Image.Image, Depth | None, bool]:
    """This part of the upright picture in the model's channels, its range of 16-bit samples, and whether any of it is
    transparent.
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
    """Whether only its mode must be converted: then it needs no strips, which are copies and for a photo cost nearly as
    much as its decoding.
    """
    return upright.mode in PLAIN and raw not in LOW_BYTES and "transparency" not in upright.info


def _strips(part: Box) -> Iterator[Box]:
    """The strips, from top to bottom."""
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
        raise InvalidImage("the image is truncated: rows of its pixels are missing")
    return image.transpose(TURNS[parts.orientation]) if parts.orientation in TURNS else image


def _may_lack_rows(image: ImageFile.ImageFile) -> bool:
    """Checks for missing rows, which Pillow fills with zeros; in an interlaced file they may be anywhere."""
    last = image.getpixel((image.width - 1, image.height - 1))
    return bool(image.info.get("interlace")) or not (any(last) if isinstance(last, tuple) else last)


def _upright_low(parts: ImageParts, upright: Image.Image, raw: str, settings: PixelSettings) -> Image.Image | None:
    """The low bytes of 16-bit samples, if needed, from a second read: Pillow reads only the high bytes."""
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
            raise InvalidImage("the image is broken: it has two different sizes")
        return image


def _first_rules(image: Image.Image) -> Image.Image:
    """Rules 1: scales 16-bit grey to 8 bits; Pillow's own conversion would clip it at 255.

    A palette with transparency becomes colour here, because Pillow warns if it is converted to grey. The conversion to
    the model's channels drops alpha.
    """
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode in ("I", "I;16", "I;16B"):
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    return image
