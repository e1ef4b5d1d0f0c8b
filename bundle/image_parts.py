"""The parts of an image file that make its pixels, and a check of the cost of decoding from only its headers."""

from vouch.bundle.errors import InvalidImage
from vouch.bundle.images.jpeg import JpegReader
from vouch.bundle.images.kinds import Kind, kind_of, refusal
from vouch.bundle.images.parts import ImageParts
from vouch.bundle.images.png import PngReader
from vouch.bundle.images.webp import WebpReader

MAX_PIXELS = 64_000_000
"""The most pixels of an encoded image; a small file can state an enormous size."""
MAX_SIDE = 65_535
"""In pixels; the limit of JPEG."""
MAX_SCANS = 100
"""The most scans of a JPEG file. Most progressive files have 10, each over the whole picture."""
MAX_SCANNED_PIXELS = 10 * MAX_PIXELS
"""Pixels times scans."""
MAX_FILE_BYTES = 512_000_000
"""Limit for an image file: the largest picture in four channels of 16 bits. A server's default limit is lower; this one
is for files that are not images."""
READERS: dict[Kind, type[PngReader] | type[JpegReader] | type[WebpReader]] = {
    "PNG": PngReader,
    "JPEG": JpegReader,
    "WEBP": WebpReader,
}


def image_parts(encoded: bytes) -> ImageParts:
    """The parts of a file that make its pixels.

    Raises:
        InvalidImage: neither PNG nor JPEG nor WebP; truncated; damaged, as far as checksums show; animated; or too
            expensive by its headers: over 64 million pixels, a side over 65,535, over 100 scans, over 10 scans of the
            largest picture, or over a thousand parts smaller than 1 KiB.
    """
    kind = kind_of(encoded)
    if kind is None:
        raise refusal(encoded)
    parts = READERS[kind](encoded).parts()
    check_size(parts.width, parts.height)
    most = min(MAX_SCANS, MAX_SCANNED_PIXELS // max(1, parts.width * parts.height))
    if parts.scans > most:
        size = f"{parts.width:,} x {parts.height:,} pixels"
        raise InvalidImage(f"the image has {size} in {parts.scans:,} scans; the limit for this size is {most:,}")
    return parts


def check_size(width: int, height: int) -> None:
    """Checks a picture's size.

    Raises:
        InvalidImage: it is empty or too large.
    """
    size = f"{width:,} x {height:,} pixels"
    if not (width and height):
        raise InvalidImage(f"the image is broken: it says {size}")
    if width * height > MAX_PIXELS:
        raise InvalidImage(f"the image has {size}; at most {MAX_PIXELS:,} are taken")
    if max(width, height) > MAX_SIDE:
        raise InvalidImage(f"the image has {size}; at most {MAX_SIDE:,} are taken on a side")
