"""Small PNG, JPEG and WebP files that ask for much work or memory."""

import io
import struct
import zlib
from functools import cache

from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"
END = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


@cache  # some take seconds
def png(
    width: int, height: int, *, bits: int = 1, colour: int = 0, more: bytes = b"", claims_only: bool = False
) -> bytes:
    """A black picture; `more` goes before its pixels.

    Args:
        colour: 0 grey, 2 RGB, 4 grey and alpha, 6 RGBA.
        claims_only: it says that it is so large, and has no pixels.
    """
    row_bytes = 1 + (width * bits * {0: 1, 2: 3, 4: 2, 6: 4}[colour] + 7) // 8
    rows = b"" if claims_only else packed(row_bytes * height)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return PNG + header + more + chunk(b"IDAT", rows) + END


def packed(size: int) -> bytes:
    """So many zeros, as zlib packs them."""
    packer = zlib.compressobj(9)
    pieces = [packer.compress(bytes(min(1 << 20, size - done))) for done in range(0, size, 1 << 20)]
    return b"".join(pieces) + packer.flush()


@cache
def jpeg(width: int, height: int, *, progressive: bool = False) -> bytes:
    """A black picture in colour."""
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "JPEG", progressive=progressive)
    return file.getvalue()


def with_scans(file: bytes, scans: int) -> bytes:
    """A progressive JPEG file whose last scan is repeated until there are so many."""
    start, end = file.rindex(b"\xff\xda"), file.rindex(b"\xff\xd9")
    return file[:end] + file[start:end] * (scans - file.count(b"\xff\xda")) + file[end:]


def hidden_scans(file: bytes, scans: int) -> bytes:
    """A progressive JPEG file with more scans behind a marker that does not exist, which may seem to contain them."""
    start, end = file.rindex(b"\xff\xda"), file.rindex(b"\xff\xd9")
    return file[:end] + b"\xff\x02\xff\xff" + file[start:end] * scans + file[end:]


def with_segment(file: bytes, marker: int, content: bytes, times: int = 1) -> bytes:
    """A JPEG file with more segments at its beginning."""
    segment = bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content
    return file[:2] + segment * times + file[2:]


def overlapping_tiff(entries: int, size: int) -> bytes:
    """An EXIF block of which each entry says that the whole block is its value."""
    each = [struct.pack(">HHII", tag, 7, size - 8, 8) for tag in range(entries)]
    directory = struct.pack(">H", entries) + b"".join(each) + bytes(4)
    return (b"MM\0*" + struct.pack(">I", 8) + directory).ljust(size, b"\0")


def packed_text(size: int) -> bytes:
    """What a compressed text or profile holds after its name."""
    return b"\0" + packed(size)


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP file of these chunks; contents have an even number of bytes."""
    content = b"".join(name + struct.pack("<I", len(content)) + content for name, content in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(content)) + b"WEBP" + content


BLACK_WEBP = (b"VP8L", bytes.fromhex("2f07c00100071011fd0f4444ff03"))
"""The chunk of a black picture of 8 x 8."""


HOSTILE = {
    "JPEG of 8000 x 8000 in 90 scans": lambda: with_scans(jpeg(8000, 8000, progressive=True), 90),
    "JPEG of 8000 x 8000 in 90 scans, of which a segment hides 80": lambda: hidden_scans(
        jpeg(8000, 8000, progressive=True), 80
    ),
    "JPEG of 8 x 8 in 100,000 scans": lambda: with_scans(jpeg(8, 8, progressive=True), 100_000),
    "JPEG of 8 x 8 with a million segments": lambda: with_segment(jpeg(8, 8), 0xFE, b"", 1_000_000),
    "JPEG with a million bytes between segments": lambda: b"\xff\xd8" + bytes(1_000_000) + jpeg(8, 8)[2:],
    "JPEG with five million fill bytes": lambda: b"\xff\xd8" + b"\xff" * 5_000_000 + jpeg(8, 8)[2:],
    "JPEG whose EXIF overlaps": lambda: with_segment(jpeg(8, 8), 0xE1, b"Exif\0\0" + overlapping_tiff(5000, 65_000)),
    "JPEG whose index of pictures overlaps": lambda: with_segment(
        jpeg(8, 8), 0xE2, b"MPF\0" + overlapping_tiff(5000, 65_000)
    ),
    "PNG of 64,000,000 x 1": lambda: png(64_000_000, 1),
    "PNG of 1 x 64,000,000": lambda: png(1, 64_000_000),
    "PNG that says 100,000 x 100,000": lambda: png(100_000, 100_000, claims_only=True),
    "PNG with 300,000 chunks": lambda: png(8, 8, more=chunk(b"tEXt", b"a\0b") * 300_000),
    "PNG with 5,000 colour profiles": lambda: png(8, 8, more=chunk(b"iCCP", b"a\0" + packed_text(1_000_000)) * 5_000),
    "PNG with 5,000 packed texts": lambda: png(8, 8, more=chunk(b"zTXt", b"a\0" + packed_text(1_000_000)) * 5_000),
    "PNG with five million lines": lambda: png(
        8, 8, more=chunk(b"tEXt", b"Raw profile type exif\0" + b"\n" * 5_000_000)
    ),
    "WebP with 500,000 chunks": lambda: webp(*[(b"XMP ", b"ab")] * 500_000, BLACK_WEBP),
    "WebP with 5,000 colour profiles": lambda: webp(*[(b"ICCP", packed_text(1_000_000))] * 5_000, BLACK_WEBP),
    "WebP whose EXIF overlaps": lambda: webp(BLACK_WEBP, (b"EXIF", overlapping_tiff(60_000, 1_000_000))),
    "WebP of 30 bytes that says 16,384 x 16,384": lambda: webp((b"VP8L", b"\x2f\xff\xff\xff\x0f" + bytes(5))),
    "PNG whose EXIF overlaps": lambda: png(8, 8, more=chunk(b"eXIf", overlapping_tiff(60_000, 1_000_000))),
    "PNG with 500 EXIF profiles": lambda: png(
        8, 8, more=chunk(b"zTXt", b"Raw profile type exif\0" + packed_text(1_000_000)) * 500
    ),
}
"""By what they are. Each has at most 6 MB."""
