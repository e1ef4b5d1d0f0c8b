"""What is needed of an image file: the bytes that make its pixels, which way up it is, and what decoding will cost.

`PartsReader` is what the readers of the kinds share. A reader goes through a file's headers once and copies nothing
but what makes pixels: an image library reads the rest entry by entry, and 5,000 packed colour profiles, 5 MB, hold it
for over 10 s.
"""

from dataclasses import dataclass

from vouch.bundle.errors import InvalidImage
from vouch.bundle.images.kinds import Kind
from vouch.bundle.images.orientation import Notes

PIXEL_S, SCAN_S = 12e-9, 4e-9
"""Of a pixel in all steps, and in each scan; of 16-bit colour it is up to five times as much."""


@dataclass(frozen=True)
class ImageParts:
    """What is needed of an image file."""

    kind: Kind
    encoded: bytes
    """A file with the pixels and nothing else."""
    width: int
    height: int
    """As they are stored, before the picture is put upright."""
    scans: int
    """How many times a decoder goes over the picture."""
    orientation: int
    """As EXIF numbers it; 1: upright, 2 to 8: how it is mirrored and turned."""
    pixel_bytes: int
    """Of a pixel as it is decoded, the low bytes of 16-bit colour included."""
    scan_bytes: int = 0
    """Of a pixel while a progressive JPEG file or a WebP file is decoded, beside that."""
    held_bytes: int = 0
    """Of a pixel, which the decoder holds until the picture is through all steps."""
    pixel_s: float = PIXEL_S
    """Of a pixel in all steps but the scans."""

    @property
    def decode_s(self) -> float:
        """Roughly how long decoding takes on one core, in seconds."""
        return self.width * self.height * (self.pixel_s + SCAN_S * self.scans)


class PartsReader:
    """What has been found so far while a file is gone through."""

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded
        self._view = memoryview(encoded)
        self._kept: list[bytes | memoryview] = []
        self._size: tuple[int, int] | None = None
        self._notes = Notes()
        self._seen = 0

    def _count_part(self) -> None:
        self._seen += 1
        if self._seen > 1000 + len(self._encoded) // 1024:
            raise InvalidImage(f"the image has over {self._seen - 1:,} parts, which is too many for its bytes")

    def _known_size(self) -> tuple[int, int]:
        if self._size is None:
            raise InvalidImage("the image is broken: it does not say its size")
        return self._size
