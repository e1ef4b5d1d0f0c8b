"""Odd images of every kind that callers may send, made as they are needed: depths, palettes, inks, turns, oddities."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 11, 7
GREY = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
COLOUR = np.stack([GREY, 255 - GREY, GREY[::-1]], axis=2)
ALPHA = np.linspace(0, 255, WIDTH * HEIGHT).astype(np.uint8).reshape(HEIGHT, WIDTH)
SMOOTH = np.stack([np.add.outer(np.arange(40), np.arange(24)) * k for k in (1, 2, 3)], axis=2).astype(np.uint8)
SECRET = b"Ada Lovelace 51.5074N"
"""In all metadata that is put into these files."""

PNG = b"\x89PNG\r\n\x1a\n"
Make = Callable[[], bytes]


def saved(image: Image.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    """The image as a file that Pillow writes."""
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def raw_png(bits: int, colour: int, rows: bytes, *, before: bytes = b"", interlace: int = 0) -> bytes:
    """A PNG file of WIDTH x HEIGHT, as Pillow cannot write it.

    Args:
        rows: each with its filter's number in front.
        before: chunks before the pixels.
    """
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, colour, 0, 0, interlace)
    return PNG + chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def rows_of(bits_a_row: int, seed: int = 0) -> bytes:
    """Random rows without a filter."""
    made = np.random.default_rng(seed).integers(0, 256, (HEIGHT, -(-bits_a_row // 8)), dtype=np.uint8)
    return b"".join(b"\0" + row.tobytes() for row in made)


def interlaced(pixels: np.ndarray) -> bytes:
    """A grey PNG file in the seven passes of Adam7."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = [
        b"\0" + row.tobytes()
        for left, top, across, down in passes
        for row in pixels[top::down, left::across]
        if row.size
    ]
    return raw_png(8, 0, b"".join(rows), interlace=1)


def exif(orientation: int = 1) -> Image.Exif:
    """With an orientation, a name and a position."""
    made = Image.Exif()
    made[0x0112] = orientation
    made[0x013B] = SECRET.decode()
    made.get_ifd(0x8825).update({1: "N", 2: (51.0, 30.0, 26.0)})
    return made


def palette(mode_bytes: int | bytes | None = None, **options: Any) -> bytes:
    """A PNG file with a palette, and what of it is transparent."""
    image = Image.fromarray(GREY % 5, "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9, 200, 100, 50])
    return saved(image, "PNG", **({} if mode_bytes is None else {"transparency": mode_bytes}), **options)


def with_adobe(jpeg: bytes, transform: int) -> bytes:
    """A JPEG file whose Adobe segment says how its colours are stored."""
    segment = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes((transform,))
    return jpeg[:2] + segment + jpeg[2:]


def with_thumbnail(jpeg: bytes) -> bytes:
    """A JPEG file with 3 x 3 pixels in its JFIF segment, and another segment of it."""
    thumbnail = b"\xff\xe0" + struct.pack(">H", 16 + 27) + b"JFIF\0\1\2\1\0\x48\0\x48\3\3" + SECRET.ljust(27, b"\0")
    more = b"\xff\xe0" + struct.pack(">H", 8 + len(SECRET)) + b"JFXX\0\x10" + SECRET
    return jpeg[:2] + thumbnail + more + jpeg[20:]


def behind(jpeg: bytes) -> bytes:
    """More in each place of a progressive JPEG file where metadata may lie: between the scans and behind the end."""
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(SECRET)) + SECRET
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:last] + comment + jpeg[last:] + SECRET


def _noted(kind: str, image: Image.Image | np.ndarray, orientation: int, **options: Any) -> Make:
    return lambda: saved(image, kind, exif=exif(orientation), icc_profile=b"profile " + SECRET, **options)


IMAGES: dict[str, Make] = {
    "PNG of 1 bit": lambda: raw_png(1, 0, rows_of(WIDTH)),
    "PNG of 2 bits": lambda: raw_png(2, 0, rows_of(2 * WIDTH)),
    "PNG of 4 bits, one grey transparent": lambda: raw_png(
        4, 0, rows_of(4 * WIDTH), before=chunk(b"tRNS", struct.pack(">H", 3))
    ),
    "PNG of 8 bits": lambda: saved(GREY, "PNG"),
    "PNG of 8 bits, one grey transparent": lambda: saved(GREY, "PNG", transparency=int(GREY[0, 0])),
    "PNG of 16 bits": lambda: raw_png(16, 0, rows_of(16 * WIDTH)),
    "PNG of 16 bits, one grey transparent": lambda: raw_png(
        16, 0, b"\0\1\2\1\3".ljust(1 + 2 * WIDTH, b"\1") * HEIGHT, before=chunk(b"tRNS", b"\1\3")
    ),
    "PNG of grey and alpha": lambda: saved(np.dstack([GREY, ALPHA]), "PNG"),
    "PNG of grey and alpha, 16 bits": lambda: raw_png(16, 4, rows_of(32 * WIDTH)),
    "PNG in colour": lambda: saved(COLOUR, "PNG"),
    "PNG in colour, one transparent": lambda: saved(COLOUR, "PNG", transparency=tuple(map(int, COLOUR[1, 1]))),
    "PNG in colour with a suggested palette": lambda: raw_png(
        8, 2, rows_of(24 * WIDTH), before=chunk(b"PLTE", bytes(range(30)))
    ),
    "PNG in colour that is grey": lambda: saved(np.stack([GREY] * 3, axis=2), "PNG"),
    "PNG in colour, 16 bits": lambda: raw_png(16, 2, rows_of(48 * WIDTH)),
    "PNG in colour and alpha": lambda: saved(np.dstack([COLOUR, ALPHA]), "PNG"),
    "PNG in colour and alpha, 16 bits": lambda: raw_png(16, 6, rows_of(64 * WIDTH)),
    "PNG with a palette": palette,
    "PNG with a palette of 1 bit": lambda: saved(Image.fromarray(GREY).convert("1").convert("P"), "PNG", bits=1),
    "PNG with a palette, one colour transparent": lambda: palette(2),
    "PNG with a palette and alpha": lambda: palette(b"\0\x40\x80\xc0\xff"),
    "PNG with a palette that is shorter than its pixels say": lambda: raw_png(
        8, 3, rows_of(8 * WIDTH), before=chunk(b"PLTE", bytes(range(30)))
    ),
    "PNG, interlaced": lambda: interlaced(GREY),
    "PNG, interlaced and black": lambda: interlaced(np.zeros((HEIGHT, WIDTH), np.uint8)),
    "PNG of 1 bit, black": lambda: raw_png(1, 0, bytes(HEIGHT * (1 + (WIDTH + 7) // 8))),
    "PNG in colour and alpha, 16 bits, black": lambda: raw_png(16, 6, bytes(HEIGHT * (1 + 8 * WIDTH))),
    "PNG with a palette of 4 bits, its first colour alone": lambda: raw_png(
        4, 3, bytes(HEIGHT * (1 + (4 * WIDTH + 7) // 8)), before=chunk(b"PLTE", bytes(range(30)))
    ),
    "PNG of one column": lambda: saved(GREY[:, :1].copy(), "PNG"),
    "PNG of one row": lambda: saved(COLOUR[:1].copy(), "PNG"),
    "PNG of one pixel": lambda: saved(COLOUR[:1, :1].copy(), "PNG"),
    "PNG with much beside": _noted("PNG", COLOUR, 1, dpi=(300, 300)),
    "PNG with more behind": lambda: saved(GREY, "PNG") + SECRET,
    "JPEG, grey": lambda: saved(GREY, "JPEG"),
    "JPEG in colour": lambda: saved(SMOOTH, "JPEG"),
    "JPEG in colour, whole chroma": lambda: saved(SMOOTH, "JPEG", subsampling=0),
    "JPEG in colour, progressive": lambda: saved(SMOOTH, "JPEG", progressive=True),
    "JPEG in colour, with restarts": lambda: saved(SMOOTH, "JPEG", restart_marker_blocks=1),
    "JPEG stored as red, green, blue": lambda: saved(SMOOTH, "JPEG", keep_rgb=True),
    "JPEG of inks": lambda: saved(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG"),
    "JPEG of inks as Adobe stores them": lambda: with_adobe(saved(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG"), 2),
    "JPEG of one column": lambda: saved(SMOOTH[:, :1].copy(), "JPEG"),
    "JPEG of one row": lambda: saved(SMOOTH[:1].copy(), "JPEG"),
    "JPEG with much beside": _noted("JPEG", SMOOTH, 1, comment=SECRET, dpi=(300, 300)),
    "JPEG with a preview in its first segment": lambda: with_thumbnail(saved(SMOOTH, "JPEG")),
    "JPEG with more between its scans and behind": lambda: behind(saved(SMOOTH, "JPEG", progressive=True)),
    "JPEG with a preview": lambda: saved(SMOOTH, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 6))]),
    "WebP": lambda: saved(SMOOTH, "WEBP"),
    "WebP, lossless": lambda: saved(COLOUR, "WEBP", lossless=True),
    "WebP and alpha": lambda: saved(np.dstack([COLOUR, ALPHA]), "WEBP"),
    "WebP and alpha, lossless": lambda: saved(np.dstack([COLOUR, ALPHA]), "WEBP", lossless=True, exact=True),
    "WebP of one column": lambda: saved(SMOOTH[:, :1].copy(), "WEBP"),
    "WebP of one row": lambda: saved(SMOOTH[:1].copy(), "WEBP"),
    "WebP with much beside": _noted("WEBP", SMOOTH, 1, xmp=SECRET),
    "WebP and alpha with much beside": _noted("WEBP", np.dstack([COLOUR, ALPHA]), 1, xmp=SECRET),
} | {
    f"{kind}, to be turned as {orientation}": _noted(kind, SMOOTH, orientation)
    for kind in ("PNG", "JPEG", "WEBP")
    for orientation in range(1, 9)
}
"""By what they are: files that are decoded."""


def animated(kind: str) -> bytes:
    """Of two pictures."""
    return saved(COLOUR, kind, save_all=True, append_images=[Image.fromarray(COLOUR[::-1].copy())])


def of_bits(bits: int) -> bytes:
    """A JPEG file that says that its samples have so many bits."""
    file = bytearray(saved(SMOOTH, "JPEG"))
    file[file.index(b"\xff\xc0") + 4] = bits
    return bytes(file)


def cut(file: bytes, kept: float = 0.6) -> bytes:
    """The beginning of a file."""
    return file[: int(len(file) * kept)]


def smaller_canvas(webp: bytes) -> bytes:
    """An extended WebP file that says that it is one pixel narrower than its picture."""
    at = webp.index(b"VP8X") + 12
    return webp[:at] + bytes((webp[at] - 1,)) + webp[at + 1 :]


REFUSED: dict[str, tuple[Make, str]] = {
    "PNG, animated": (lambda: animated("PNG"), "animated"),
    "WebP, animated": (lambda: animated("WEBP"), "animated"),
    "PNG that is cut off": (lambda: cut(saved(COLOUR, "PNG")), "truncated"),
    "JPEG that is cut off": (lambda: cut(saved(SMOOTH, "JPEG"), 0.9), "truncated"),
    "WebP that is cut off": (lambda: cut(saved(SMOOTH, "WEBP")), "truncated"),
    "WebP of two sizes": (lambda: smaller_canvas(saved(np.dstack([COLOUR, ALPHA]), "WEBP")), "two different sizes"),
    "JPEG of 12 bits": (lambda: of_bits(12), "12 bits a sample; expected 8"),
    "PNG of Apple": (
        lambda: PNG + chunk(b"CgBI", bytes(4)) + saved(COLOUR, "PNG")[8:],
        r"Apple's own format \(CgBI\)",
    ),
    "PNG with a short tRNS": (
        lambda: raw_png(8, 2, rows_of(24 * WIDTH), before=chunk(b"tRNS", b"\0\1")),
        "its tRNS chunk.*has 2 bytes; expected 6",
    ),
    "PNG of 3 bits": (lambda: raw_png(3, 0, rows_of(3 * WIDTH)), "3 bits and colour type 0"),
    "PNG with too few rows": (partial(raw_png, 8, 0, rows_of(8 * WIDTH)[: 3 * (1 + WIDTH)]), "rows .* are missing"),
    "PNG whose last byte is lacking": (partial(raw_png, 8, 0, bytes(HEIGHT * (1 + WIDTH) - 1)), "truncated"),
    "PNG, interlaced, without its last rows": (partial(raw_png, 1, 0, bytes(13), interlace=1), "truncated"),
    "PNG whose rows are damaged": (
        lambda: PNG + saved(GREY, "PNG")[8:33] + chunk(b"IDAT", zlib.compress(rows_of(8 * WIDTH))[:-1] + b"?"),
        "cannot be decoded",
    ),
    "PNG without a palette": (
        partial(raw_png, 8, 3, rows_of(8 * WIDTH)),
        "its PLTE chunk, which defines its colours, is missing",
    ),
    "nothing": (lambda: b"", "found nothing: the file is empty"),
    "zeros": (lambda: bytes(5000), "5,000 bytes that begin with zeros"),
    "HEIC": (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "found a HEIC picture"),
    "HEIC by a later brand": (lambda: b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "found a HEI[CF] picture"),
    "AVIF": (lambda: b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "found an AVIF picture"),
    "MP4": (lambda: b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "found a film"),
    "PDF": (lambda: b"%PDF-1.7\n", "found a PDF document"),
    "SVG": (lambda: b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "found an SVG drawing"),
    "SVG without more": (lambda: b"<svg/>", "found an SVG drawing"),
    "HTML": (lambda: b"\n<!DOCTYPE html><html><body>404</body></html>", "found an HTML page"),
    "JPEG 2000": (lambda: b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40), "found a JPEG 2000 picture"),
    "JPEG XL": (lambda: b"\xff\x0a" + bytes(40), "found a JPEG XL picture"),
    "zip": (lambda: b"PK\3\4" + bytes(40), "found a zip archive"),
    "gzip": (lambda: b"\x1f\x8b\x08" + bytes(40), "found gzip data"),
    "Git LFS": (
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "a Git LFS pointer instead of the file; run git lfs pull",
    ),
    "text": ("Fehler: Zugriff verweigert (ä)".encode, r"found text \('Fehler: Zugriff verweigert"),
    "base64": (lambda: b"iVBORw0KGgoAAAANSUhEUgAA", "a PNG picture in base64; decode the base64 first"),
    "PNG sent as text": (lambda: PNG.replace(b"\r\n", b"\n") + bytes(40), "line ends were changed"),
    "PNG read as text": (lambda: saved(GREY, "PNG").decode("utf-8", "replace").encode(), "read as text"),
    "noise": (lambda: np.random.default_rng(1).bytes(100), "100 bytes that are not a picture of a known kind"),
}
"""By what they are: files that are refused, and why."""
