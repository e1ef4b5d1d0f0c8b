"""Rewrites image files of kinds that servers do not accept as PNG: before training uses them, and before sending.

A server decodes only PNG, JPEG and WebP. Training and serving must see the same pixels, so a BMP, GIF or TIFF file is
first rewritten without loss, and then decoded like any other. Only the first of several pictures in a file is used.
"""

import io
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile

from vouch.bundle.errors import InvalidImage
from vouch.bundle.image_parts import check_size
from vouch.bundle.images.kinds import PNG, is_bmp, kind_of, refusal
from vouch.bundle.images.png import chunk
from vouch.bundle.images.refusing import refusing
from vouch.sources.tiff import ORDERS, Tiff, read_tiff

TAKEN = "PNG, JPEG, WebP, BMP, GIF or TIFF"
GIF = (b"GIF87a", b"GIF89a")
MAX_BLOCKS = 10_000
"""Limit for a GIF file's content before its first picture: texts and settings."""
PNG_LEVEL = 3
"""Compression level: files are a tenth larger than with the usual 6, in a third of the time."""
ROW_UP = b"\2"
"""PNG's filter that stores a row's difference from the row above."""
WRITTEN = ("1", "L", "LA", "P", "RGB", "RGBA")
"""Pillow's modes that exist in PNG."""
CONVERTED = {"PA": "RGBA", "RGBa": "RGBA", "La": "LA", "RGBX": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}
DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N")
DEEP_COLOUR = {"RGB;16": 3, "RGBX;16": 3, "RGBA;16": 4}
"""Prefixes of Pillow's names for 16-bit colour in a file -> the number of channels that are kept."""
MAX_SAMPLE = 65_535


@dataclass(frozen=True)
class _Checked:
    """A file whose headers were checked."""

    kind: str
    """Pillow's name of the format."""
    encoded: bytes
    width: int
    height: int
    tiff: Tiff | None = None


def is_rewritten(encoded: bytes) -> bool:
    """Whether a file's kind is rewritten as PNG."""
    return _look_for(encoded) is not None


def as_callers_send(encoded: bytes) -> bytes:
    """The file itself if callers may send it, else the same picture as PNG.

    Raises:
        InvalidImage: its kind is not supported; or its kind is rewritten, but it cannot be decoded or is too large.
    """
    if kind_of(encoded) is not None:
        return encoded
    look = _look_for(encoded)
    if look is None:
        raise refusal(encoded, TAKEN)
    checked = look(encoded)
    with refusing(checked.kind):
        return _as_png(checked)


def _look_for(encoded: bytes) -> Callable[[bytes], _Checked] | None:
    if encoded[:4] in ORDERS:
        return _look_at_tiff
    if encoded.startswith(GIF):
        return _look_at_gif
    return _look_at_bmp if is_bmp(encoded) else None


def _look_at_tiff(encoded: bytes) -> _Checked:
    tiff = read_tiff(encoded)
    return _Checked("TIFF", tiff.encoded, tiff.width, tiff.height, tiff)


def _look_at_bmp(encoded: bytes) -> _Checked:
    if len(encoded) < 26:
        raise InvalidImage("the BMP picture is truncated")
    small = encoded[14] == 12
    width, height = map(abs, struct.unpack_from("<HH" if small else "<ii", encoded, 18))
    check_size(width, height)
    return _Checked("BMP", encoded, width, height)


def _look_at_gif(encoded: bytes) -> _Checked:
    """The size up to the first picture, which may extend beyond the size in the header."""
    width, height = struct.unpack_from("<HH", encoded.ljust(13, b"\0"), 6)
    at = 13 + _palette_bytes(encoded, 10)
    for _ in range(MAX_BLOCKS):
        start = encoded[at : at + 1]
        if start == b",":
            left, top, across, down = struct.unpack_from("<HHHH", encoded.ljust(at + 10, b"\0"), at + 1)
            width, height = max(width, left + across), max(height, top + down)
            check_size(width, height)
            return _Checked("GIF", encoded, width, height)
        if start in (b"", b";"):
            break
        at = _behind_extension(encoded, at + 2) if start == b"!" else at + 1
    raise InvalidImage("the GIF picture is truncated or broken: no picture was found in it")


def _behind_extension(encoded: bytes, at: int) -> int:
    """The position after an extension: pieces that begin with their length, up to one of length 0."""
    while at < len(encoded) and encoded[at]:
        at += 1 + encoded[at]
    return at + 1


def _palette_bytes(encoded: bytes, flags_at: int) -> int:
    flags = encoded[flags_at] if flags_at < len(encoded) else 0
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _as_png(checked: _Checked) -> bytes:
    image = _opened(checked)
    raw = _raw_mode(image)
    if raw.partition(";")[2].startswith("16") and image.mode not in DEEP_GREY:
        return _deep_colour(checked, image, raw)
    image.load()
    if image.mode in DEEP_GREY:
        return _deep_grey(checked, np.asarray(image))
    if image.mode not in (*WRITTEN, *CONVERTED):
        raise InvalidImage(f"PNG does not support its samples ({image.mode}); write it with 8 or 16 bits")
    plain = image if image.mode in WRITTEN else image.convert(CONVERTED[image.mode])
    key = plain.info.get("transparency")
    if key is None and _is_grey_palette(plain):
        plain = plain.convert("L")
    plain.info = {} if key is None else {"transparency": key}
    file = io.BytesIO()
    plain.save(file, "PNG", compress_level=PNG_LEVEL)
    return file.getvalue()


def _is_grey_palette(image: Image.Image) -> bool:
    """Whether a palette has only greys: GIF stores grey pictures so."""
    colours = np.reshape(image.getpalette() or [], (-1, 3))
    return image.mode == "P" and bool((colours == colours[:, :1]).all())


def _opened(checked: _Checked) -> ImageFile.ImageFile:
    image = Image.open(io.BytesIO(checked.encoded), formats=(checked.kind,))
    if sorted(image.size) != sorted((checked.width, checked.height)):
        raise InvalidImage("it contains two different sizes")
    return image


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """The layout of the samples in the file, in Pillow's terms."""
    arguments = image.tile[0].args if image.tile else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _deep_grey(checked: _Checked, samples: np.ndarray) -> bytes:
    if samples.min() < 0 or samples.max() > MAX_SAMPLE:
        raise InvalidImage(f"its samples are {samples.min():,} to {samples.max():,}; PNG allows 0 to {MAX_SAMPLE:,}")
    if checked.tiff is not None and checked.tiff.white_is_zero:
        samples = MAX_SAMPLE - samples  # Pillow does not invert 16-bit samples
    return _deep_png(samples[:, :, np.newaxis], colour=0)


def _deep_colour(checked: _Checked, image: ImageFile.ImageFile, raw: str) -> bytes:
    """16-bit colour as PNG. Pillow reads only high bytes; a second read in the other byte order gives the low ones."""
    kind, order = raw[:-1], raw[-1]
    if kind not in DEEP_COLOUR or checked.tiff is None or checked.tiff.planes_apart:
        raise InvalidImage("its samples have 16 bits in an unusual order; write it with 8 bits, or as a PNG file")
    if order == "N":
        order = "L" if sys.byteorder == "little" else "B"
    low = _opened(checked)
    other = kind + ("B" if order == "L" else "L")
    low.tile = [tile._replace(args=(other, *tile.args[1:])) for tile in low.tile if isinstance(tile.args, tuple)]
    image.load()
    low.load()
    channels = DEEP_COLOUR[kind]
    samples = np.asarray(image)[:, :, :channels].astype(np.uint16) << 8 | np.asarray(low)[:, :, :channels]
    return _deep_png(samples, colour=2 if channels == 3 else 6)


def _deep_png(samples: np.ndarray, colour: int) -> bytes:
    """A PNG file of 16-bit samples, shape (H, W, C), with the colour type that C means."""
    height, width = samples.shape[:2]
    rows = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    packer, packed = zlib.compressobj(PNG_LEVEL), []
    above = np.zeros(rows.shape[1], np.uint8)
    for row in rows:
        packed.append(packer.compress(ROW_UP + (row - above).tobytes()))
        above = row
    packed.append(packer.flush())
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    return PNG + chunk(b"IHDR", header) + chunk(b"IDAT", b"".join(packed)) + chunk(b"IEND", b"")
