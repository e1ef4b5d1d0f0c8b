"""From a decoded file to a picture of 8 bits in grey or colour, with or without alpha: decoding rules 2 and later.

The settings define how many bits of 16-bit samples are used; the highest 8 of these are kept. A transparent colour
(PNG's tRNS) is compared with the full samples, before bits are dropped. The ground is blended before resizing: each
channel is (value * alpha + ground * (255 - alpha)) / 255, rounded to the nearest.
"""

from functools import reduce

import numpy as np
from PIL import Image, ImageFile

from vouch.bundle.errors import InvalidImage
from vouch.bundle.pixel_settings import ALL_BITS

GREY_16 = "I;16B"
GREY_ALPHA_16 = "LA;16B"
LOW_BYTES = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L", GREY_ALPHA_16: "RGBA"}
"""Pillow's raw mode for the high bytes of 16-bit samples in colour or with alpha -> the raw mode for the low bytes.

PNG is big-endian, so reading it as little-endian keeps the low byte. Grey with alpha has no such mode: its four bytes
are read unchanged; the second is the low byte of grey.
"""
GREY_SCALE = {"L;2": 85, "L;4": 17}
"""Pillow's factors for samples of 2 and 4 bits; it does not scale their tRNS."""

Depth = tuple[int, int]
"""The lowest and the highest sample of a 16-bit file."""


def raw_mode(image: ImageFile.ImageFile) -> str:
    """Pillow's raw mode of a PNG file; only available before the file is loaded."""
    arguments = image.tile[0].args if image.format == "PNG" and image.tile else ""
    return arguments if isinstance(arguments, str) else ""


def is_grey(image: Image.Image, raw: str) -> bool:
    """Whether the picture is grey."""
    return image.mode in ("1", "L", "LA", "I", "I;16", "I;16B") or raw == GREY_ALPHA_16


def low_bytes_mode(upright: Image.Image, raw: str, bits: int) -> str | None:
    """The raw mode for reading the low bytes of 16-bit samples; None if they are not needed."""
    return LOW_BYTES.get(raw) if bits < ALL_BITS or "transparency" in upright.info else None


def eight_bits(upright: Image.Image, low: Image.Image | None, raw: str, bits: int) -> tuple[Image.Image, Depth | None]:
    """The picture as L, LA, RGB or RGBA, and for a 16-bit file the range of its samples.

    Args:
        low: the file read with `low_bytes_mode`, if there is one.
        raw: the file's `raw_mode`.
        bits: the number of used bits.

    Raises:
        InvalidImage: a 16-bit sample needs more bits.
    """
    key = upright.info.get("transparency")
    if raw == GREY_16:
        samples = np.asarray(upright)
        picture, depth = _reduced(samples, bits)
        return (picture if key is None else _with_alpha(picture, samples != key)), depth
    if low is not None:
        return _whole_samples(upright, low, raw, bits, key)
    if raw in LOW_BYTES:
        return _high_bytes(upright, raw)
    if upright.mode in ("1", "L"):
        return _grey(upright, raw, key), None
    if upright.mode in ("LA", "RGBA"):
        return upright, None
    return upright.convert("RGBA" if upright.has_transparency_data else "RGB"), None


def on_ground(picture: Image.Image, ground: str) -> Image.Image:
    """The picture without alpha, blended on a ground of this colour (#rrggbb); grey if both are grey."""
    if picture.mode not in ("LA", "RGBA"):
        return picture
    red, green, blue = bytes.fromhex(ground[1:])
    grey = picture.mode == "LA" and red == green == blue
    laid = Image.new("L", picture.size, red) if grey else Image.new("RGB", picture.size, (red, green, blue))
    laid.paste(picture.convert(laid.mode), mask=picture.getchannel("A"))
    return laid


def is_transparent(picture: Image.Image) -> bool:
    """Whether any part of the picture is transparent."""
    return picture.mode in ("LA", "RGBA") and picture.getchannel("A").getextrema() != (255, 255)


def _grey(upright: Image.Image, raw: str, key: int | None) -> Image.Image:
    picture = upright.convert("L")
    if key is None:
        return picture
    scaled = (
        255 * bool(key) if raw == "1" else key * GREY_SCALE.get(raw, 1)
    )  # for 1 bit, Pillow 11 gives 1, 13 gives 255
    return _with_alpha(picture, np.asarray(picture) != scaled)


def _high_bytes(upright: Image.Image, raw: str) -> tuple[Image.Image, Depth]:
    """The picture from the high bytes, which Pillow has read, if all 16 bits are used."""
    picture = upright.convert("LA") if raw == GREY_ALPHA_16 else upright
    bands = [np.asarray(band) for band in picture.split()[: 1 if picture.mode == "LA" else 3]]
    return picture, (min(int(band.min()) for band in bands) << 8, max(int(band.max()) for band in bands) << 8 | 255)


def _whole_samples(
    upright: Image.Image, low: Image.Image, raw: str, bits: int, key: tuple[int, ...] | None
) -> tuple[Image.Image, Depth]:
    high = upright.split()
    lower_bands = low.split()[1:2] if raw == GREY_ALPHA_16 else low.split()[:3]
    bands, depths, differs = [], [], []
    for k, (upper, lower) in enumerate(zip(high, lower_bands, strict=False)):
        samples = np.asarray(upper).astype(np.uint16) << 8 | np.asarray(lower)
        band, depth = _reduced(samples, bits)
        bands.append(band)
        depths.append(depth)
        if key is not None:
            differs.append(samples != key[k])
    picture = Image.merge("RGB", bands) if len(bands) == 3 else bands[0]
    if len(high) == 4:
        picture.putalpha(high[3])
    if differs:
        picture = _with_alpha(picture, reduce(np.logical_or, differs))
    return picture, (min(low for low, _ in depths), max(high for _, high in depths))


def _reduced(samples: np.ndarray, bits: int) -> tuple[Image.Image, Depth]:
    """The highest 8 of the used bits, and the range of the samples."""
    depth = int(samples.min()), int(samples.max())
    if depth[1] >> bits:
        raise InvalidImage(
            f"it has a 16-bit sample of {depth[1]:,}; files of {bits} bits (--bits {bits}) hold at most {2**bits - 1:,}"
        )
    return Image.fromarray((samples >> (bits - 8)).astype(np.uint8)), depth


def _with_alpha(picture: Image.Image, opaque: np.ndarray) -> Image.Image:
    """The grey or RGB picture with an alpha channel from `opaque`."""
    alpha = Image.fromarray(opaque.astype(np.uint8) * np.uint8(255))
    return Image.merge(f"{picture.mode}A", [*picture.split(), alpha])
